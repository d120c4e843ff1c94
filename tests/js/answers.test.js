/** The server's calls, and what a client answers. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { FinchError } from "../../finch/static/src/index.js";
import { settled, setUpOpen, stubConsole } from "./fakes.js";

/** Let the server call, and hear the answer. */
async function ask(socket, path = "confirm", data = "Delete it?") {
  socket.says(path, data, { id: "s1" });
  await settled();
  return socket.hears();
}

test("a call of the server is answered with its path and its id", async (t) => {
  const { finch, socket } = setUpOpen(t);
  finch.answer("confirm", (question, { message }) => question === "Delete it?" && message.status === 200);
  assert.deepEqual(await ask(socket), { path: "confirm", data: true, reply: "s1" });
});

test("an answer may take its time, and may be nothing", async (t) => {
  const { finch, socket } = setUpOpen(t);
  let give;
  finch.answer("confirm", () => new Promise((resolve) => (give = resolve)));
  socket.says("confirm", null, { id: "s1" });
  await settled();
  socket.hearsNothing();
  give();
  await settled();
  assert.deepEqual(socket.hears(), { path: "confirm", data: null, reply: "s1" });
});

test("a call that nobody answers is 404, even if its path has a handler", async (t) => {
  const { finch, socket } = setUpOpen(t);
  finch.on("confirm", () => assert.fail());
  const answer = await ask(socket);
  assert.deepEqual([answer.path, answer.reply, answer.status], ["confirm", "s1", 404]);
});

test("a handler that fails is 500, and the console hears of it", async (t) => {
  const errors = stubConsole(t);
  const { finch, socket } = setUpOpen(t);
  finch.answer("confirm", async () => { throw new Error("mine"); });
  assert.equal((await ask(socket)).status, 500);
  assert.equal(errors[0].message, "mine");
});

test("a handler that throws a FinchError answers with its status and data", async (t) => {
  const errors = stubConsole(t);
  const { finch, socket } = setUpOpen(t);
  finch.answer("confirm", () => { throw new FinchError(403, { message: "not now" }); });
  assert.deepEqual(await ask(socket), { path: "confirm", data: { message: "not now" }, reply: "s1", status: 403 });
  assert.deepEqual(errors, []);
});

test("a handler whose own call was cut answers 500, not 0", async (t) => {
  stubConsole(t);
  const { finch, socket } = setUpOpen(t);
  finch.answer("confirm", () => { throw new FinchError(0, null, "timeout"); });
  assert.equal((await ask(socket)).status, 500);
});

test("an answer that cannot be sent as JSON is 500", async (t) => {
  stubConsole(t);
  const { finch, socket } = setUpOpen(t);
  finch.answer("confirm", () => 1n);
  assert.equal((await ask(socket)).status, 500);
  finch.answer("confirm", () => { throw new FinchError(409, 1n); });
  assert.deepEqual(await ask(socket), { path: "confirm", data: { message: "the client has failed" }, reply: "s1", status: 500 });
});

test("a later handler takes the place of an earlier one, and only its own removal removes it", async (t) => {
  const { finch, socket } = setUpOpen(t);
  const first = finch.answer("confirm", () => 1);
  const second = finch.answer("confirm", () => 2);
  first();
  assert.equal((await ask(socket)).data, 2);
  second();
  assert.equal((await ask(socket)).status, 404);
});

test("an answer is good for its connection only, whose end aborts the signal", async (t) => {
  const world = setUpOpen(t);
  let give, signal;
  world.finch.answer("confirm", (_, context) => {
    signal = context.signal;
    return new Promise((resolve) => (give = resolve));
  });
  world.socket.says("confirm", null, { id: "s1" });
  assert.equal(signal.aborted, false);
  world.socket.cut();
  assert.equal(signal.aborted, true);
  world.comeBack();
  give("too late");
  await settled();
  world.socket.hearsNothing();
  world.socket.says("confirm", null, { id: "s1" });
  assert.equal(signal.aborted, false);
  world.finch.close();
  assert.equal(signal.aborted, true);
});
