/** As long as an application declares nothing, any path and any data will do. */

import { connect } from "/finch.js";

const finch = connect(new URL("wss://finch.example/ws"), { WebSocket });
const sum: number = await finch.call("sum", [1, 2]);
const list: string[] = await finch.call("whatever");
for await (const word of finch.stream("ask", "why?")) word.toUpperCase();
finch.send("time", {}, { volatile: true });
finch.on("output", (data, message) => data.anything + message.data.anything);
finch.on("error", ({ message }) => message.toUpperCase());
const lobby = finch.join("chat/lobby");
lobby.on("said", ({ from }) => from);
lobby.send("say", { text: "hello" });
const answer: boolean = await lobby.call("vote");
// @ts-expect-error what does not depend on the application is checked
finch.join(5);
// @ts-expect-error
finch.addEventListener("opened", () => {});

export { answer, list, sum };
