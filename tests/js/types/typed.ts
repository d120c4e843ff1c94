/** An application's types: what is right passes, and each line below an @ts-expect-error is wrong. */

import { connect, FinchError, type Finch, type Person, type Room, type Said } from "/finch.js";

const finch: Finch = connect("/ws", { token: async () => "secret", since: "session" });

// Calls
const sum: number = await finch.call("sum", [1, 2], { timeout: 5000, retry: true, signal: AbortSignal.timeout(1) });
const words: string[] | null = await finch.call("ask", "why?");
for await (const word of finch.stream("ask", "why?")) word.toUpperCase();
for await (const total of finch.stream("sum", [1])) total.toFixed();
const time: string = await finch.call("time");
await finch.call("move");
await finch.call("move", [1, 2]);
const sent: boolean = finch.send("sum", [1], { volatile: true });
// @ts-expect-error a wrong path
await finch.call("summ", [1, 2]);
// @ts-expect-error wrong data
await finch.call("sum", ["1"]);
// @ts-expect-error no data
await finch.call("sum");
// @ts-expect-error a wrong answer
const text: string = await finch.call("sum", [1]);
// @ts-expect-error an answer in parts is a list
const word: string = await finch.call("ask", "why?");
// @ts-expect-error wrong items
for await (const item of finch.stream("ask", "why?")) item.toFixed();
// @ts-expect-error a wrong option
await finch.call("sum", [1], { timeOut: 1 });
// @ts-expect-error a stream has no timeout
finch.stream("ask", "why?", { timeout: 1 });
// @ts-expect-error wrong data
finch.send("sum", "1");

// Messages
const off: () => void = finch.on("output", (data, message) => data.toUpperCase() + message.timestamp.toFixed());
finch.on("notice", ({ from, text }) => from + text);
finch.on("sum", (total) => total.toFixed());
finch.on("error", ({ message }, { status }) => message + status);
// @ts-expect-error a wrong path
finch.on("outputs", () => {});
// @ts-expect-error a wrong field
finch.on("notice", ({ form }) => form);

// Rooms
const lobby = finch.join("chat/lobby", { last: 50, meta: { name: "Ann" }, since: "E:1" });
const name: "chat/lobby" = lobby.name;
const { recovered, missed } = await lobby.joined;
lobby.on("said", ({ from, text }) => from + text);
lobby.send("say", { text: "hello" });
const { seq } = await lobby.call("say", { text: "hello" });
for await (const said of lobby.stream("history", 5)) said.from;
finch.join(`chat/${name}`).on("said", (said: Said) => said);
finch.join("lobby").on("said", (said) => said.toUpperCase());
const kept: Room<"chat/lobby"> = lobby;
// @ts-expect-error no such room
finch.join("chatt/lobby");
// @ts-expect-error a wrong field
lobby.on("said", ({ who }) => who);
// @ts-expect-error a wrong path
lobby.on("sayd", () => {});
// @ts-expect-error a wrong field
lobby.send("say", { txt: "hello" });
// @ts-expect-error a path of the client, not of the room
lobby.call("sum", [1]);
// @ts-expect-error a wrong option
finch.join("chat/lobby", { least: 1 });

// Presence, events, states, errors
const people: Person[] = [...lobby.presence];
lobby.presence.on("change", (people, { joins, leaves }) => people.length + joins.length + leaves.length);
finch.addEventListener("waiting", ({ detail }) => detail.pause.toFixed());
finch.addEventListener("gap", ({ detail }) => detail.room);
lobby.addEventListener("refused", ({ detail }) => detail.status);
finch.answer("confirm", async (data, { signal, message }) => signal.aborted || message.path);
if (finch.state === "open") finch.close(3000, "bye");
try {
  await finch.auth("token");
} catch (error) {
  if (error instanceof FinchError && error.code === "timeout") error.status.toFixed();
}
// @ts-expect-error no such event
finch.addEventListener("reconnect", () => {});
// @ts-expect-error no such state
finch.state === "opened";

export { kept, missed, off, people, recovered, sent, seq, sum, text, time, word, words };
