/** The states of a client: how it connects, when it comes back, and when it stays away. */

import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { test } from "node:test";

import { connect } from "../../finch/static/src/index.js";
import { FakeWebSocket, randoms, settled, setUp, setUpOpen, stub, stubPage } from "./fakes.js";

test("a client connects at once, and tells when it is open", (t) => {
  const { finch, socket, events } = setUp(t);
  assert.equal(finch.state, "connecting");
  socket.accept();
  assert.equal(finch.state, "open");
  assert.deepEqual(events(), [["open", { transport: "websocket" }]]);
});

test("after a cut it waits, connects again, and tells each state", (t) => {
  const { finch, socket, sockets, events, pass } = setUpOpen(t);
  socket.cut(1006, "");
  assert.equal(finch.state, "waiting");
  assert.deepEqual(events(), [["waiting", { code: 1006, reason: "", pause: 2000 }]]);
  pass(1999);
  assert.equal(sockets.length, 1);
  pass(1);
  assert.equal(finch.state, "connecting");
  sockets[1].accept();
  assert.deepEqual(events(), [["connecting", null], ["open", { transport: "websocket" }]]);
});

test("statechange tells any of these, and only the state that it has by then", (t) => {
  const { finch, socket } = setUp(t);
  const states = [];
  finch.addEventListener("statechange", ({ detail }) => states.push(detail));
  socket.accept();
  finch.addEventListener("waiting", () => finch.close(), { once: true });
  socket.cut();
  assert.deepEqual(states, ["open", "closed"]);
});

test("the pauses double from 2 s to 30 s, and any part of a pause may be chosen", (t) => {
  const world = setUp(t);
  const pauses = [];
  world.finch.addEventListener("waiting", ({ detail }) => pauses.push(detail.pause));
  for (let failed = 0; failed < 6; failed++) {
    world.socket.cut();
    world.finch.open();
  }
  assert.deepEqual(pauses, [2000, 4000, 8000, 16_000, 30_000, 30_000]);
  world.random.mock.mockImplementation(() => 0.25);
  world.socket.cut();
  assert.equal(pauses.at(-1), 7500);
});

test("200 clients of a server that was restarted come back over 2 s, not at once", (t) => {
  const world = setUpOpen(t);
  world.random.mock.mockImplementation(randoms(1));
  const clients = Array.from({ length: 199 }, () => connect("ws://finch/ws", { WebSocket: world.socket.constructor }));
  t.after(() => clients.forEach((client) => client.close()));
  for (const socket of world.sockets.slice(1)) socket.accept();
  for (const socket of world.sockets.slice()) socket.cut(1012);
  const attempts = Array.from({ length: 20 }, () => {
    const before = world.sockets.length;
    world.pass(100);
    return world.sockets.length - before;
  });
  assert.equal(attempts.reduce((sum, some) => sum + some), 200);
  assert.ok(Math.max(...attempts) <= 25, `${attempts} in each tenth of a second`);
});

test("a connection of 5 s makes the next pause a first one; a shorter one does not", (t) => {
  const world = setUpOpen(t);
  const pauses = [];
  world.finch.addEventListener("waiting", ({ detail }) => pauses.push(detail.pause));
  for (const lived of [4999, 4999, 4999, 5000, 4999]) {
    world.pass(lived);
    world.socket.cut();
    world.comeBack();
  }
  assert.deepEqual(pauses, [2000, 4000, 8000, 2000, 4000]);
});

for (const code of [1001, 1006, 1011, 1012, 1013, 4000, 4401, 4499]) {
  test(`after the close code ${code} it comes back`, (t) => {
    const { finch, socket } = setUpOpen(t);
    socket.cut(code);
    assert.equal(finch.state, "waiting");
  });
}

for (const code of [1000, 1002, 1005, 1007, 1008, 1009, 1014, 3000, 3999, 4500, 4999]) {
  test(`after the close code ${code} it stays away, and tells why`, (t) => {
    const { finch, socket, sockets, events, pass } = setUpOpen(t);
    socket.cut(code, "go");
    assert.equal(finch.state, "closed");
    assert.deepEqual(events(), [["closed", { code, reason: "go" }]]);
    pass(60_000);
    assert.equal(sockets.length, 1);
  });
}

test("an attempt that hangs for 20 s is given up", (t) => {
  const { finch, socket, pass, events } = setUp(t);
  pass(19_999);
  assert.equal(finch.state, "connecting");
  pass(1);
  assert.equal(finch.state, "waiting");
  assert.equal(socket.readyState, 2);
  assert.equal(events().at(-1)[1].reason, "no answer within 20 s");
});

test("events of a socket that was given up change nothing", (t) => {
  const { finch, sockets, pass } = setUp(t);
  pass(20_000);
  sockets[0].accept();
  assert.equal(finch.state, "waiting");
  pass(30_000);
  sockets[0].cut(4500);
  assert.notEqual(finch.state, "closed");
});

test("close is for good, open connects again", (t) => {
  const { finch, socket, sockets, events, pass } = setUpOpen(t);
  finch.close(3001, "bye");
  assert.deepEqual(socket.closedWith, [3001, "bye"]);
  assert.deepEqual(events(), [["closed", { code: 3001, reason: "bye" }]]);
  socket.cut(1006);
  pass(60_000);
  assert.equal(finch.state, "closed");
  finch.close();
  assert.deepEqual(events(), []);
  finch.open();
  sockets[1].accept();
  assert.equal(finch.state, "open");
});

test("a code that WebSockets do not have is refused, and nothing has changed", (t) => {
  const { finch } = setUpOpen(t);
  assert.throws(() => finch.close(1001), { name: "InvalidAccessError" });
  assert.equal(finch.state, "open");
});

test("open does not wait for the end of a pause, and does nothing if there is a connection", (t) => {
  const { finch, socket, sockets } = setUpOpen(t);
  finch.open();
  assert.equal(sockets.length, 1);
  socket.cut();
  finch.open();
  finch.open();
  assert.equal(sockets.length, 2);
  assert.equal(finch.state, "connecting");
});

test("a client that is closed while it waits or connects makes no attempt", (t) => {
  const { finch, socket, sockets, pass } = setUpOpen(t);
  socket.cut();
  finch.close();
  pass(60_000);
  assert.equal(sockets.length, 1);
});

test("a handler that closes the client in an event ends it there", (t) => {
  const { finch, socket, sockets, pass } = setUpOpen(t);
  finch.addEventListener("connecting", () => finch.close());
  socket.cut();
  pass(60_000);
  assert.equal(finch.state, "closed");
  assert.equal(sockets.length, 1);
});

test("a client that is closed by what its cut sets off tells of no pause", (t) => {
  const { finch, socket, events } = setUpOpen(t);
  finch.answer("confirm", (_, { signal }) => signal.addEventListener("abort", () => finch.close()));
  socket.says("confirm", null, { id: "s1" });
  socket.cut();
  assert.deepEqual(events(), [["closed", { code: 1000, reason: "" }]]);
});

test("a client that is closed by what its opening sets off does not tell that it is open", (t) => {
  const { finch, socket, events } = setUp(t);
  finch.send("say", "too late");
  finch.addEventListener("dropped", () => finch.close());
  t.mock.method(Date, "now", () => 1_700_000_060_000); // the computer has slept, and its timers have not run
  socket.accept();
  assert.deepEqual(events().map(([type]) => type), ["dropped", "closed"]);
});

test("a WebSocket that cannot be made is a failed attempt", (t) => {
  class Forbidden {
    constructor() {
      throw new DOMException("mixed content", "SecurityError");
    }
  }
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const finch = connect("ws://finch/ws", { WebSocket: Forbidden });
  assert.equal(finch.state, "waiting");
  finch.close();
});

test("an invalid URL throws at once, and so does one of another scheme", (t) => {
  assert.throws(() => connect("/ws", { WebSocket: FakeWebSocket }), TypeError); // relative to nothing
  stubPage(t, "file:///home/ann/index.html");
  assert.throws(() => connect("/ws", { WebSocket: FakeWebSocket }), /not file:\/\/\/ws/);
});

// Tokens

test("the token is asked for before each attempt, and is part of the query", async (t) => {
  const tokens = ["one", "two & more"];
  const { sockets, pass } = setUp(t, { url: "ws://finch/ws?a=1", token: async () => tokens.shift() });
  assert.equal(sockets.length, 0);
  await settled();
  assert.equal(sockets[0].url, "ws://finch/ws?a=1&token=one");
  sockets[0].accept().cut(4401);
  pass(2000);
  await settled();
  assert.equal(sockets[1].url, "ws://finch/ws?a=1&token=two+%26+more");
});

test("if the token is null, there is none in the query", async (t) => {
  const world = setUp(t, { token: () => null });
  await settled();
  assert.equal(world.socket.url, "ws://finch/ws");
});

test("a token that fails is a failed attempt", async (t) => {
  const { finch, sockets, events } = setUp(t, { token: async () => Promise.reject(new Error("log in")) });
  await settled();
  assert.equal(finch.state, "waiting");
  assert.deepEqual(events(), [["waiting", { code: 1006, reason: "Error: log in", pause: 2000 }]]);
  assert.equal(sockets.length, 0);
});

test("a token that comes after the client was closed opens nothing", async (t) => {
  let give;
  const { finch, sockets } = setUp(t, { token: () => new Promise((resolve) => (give = resolve)) });
  finch.close();
  give("late");
  await settled();
  assert.equal(sockets.length, 0);
});

test("a token that fails after the client was closed changes nothing", async (t) => {
  let fail;
  const { finch } = setUp(t, { token: () => new Promise((_, reject) => (fail = reject)) });
  finch.close();
  fail(new Error("late"));
  await settled();
  assert.equal(finch.state, "closed");
});

test("a token that hangs for 20 s is a failed attempt, and what it gives later is ignored", async (t) => {
  const gives = [];
  const { finch, sockets, pass } = setUp(t, { token: () => new Promise((resolve) => gives.push(resolve)) });
  pass(20_000);
  assert.equal(finch.state, "waiting");
  gives[0]("late");
  await settled();
  assert.equal(sockets.length, 0);
});

// Pages

test("a relative URL is that of the page, with the scheme of WebSockets", (t) => {
  stubPage(t);
  const url = (text) => {
    const made = setUp(t, { url: text });
    t.mock.timers.reset();
    return made.socket.url;
  };
  assert.equal(url("/ws"), "wss://shop.example/ws");
  assert.equal(url("ws?x=1#top"), "wss://shop.example/app/ws?x=1");
  assert.equal(url("http://other.example:8080/ws"), "ws://other.example:8080/ws");
});

for (const [what, wakes] of [
  ["is shown", (page) => page.show()],
  ["is online", (page) => page.online()],
  ["comes from the browser's cache", (page) => page.pageshow(true)],
]) {
  test(`a page that ${what} again does not wait for the end of a pause`, (t) => {
    const page = stubPage(t);
    const { finch, socket, sockets } = setUpOpen(t, { url: "/ws" });
    socket.cut();
    wakes(page);
    assert.equal(finch.state, "connecting");
    assert.equal(sockets.length, 2);
  });

  test(`a page that ${what} again probes its connection, and opens a new one if it hears nothing for 5 s`, (t) => {
    const page = stubPage(t);
    const { finch, socket, sockets, pass } = setUpOpen(t, { url: "/ws" });
    wakes(page);
    assert.deepEqual(socket.hears(), { path: "finch.ping", id: 0 });
    pass(4999);
    assert.equal(finch.state, "open");
    pass(1);
    assert.equal(finch.state, "connecting");
    assert.equal(socket.readyState, 2);
    sockets[1].accept();
    assert.equal(finch.state, "open");
  });
}

test("a page that wakes up begins anew an attempt that has hung for 5 s; a younger one goes on", (t) => {
  const page = stubPage(t);
  const { finch, sockets, pass } = setUp(t, { url: "/ws" });
  pass(5000);
  page.online();
  assert.equal(sockets.length, 1);
  pass(1);
  page.online();
  assert.equal(sockets.length, 2);
  assert.equal(sockets[0].readyState, 2);
  pass(19_999); // it has 20 s of its own
  sockets[1].accept();
  assert.equal(finch.state, "open");
});

test("the answer to the probe proves that the connection lives", (t) => {
  const page = stubPage(t);
  const { finch, socket, pass } = setUpOpen(t, { url: "/ws" });
  for (let times = 0; times < 2; times++) {
    page.show();
    socket.hears();
    pass(4999);
    socket.answers({ path: "finch.ping", id: 0 });
    pass(5000);
  }
  assert.equal(finch.state, "open");
});

test("other messages prove nothing, since they may have come before; but as long as they come, it is not cut", (t) => {
  const page = stubPage(t);
  const { finch, socket, pass } = setUpOpen(t, { url: "/ws" });
  page.show();
  for (let times = 0; times < 3; times++) {
    pass(4999);
    socket.says("news");
  }
  pass(4999);
  assert.equal(finch.state, "open");
  pass(1);
  assert.equal(finch.state, "connecting");
});

for (const [what, hears] of [
  ["then learns", () => {}],
  ["gets what had come before it slept, and then learns", (socket) => socket.says("news")],
]) {
  test(`a page that wakes up, and ${what} that it was cut, comes back without a pause`, (t) => {
    const page = stubPage(t);
    const { finch, socket, sockets, events } = setUpOpen(t, { url: "/ws" });
    page.show();
    hears(socket);
    socket.cut();
    assert.equal(finch.state, "connecting");
    assert.equal(sockets.length, 2);
    assert.deepEqual(events(), [["waiting", { code: 1006, reason: "", pause: 0 }], ["connecting", null]]);
    sockets[1].accept();
    sockets[1].cut(); // this cut has nothing to do with it
    assert.equal(finch.state, "waiting");
  });
}

test("a page that woke up some time ago and is cut waits like any other", (t) => {
  const page = stubPage(t);
  const { finch, socket } = setUpOpen(t, { url: "/ws" });
  page.show();
  socket.hears();
  socket.answers({ path: "finch.ping", id: 0 });
  socket.cut();
  assert.equal(finch.state, "waiting");
});

test("a page that is shown twice is probed once", (t) => {
  const page = stubPage(t);
  const { finch, socket, pass } = setUpOpen(t, { url: "/ws" });
  page.show();
  pass(3000);
  page.show();
  socket.hears();
  socket.hearsNothing();
  pass(2000);
  assert.equal(finch.state, "connecting");
});

test("a page that is hidden, or shown for the first time, changes nothing", (t) => {
  const page = stubPage(t);
  const { finch, socket } = setUpOpen(t, { url: "/ws" });
  page.show(true);
  page.pageshow(false);
  socket.hearsNothing();
  socket.cut();
  page.show(true);
  assert.equal(finch.state, "waiting");
});

test("a client that is closed leaves the page alone", (t) => {
  const page = stubPage(t);
  const { finch, sockets } = setUpOpen(t, { url: "/ws" });
  const listeners = () => getEventListeners(document, "visibilitychange").length;
  assert.equal(listeners(), 1);
  finch.close();
  page.show();
  page.online();
  assert.equal(sockets.length, 1);
  assert.equal(listeners(), 0);
  finch.open();
  assert.equal(listeners(), 1);
});

// Messages that are not JSON

test("a message that is not JSON is told to the console, and the connection goes on", (t) => {
  const errors = [];
  stub(t, "reportError", (error) => errors.push(error));
  const { finch, socket } = setUpOpen(t);
  socket.onmessage({ data: "hello" });
  socket.onmessage({ data: "null" });
  assert.deepEqual(errors.map((error) => error.name), ["SyntaxError", "TypeError"]);
  assert.equal(finch.state, "open");
});
