/**
 * A long story with cuts at any moment, against a server that keeps a history: nothing is lost or doubled where the client
 * is recovered, and a gap is told where it is not.
 */

import assert from "node:assert/strict";
import { test } from "node:test";

import { randoms, setUp, settled } from "./fakes.js";

const STORIES = 150;
const STEPS = 120;
const SENDERS = ["ann", "bob", "eve", "tom"];
const KEPT = 6; // messages

/** What docs/wire.md says of a server, for two audiences with history and a handler. What it says is under way until it is delivered. */
class Server {
  epoch = 0;
  answers = new Map();
  /** How often each call was handled. */
  handled = new Map();
  /** @type {{ socket: any, members: Set<string>, out: any[] } | undefined} */
  connection;

  constructor() {
    this.restart();
  }

  restart() {
    this.epoch++;
    this.kept = { "chat/lobby": [], "finch.everyone": [] };
    this.seq = { "chat/lobby": 0, "finch.everyone": 0 };
    this.answers.clear();
    this.cut();
  }

  accept(socket) {
    socket.accept();
    this.connection = { socket, members: new Set(), out: [] };
    const since = new URL(socket.url).searchParams.get("since")?.replace("everyone:", "");
    this.#admit("finch.everyone", since, {});
  }

  cut() {
    const { socket } = this.connection ?? {};
    this.connection = undefined;
    if (socket?.readyState === 1) socket.cut();
  }

  /** Send to all who are in a room; here, that is one client at most. */
  publish(room, data) {
    const message = { path: "said", data, room, seq: ++this.seq[room] };
    this.kept[room] = [...this.kept[room], message].slice(-KEPT);
    if (this.connection?.members.has(room)) this.connection.out.push(message);
  }

  /** Handle the next message of the client. */
  handle() {
    const message = this.connection.socket.sent.shift();
    if (!message) return;
    const { path, id, room, since, last, once, data } = message;
    if (path === "finch.join") return this.#admit(room, since, { id, last });
    assert.equal(path, "pay");
    if (!this.answers.has(once)) {
      this.handled.set(data, (this.handled.get(data) ?? 0) + 1);
      this.answers.set(once, `${data} is paid`);
    }
    this.connection.out.push({ path, data: this.answers.get(once), reply: id });
  }

  /** Let the next message arrive. */
  deliver() {
    const message = this.connection.out.shift();
    if (message) this.connection.socket.raw({ status: 200, ...message });
  }

  #admit(room, since, { id, last = 0 }) {
    const [epoch, from] = since?.split(":") ?? [];
    const kept = this.kept[room];
    const behind = this.seq[room] - Number(from);
    const recovered = epoch === String(this.epoch) && behind >= 0 && behind <= kept.length;
    const missed = recovered ? behind : Math.min(last, kept.length);
    const position = { seq: this.seq[room], epoch: String(this.epoch) };
    this.connection.members.add(room);
    this.connection.out.push({ path: "finch.join", data: { recovered, missed }, reply: id, room, ...position });
    if (missed) this.connection.out.push(...kept.slice(-missed));
  }
}

/** What a client hears of one audience, checked against what was sent. */
class Witness {
  sent = [];
  heard = new Set();
  #next = undefined; // the place in `sent` of what must come next; undefined if anything may

  constructor(name) {
    this.name = name;
  }

  gap() {
    this.#next = undefined;
  }

  hear(data) {
    const place = this.sent.indexOf(data);
    assert.ok(!this.heard.has(data), `${data} came twice`);
    if (this.#next !== undefined) assert.equal(place, this.#next, `${data} came, but ${this.sent[this.#next]} was due`);
    this.heard.add(data);
    this.#next = place + 1;
  }

  end() {
    if (this.#next !== undefined) assert.equal(this.#next, this.sent.length, `${this.name}: the last ones did not come`);
  }
}

async function play(t, seed) {
  const random = randoms(seed);
  const world = setUp(t);
  world.random.mock.mockImplementation(random);
  const server = new Server();
  const witnesses = { "chat/lobby": new Witness("lobby"), "finch.everyone": new Witness("everyone") };
  const counts = { gaps: 0, heard: 0 };
  const { finch } = world;
  finch.addEventListener("gap", ({ detail }) => {
    counts.gaps++;
    witnesses[detail.room].gap();
  });
  const hear = (data, { room }) => {
    counts.heard++;
    witnesses[room].hear(data);
  };
  finch.join("chat/lobby").on("said", hear);
  finch.on("said", hear);
  const outcomes = [];
  let number = 0;

  const actions = [
    [8, () => send("chat/lobby")],
    [4, () => send("finch.everyone")],
    [10, () => server.connection?.socket.sent.length && server.handle()],
    [12, () => server.connection?.out.length && server.deliver()],
    [2, () => server.cut()],
    [0.3, () => server.restart()],
    [6, () => connect()],
    [2, () => world.pass(random() * 3000)],
    [2, () => pay()],
  ];
  const send = (room) => {
    const data = `${SENDERS[number % 4]} ${++number}`;
    witnesses[room].sent.push(data);
    server.publish(room, data);
  };
  const connect = () => {
    if (server.connection) return;
    finch.open();
    server.accept(world.socket);
  };
  const pay = () => {
    const data = ++number;
    const outcome = { data, epoch: server.epoch, paid: undefined };
    outcomes.push(outcome);
    finch.call("pay", data, { retry: true }).then(
      (paid) => (outcome.paid = paid),
      (error) => (outcome.paid = error.code),
    );
  };

  const total = actions.reduce((sum, [weight]) => sum + weight, 0);
  for (let step = 0; step < STEPS; step++) {
    let choice = random() * total;
    const [, act] = actions.find(([weight]) => (choice -= weight) < 0);
    act();
  }
  connect();
  while (server.connection.socket.sent.length) server.handle();
  while (server.connection.out.length) server.deliver();
  await settled();

  for (const witness of Object.values(witnesses)) witness.end();
  for (const { data, epoch, paid } of outcomes) {
    assert.ok(paid === `${data} is paid` || paid === "disconnected", `the call ${data} has no end`);
    if (epoch === server.epoch) assert.ok((server.handled.get(data) ?? 0) <= 1, `${data} was paid twice`);
    if (paid !== "disconnected") assert.ok(server.handled.get(data) >= 1);
  }
  finch.close();
  t.mock.timers.reset();
  return counts;
}

test("numbered messages of 4 senders through cuts and restarts at any moment: each once, or a gap", async (t) => {
  const totals = { gaps: 0, heard: 0 };
  for (let seed = 1; seed <= STORIES; seed++) {
    try {
      const { gaps, heard } = await play(t, seed);
      totals.gaps += gaps;
      totals.heard += heard;
    } catch (error) {
      error.message = `story ${seed}: ${error.message}`;
      throw error;
    }
  }
  assert.ok(totals.gaps > STORIES / 10, "the stories have gaps");
  assert.ok(totals.heard > STORIES * 10, "the stories have messages");
  t.diagnostic(`${totals.heard} messages, ${totals.gaps} gaps`);
});
