/**
 * The client: what an application holds in its hands. It puts the parts together, and says which message goes where.
 */

import { Calls } from "./calls.js";
import { Connection } from "./connection.js";
import { failure, FinchError, report } from "./errors.js";
import { Events, tell } from "./events.js";
import { Handlers } from "./handlers.js";
import { Positions } from "./positions.js";
import { Queue } from "./queue.js";
import { Rooms } from "./rooms.js";

/** @typedef {import("./queue.js").Outgoing} Outgoing */
/** @typedef {import("../finch.d.ts").Message} Message */
/** @typedef {(data: any, context: { signal: AbortSignal, message: any }) => unknown} Answerer */

/** Audiences whose messages a client gets without a join; it says how far it knows them when it connects. */
const AUDIENCES = ["finch.everyone", "finch.user"];

export class Finch extends Events {
  #url;
  #positions;
  #handlers = new Handlers();
  /** @type {Map<string, Answerer>} */
  #answerers = new Map();
  /** Aborted when the connection ends. */
  #life = new AbortController();
  #queue = new Queue(({ path, data, room }, reason) => tell(this, "dropped", { path, data, room, reason }));
  #calls = new Calls({
    post: (message) => this.#post(message),
    recall: (message) => this.#queue.remove(message),
    send: (text) => this.#connection.send(text),
  });
  #rooms;
  #connection;

  /**
   * @param {string | URL} url
   * @param {import("../finch.d.ts").Options} [options]
   */
  constructor(url, options = {}) {
    super();
    this.#url = new URL(url, globalThis.document?.baseURI ?? globalThis.location?.href);
    this.#url.protocol = this.#url.protocol.replace("http", "ws");
    this.#url.hash = ""; // WebSockets have none
    if (!/^wss?:/.test(this.#url.href)) throw new TypeError(`connect() needs a URL of http, https, ws or wss, not ${this.#url.href}`);
    const { host, pathname } = this.#url;
    this.#positions = new Positions(options.since === "session" ? `finch:${host}${pathname}:` : undefined);
    const home = {
      calls: this.#calls,
      positions: this.#positions,
      send: this.#send.bind(this),
      gap: (/** @type {string} */ room) => tell(this, "gap", { room }),
    };
    this.#rooms = new Rooms(home);
    this.#connection = new Connection(
      {
        target: (token) => this.#target(token),
        opened: () => this.#opened(),
        heard: (message) => this.#heard(message),
        cut: () => this.#cut(),
        ended: () => this.#ended(),
        changed: (state, detail) => this.#changed(state, detail),
      },
      options,
      host,
    );
    this.#connection.open();
  }

  get transport() {
    return this.#connection.transport;
  }

  get state() {
    return this.#connection.state;
  }

  /**
   * @param {string} path
   * @param {import("./handlers.js").Handler} handler
   */
  on(path, handler) {
    return this.#handlers.on(path, handler);
  }

  /**
   * @param {string} path
   * @param {Answerer} handler
   */
  answer(path, handler) {
    this.#answerers.set(path, handler);
    return () => {
      if (this.#answerers.get(path) === handler) this.#answerers.delete(path);
    };
  }

  /**
   * @param {string} path
   * @param {any} [data]
   * @param {import("../finch.d.ts").SendOptions} [options]
   */
  send(path, data, options) {
    return this.#send(path, data, options);
  }

  /**
   * @param {string} path
   * @param {any} [data]
   * @param {import("../finch.d.ts").CallOptions} [options]
   */
  call(path, data, options) {
    return this.#calls.call({ path, data }, options);
  }

  /**
   * @param {string} path
   * @param {any} [data]
   * @param {import("../finch.d.ts").StreamOptions} [options]
   */
  stream(path, data, options) {
    return this.#calls.stream({ path, data }, options);
  }

  /**
   * @param {string} name
   * @param {import("../finch.d.ts").JoinOptions} [options]
   */
  join(name, options) {
    const room = this.#rooms.join(name, options);
    if (this.state === "closed") room._reject(failure("closed")); // `open` makes a new promise
    return room;
  }

  /**
   * @param {any} data
   * @param {import("../finch.d.ts").CallOptions} [options]
   */
  auth(data, options) {
    return this.call("finch.auth", data, options);
  }

  open() {
    this.#connection.open();
  }

  close(code = 1000, reason = "") {
    this.#connection.close(code, reason);
  }

  /**
   * @param {string} path
   * @param {any} data
   * @param {import("../finch.d.ts").SendOptions} [options]
   * @param {string} [room]
   */
  #send(path, data, { volatile = false } = {}, room) {
    const text = JSON.stringify({ path, data, room });
    return volatile ? this.#connection.send(text) : this.#post({ text, path, data, room });
  }

  /** @param {Outgoing} message */
  #post(message) {
    message.sent = this.#connection.send(message.text);
    if (message.sent) return true;
    return this.state === "closed" ? this.#queue.drop(message, "closed") : this.#queue.push(message);
  }

  // What the connection tells

  /** @param {string | null} [token] */
  #target(token) {
    const url = new URL(this.#url);
    if (token != null) url.searchParams.set("token", token);
    for (const audience of AUDIENCES) {
      const position = this.#positions.get(audience);
      if (position) url.searchParams.append("since", `${audience.slice(6)}:${position}`);
    }
    return url.href;
  }

  /**
   * @param {import("../finch.d.ts").State} state
   * @param {object} [detail]
   */
  #changed(state, detail) {
    tell(this, state, detail);
    if (state === this.state) tell(this, "statechange", state); // a listener may have changed it
  }

  /** The server handles messages in order, so nothing has to wait for the answers to the joins. */
  #opened() {
    this.#life = new AbortController();
    this.#rooms.opened();
    this.#calls.opened();
    this.#queue.flush((message) => this.#post(message));
  }

  #cut() {
    this.#life.abort();
    this.#calls.cut();
    this.#rooms.cut();
  }

  #ended() {
    this.#life.abort();
    this.#queue.close();
    this.#calls.close();
    this.#rooms.cut();
    this.#rooms.close(failure("closed"));
  }

  /** @param {Message} message */
  #heard(message) {
    const { path, id, reply, room: name, seq, data } = message;
    const room = this.#rooms.get(name);
    if (reply !== undefined) return this.#calls.answered(message);
    if (id !== undefined) return void this.#answer(message);
    if (this.#rooms.hasLeft(name)) return;
    if (path === "finch.presence") return room?.presence._take(data);
    if (path === "finch.join") return room ? room._entered(message) : this.#entered(message);
    if (path.startsWith("finch.")) return; // of a later version
    // a room that the server has let the client into has no Room, and so no position that counts
    const counts = seq !== undefined && (room || AUDIENCES.includes(String(name)));
    if (counts && !this.#positions.advance(String(name), seq)) return;
    if (room?._heard(message) || this.#handlers.tell(path, data, message)) return;
    if (path === "error") console.warn("Finch:", data.message, data);
  }

  /**
   * The server tells how far an audience is that this client is in without a join.
   *
   * @param {Message} message
   */
  #entered(message) {
    const name = String(message.room);
    if (!AUDIENCES.includes(name)) return; // the server has let the client into a room that it does not know
    const knows = this.#positions.get(name);
    this.#positions.joined(name, message);
    if (knows && !message.data.recovered) tell(this, "gap", { room: name });
  }

  /**
   * A call of the server. Its answer is good for this connection only.
   *
   * @param {Message} message
   */
  async #answer(message) {
    const { path, id, data } = message;
    const { signal } = this.#life;
    /** @type {(data: any, status?: number) => void} */
    const say = (data = null, status) => {
      const text = JSON.stringify({ path, data, reply: id, status });
      if (!signal.aborted) this.#connection.send(text);
    };
    const handler = this.#answerers.get(path);
    if (!handler) return say({ message: `nobody answers ${path}` }, 404);
    const failed = (/** @type {unknown} */ error) => {
      report(error); // the console has it all; it is nobody else's business
      say({ message: "the client has failed" }, 500);
    };
    try {
      say(await handler(data, { signal, message }));
    } catch (error) {
      if (!(error instanceof FinchError && error.status >= 400)) return failed(error);
      try {
        say(error.data, error.status);
      } catch (wrong) {
        failed(wrong); // its data is no JSON
      }
    }
  }
}
