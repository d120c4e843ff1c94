/**
 * What a test puts in place of the world: a WebSocket whose other end it plays, time that moves when told, and a page.
 */

import assert from "node:assert/strict";

import { connect } from "../../finch/static/src/index.js";

/** A WebSocket. The test is the server: it accepts, says, hears and cuts. */
export class FakeWebSocket {
  readyState = 0;
  /** What the client has sent, and the test has not heard yet. */
  sent = [];

  constructor(url) {
    this.url = url;
    this.constructor.all.push(this);
  }

  /** The page's side */
  send(text) {
    assert.equal(this.readyState, 1, "sent before it was open");
    this.sent.push(JSON.parse(text));
  }

  close(code, reason) {
    if (code !== undefined && code !== 1000 && !(code >= 3000 && code < 5000)) throw new DOMException("", "InvalidAccessError");
    if (this.readyState >= 2) return;
    this.readyState = 2;
    this.closedWith = [code, reason];
  }

  /** The server's side */
  accept() {
    this.readyState = 1;
    this.onopen({});
    return this;
  }

  /** Say a message. */
  says(path, data = null, more = {}) {
    this.raw({ path, status: 200, timestamp: 1700000000000, language: "en", client: "c".repeat(22), data, ...more });
  }

  raw(message) {
    this.onmessage({ data: JSON.stringify(message) });
  }

  /** Answer a message that was heard. */
  answers({ path, id }, data = null, more = {}) {
    this.says(path, data, { reply: id, ...more });
  }

  refuses({ path, id }, status, message = "no") {
    this.says("error", { message, path }, { status, reply: id });
  }

  /** Let a client into a room. */
  admits({ path, id, room }, data = {}, more = {}) {
    assert.equal(path, "finch.join");
    this.says(path, { recovered: false, missed: 0, ...data }, { reply: id, room, ...more });
  }

  /** The next message of the client. */
  hears() {
    assert.notEqual(this.sent.length, 0, "the client has said nothing");
    return this.sent.shift();
  }

  hearsNothing() {
    assert.deepEqual(this.sent, []);
  }

  /** End the connection. */
  cut(code = 1006, reason = "") {
    this.readyState = 3;
    this.onclose({ code, reason });
  }
}

/**
 * A client in a world of its own, put away after the test.
 *
 * @param {import("node:test").TestContext} t
 * @param {object} [options] of connect, and `url`
 */
export function setUp(t, { url = "ws://finch/ws", ...options } = {}) {
  class Socket extends FakeWebSocket {
    static all = [];
  }
  t.mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_700_000_000_000 });
  const random = t.mock.method(Math, "random", () => 1);
  const client = connect(url, { WebSocket: Socket, transport: "websocket", ...options });
  const events = [];
  for (const type of ["connecting", "open", "waiting", "closed", "gap", "dropped"]) {
    client.addEventListener(type, ({ detail }) => events.push([type, detail]));
  }
  t.after(() => client.close());
  return {
    finch: client,
    /** All sockets that the client has made. */
    sockets: Socket.all,
    /** The newest one. */
    get socket() {
      return Socket.all.at(-1);
    },
    /** What the client has told since it was last asked. */
    events: () => events.splice(0),
    /** Let time pass, in milliseconds. */
    pass: (ms) => t.mock.timers.tick(ms),
    random,
    /** Let the client come back without a pause. */
    comeBack() {
      client.open();
      return Socket.all.at(-1).accept();
    },
  };
}

/** The network, as `fetch` sees it. The test is the server: it sees each request, and answers it. */
export class FakeNetwork {
  /** Requests that are not answered yet: streams, and POSTs. */
  streams = [];
  posts = [];

  fetch(url, { method = "GET", headers, body, credentials, signal }) {
    assert.equal(credentials, "include");
    return new Promise((resolve, reject) => {
      const request = { url, headers, body, signal, refuse: reject };
      signal.addEventListener("abort", () => reject(signal.reason));
      if (method === "GET") this.streams.push(new FakeStream(request, resolve));
      else this.posts.push(Object.assign(request, { answer: (status) => resolve(new Response(null, { status })) }));
    });
  }

  /** The next POST: its messages, and its number. Answer it with `answer(status)`. */
  async post() {
    await settled();
    const post = this.posts.shift();
    assert.ok(post, "nothing was posted");
    const [stream, number] = post.headers["finch-stream"].split(" ");
    return { ...post, stream, number: Number(number), messages: post.body.split("\n").map((line) => JSON.parse(line)) };
  }
}

/** The request for a stream, and the stream. */
class FakeStream {
  constructor(request, resolve) {
    Object.assign(this, request);
    this.resolve = resolve;
  }

  /** Begin the stream, and say how to post. */
  async accept(most = 1000) {
    const body = new ReadableStream({ start: (control) => (this.control = control) });
    this.signal.addEventListener("abort", () => this.control.error(this.signal.reason));
    this.resolve(new Response(body));
    await this.raw(`event: open\ndata: ${JSON.stringify({ stream: "id.secret", most })}\n\n`);
    return this;
  }

  respond(status) {
    this.resolve(new Response("no", { status }));
    return settled();
  }

  /** Send bytes, or text. */
  raw(data) {
    this.control.enqueue(typeof data === "string" ? new TextEncoder().encode(data) : data);
    return settled();
  }

  says(path, data = null, more = {}) {
    return this.raw(`data: ${JSON.stringify({ path, status: 200, data, ...more })}\n\n`);
  }

  async cut() {
    this.control.error(new TypeError("network error"));
    await settled();
  }

  async end() {
    this.control.close();
    await settled();
  }

  get aborted() {
    return this.signal.aborted;
  }
}

/** Put a network in the place of the real one. */
export function stubNetwork(t) {
  const network = new FakeNetwork();
  stub(t, "fetch", network.fetch.bind(network));
  return network;
}

/** Like `setUp`, and connected. */
export function setUpOpen(t, options) {
  const world = setUp(t, options);
  world.socket.accept();
  world.events();
  return world;
}

/** Let promises settle. */
export const settled = () => new Promise((resolve) => setImmediate(resolve));

/** Put something in the place of a global for one test. */
export function stub(t, name, value) {
  const had = Object.getOwnPropertyDescriptor(globalThis, name);
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  t.after(() => (had ? Object.defineProperty(globalThis, name, had) : delete globalThis[name]));
  return value;
}

/** A page: what happens to it is said by `page.show()` and the like. */
export function stubPage(t, href = "https://shop.example/app/index.html") {
  const document = Object.assign(new EventTarget(), { hidden: false, baseURI: href });
  const page = new EventTarget();
  stub(t, "document", document);
  stub(t, "addEventListener", page.addEventListener.bind(page));
  return {
    show: (hidden = false) => {
      document.hidden = hidden;
      document.dispatchEvent(new Event("visibilitychange"));
    },
    online: () => page.dispatchEvent(new Event("online")),
    pageshow: (persisted) => page.dispatchEvent(Object.assign(new Event("pageshow"), { persisted })),
  };
}

/** The errors that reach the console during a test. */
export function stubConsole(t) {
  const errors = [];
  stub(t, "reportError", (error) => errors.push(error));
  return errors;
}

/** Random numbers that are the same for the same seed (mulberry32). */
export function randoms(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
