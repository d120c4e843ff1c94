/**
 * A streamed answer, as an iterator. It asks when its first item is asked for, and keeps what comes faster than it is read.
 */

/** @typedef {import("./calls.js").Caller} Caller */
/** @typedef {IteratorResult<any> | { error: any }} Part */

/** @type {IteratorReturnResult<undefined>} */
const DONE = { done: true, value: undefined };

/** @implements {AsyncIterableIterator<any>} */
export class Stream {
  #begin;
  #begun = false;
  #ended = false;
  #streamed = false;
  /** @type {Part[]} what nobody has asked for yet */
  #parts = [];
  /** @type {((part: any) => void)[]} those who have asked, and wait */
  #asked = [];
  /** Cancels the handler on the server. */
  #stop = () => {};

  /** @param {(caller: Caller) => () => void} begin asks the server, and gives what ends it */
  constructor(begin) {
    this.#begin = begin;
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  /** @returns {Promise<IteratorResult<any>>} */
  next() {
    return new Promise((resolve) => {
      this.#asked.push(resolve);
      if (!this.#begun) this.#start();
      this.#settle();
    });
  }

  /**
   * Called when a loop is left.
   *
   * @returns {Promise<IteratorResult<any>>}
   */
  async return() {
    this.#begun = this.#ended = true;
    this.#parts = [];
    this.#settle();
    this.#stop();
    return DONE;
  }

  /** @param {any} value */
  item(value) {
    this.#streamed = true;
    this.#add({ done: false, value });
  }

  /** @param {any} value */
  end(value) {
    this.#ended = true;
    // an answer that is not streamed is one item
    if (this.#streamed || value === null) this.#settle();
    else this.#add({ done: false, value });
  }

  /** @param {any} error */
  fail(error) {
    if (this.#ended) return; // it was left
    this.#ended = true;
    this.#add({ error });
  }

  #start() {
    this.#begun = true;
    try {
      this.#stop = this.#begin(this);
    } catch (error) {
      this.fail(error);
    }
  }

  /** @param {Part} part */
  #add(part) {
    this.#parts.push(part);
    this.#settle();
  }

  /** Give those who wait what there is. */
  #settle() {
    while (this.#asked.length && (this.#parts.length || this.#ended)) {
      const part = this.#parts.shift() ?? DONE;
      this.#asked.shift()?.("error" in part ? Promise.reject(part.error) : part);
    }
  }
}
