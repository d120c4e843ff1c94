/** Without a WebSocket: events in, POSTs out; and when a client does without one. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { EventSocket } from "../../finch/static/src/posting.js";
import { settled, setUp, stubConsole, stubNetwork } from "./fakes.js";

let hosts = 0;
/** A host that no other test has: the page remembers what it knows of each. */
const newHost = () => `ws://host${++hosts}.example/ws`;

async function setUpPosting(t, options = {}) {
  const network = stubNetwork(t);
  const world = setUp(t, { transport: "sse", url: "ws://finch/ws?a=1", ...options });
  await settled();
  const [stream] = network.streams;
  await stream.accept(options.most);
  world.events();
  return { ...world, network, stream };
}

test("it asks for a stream of events, and is open with the first one", async (t) => {
  const network = stubNetwork(t);
  const { finch, events } = setUp(t, { transport: "sse", url: "wss://finch/ws?a=1", token: () => "secret" });
  await settled();
  const [stream] = network.streams;
  assert.equal(stream.url, "https://finch/ws?a=1&token=secret");
  assert.deepEqual(stream.headers, { accept: "text/event-stream" });
  assert.equal(finch.state, "connecting");
  await stream.accept();
  assert.equal(finch.state, "open");
  assert.equal(finch.transport, "sse");
  assert.deepEqual(events(), [["open", { transport: "sse" }]]);
});

test("messages come in any pieces, between comments and events that it does not know", async (t) => {
  const { finch, stream } = await setUpPosting(t);
  const heard = [];
  finch.on("said", (data) => heard.push(data));
  const bytes = new TextEncoder().encode(
    ':\n\ndata: {"path":"said","data":"é😀"}\n\nevent: later\ndata: {"path":"said","data":"no"}\n\n: a comment\n\ndata: {"path":"said","data":2}\n\n',
  );
  for (const byte of bytes) await stream.raw(new Uint8Array([byte]));
  assert.deepEqual(heard, ["é😀", 2]);
  await stream.raw('data: {"path":"said","data":3}\n\n'.repeat(3));
  assert.deepEqual(heard, ["é😀", 2, 3, 3, 3]);
});

test("what is said in one go goes in one POST, and the next one waits for its answer", async (t) => {
  const { finch, network } = await setUpPosting(t);
  for (const number of [1, 2, 3]) finch.send("note", number);
  const first = await network.post();
  assert.equal(first.url, "http://finch/ws?a=1");
  assert.deepEqual([first.stream, first.number], ["id.secret", 1]);
  assert.deepEqual(first.messages.map(({ data }) => data), [1, 2, 3]);
  finch.send("note", 4);
  await settled();
  finch.send("note", 5);
  await settled();
  assert.deepEqual(network.posts, []);
  first.answer(204);
  const second = await network.post();
  assert.deepEqual([second.number, second.messages.map(({ data }) => data)], [2, [4, 5]]);
  second.answer(204);
  await settled();
  assert.deepEqual(network.posts, []);
});

test("a POST has no more bytes than the server takes, and at least one message", async (t) => {
  const { finch, network } = await setUpPosting(t, { most: 300 });
  const texts = ["é".repeat(30), "x".repeat(30), "y".repeat(400), "z", "z"];
  for (const text of texts) finch.send("n", text);
  const sizes = [];
  while (sizes.reduce((sum, size) => sum + size, 0) < texts.length) {
    const post = await network.post();
    const bytes = new TextEncoder().encode(post.body).length;
    assert.ok(bytes <= 300 || post.messages.length === 1, bytes);
    sizes.push(post.messages.length);
    post.answer(204);
  }
  assert.deepEqual(sizes, [1, 1, 1, 2]);
});

test("if the server has no room, the same POST goes again", async (t) => {
  const { finch, network, pass } = await setUpPosting(t);
  finch.send("note", 1);
  const first = await network.post();
  finch.send("note", 2);
  first.answer(429);
  await settled();
  assert.deepEqual(network.posts, []);
  pass(1000);
  const again = await network.post();
  assert.deepEqual([again.number, again.body], [1, first.body]);
  again.answer(204);
  const second = await network.post();
  assert.deepEqual([second.number, second.messages[0].data], [2, 2]);
});

for (const status of [400, 404, 409, 410, 500, 503]) {
  test(`a POST with the status ${status} ends the connection as a cut does`, async (t) => {
    const { finch, network, stream, events } = await setUpPosting(t);
    const call = finch.call("sum", [1]).catch((error) => error.code);
    (await network.post()).answer(status);
    await settled();
    assert.equal(await call, "disconnected");
    assert.deepEqual(events(), [["waiting", { code: 1006, reason: `a POST has the status ${status}`, pause: 2000 }]]);
    assert.ok(stream.aborted);
  });
}

test("a POST that does not arrive ends the connection as a cut does", async (t) => {
  const { finch, network } = await setUpPosting(t);
  finch.send("note", 1);
  (await network.post()).refuse(new TypeError("network error"));
  await settled();
  assert.equal(finch.state, "waiting");
});

test("a message that is too long closes the client, as on a WebSocket", async (t) => {
  const { finch, network, events } = await setUpPosting(t);
  finch.send("note", 1);
  (await network.post()).answer(413);
  await settled();
  assert.equal(finch.state, "closed");
  assert.equal(events()[0][1].code, 1009);
});

test("the server says why it closes", async (t) => {
  const { events, stream } = await setUpPosting(t);
  await stream.raw('event: close\ndata: {"code":4401,"reason":"log in"}\n\n');
  assert.deepEqual(events(), [["waiting", { code: 4401, reason: "log in", pause: 2000 }]]);
  assert.ok(stream.aborted);
});

for (const end of ["cut", "end"]) {
  test(`a stream without that is cut: ${end}`, async (t) => {
    const { events, stream } = await setUpPosting(t);
    await stream[end]();
    const [[state, { code }]] = events();
    assert.deepEqual([state, code], ["waiting", 1006]);
  });
}

test("a new connection has new numbers, and nothing of the old one", async (t) => {
  const { finch, network, stream, pass } = await setUpPosting(t);
  finch.send("note", 1);
  await network.post();
  await stream.cut();
  finch.send("note", 2);
  pass(2000);
  await settled();
  await network.streams[1].accept();
  const post = await network.post();
  assert.deepEqual([post.number, post.messages[0].data], [1, 2]);
});

test("close() lets what was sent before arrive, and then ends the stream", async (t) => {
  const { finch, network, stream, events } = await setUpPosting(t);
  finch.send("note", 1);
  const first = await network.post();
  finch.send("note", 2);
  finch.close(4000, "bye");
  assert.deepEqual(events(), [["closed", { code: 4000, reason: "bye" }]]);
  first.answer(204);
  const second = await network.post();
  assert.equal(second.messages[0].data, 2);
  assert.ok(!stream.aborted);
  second.answer(204);
  await settled();
  assert.ok(stream.aborted);
});

test("close() does not wait for a POST for ever", async (t) => {
  const { finch, network, stream, pass } = await setUpPosting(t);
  finch.send("note", 1);
  await network.post();
  finch.close();
  pass(4999);
  assert.ok(!stream.aborted);
  pass(1);
  assert.ok(stream.aborted);
});

test("close() with a code that does not exist throws, and changes nothing", async (t) => {
  const { finch, stream } = await setUpPosting(t);
  assert.throws(() => finch.close(1001), { name: "InvalidAccessError" });
  assert.equal(finch.state, "open");
  assert.ok(!stream.aborted);
});

test("an error in a handler concerns nobody else", async (t) => {
  const errors = stubConsole(t);
  const { finch, stream } = await setUpPosting(t);
  const heard = [];
  finch.on("said", (data) => {
    heard.push(data);
    throw new Error("a fault of the test");
  });
  await stream.raw('data: not JSON\n\ndata: {"path":"said","data":1}\n\ndata: {"path":"said","data":2}\n\n');
  assert.deepEqual(heard, [1, 2]);
  assert.equal(errors.length, 3);
});

test("nothing is told after the end", async (t) => {
  const network = stubNetwork(t);
  const socket = new EventSocket("ws://finch/ws");
  const told = [];
  socket.onmessage = ({ data }) => told.push(data);
  socket.onclose = ({ code }) => told.push(code);
  const [stream] = network.streams;
  await stream.accept();
  await stream.raw('event: close\ndata: {"code":1001,"reason":""}\n\ndata: late\n\nevent: close\ndata: {"code":1000,"reason":""}\n\n');
  assert.deepEqual(told, [1001]);
});

// Which transport

/** A client that finds out by itself. */
function setUpAuto(t, options = {}) {
  const network = stubNetwork(t);
  const world = setUp(t, { transport: undefined, url: newHost(), ...options });
  /** Let the pause pass; the next attempt. */
  const next = async () => {
    world.pass(30_000);
    await settled();
    return network.streams.splice(0).at(-1) ?? world.sockets.splice(0).at(-1);
  };
  return { ...world, network, next };
}

const isStream = (attempt) => "headers" in attempt;

test("after two WebSockets that never opened, it does without", async (t) => {
  const { finch, sockets, next } = setUpAuto(t);
  sockets.splice(0)[0].cut();
  assert.equal(finch.transport, "websocket");
  (await next()).cut();
  const stream = await next();
  assert.ok(isStream(stream));
  await stream.accept();
  assert.deepEqual([finch.state, finch.transport], ["open", "sse"]);
  await stream.cut();
  assert.ok(isStream(await next()));
});

test("a WebSocket that was open, and an attempt that has not begun to connect, say nothing", async (t) => {
  let asked = 0;
  const token = async () => {
    if (++asked % 2 === 0) throw new Error("the token's server is away");
    return "token";
  };
  const { sockets, next } = setUpAuto(t, { token });
  await settled();
  sockets.splice(0)[0].accept().cut();
  assert.equal(await next(), undefined);
  (await next()).accept().cut();
  assert.equal(await next(), undefined);
  assert.ok(!isStream(await next()));
});

test("a WebSocket is tried again after ten minutes, once", async (t) => {
  const { sockets, next, pass } = setUpAuto(t);
  sockets.splice(0)[0].cut();
  (await next()).cut();
  const stream = await (await next()).accept();
  pass(500_000);
  await stream.cut();
  const again = await (await next()).accept();
  pass(600_000);
  await again.cut();
  const attempt = await next();
  assert.ok(!isStream(attempt));
  attempt.cut(); // one is enough by now
  assert.ok(isStream(await next()));
});

test("another client of the same host begins without a WebSocket", async (t) => {
  const url = newHost();
  const first = setUpAuto(t, { url });
  first.sockets.splice(0)[0].cut();
  (await first.next()).cut();
  await (await first.next()).accept();
  const { connect } = await import("../../finch/static/src/index.js");
  const second = connect(url.replace("/ws", "/other"));
  t.after(() => second.close());
  await settled();
  assert.equal(second.transport, "sse");
});

test("a server that cannot be reached at all says nothing about WebSockets", async (t) => {
  const { sockets, next, finch } = setUpAuto(t);
  sockets.splice(0)[0].cut();
  for (let round = 0; round < 3; round++) {
    (await next()).cut();
    const stream = await next();
    assert.ok(isStream(stream), `round ${round}`);
    await stream.respond(503);
    if (round < 2) (await next()).cut();
  }
  (await next()).accept();
  assert.deepEqual([finch.state, finch.transport], ["open", "websocket"]);
});

test("a stream that opens after an outage is not remembered", async (t) => {
  const { sockets, next } = setUpAuto(t);
  sockets.splice(0)[0].cut();
  (await next()).cut();
  await (await next()).respond(503);
  (await next()).cut();
  (await next()).cut();
  const stream = await (await next()).accept();
  await stream.cut();
  assert.ok(!isStream(await next()));
});

test("a WebSocket that cannot even be made counts as well", async (t) => {
  class Forbidden {
    constructor() {
      throw new DOMException("by the page's policy", "SecurityError");
    }
  }
  const { next } = setUpAuto(t, { WebSocket: Forbidden });
  assert.equal(await next(), undefined);
  assert.ok(isStream(await next()));
});

test("an application may choose", async (t) => {
  const { sockets, next } = setUpAuto(t, { transport: "websocket" });
  sockets.splice(0)[0].cut();
  for (let attempt = 0; attempt < 4; attempt++) (await next()).cut();
});
