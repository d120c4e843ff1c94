/** Rooms: joined again by themselves, each message once, and a gap where something may be lost. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { settled, setUp, setUpOpen, stub, stubConsole } from "./fakes.js";

/** A client in a room with history, at this position. */
function inRoom(t, { seq = 0, options, ...more } = {}) {
  const world = setUpOpen(t, more);
  const room = world.finch.join("chat/lobby", options);
  const said = [];
  const told = [];
  room.on("said", (data) => said.push(data));
  for (const type of ["joined", "gap", "refused", "left"]) {
    room.addEventListener(type, ({ detail }) => told.push([type, detail]));
  }
  world.socket.admits(world.socket.hears(), {}, { seq, epoch: "E" });
  told.splice(0);
  return { ...world, room, said, told, get socket() { return world.socket; } };
}

const say = (socket, data, seq, room = "chat/lobby") => socket.says("said", data, { room, seq });

test("a gap is told if the server says by itself that messages were lost, and the numbers begin anew", (t) => {
  const { socket, room, said, told } = inRoom(t, { seq: 17 });
  say(socket, "before", 18);
  socket.says("finch.join", { recovered: false, missed: 0 }, { room: "chat/lobby", seq: 0, epoch: "F" });
  assert.deepEqual(told, [
    ["gap", { room: "chat/lobby" }],
    ["joined", { recovered: false, missed: 0 }],
  ]);
  assert.equal(room.position, "F:0");
  say(socket, "after", 1);
  assert.deepEqual(said, ["before", "after"]);
});

// Joining

test("a room is joined at once, with what was asked for", async (t) => {
  const { finch, socket } = setUpOpen(t);
  const room = finch.join("chat/lobby", { last: 50, meta: { name: "Ann" } });
  assert.equal(room.state, "joining");
  const asked = socket.hears();
  assert.deepEqual(asked, { path: "finch.join", room: "chat/lobby", last: 50, data: { name: "Ann" }, id: 1 });
  const told = [];
  room.addEventListener("joined", ({ detail }) => told.push(detail));
  socket.admits(asked, { missed: 2 }, { seq: 7, epoch: "E" });
  assert.equal(room.state, "joined");
  assert.equal(room.position, "E:5");
  assert.deepEqual(await room.joined, { recovered: false, missed: 2 });
  assert.deepEqual(told, [{ recovered: false, missed: 2 }]);
});

test("a room that is joined twice is the same, and is asked for once", (t) => {
  const { finch, socket } = setUpOpen(t);
  assert.equal(finch.join("chat/lobby"), finch.join("chat/lobby"));
  socket.hears();
  socket.hearsNothing();
});

test("a room whose meta is no JSON is refused at once, and does not disturb later connections", (t) => {
  const { finch, socket } = setUp(t);
  assert.throws(() => finch.join("chat/lobby", { meta: 1n }), TypeError);
  finch.send("say", "hello");
  socket.accept();
  assert.deepEqual(socket.hears(), { path: "say", data: "hello" });
});

test("whoever joins a room of a closed client learns that it is closed, until the client is opened", async (t) => {
  const world = setUpOpen(t);
  world.finch.close();
  const room = world.finch.join("chat/lobby");
  await assert.rejects(room.joined, { code: "closed" });
  world.finch.open();
  world.socket.accept();
  world.socket.admits(world.socket.hears());
  assert.deepEqual(await room.joined, { recovered: false, missed: 0 });
});

test("a room that was joined while the client was away is asked for when it is back", (t) => {
  const { finch, socket } = setUp(t);
  const room = finch.join("chat/lobby");
  socket.accept();
  socket.admits(socket.hears());
  assert.equal(room.state, "joined");
  assert.equal(room.position, undefined);
});

test("a refusal rejects `joined`, and is told; whoever does not wait for it hears of no unhandled rejection", async (t) => {
  const { finch, socket } = setUpOpen(t);
  const room = finch.join("chat/staff");
  const told = [];
  room.addEventListener("refused", ({ detail }) => told.push(detail));
  socket.refuses(socket.hears(), 403, "staff only");
  await settled();
  assert.equal(room.state, "refused");
  await assert.rejects(room.joined, { status: 403, code: "refused", message: "staff only" });
  assert.equal(told[0], await room.joined.catch((error) => error));
});

test("a room that was refused is not asked for after a reconnect, unless the server itself failed", (t) => {
  const world = setUpOpen(t);
  for (const name of ["staff", "broken"]) world.finch.join(name);
  world.socket.refuses(world.socket.hears(), 403);
  world.socket.refuses(world.socket.hears(), 500);
  world.socket.cut();
  world.comeBack();
  assert.deepEqual(world.socket.sent.map(({ room }) => room), ["broken"]);
});

test("a room that was refused is asked for again by another join", async (t) => {
  const { finch, socket } = setUpOpen(t);
  const room = finch.join("chat/staff");
  socket.refuses(socket.hears(), 403);
  assert.equal(finch.join("chat/staff"), room);
  assert.equal(room.state, "joining");
  socket.admits(socket.hears());
  assert.deepEqual(await room.joined, { recovered: false, missed: 0 });
});

test("`joined` waits through a cut for the next connection", async (t) => {
  const world = setUpOpen(t);
  const room = world.finch.join("chat/lobby");
  world.socket.cut();
  assert.equal(room.state, "joining");
  world.comeBack();
  world.socket.admits(world.socket.hears());
  assert.equal((await room.joined).missed, 0);
});

test("`joined` is a new promise after a cut", async (t) => {
  const world = inRoom(t);
  const before = world.room.joined;
  world.socket.cut();
  assert.notEqual(world.room.joined, before);
  world.comeBack();
  world.socket.admits(world.socket.hears(), { recovered: true, missed: 3 });
  assert.deepEqual(await world.room.joined, { recovered: true, missed: 3 });
});

test("nobody waits for a room when the client is closed; it is joined again if the client is opened", async (t) => {
  const { finch, room, socket } = inRoom(t);
  const other = finch.join("chat/other");
  finch.close();
  await assert.rejects(other.joined, { code: "closed" });
  await assert.rejects(room.joined, { code: "closed" });
  assert.equal(room.state, "joining");
  finch.open();
  const next = socket.constructor.all.at(-1).accept();
  next.admits(next.hears());
  assert.deepEqual(await room.joined, { recovered: false, missed: 0 });
});

// Leaving

test("a room that is left is left on the server, and not joined again", (t) => {
  const world = inRoom(t, { seq: 5 });
  world.room.leave();
  world.room.leave();
  assert.deepEqual(world.told, [["left", null]]);
  assert.equal(world.room.state, "left");
  assert.equal(world.room.position, undefined);
  assert.deepEqual(world.socket.hears(), { path: "finch.leave", room: "chat/lobby", id: 2 });
  world.socket.cut();
  world.comeBack().hearsNothing();
});

test("a room that is left before it has answered rejects `joined`", async (t) => {
  const { finch, socket } = setUpOpen(t);
  const room = finch.join("chat/lobby");
  const asked = socket.hears();
  room.leave();
  await assert.rejects(room.joined, { code: "closed" });
  socket.admits(asked);
  assert.equal(room.state, "left");
});

test("a refusal of a room that was left meanwhile is nothing", (t) => {
  const { finch, socket } = setUpOpen(t);
  const room = finch.join("chat/lobby");
  room.addEventListener("refused", () => assert.fail());
  room.leave();
  socket.refuses(socket.hears(), 403);
  assert.equal(room.state, "left");
});

test("messages of a room that was left reach neither it nor the one that is joined next", (t) => {
  const { finch, room, socket, said } = inRoom(t);
  const heard = [];
  finch.on("said", (data) => heard.push(data));
  room.leave();
  const again = finch.join("chat/lobby", { last: 5 });
  assert.notEqual(again, room);
  again.on("said", (data) => heard.push(data));
  const [leave, join] = socket.sent;
  say(socket, "under way", 1);
  socket.answers(leave, null, { room: "chat/lobby" });
  assert.equal(join.since, undefined);
  socket.admits(join, { missed: 1 }, { seq: 1, epoch: "E" });
  say(socket, "under way", 1);
  assert.deepEqual(heard, ["under way"]);
  assert.deepEqual(said, []);
});

test("a room that is left and joined again while the socket is closing is only joined on the next one", (t) => {
  const world = inRoom(t);
  world.socket.readyState = 2; // the server's Close has come, its event has not
  world.room.leave();
  const again = world.finch.join("chat/lobby");
  const said = [];
  again.on("said", (data) => said.push(data));
  world.socket.cut();
  const socket = world.comeBack();
  assert.deepEqual(socket.sent.map(({ path }) => path), ["finch.join"]);
  socket.admits(socket.hears(), {}, { seq: 0, epoch: "E" });
  say(socket, 1, 1);
  assert.deepEqual(said, [1]);
});

// Messages

test("a message of a room goes to the room's handlers; if it has none, to the client's", (t) => {
  const { finch, room, socket } = inRoom(t);
  const heard = [];
  finch.on("said", (data, message) => heard.push(["client", data, message.room]));
  finch.on("moved", (data, message) => heard.push(["client", data, message.room]));
  const off = room.on("said", (data, message) => heard.push(["room", data, message.seq]));
  say(socket, 1, 1);
  say(socket, 2, undefined, "chat/other");
  socket.says("moved", 3, { room: "chat/lobby" });
  off();
  assert.deepEqual(heard, [["room", 1, 1], ["client", 2, "chat/other"], ["client", 3, "chat/lobby"]]);
});

test("several handlers of a path are all called, and what one of them throws goes to the console", (t) => {
  const errors = stubConsole(t);
  const { finch, socket } = setUpOpen(t);
  const heard = [];
  const off = finch.on("news", () => off() ?? heard.push(1));
  finch.on("news", () => { throw new Error("mine"); });
  finch.on("news", () => heard.push(3));
  socket.says("news");
  socket.says("news");
  assert.deepEqual(heard, [1, 3, 3]);
  assert.deepEqual(errors.map(({ message }) => message), ["mine", "mine"]);
});

test("a handler that is added by a handler gets the next message", (t) => {
  const { finch, socket } = setUpOpen(t);
  const heard = [];
  const off = finch.on("news", () => {
    off();
    finch.on("news", (data) => heard.push(data));
  });
  socket.says("news", 1);
  socket.says("news", 2);
  assert.deepEqual(heard, [2]);
});

test("an error that answers no call goes to the handlers of `error`; if there are none, to the console", (t) => {
  const { finch, socket } = setUpOpen(t);
  const warned = [];
  stub(t, "console", { ...console, warn: (...args) => warned.push(args.join(" ")) });
  socket.says("error", { message: "nothing handles 'x'", path: "x" }, { status: 404 });
  assert.equal(warned.length, 1);
  assert.match(warned[0], /nothing handles 'x'/);
  const heard = [];
  finch.on("error", (data, { status }) => heard.push([data.path, status]));
  socket.says("error", { message: "nothing handles 'x'", path: "x" }, { status: 404 });
  assert.deepEqual(heard, [["x", 404]]);
  assert.equal(warned.length, 1);
});

test("a room speaks with its name", (t) => {
  const { room, socket } = inRoom(t);
  room.send("say", "hello");
  room.call("sum", [1], { retry: true }).catch(() => {});
  room.stream("count", 2).next().catch(() => {});
  room.send("at", 1, { volatile: true });
  const [say, sum, count, at] = socket.sent;
  assert.deepEqual(say, { path: "say", data: "hello", room: "chat/lobby" });
  assert.deepEqual({ ...sum, once: typeof sum.once }, { path: "sum", data: [1], room: "chat/lobby", id: 2, once: "string" });
  assert.deepEqual(count, { path: "count", data: 2, room: "chat/lobby", id: 3 });
  assert.deepEqual(at, { path: "at", data: 1, room: "chat/lobby" });
});

test("reserved paths of later versions are ignored", (t) => {
  const { finch, socket } = setUpOpen(t);
  finch.on("finch.later", () => assert.fail());
  socket.says("finch.later");
});

// Positions

test("after a cut the room is joined again with its position and its `last`, and each message is heard once", (t) => {
  const world = inRoom(t, { options: { last: 5 } });
  for (const seq of [1, 2, 3]) say(world.socket, seq, seq);
  say(world.socket, "volatile");
  assert.equal(world.room.position, "E:3");
  world.socket.cut();
  world.comeBack();
  const asked = world.socket.hears();
  assert.deepEqual([asked.since, asked.last], ["E:3", 5]);
  world.socket.admits(asked, { recovered: true, missed: 2 }, { seq: 5, epoch: "E" });
  for (const seq of [4, 5, 6]) say(world.socket, seq, seq);
  assert.deepEqual(world.said, [1, 2, 3, "volatile", 4, 5, 6]);
  assert.equal(world.room.position, "E:6");
  assert.deepEqual(world.told, [["joined", { recovered: true, missed: 2 }]]);
  assert.equal(world.events().some(([type]) => type === "gap"), false);
});

test("a message with a number that was heard already is dropped; one whose number jumps is new", (t) => {
  const { socket, said } = inRoom(t, { seq: 3 });
  for (const seq of [3, 4, 4, 2, 7, 5]) say(socket, seq, seq);
  assert.deepEqual(said, [4, 7]);
});

test("if it is not recovered, a gap is told before the messages that follow", (t) => {
  const world = inRoom(t, { seq: 90 });
  world.socket.cut();
  world.events();
  world.comeBack();
  world.room.on("said", (data) => world.told.push(data));
  world.socket.admits(world.socket.hears(), { missed: 2 }, { seq: 3, epoch: "F" });
  say(world.socket, "two", 2);
  say(world.socket, "three", 3);
  assert.deepEqual(world.told, [
    ["gap", { room: "chat/lobby" }],
    ["joined", { recovered: false, missed: 2 }],
    "two",
    "three",
  ]);
  assert.deepEqual(world.events().at(-1), ["gap", { room: "chat/lobby" }]);
  assert.equal(world.room.position, "F:3");
});

test("a room without history tells a gap after each cut", (t) => {
  const world = setUpOpen(t);
  const room = world.finch.join("here/now");
  const gaps = [];
  room.addEventListener("gap", () => gaps.push(world.socket));
  world.socket.admits(world.socket.hears(), {});
  assert.deepEqual(gaps, []);
  world.socket.cut();
  world.comeBack();
  const asked = world.socket.hears();
  assert.equal(asked.since, undefined);
  world.socket.admits(asked, {});
  assert.equal(gaps.length, 1);
});

test("a newcomer has no gap, except with a position of its own", (t) => {
  const { finch, socket, events } = setUpOpen(t);
  finch.join("chat/a");
  finch.join("chat/b", { since: "E:7" });
  const [a, b] = socket.sent;
  assert.equal(b.since, "E:7");
  socket.admits(a, {}, { seq: 1, epoch: "E" });
  assert.deepEqual(events(), []);
  socket.admits(b, {}, { seq: 1, epoch: "F" });
  assert.deepEqual(events(), [["gap", { room: "chat/b" }]]);
});

test("a server that lets the client in before it asks counts as the join; the answer changes nothing", (t) => {
  const { finch, socket, events } = setUpOpen(t);
  const room = finch.join("chat/lobby", { since: "E:2" });
  const said = [];
  let joins = 0;
  room.addEventListener("joined", () => joins++);
  room.on("said", (data) => said.push(data));
  socket.says("finch.join", { recovered: false, missed: 0 }, { room: "chat/lobby", seq: 5, epoch: "E" });
  say(socket, "six", 6);
  socket.admits(socket.hears(), {}, { seq: 6, epoch: "E" });
  say(socket, "six", 6);
  assert.deepEqual(said, ["six"]);
  assert.deepEqual(events(), [["gap", { room: "chat/lobby" }]]);
  assert.equal(room.position, "E:6");
  assert.equal(joins, 1);
});

test("a room that only the server has joined is heard by the client's handlers", (t) => {
  const { finch, socket } = setUpOpen(t);
  const heard = [];
  finch.on("said", (data) => heard.push(data));
  socket.says("finch.join", { recovered: false, missed: 0 }, { room: "chat/x", seq: 5, epoch: "E" });
  say(socket, "six", 6, "chat/x");
  assert.deepEqual(heard, ["six"]);
  assert.equal(finch.join("chat/x").position, undefined);
});

// Everyone and users

test("positions of everyone and of the user go into the query; a gap is told if they are not recovered", (t) => {
  const world = setUp(t, { url: "ws://finch/ws?a=1" });
  assert.equal(world.socket.url, "ws://finch/ws?a=1");
  world.socket.accept();
  const heard = [];
  world.finch.on("news", (data) => heard.push(data));
  const enters = (room, data, seq, epoch) => world.socket.says("finch.join", data, { room, seq, epoch });
  enters("finch.everyone", { recovered: false, missed: 0 }, 3, "E");
  enters("finch.user", { recovered: false, missed: 0 }, 0, "E");
  for (const seq of [4, 5, 5]) world.socket.says("news", seq, { room: "finch.everyone", seq });
  world.socket.cut();
  world.comeBack();
  assert.equal(world.socket.url, "ws://finch/ws?a=1&since=everyone%3AE%3A5&since=user%3AE%3A0");
  world.events();
  enters("finch.everyone", { recovered: true, missed: 1 }, 6, "E");
  world.socket.says("news", 6, { room: "finch.everyone", seq: 6 });
  enters("finch.user", { recovered: false, missed: 0 }, 2, "F");
  assert.deepEqual(heard, [4, 5, 6]);
  assert.deepEqual(world.events(), [["gap", { room: "finch.user" }]]);
});

// sessionStorage

function stubStorage(t) {
  const items = new Map();
  return stub(t, "sessionStorage", {
    items,
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => void items.set(key, value),
    removeItem: (key) => void items.delete(key),
  });
}

test("positions in the session survive a reload, for each URL and room", (t) => {
  const { items } = stubStorage(t);
  const { room, socket } = inRoom(t, { since: "session" });
  say(socket, "one", 1);
  socket.says("finch.join", { recovered: false, missed: 0 }, { room: "finch.user", seq: 4, epoch: "E" });
  assert.deepEqual([...items], [["finch:finch/ws:chat/lobby", "E:1"], ["finch:finch/ws:finch.user", "E:4"]]);
  t.mock.timers.reset();

  const reloaded = setUp(t, { since: "session" });
  assert.equal(reloaded.socket.url, "ws://finch/ws?since=user%3AE%3A4");
  reloaded.socket.accept();
  const again = reloaded.finch.join("chat/lobby");
  assert.equal(reloaded.socket.hears().since, "E:1");
  again.leave();
  room.leave();
  assert.deepEqual([...items.keys()], ["finch:finch/ws:finch.user"]);
  t.mock.timers.reset();

  const elsewhere = setUpOpen(t, { since: "session", url: "ws://finch/other" });
  elsewhere.finch.join("chat/lobby");
  assert.equal(elsewhere.socket.hears().since, undefined);
});

test("the position of a room that this page has not joined does not count", (t) => {
  const { items } = stubStorage(t);
  items.set("finch:finch/ws:staff/everyone", "E:100");
  const { finch, socket } = setUpOpen(t, { since: "session" });
  const heard = [];
  finch.on("said", (data) => heard.push(data));
  socket.says("finch.join", { recovered: false, missed: 0 }, { room: "staff/everyone", seq: 4, epoch: "F" }); // let in
  say(socket, "hello", 5, "staff/everyone");
  assert.deepEqual(heard, ["hello"]);
  assert.equal(items.get("finch:finch/ws:staff/everyone"), "E:100");
});

test("positions in memory do not touch the session", (t) => {
  const { items } = stubStorage(t);
  const { socket } = inRoom(t);
  say(socket, "one", 1);
  assert.equal(items.size, 0);
});

test("a page that may not store anything keeps its positions in memory", (t) => {
  const fail = () => { throw new DOMException("forbidden", "SecurityError"); };
  stub(t, "sessionStorage", { getItem: fail, setItem: fail, removeItem: fail });
  const { room, socket } = inRoom(t, { since: "session" });
  say(socket, "one", 1);
  assert.equal(room.position, "E:1");
});

// Presence

const person = (user, more = {}) => ({ user, meta: null, devices: 1, since: 1, ...more });
const names = (room) => [...room.presence].map(({ user, client }) => user ?? client);

test("presence is the list of the join, and then its changes", (t) => {
  const { finch, socket } = setUpOpen(t);
  const room = finch.join("here/now");
  const told = [];
  const off = room.presence.on("change", (people, { joins, leaves }) => told.push([people.length, joins.length, leaves.length]));
  assert.equal(room.presence.count, 0);
  socket.admits(socket.hears(), { presence: [person("ann")], count: 1 });
  assert.deepEqual(names(room), ["ann"]);
  const changes = (joins, leaves, count) => socket.says("finch.presence", { joins, leaves, count }, { room: "here/now" });
  changes([person("bob"), person(1), person("ann", { devices: 2 })], [], 3);
  assert.deepEqual(names(room), ["ann", "bob", 1]);
  assert.equal([...room.presence][0].devices, 2);
  changes([person(null, { client: "x1" }), person(null, { client: "x2" })], [person("bob"), person("1"), person("ghost")], 4);
  assert.deepEqual(names(room), ["ann", 1, "x1", "x2"]);
  changes([], [person(null, { client: "x1" })], 3);
  assert.deepEqual(names(room), ["ann", 1, "x2"]);
  assert.equal(room.presence.count, 3);
  socket.says("finch.presence", { presence: [person("eve")], count: 1 }, { room: "here/now" });
  assert.deepEqual(names(room), ["eve"]);
  off();
  changes([], [], 1);
  assert.deepEqual(told, [[1, 0, 0], [3, 3, 0], [4, 2, 3], [3, 0, 1], [1, 0, 0]]);
});

test("a room that only counts has only a count", (t) => {
  const { finch, socket } = setUpOpen(t);
  const room = finch.join("crowd/square");
  const told = [];
  room.presence.on("change", (people) => told.push([people.length, room.presence.count]));
  socket.admits(socket.hears(), { count: 41 });
  socket.says("finch.presence", { count: 42 }, { room: "crowd/square" });
  assert.deepEqual(told, [[0, 41], [0, 42]]);
});

test("a room without presence tells no change", (t) => {
  const { finch, socket } = setUpOpen(t);
  const room = finch.join("chat/lobby");
  room.presence.on("change", () => assert.fail());
  socket.admits(socket.hears(), {});
});

test("presence of a room that the client does not know is ignored", (t) => {
  const { socket } = setUpOpen(t);
  const errors = stubConsole(t);
  socket.says("finch.presence", { joins: [], leaves: [], count: 1 }, { room: "nowhere" });
  assert.deepEqual(errors, []);
});
