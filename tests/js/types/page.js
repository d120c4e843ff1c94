// @ts-check
/** A page without a build step: its editor knows the types too. */

import { connect } from "/finch.js";

const finch = connect("/ws");
const lobby = finch.join("chat/lobby");
lobby.on("said", ({ from, text }) => console.log(from, text));
// @ts-expect-error a wrong field
lobby.on("said", ({ form }) => console.log(form));
const total = await finch.call("sum", [1, 2]);
total.toFixed();
// @ts-expect-error a wrong answer
total.toUpperCase();
