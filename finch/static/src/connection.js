/**
 * One connection after another: the states of a client, its attempts to connect, and how each connection ends.
 * It knows nothing of what the messages say.
 *
 *     connecting -> open -> waiting -> connecting ...     closed, for good, from any of them
 *
 * What belongs to an attempt that is over must change nothing: a token that comes late, an event of an old socket. So each
 * change of state, except that from connecting to open, begins a new turn.
 */

import { comesBack, pause } from "./backoff.js";
import { report } from "./errors.js";
import { watch } from "./page.js";
import { EventSocket } from "./posting.js";
import { Transports } from "./transports.js";

const HANGS = 20_000; // ms for a token and a handshake
const SILENT = 5_000; // ms for a sign of life, after the page has woken up
const STEADY = 5_000; // ms after which a connection is not called a failure when it ends
const CUT = 1006; // what browsers report if a connection ended without a Close
const PING = JSON.stringify({ path: "finch.ping", id: 0 }); // calls have other ids

/** @typedef {import("../finch.d.ts").State} State */

/**
 * Who has the connection.
 *
 * @typedef {object} Owner
 * @property {(token?: string | null) => string} target the URL of an attempt
 * @property {() => void} opened
 * @property {(message: any) => void} heard
 * @property {() => void} cut an open connection has ended
 * @property {() => void} ended the client is closed for good
 * @property {(state: State, detail?: object) => void} changed
 */

export class Connection {
  /** @type {State} */
  state = "closed";
  /** @type {import("../finch.d.ts").Transport | undefined} of the last attempt that has come so far */
  transport;
  /** @type {WebSocket | EventSocket | undefined} */
  #socket;
  #owner;
  #token;
  #WebSocket;
  #transports;
  #dialled = false; // whether an attempt has begun to connect, and nothing is open yet
  #turn = {};
  #failures = 0;
  #since = 0; // when the attempt began, or the connection was opened
  /** @type {any} of the pause, or of the attempt */
  #timer;
  /** @type {any} set while a ping is not answered */
  #probe;
  /** Ends the listeners on the page. */
  #life = new AbortController();

  /**
   * @param {Owner} owner
   * @param {import("../finch.d.ts").Options} options
   * @param {string} host
   */
  constructor(owner, { token, transport, WebSocket = globalThis.WebSocket }, host) {
    this.#owner = owner;
    this.#token = token;
    this.#WebSocket = WebSocket;
    this.#transports = new Transports(transport, host);
  }

  /** Connect now, unless it is connected or about to be. */
  open() {
    if (this.state === "closed") {
      this.#failures = 0;
      this.#life = new AbortController();
      watch(() => this.#wake(), this.#life.signal);
    } else if (this.state !== "waiting") return;
    this.#begin();
  }

  /**
   * Close for good.
   *
   * @param {number} code
   * @param {string} reason
   */
  close(code, reason) {
    this.#socket?.close(code, reason); // throws if there is no such code; nothing has changed then
    this.#end(code, reason);
  }

  /**
   * @param {string} text
   * @returns {boolean} whether it was sent
   */
  send(text) {
    // between the server's Close and its event a socket takes messages and throws them away
    if (this.state !== "open" || this.#socket?.readyState !== 1) return false;
    this.#socket.send(text);
    return true;
  }

  async #begin() {
    const turn = this.#next("connecting");
    this.#since = Date.now();
    this.#timer = setTimeout(() => this.#lost(CUT, "no answer within 20 s"), HANGS);
    this.#owner.changed("connecting");
    try {
      const token = this.#token && (await this.#token());
      if (turn === this.#turn) this.#dial(this.#owner.target(token));
    } catch (error) {
      if (turn === this.#turn) this.#lost(CUT, String(error));
    }
  }

  /** @param {string} url */
  #dial(url) {
    this.#dialled = true;
    this.transport = this.#transports.next();
    const socket = this.transport === "sse" ? new EventSocket(url) : new this.#WebSocket(url);
    /** @param {(event: any) => void} listener */
    const ifMine = (listener) => (/** @type {any} */ event) => socket === this.#socket && listener(event);
    this.#socket = socket;
    socket.onopen = ifMine(() => this.#opened());
    socket.onmessage = ifMine(({ data }) => this.#heard(data));
    socket.onclose = ifMine(({ code, reason }) => this.#lost(code, reason));
    socket.onerror = () => {}; // a close follows, which says more
  }

  #opened() {
    clearTimeout(this.#timer);
    this.#dialled = false;
    if (this.transport) this.#transports.opened(this.transport);
    this.state = "open";
    this.#since = Date.now();
    const turn = this.#turn;
    this.#owner.opened();
    if (turn === this.#turn) this.#owner.changed("open", { transport: this.transport }); // unless a listener has closed the client meanwhile
  }

  /** @param {string} text */
  #heard(text) {
    try {
      const message = JSON.parse(text);
      // messages may have come before the page woke up: only the answer proves that the connection lives
      if (message.reply === 0) this.#trust();
      else if (this.#probe) this.#doubt();
      this.#owner.heard(message);
    } catch (error) {
      report(error);
    }
  }

  /**
   * A connection, or an attempt, has ended.
   *
   * @param {number} code
   * @param {string} reason
   */
  #lost(code, reason) {
    if (this.#dialled && this.transport) this.#transports.failed(this.transport);
    if (!comesBack(code)) return this.#end(code, reason);
    const wasOpen = this.state === "open";
    if (wasOpen && Date.now() - this.#since >= STEADY) this.#failures = 0;
    const awake = this.#probe !== undefined; // browsers may tell a page only when it wakes up that it was cut
    const delay = awake ? 0 : pause(this.#failures++);
    const turn = this.#next("waiting");
    this.#timer = setTimeout(() => this.#begin(), delay);
    if (wasOpen) this.#owner.cut();
    if (turn === this.#turn) this.#owner.changed("waiting", { code, reason, pause: delay });
    if (awake && turn === this.#turn) this.#begin();
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  #end(code, reason) {
    if (this.state === "closed") return;
    this.#next("closed");
    this.#life.abort();
    this.#owner.ended();
    this.#owner.changed("closed", { code, reason });
  }

  /**
   * Leave a state, with its timers and its socket.
   *
   * @param {State} state the next one
   * @returns {object} the turn
   */
  #next(state) {
    const socket = this.#socket;
    clearTimeout(this.#timer);
    this.#trust();
    this.#socket = undefined;
    this.#dialled = false;
    this.state = state;
    socket?.close(); // does nothing if it is closed
    this.#turn = {};
    return this.#turn;
  }

  /** The page has woken up, and so may the network have: no pause, and no trust in what has been silent for long. */
  #wake() {
    if (this.state === "waiting") this.#begin();
    else if (this.state === "connecting" && Date.now() - this.#since > SILENT) this.#begin();
    else if (this.state === "open" && !this.#probe) {
      this.#doubt();
      this.send(PING);
    }
  }

  /** Give the connection some time to say something. */
  #doubt() {
    clearTimeout(this.#probe);
    this.#probe = setTimeout(() => this.#lost(CUT, "no sign of life"), SILENT);
  }

  #trust() {
    clearTimeout(this.#probe);
    this.#probe = undefined;
  }
}
