/** Sending: what is sent at once, what waits while the client is away, and in which order it leaves. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { setUp, setUpOpen } from "./fakes.js";

const dropped = (events) => events.filter(([type]) => type === "dropped").map(([, { data, reason }]) => [data, reason]);

test("a message is sent at once if there is a connection", (t) => {
  const { finch, socket } = setUpOpen(t);
  assert.equal(finch.send("say", "hello"), true);
  assert.equal(finch.send("nothing"), true);
  assert.deepEqual(socket.sent, [{ path: "say", data: "hello" }, { path: "nothing" }]);
});

test("messages that are sent while the client is away leave in their order when it is back", (t) => {
  const world = setUp(t);
  assert.equal(world.finch.send("say", 1), true);
  world.socket.cut();
  assert.equal(world.finch.send("say", 2), true);
  world.comeBack();
  assert.deepEqual(world.socket.sent.map(({ data }) => data), [1, 2]);
});

test("a message is what it was when it was sent", (t) => {
  const { finch, socket } = setUp(t);
  const data = { text: "before" };
  finch.send("say", data);
  data.text = "after";
  socket.accept();
  assert.deepEqual(socket.hears().data, { text: "before" });
});

test("a volatile message is sent now or never", (t) => {
  const { finch, socket, events } = setUp(t);
  assert.equal(finch.send("at", [1, 2], { volatile: true }), false);
  socket.accept();
  socket.hearsNothing();
  assert.equal(finch.send("at", [3, 4], { volatile: true }), true);
  assert.deepEqual(socket.hears(), { path: "at", data: [3, 4] });
  assert.deepEqual(dropped(events()), []);
});

test("64 messages wait; the newest is refused, and told", async (t) => {
  const { finch, socket, events } = setUp(t);
  for (let n = 1; n <= 64; n++) assert.equal(finch.send("say", n), true);
  assert.equal(finch.send("say", 65), false);
  const call = finch.call("sum", 66);
  await assert.rejects(call, { code: "unsent" });
  assert.deepEqual(dropped(events()), [[65, "full"], [66, "full"]]);
  socket.accept();
  assert.deepEqual(socket.sent.map(({ data }) => data), Array.from({ length: 64 }, (_, n) => n + 1));
});

test("a message waits for 30 s, is dropped then, and told; it makes room for another", (t) => {
  const { finch, socket, pass, events } = setUp(t);
  finch.send("say", "old");
  pass(15_000);
  for (let n = 0; n < 63; n++) finch.send("say", "young");
  pass(15_000);
  assert.deepEqual(dropped(events()), [["old", "old"]]);
  assert.equal(finch.send("say", "new"), true);
  finch.open();
  socket.constructor.all.at(-1).accept();
  assert.equal(socket.constructor.all.at(-1).sent.length, 64);
});

test("a computer that has slept does not send what is older than 30 s", (t) => {
  const { finch, socket, events } = setUp(t);
  finch.send("say", "old");
  t.mock.timers.setTime(Date.now() + 30_001); // no timer has run
  socket.accept();
  socket.hearsNothing();
  assert.deepEqual(dropped(events()), [["old", "old"]]);
});

test("what waits when the client is closed is dropped, and so is what is sent then", async (t) => {
  const { finch, events } = setUp(t);
  finch.send("say", 1);
  const call = finch.call("sum", 2);
  finch.close();
  assert.equal(finch.send("say", 3), false);
  await assert.rejects(call, { code: "closed" });
  assert.deepEqual(dropped(events()), [[1, "closed"], [2, "closed"], [3, "closed"]]);
});

test("a message that is sent while the socket is closing waits for the next one", (t) => {
  const world = setUpOpen(t);
  world.socket.readyState = 2; // the server's Close has come, its event has not
  assert.equal(world.finch.send("say", "hello"), true);
  world.socket.cut();
  world.comeBack();
  assert.deepEqual(world.socket.sent.map(({ data }) => data), ["hello"]);
});

test("after a reconnect: first the rooms, then the calls that were under way, then what waited", (t) => {
  const world = setUpOpen(t);
  const ignore = () => {};
  const lobby = world.finch.join("chat/lobby");
  world.finch.call("b", 1, { retry: true }).catch(ignore);
  lobby.call("c", 1, { retry: true }).catch(ignore);
  world.socket.cut();
  world.finch.send("d");
  world.finch.join("chat/late");
  world.finch.call("e").catch(ignore);
  world.comeBack();
  assert.deepEqual(world.socket.sent.map(({ path, room }) => room ?? path), ["chat/lobby", "chat/late", "b", "chat/lobby", "d", "e"]);
});

test("data that cannot be sent as JSON throws where it is sent", (t) => {
  const { finch, socket } = setUpOpen(t);
  assert.throws(() => finch.send("x", 1n), TypeError);
  socket.hearsNothing();
});
