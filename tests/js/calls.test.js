/** Calls and streamed answers: what comes of them, and what a cut does to them. */

import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { test } from "node:test";

import { FinchError } from "../../finch/static/src/index.js";
import { settled, setUp, setUpOpen } from "./fakes.js";

const disconnected = { name: "FinchError", status: 0, code: "disconnected" };
const closed = { name: "FinchError", status: 0, code: "closed" };

// Plain calls

test("a call is resolved with the data of its answer", async (t) => {
  const { finch, socket } = setUpOpen(t);
  const sum = finch.call("sum", [1, 2]);
  const asked = socket.hears();
  assert.deepEqual(asked, { path: "sum", data: [1, 2], id: 1 });
  socket.answers(asked, 3);
  assert.equal(await sum, 3);
});

test("each call has an id of its own, also on later connections", async (t) => {
  const world = setUpOpen(t);
  const first = world.finch.call("a");
  const second = world.finch.call("b");
  assert.deepEqual(world.socket.sent.map(({ id }) => id), [1, 2]);
  world.socket.cut();
  await assert.rejects(first, disconnected);
  await assert.rejects(second, disconnected);
  world.comeBack();
  const third = world.finch.call("c");
  assert.equal(world.socket.sent.at(-1).id, 3);
  world.socket.says("a", "an answer of nobody", { reply: 1 });
  world.socket.answers(world.socket.hears(), "c");
  assert.equal(await third, "c");
});

test("an error rejects a call, with its status and its data", async (t) => {
  const { finch, socket } = setUpOpen(t);
  const call = finch.call("teapot");
  socket.refuses(socket.hears(), 418, "I am a teapot");
  const error = await call.catch((error) => error);
  assert.ok(error instanceof FinchError && error instanceof Error);
  assert.equal(error.status, 418);
  assert.deepEqual(error.data, { message: "I am a teapot", path: "teapot" });
  assert.equal(error.code, "refused");
  assert.equal(error.message, "I am a teapot");
});

test("a streamed answer to a call becomes a list", async (t) => {
  const { finch, socket } = setUpOpen(t);
  const call = finch.call("count", 2);
  const asked = socket.hears();
  socket.answers(asked, 0, { more: true });
  socket.answers(asked, 1, { more: true });
  socket.answers(asked, null);
  assert.deepEqual(await call, [0, 1]);
});

test("a call is rejected if no answer comes in time, and its handler is cancelled", async (t) => {
  const { finch, socket, pass } = setUpOpen(t);
  const call = finch.call("slow", 1, { timeout: 5000 });
  const { id } = socket.hears();
  pass(4999);
  socket.hearsNothing();
  pass(1);
  await assert.rejects(call, { name: "FinchError", status: 0, code: "timeout" });
  assert.deepEqual(socket.hears(), { path: "finch.cancel", id });
});

test("an answer in time ends the timeout", async (t) => {
  const { finch, socket, pass } = setUpOpen(t);
  const call = finch.call("quick", 1, { timeout: 5000 });
  socket.answers(socket.hears(), "here");
  pass(5000);
  socket.hearsNothing();
  assert.equal(await call, "here");
});

test("a timeout that no timer can hold, such as Infinity, is none", async (t) => {
  const { finch, socket, pass } = setUpOpen(t);
  const call = finch.call("slow", 1, { timeout: Infinity });
  pass(60_000);
  socket.answers(socket.hears(), "here");
  assert.equal(await call, "here");
});

test("a call that is aborted is rejected with the reason, and its handler is cancelled", async (t) => {
  const { finch, socket } = setUpOpen(t);
  const control = new AbortController();
  const call = finch.call("slow", 1, { signal: control.signal });
  const { id } = socket.hears();
  const reason = new Error("the page was left");
  control.abort(reason);
  await assert.rejects(call, reason);
  assert.deepEqual(socket.hears(), { path: "finch.cancel", id });
  socket.refuses({ path: "slow", id }, 499, "cancelled"); // nobody waits for it: nobody is told
});

test("a signal that is aborted already sends nothing", async (t) => {
  const { finch, socket } = setUpOpen(t);
  await assert.rejects(finch.call("slow", 1, { signal: AbortSignal.abort() }), { name: "AbortError" });
  socket.hearsNothing();
});

test("a signal that is aborted after the answer does nothing", async (t) => {
  const { finch, socket } = setUpOpen(t);
  const control = new AbortController();
  const call = finch.call("quick", 1, { signal: control.signal });
  socket.answers(socket.hears(), "here");
  assert.deepEqual(getEventListeners(control.signal, "abort"), []);
  control.abort();
  assert.equal(await call, "here");
  socket.hearsNothing();
});

test("data that cannot be sent as JSON rejects the call, and nothing is sent", async (t) => {
  const { finch, socket } = setUpOpen(t);
  await assert.rejects(finch.call("x", 1n), TypeError);
  socket.hearsNothing();
});

test("auth is a call of finch.auth", async (t) => {
  const { finch, socket } = setUpOpen(t);
  const renewed = finch.auth("token");
  const asked = socket.hears();
  assert.deepEqual(asked, { path: "finch.auth", data: "token", id: 1 });
  socket.answers(asked, { expires_at: null });
  assert.deepEqual(await renewed, { expires_at: null });
});

// Cuts

test("a call that is under way fails when the connection is cut", async (t) => {
  const { finch, socket } = setUpOpen(t);
  const call = finch.call("sum", [1, 2]);
  socket.cut();
  await assert.rejects(call, disconnected);
});

test("a call that is under way fails when the client is closed, by either side", async (t) => {
  const { finch, socket, comeBack } = setUpOpen(t);
  const call = finch.call("sum", [1, 2]);
  socket.cut(1008);
  await assert.rejects(call, closed);
  comeBack();
  const other = finch.call("sum", [1, 2], { retry: true });
  finch.close();
  await assert.rejects(other, closed);
  await assert.rejects(finch.call("sum", []), closed);
});

// retry

const KEY = /^[A-Za-z0-9_-]{16,64}:[1-9][0-9]*$/;

test("a call with retry is sent again after each cut, with the same key", async (t) => {
  const world = setUpOpen(t);
  const call = world.finch.call("pay", 5, { retry: true });
  const first = world.socket.hears();
  assert.match(first.once, KEY);
  for (let cuts = 0; cuts < 2; cuts++) {
    world.socket.cut();
    world.comeBack();
    assert.deepEqual(world.socket.hears(), first);
  }
  world.socket.answers(first, "paid");
  assert.equal(await call, "paid");
});

test("the keys of a client have one session and growing numbers; another client has another session", (t) => {
  const keys = [];
  for (let clients = 0; clients < 2; clients++) {
    const { finch, socket } = setUpOpen(t);
    finch.call("a", 1, { retry: true }).catch(() => {});
    finch.call("b").catch(() => {});
    finch.call("c", 1, { retry: true }).catch(() => {});
    const [a, b, c] = socket.sent.map(({ once }) => once?.split(":"));
    assert.equal(b, undefined);
    assert.equal(a[0], c[0]);
    assert.ok(Number(a[1]) < Number(c[1]));
    keys.push(a[0]);
    t.mock.timers.reset();
  }
  assert.notEqual(keys[0], keys[1]);
});

test("a call with retry waits 60 s for a connection after a cut, and no longer", async (t) => {
  const world = setUpOpen(t);
  const call = world.finch.call("pay", 5, { retry: true });
  world.socket.hears();
  world.socket.cut();
  world.finch.open();
  world.pass(59_999);
  world.comeBack();
  assert.equal(world.socket.hears().path, "pay");
  world.socket.cut();
  world.pass(60_000);
  await assert.rejects(call, disconnected);
  world.comeBack();
  world.socket.hearsNothing();
});

test("a call that was sent again may take as long as it wants", async (t) => {
  const world = setUpOpen(t);
  const call = world.finch.call("pay", 5, { retry: true });
  const asked = world.socket.hears();
  world.socket.cut();
  world.comeBack();
  world.pass(60_000);
  world.socket.answers(asked, "paid");
  assert.equal(await call, "paid");
});

test("a computer that has slept sends no call again whose answer the server has forgotten", async (t) => {
  const world = setUpOpen(t);
  const call = world.finch.call("pay", 5, { retry: true });
  world.socket.hears();
  world.socket.cut();
  t.mock.timers.setTime(Date.now() + 60_001); // no timer has run
  world.comeBack();
  await assert.rejects(call, disconnected);
  world.socket.hearsNothing();
});

test("a call with retry that is aborted or late while the client is away is not sent again", async (t) => {
  const world = setUpOpen(t);
  const control = new AbortController();
  const aborted = world.finch.call("a", 1, { retry: true, signal: control.signal });
  const late = world.finch.call("b", 1, { retry: true, timeout: 1000 });
  world.socket.cut();
  control.abort();
  world.pass(1000);
  await assert.rejects(aborted, { name: "AbortError" });
  await assert.rejects(late, { code: "timeout" });
  world.comeBack();
  world.socket.hearsNothing();
});

test("410 to a call with retry is an error like any other", async (t) => {
  const { finch, socket } = setUpOpen(t);
  const call = finch.call("pay", 5, { retry: true });
  socket.refuses(socket.hears(), 410, "the answer is kept no longer");
  await assert.rejects(call, { status: 410, code: "refused" });
});

// Streams

const all = async (stream) => {
  const items = [];
  for await (const item of stream) items.push(item);
  return items;
};

test("the items of a stream come one by one, as soon as they are there", async (t) => {
  const { finch, socket } = setUpOpen(t);
  const stream = finch.stream("count", 2);
  socket.hearsNothing(); // it asks when it is asked
  const first = stream.next();
  const asked = socket.hears();
  assert.deepEqual(asked, { path: "count", data: 2, id: 1 });
  socket.answers(asked, 0, { more: true });
  assert.deepEqual(await first, { done: false, value: 0 });
  socket.answers(asked, 1, { more: true });
  socket.answers(asked, null);
  assert.deepEqual(await stream.next(), { done: false, value: 1 });
  assert.deepEqual(await stream.next(), { done: true, value: undefined });
  assert.deepEqual(await stream.next(), { done: true, value: undefined });
});

test("items that come before they are asked for, and askers who come before the items, keep their order", async (t) => {
  const { finch, socket } = setUpOpen(t);
  const stream = finch.stream("count", 4);
  const asking = [stream.next(), stream.next()];
  const asked = socket.hears();
  for (const item of [0, 1, 2]) socket.answers(asked, item, { more: true });
  asking.push(stream.next(), stream.next());
  socket.answers(asked, null);
  const values = (await Promise.all(asking)).map(({ value }) => value);
  assert.deepEqual(values, [0, 1, 2, undefined]);
});

test("an answer that is not streamed is one item, or no item if it is null", async (t) => {
  const { finch, socket } = setUpOpen(t);
  const one = all(finch.stream("sum", [1, 2]));
  const none = all(finch.stream("nothing"));
  socket.answers(socket.hears(), 3);
  socket.answers(socket.hears(), null);
  assert.deepEqual(await one, [3]);
  assert.deepEqual(await none, []);
});

test("items that are null are items", async (t) => {
  const { finch, socket } = setUpOpen(t);
  const nulls = all(finch.stream("nulls"));
  const asked = socket.hears();
  socket.answers(asked, null, { more: true });
  socket.answers(asked, null);
  assert.deepEqual(await nulls, [null]);
});

test("leaving a loop cancels the handler, and what still comes is ignored", async (t) => {
  const { finch, socket } = setUpOpen(t);
  const left = (async () => {
    for await (const item of finch.stream("endless")) return item;
  })();
  const asked = socket.hears();
  socket.answers(asked, "first", { more: true });
  assert.equal(await left, "first");
  assert.deepEqual(socket.hears(), { path: "finch.cancel", id: asked.id });
  socket.answers(asked, "late", { more: true });
  socket.refuses(asked, 499, "cancelled");
});

test("a loop that has come to its end cancels nothing", async (t) => {
  const { finch, socket } = setUpOpen(t);
  const items = all(finch.stream("count", 0));
  socket.answers(socket.hears(), null);
  await items;
  socket.hearsNothing();
});

test("returning while somebody waits for an item ends the waiting, too", async (t) => {
  const { finch, socket } = setUpOpen(t);
  const stream = finch.stream("endless");
  const waiting = stream.next();
  const { id } = socket.hears();
  await stream.return();
  assert.deepEqual(await waiting, { done: true, value: undefined });
  assert.deepEqual(socket.hears(), { path: "finch.cancel", id });
});

test("a stream that is left before it was begun asks nothing", async (t) => {
  const { finch, socket } = setUpOpen(t);
  const stream = finch.stream("endless");
  await stream.return();
  assert.equal((await stream.next()).done, true);
  socket.hearsNothing();
});

for (const [what, end, error] of [
  ["an error", (socket, asked) => socket.refuses(asked, 500), { status: 500, code: "refused" }],
  ["a cut", (socket) => socket.cut(), disconnected],
  ["the end of the client", (socket) => socket.cut(4500), closed],
]) {
  test(`${what} fails a stream behind its last item`, async (t) => {
    const { finch, socket } = setUpOpen(t);
    const stream = finch.stream("count", 2);
    const first = stream.next();
    const asked = socket.hears();
    socket.answers(asked, 0, { more: true });
    socket.answers(asked, 1, { more: true });
    end(socket, asked);
    assert.equal((await first).value, 0);
    assert.equal((await stream.next()).value, 1);
    await assert.rejects(stream.next(), error);
    assert.equal((await stream.next()).done, true);
  });
}

test("a stream whose signal is aborted fails with the reason, and its handler is cancelled", async (t) => {
  const { finch, socket } = setUpOpen(t);
  const control = new AbortController();
  const stream = finch.stream("endless", 1, { signal: control.signal });
  const waiting = stream.next();
  const { id } = socket.hears();
  control.abort();
  await assert.rejects(waiting, { name: "AbortError" });
  assert.deepEqual(socket.hears(), { path: "finch.cancel", id });
  await assert.rejects(finch.stream("x", 1, { signal: control.signal }).next(), { name: "AbortError" });
});

test("a stream that nobody reads makes no unhandled rejection", async (t) => {
  const { finch, socket } = setUpOpen(t);
  const stream = finch.stream("endless");
  const first = stream.next();
  socket.answers(socket.hears(), 0, { more: true });
  await first;
  socket.cut();
  await settled();
});

// Waiting for a connection

test("calls that are made before there is a connection are sent when there is one", async (t) => {
  const { finch, socket } = setUp(t);
  const sum = finch.call("sum", [1, 2]);
  const items = all(finch.stream("count", 1));
  socket.accept();
  socket.answers(socket.hears(), 3);
  socket.answers(socket.hears(), "one");
  assert.equal(await sum, 3);
  assert.deepEqual(await items, ["one"]);
});

test("a call that has waited 30 s for a connection fails", async (t) => {
  const { finch, pass, events } = setUp(t);
  const call = finch.call("sum", [1, 2], { retry: true });
  pass(30_000);
  await assert.rejects(call, { ...disconnected, code: "unsent" });
  assert.deepEqual(events().find(([type]) => type === "dropped")[1], {
    path: "sum",
    data: [1, 2],
    room: undefined,
    reason: "old",
  });
});

test("a call that is aborted or late while it waits for a connection is never sent", async (t) => {
  const { finch, socket, pass } = setUp(t);
  const control = new AbortController();
  const aborted = finch.call("a", 1, { signal: control.signal });
  const late = finch.call("b", 1, { timeout: 1000 });
  control.abort();
  pass(1000);
  await assert.rejects(aborted, { name: "AbortError" });
  await assert.rejects(late, { code: "timeout" });
  socket.accept();
  socket.hearsNothing();
});
