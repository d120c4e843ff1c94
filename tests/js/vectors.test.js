/** finch.js in the exchanges of vectors.json: the file plays the server, as far as the API can say what the client says. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { FinchError } from "../../finch/static/src/index.js";
import { settled, setUp } from "./fakes.js";
import { EXCHANGES, Known } from "./vectors.js";

/** What finch.js never says, and why. */
const UNSAYABLE = [
  [/not JSON|not an object|not text|without a path|binary message|malformed|too much data|unknown keys/, "it sends nothing that is wrong"],
  [/finch.join and finch.leave without an id/, "it always wants an answer to them"],
  [/joins a room again/, "it joins a room once"],
  [/only a member may|the server joins a client to a declared/, "it speaks only in rooms that it has joined itself"],
  [/second answer|answer that comes too late/, "it answers once"],
  [/handled once|answered again too|not above the last|goes on when/, "it makes its own keys"],
  [/finch.ping is answered|unknown reserved path|unknown id/, "it has no other reserved paths, and pings by itself only"],
];

const CLIENT = "c".repeat(22);
let made = 0;
const VALUES = {
  timestamp: () => 1_700_000_000_000,
  text: () => "a text for people",
  client: () => CLIENT,
  epoch: () => `epoch-${++made}`,
  call: () => `call-${++made}`,
};

/** One client of an exchange. */
class Player {
  rooms = {};
  /** What was asked, by id, and what has come of it. */
  asked = new Map();
  /** Messages that the handlers got, and no step has looked at yet. */
  heard = [];

  constructor(t, target, steps, known) {
    t.mock.timers.reset();
    this.world = setUp(t, { url: `ws://finch${target}` });
    this.known = known;
    const messages = steps.filter(({ hears }) => hears).map(({ hears }) => hears);
    for (const path of new Set(messages.map(({ path }) => path))) {
      this.world.finch.on(path, (data, message) => this.heard.push(message));
    }
    for (const { path, id } of messages) if (id) this.#prepare(path, id, steps);
  }

  get socket() {
    return this.world.socket;
  }

  /** What the client answers to a call, it has to know before. */
  #prepare(path, id, steps) {
    const { says } = steps.find(({ says }) => says?.reply === id) ?? {};
    if (!says) return;
    this.world.finch.answer(path, () => {
      if (says.status >= 400) throw new FinchError(says.status, says.data ?? null);
      return says.data;
    });
  }

  async says(says) {
    this.#say(says);
    await settled();
    const got = this.#hear(says.reply);
    const expected = { ...this.known.filled({ ...says, id: null }), id: says.id };
    if (says.once) assert.match(got.once, /^[\w-]{16,64}:\d+$/);
    if (says.once) expected.once = got.once;
    const ordered = Object.fromEntries(Object.keys(expected).map((key) => [key, got[key]]));
    assert.ok(this.known.fits(expected, ordered), `${JSON.stringify(got)} instead of ${JSON.stringify(expected)}`);
    if (this.newest) this.asked.set(got.id, this.newest);
    this.newest = undefined;
  }

  /** The next message, or the next answer to a call of the server: those do not wait for their turn. */
  #hear(reply) {
    const { sent } = this.socket;
    const next = sent.findIndex((message) => (message.reply !== undefined) === (reply !== undefined));
    assert.notEqual(next, -1, "the client has said nothing");
    return sent.splice(next, 1)[0];
  }

  #say(says) {
    const { path, data, id, reply, room: name, once } = says;
    const { finch } = this.world;
    const { since, last } = this.known.filled({ since: says.since, last: says.last });
    if (reply) return;
    if (path === "finch.cancel") return this.asked.get(this.known.filled(id)).control.abort();
    if (path === "finch.join") {
      this.rooms[name] = finch.join(name, { last, since, meta: data });
      return this.#ask(this.rooms[name].joined);
    }
    if (path === "finch.leave") return this.rooms[name].leave();
    const speaker = name ? this.rooms[name] : finch;
    const control = new AbortController();
    if (path === "finch.auth") this.#ask(finch.auth(data));
    else if (id) this.#ask(speaker.call(path, data, { signal: control.signal, retry: Boolean(once) }), control);
    else speaker.send(path, data);
  }

  #ask(promise, control) {
    this.newest = { control, parts: [], outcome: undefined };
    const asked = this.newest;
    promise.then(
      (value) => (asked.outcome = { value }),
      (error) => (asked.outcome = { error }),
    );
  }

  async hears(message) {
    const { path, id, reply, room, data } = message;
    this.socket.raw(message);
    await settled();
    if (reply !== undefined) this.#answered(message);
    else if (path === "finch.presence") this.#present(this.rooms[room].presence, data);
    else if (path !== "finch.join" && id === undefined) assert.deepEqual(this.heard.shift(), message);
    assert.deepEqual(this.heard, []);
  }

  #answered({ path, status, data, reply, more, room, seq, epoch }) {
    const asked = this.asked.get(reply);
    if (!asked) return; // to a finch.leave, for which nobody waits
    const { outcome, parts } = asked;
    if (more) return void parts.push(data);
    if (asked.control?.signal.aborted) return assert.equal(outcome.error.name, "AbortError");
    if (path === "error") return assert.deepEqual([outcome.error.status, outcome.error.data], [status, data]);
    if (path !== "finch.join") return assert.deepEqual(outcome, { value: parts.length ? parts : data });
    const { recovered, missed = 0 } = data;
    assert.deepEqual(outcome.value, { recovered, missed });
    if (epoch) assert.equal(this.rooms[room].position, `${epoch}:${seq - missed}`);
    if (data.count !== undefined) this.#present(this.rooms[room].presence, data);
  }

  #present(presence, { presence: list, joins = list ?? [], leaves = [], count }) {
    assert.equal(presence.count, count);
    for (const { user, client } of joins) {
      assert.ok([...presence].some((one) => one.user === user && one.client === client));
    }
    for (const { user, client } of leaves) {
      assert.ok(![...presence].some((one) => one.user === user && one.client === client));
    }
  }

  closed(code) {
    this.socket.cut(code);
    const comesBack = [1001, 1006, 1011, 1012, 1013].includes(code) || (code >= 4000 && code < 4500);
    assert.equal(this.world.finch.state, comesBack ? "waiting" : "closed");
  }
}

async function play(t, steps) {
  const known = new Known((kind) => VALUES[kind]());
  const players = {};
  for (const step of steps) {
    if ("opens" in step) {
      const target = known.filled(step.opens);
      const player = new Player(t, target, steps.filter(({ client }) => client === step.client), known);
      assert.equal(player.socket.url, `ws://finch${target}`);
      if ("refused" in step) player.closed(1006);
      else player.socket.accept();
      players[step.client] = player;
      continue;
    }
    const player = players[step.client];
    if ("says" in step) await player.says(step.says);
    else if ("hears" in step) await player.hears(known.filled(step.hears));
    else if ("closes" in step) player.world.finch.close(step.closes);
    else player.closed(step.closed);
  }
  for (const { asked } of Object.values(players)) {
    for (const { outcome } of asked.values()) assert.ok(outcome, "something was not answered");
  }
}

const said = EXCHANGES.filter(({ name }) => !UNSAYABLE.some(([names]) => names.test(name)));

for (const { name, steps } of said) test(name, (t) => play(t, steps));

test("most exchanges can be said, and the others have a reason", () => {
  assert.ok(said.length >= 50, `only ${said.length} of ${EXCHANGES.length}`);
  for (const [names, reason] of UNSAYABLE) assert.ok(EXCHANGES.some(({ name }) => names.test(name)), reason);
});
