/**
 * Whether the next attempt is made with a WebSocket, or without one where the network lets none through.
 * A server that cannot be reached at all says nothing about WebSockets: then the other transport fails as well.
 */

const TRIES = 2; // attempts with a WebSocket that may fail before the other transport is tried
const AGAIN = 600_000; // ms after which a WebSocket is tried again

/** @typedef {import("../finch.d.ts").Transport} Transport */

/** @type {Map<string, number>} for the page's life, by host: until when no WebSocket is tried */
const cut = new Map();

export class Transports {
  #wanted;
  #host;
  #failures = 0; // of WebSockets, since something was open
  #down = false; // whether nothing came through since then

  /**
   * @param {Transport | "auto" | undefined} wanted
   * @param {string} host
   */
  constructor(wanted = "auto", host) {
    this.#wanted = wanted;
    this.#host = host;
  }

  /** @returns {Transport} of the next attempt */
  next() {
    if (this.#wanted !== "auto") return this.#wanted;
    return this.#failures >= TRIES || (cut.get(this.#host) ?? 0) > Date.now() ? "sse" : "websocket";
  }

  /** @param {Transport} transport a connection is open */
  opened(transport) {
    if (transport === "websocket") cut.delete(this.#host);
    else if (!this.#down) cut.set(this.#host, Date.now() + AGAIN);
    this.#failures = 0;
    this.#down = false;
  }

  /** @param {Transport} transport an attempt has failed before anything was open */
  failed(transport) {
    if (transport === "websocket") this.#failures += cut.has(this.#host) ? TRIES : 1;
    else {
      cut.delete(this.#host);
      this.#failures = 0;
      this.#down = true;
    }
  }
}
