/**
 * The shipped module in Node, with the package `ws`, against a real server of tests/wire/vectors_app.py.
 *
 *     node real.js ws://127.0.0.1:PORT/ws
 */

import assert from "node:assert/strict";

import WebSocket from "ws";

import { connect } from "../../finch/static/finch.js";

const finch = connect(`${process.argv[2]}?token=ann`, { WebSocket });
const late = setTimeout(() => process.exit(1), 20_000);
const event = (target, type) => new Promise((resolve) => target.addEventListener(type, ({ detail }) => resolve(detail), { once: true }));

assert.equal(await finch.call("double", 21), 42);
await assert.rejects(finch.call("teapot"), { status: 418, code: "refused" });
const numbers = [];
for await (const number of finch.stream("count", 10)) {
  numbers.push(number);
  if (number === 2) break;
}
assert.deepEqual(numbers, [0, 1, 2]);
for await (const word of finch.stream("endless")) {
  assert.equal(word, "begun");
  break;
}
finch.answer("confirm", (question) => question === "Delete it?");
assert.equal(await finch.call("delete"), true);

const room = finch.join("chat/lobby", { last: 10 });
const here = finch.join("here/now");
const said = [];
room.on("said", (data) => said.push(data));
assert.deepEqual(await room.joined, { recovered: false, missed: 0 });
await here.joined;
assert.deepEqual([...here.presence].map(({ user }) => user), ["ann"]);
await assert.rejects(finch.join("chat/staff").joined, { status: 403 });
assert.deepEqual(await room.call("say", 1), { seq: 1 });

// the server closes the connection; meanwhile somebody else speaks
const waiting = event(finch, "waiting");
finch.send("away", 4000);
assert.equal((await waiting).code, 4000);
const other = connect(process.argv[2], { WebSocket });
await other.join("chat/lobby").call("say", 2);
const tally = finch.call("tally", null, { retry: true });
const joined = event(room, "joined");
finch.open();
assert.deepEqual(await joined, { recovered: true, missed: 1 });
assert.equal(await tally, 1);
assert.deepEqual(await room.call("say", 3), { seq: 3 });
assert.deepEqual(said, [1, 2, 3]);

// a call that is under way when the connection is cut is handled once
const again = finch.call("tally", null, { retry: true });
finch.call("away", 4000).catch(() => {});
await event(finch, "waiting");
finch.open();
assert.equal(await again, 2);

finch.close();
other.close();
clearTimeout(late);
console.log("all is well");
