/**
 * Plays the exchanges of vectors.json against real servers, with the package `ws`: what any client in JavaScript is tested with.
 *
 *     node play_vectors.js < servers.json      {"name of an exchange": "ws://127.0.0.1:PORT", ...}
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

import WebSocket from "ws";

import { EXCHANGES, Known } from "./vectors.js";

const HEARD_WITHIN = 5_000; // ms

/** A connection whose events can be waited for, one after another. */
class Client {
  #events = [];
  #wake = () => {};

  constructor(socket) {
    this.socket = socket;
    socket.on("message", (data) => this.#add({ message: JSON.parse(String(data)) }));
    socket.on("close", (code) => this.#add({ closed: code }));
    socket.on("error", () => {});
  }

  /** @returns {Promise<Client | number>} the connection, or the status with which it is refused */
  static open(url) {
    return new Promise((resolve) => {
      const socket = new WebSocket(url);
      const client = new Client(socket);
      socket.on("open", () => resolve(client));
      socket.on("unexpected-response", (request, response) => {
        response.resume();
        request.destroy();
        resolve(response.statusCode);
      });
    });
  }

  async next() {
    const late = Date.now() + HEARD_WITHIN;
    while (!this.#events.length) {
      assert.ok(Date.now() < late, "nothing has come");
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, HEARD_WITHIN);
        this.#wake = () => resolve(clearTimeout(timer));
      });
    }
    return this.#events.shift();
  }

  #add(event) {
    this.#events.push(event);
    this.#wake();
  }
}

async function play(steps, server) {
  const known = new Known((kind, name, values) => `q${values.size + 1}`);
  const clients = {};
  for (const step of steps) {
    const client = clients[step.client];
    if ("opens" in step) {
      const opened = await Client.open(server + known.filled(step.opens));
      if ("refused" in step) assert.equal(opened, step.refused);
      else clients[step.client] = opened;
    } else if ("says" in step) {
      client.socket.send(payload(known.filled(step.says)));
    } else if ("hears" in step) {
      const { message } = await client.next();
      const fits = [step.hears, step.or].some((expected) => expected && known.fits(expected, message));
      assert.ok(fits, `${JSON.stringify(message)} instead of ${JSON.stringify(step.hears)}`);
    } else if ("closes" in step) {
      client.socket.close(step.closes);
      assert.deepEqual(await client.next(), { closed: step.closes });
      delete clients[step.client];
    } else {
      assert.deepEqual(await client.next(), { closed: step.closed });
      delete clients[step.client];
    }
  }
  for (const client of Object.values(clients)) {
    client.socket.send(JSON.stringify({ path: "echo", data: "end", id: "end" }));
    const { message } = await client.next(); // nothing else has come
    assert.deepEqual([message?.data, message?.reply], ["end", "end"]);
    client.socket.terminate();
  }
}

function payload(says) {
  if (typeof says === "string") return says;
  return "binary" in says ? Buffer.from(says.binary, "base64") : JSON.stringify(says);
}

const servers = JSON.parse(readFileSync(0, "utf-8"));
let failed = 0;
for (const { name, steps } of EXCHANGES) {
  try {
    await play(steps, servers[name]);
  } catch (error) {
    failed++;
    console.error(`${name}:\n${error.stack}`);
  }
}
console.log(`${EXCHANGES.length - failed} of ${EXCHANGES.length} exchanges`);
process.exit(failed ? 1 : 0);
