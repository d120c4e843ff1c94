/**
 * The calls that wait for an answer: what becomes of them when it comes, when it is late, and when the connection is cut.
 */

import { failure, FinchError } from "./errors.js";
import { Stream } from "./stream.js";

/** @typedef {import("./queue.js").Outgoing} Outgoing */
/** @typedef {import("../finch.d.ts").CallOptions} CallOptions */
/** @typedef {{ path: string, data?: any, room?: string, [key: string]: any }} Fields of a message */

const LONGEST = 2 ** 31 - 1; // ms; a longer timer, such as one of Infinity, would fire at once
const REMEMBERED = 60_000; // ms for which the server keeps the answer of a call that may be sent again

/**
 * Who waits for an answer.
 *
 * @typedef {object} Caller
 * @property {(data: any) => void} [item] a part of the answer has come
 * @property {(data: any, message: any) => void} end the answer is complete
 * @property {(error: any) => void} fail there will be none
 */

/**
 * @typedef {object} Call
 * @property {number} id
 * @property {Outgoing} message
 * @property {Caller} caller
 * @property {boolean} retry whether it is sent again after a cut
 * @property {number} cut when its connection was cut; 0 if it was not
 * @property {boolean} again whether it was sent again after a cut
 * @property {any} [timer] of the time after a cut
 * @property {() => void} release gives back its timer, and the listener on its signal
 */

/**
 * What calls are sent through.
 *
 * @typedef {object} Line
 * @property {(message: Outgoing) => boolean} post sends a message, or lets it wait
 * @property {(message: Outgoing) => boolean} recall takes back a message that waits
 * @property {(text: string) => boolean} send sends a text now or never
 */

/** 128 random bits, by which the server knows this client again. (randomUUID is missing on pages without https.) */
const newSession = () =>
  Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(36).padStart(7, "0")).join("");

export class Calls {
  /** @type {Map<number, Call>} by id, in the order in which they were made */
  #calls = new Map();
  #last = 0;
  #session = newSession();
  #line;

  /** @param {Line} line */
  constructor(line) {
    this.#line = line;
  }

  /**
   * @param {Fields} fields
   * @param {CallOptions} [options]
   * @returns {Promise<any>} of the answer, or of the list of its items
   */
  call(fields, options = {}) {
    return new Promise((resolve, reject) => {
      /** @type {any[]} */
      const items = [];
      const end = (/** @type {any} */ data) => resolve(items.length ? items : data);
      this.begin(fields, options, { item: (data) => items.push(data), end, fail: reject });
    });
  }

  /**
   * @param {Fields} fields
   * @param {import("../finch.d.ts").StreamOptions} [options]
   * @returns {AsyncIterableIterator<any>} of the items
   */
  stream(fields, { signal } = {}) {
    return new Stream((caller) => this.begin(fields, { signal }, caller));
  }

  /**
   * Send a message that asks for an answer.
   *
   * @param {Fields} fields
   * @param {CallOptions & { now?: boolean }} options `now`: it is only worth something on this connection, so it never waits
   * @param {Caller} caller
   * @returns {() => void} ends the call, and its handler on the server
   */
  begin(fields, { timeout, signal, retry = false, now = false }, caller) {
    signal?.throwIfAborted();
    const call = this.#make(fields, caller, retry);
    this.#limit(call, timeout, signal);
    this.#calls.set(call.id, call);
    const { message } = call;
    if (!now) this.#line.post(message);
    else if (!(message.sent = this.#line.send(message.text))) this.#fail(call, failure("disconnected"));
    return () => this.#stop(call);
  }

  /**
   * The server has answered. If nobody waits any longer, it is too late.
   *
   * @param {any} message
   */
  answered(message) {
    const { reply, more, path, status, data } = message;
    const call = this.#calls.get(reply);
    if (!call) return;
    if (more) call.caller.item?.(data);
    else if (path === "error") this.#fail(call, new FinchError(status, data));
    else if (this.#forget(call)) call.caller.end(data, message);
  }

  /** The connection was cut. What was not sent yet still waits in the queue. */
  cut() {
    for (const call of [...this.#calls.values()]) {
      if (!call.message.sent) continue;
      call.message.sent = false;
      if (call.retry) this.#wait(call);
      else this.#fail(call, failure("disconnected"));
    }
  }

  /** There is a new connection: send again what may be sent again. */
  opened() {
    for (const call of [...this.#calls.values()]) {
      if (!call.cut) continue;
      clearTimeout(call.timer);
      // timers stand still while a computer sleeps, so the time counts as well
      const late = Date.now() - call.cut > REMEMBERED;
      call.cut = 0;
      call.again = true;
      if (late) this.#fail(call, failure("disconnected"));
      else this.#line.post(call.message);
    }
  }

  /** The client is closed. */
  close() {
    for (const call of [...this.#calls.values()]) this.#fail(call, failure("closed"));
  }

  /**
   * @param {Fields} fields
   * @param {Caller} caller
   * @param {boolean} retry
   * @returns {Call}
   */
  #make(fields, caller, retry) {
    const { path, data, room } = fields;
    const id = ++this.#last;
    const once = retry ? `${this.#session}:${id}` : undefined;
    const text = JSON.stringify({ ...fields, id, once });
    /** @type {Outgoing["dropped"]} */
    const dropped = (reason) => this.#fail(call, failure(reason === "closed" ? reason : call.again ? "disconnected" : "unsent"));
    const call = { id, message: { text, path, data, room, dropped }, caller, retry, cut: 0, again: false, release: () => {} };
    return call;
  }

  /**
   * @param {Call} call
   * @param {number} [timeout] ms
   * @param {AbortSignal} [signal]
   */
  #limit(call, timeout, signal) {
    const late = () => this.#stop(call, failure("timeout"));
    const aborted = () => this.#stop(call, signal?.reason);
    const timer = timeout && timeout <= LONGEST ? setTimeout(late, timeout) : undefined;
    signal?.addEventListener("abort", aborted);
    call.release = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", aborted);
    };
  }

  /**
   * Let a call wait for the next connection, for as long as the server remembers its answer.
   *
   * @param {Call} call
   */
  #wait(call) {
    call.cut = Date.now();
    call.timer = setTimeout(() => this.#fail(call, failure("disconnected")), REMEMBERED);
  }

  /**
   * @param {Call} call
   * @param {any} error
   */
  #fail(call, error) {
    if (this.#forget(call)) call.caller.fail(error);
  }

  /**
   * End a call that nobody wants to go on.
   *
   * @param {Call} call
   * @param {any} [error] what its caller is told
   */
  #stop(call, error) {
    if (!this.#forget(call)) return;
    if (call.message.sent) this.#line.send(JSON.stringify({ path: "finch.cancel", id: call.id }));
    else this.#line.recall(call.message);
    call.caller.fail(error);
  }

  /**
   * @param {Call} call
   * @returns {boolean} whether somebody still waited for it
   */
  #forget(call) {
    clearTimeout(call.timer);
    call.release();
    return this.#calls.delete(call.id);
  }
}
