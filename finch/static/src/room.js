/**
 * A room: its handlers, who is in it, and whether the client is. The client joins it anew on each connection.
 */

import { failure, FinchError } from "./errors.js";
import { Events, tell } from "./events.js";
import { Handlers } from "./handlers.js";
import { Presence } from "./presence.js";

/** @typedef {import("../finch.d.ts").Joined} Joined */
/** @typedef {import("../finch.d.ts").Message} Message */

/**
 * What a room needs of its client.
 *
 * @typedef {object} Home
 * @property {import("./calls.js").Calls} calls
 * @property {import("./positions.js").Positions} positions
 * @property {(path: string, data: any, options: any, room: string) => boolean} send
 * @property {(name: string) => void} gap tells the application that messages may be lost
 * @property {(name: string) => void} leave
 */

export class Room extends Events {
  /** @type {"joining" | "joined" | "refused" | "left"} */
  state = "joining";
  presence = new Presence();
  /** @type {Promise<Joined>} */
  joined;
  #handlers = new Handlers();
  #home;
  #options;
  /** Whether the client knows a part of the room, so that it can miss something. */
  #knows = false;
  /** The status with which it was refused. */
  #status = 0;
  /** @type {{ resolve: (joined: Joined) => void, reject: (error: FinchError) => void } | undefined} */
  #promised;

  /**
   * @param {string} name
   * @param {import("../finch.d.ts").JoinOptions} options
   * @param {Home} home
   */
  constructor(name, options, home) {
    super();
    this.name = /** @type {any} its literal type is that of the caller */ (name);
    this.#options = options;
    this.#home = home;
    this.joined = this._expect();
    if (options.since) home.positions.set(name, options.since);
  }

  get position() {
    return this.#home.positions.get(this.name);
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
   * @param {any} [data]
   * @param {import("../finch.d.ts").SendOptions} [options]
   */
  send(path, data, options) {
    return this.#home.send(path, data, options, this.name);
  }

  /**
   * @param {string} path
   * @param {any} [data]
   * @param {import("../finch.d.ts").CallOptions} [options]
   */
  call(path, data, options) {
    return this.#home.calls.call({ path, data, room: this.name }, options);
  }

  /**
   * @param {string} path
   * @param {any} [data]
   * @param {import("../finch.d.ts").StreamOptions} [options]
   */
  stream(path, data, options) {
    return this.#home.calls.stream({ path, data, room: this.name }, options);
  }

  leave() {
    if (this.state === "left") return;
    this.state = "left";
    this.#home.leave(this.name);
    this._reject(failure("closed"));
    tell(this, "left");
  }

  // What follows is for the client only: finch.d.ts does not have it.

  /** Ask to be let in, if there is a connection; `_opened` does it when there is one. */
  _join() {
    const { last, meta } = this.#options;
    const since = this.position;
    if (since) this.#knows = true;
    const fields = { path: "finch.join", room: this.name, since, last, data: meta };
    this.#home.calls.begin(fields, { now: true }, {
      end: (_, message) => this._entered(message),
      fail: (error) => error.code === "refused" && this.#refused(error),
    });
  }

  /** There is a new connection. A room that was refused is not asked for again, unless the server itself failed. */
  _opened() {
    if (this.state === "refused" && this.#status < 500) return;
    this._expect();
    this._join();
  }

  /** The connection was cut. */
  _cut() {
    if (this.state === "joined") this._expect();
  }

  /**
   * The client is in the room. If the server has let it in before the client asked, the answer to that changes nothing.
   * If the server says so once more by itself, messages were lost between its processes.
   *
   * @param {Message} message
   */
  _entered(message) {
    const { recovered, missed = 0 } = message.data;
    const joined = { recovered, missed };
    const before = this.state;
    if (before === "left") return;
    this.state = "joined";
    const anew = before !== "joined" || (message.reply === undefined && message.epoch !== undefined && !recovered);
    if (anew) {
      this.#home.positions.joined(this.name, message);
      if (this.#knows && !recovered) this.#gap();
      this.#knows = true;
    }
    this.presence._take(message.data);
    if (anew) tell(this, "joined", joined);
    this.#promised?.resolve(joined);
    this.#promised = undefined;
  }

  /**
   * @param {Message} message
   * @returns {boolean} whether it has a handler here
   */
  _heard(message) {
    return this.#handlers.tell(message.path, message.data, message);
  }

  /**
   * The client is about to join: whoever asks for `joined` waits from now on.
   *
   * @returns {Promise<Joined>}
   */
  _expect() {
    this.state = "joining";
    if (this.#promised) return this.joined;
    this.joined = new Promise((resolve, reject) => {
      this.#promised = { resolve, reject };
    });
    this.joined.catch(() => {}); // nobody has to wait for it
    return this.joined;
  }

  /**
   * Nobody has to wait for the room any longer.
   *
   * @param {FinchError} error
   */
  _reject(error) {
    this.#promised?.reject(error);
    this.#promised = undefined;
  }

  /** @param {FinchError} error */
  #refused(error) {
    if (this.state === "left") return;
    this.state = "refused";
    this.#status = error.status;
    this._reject(error);
    tell(this, "refused", error);
  }

  #gap() {
    tell(this, "gap", { room: this.name });
    this.#home.gap(this.name);
  }
}
