/**
 * What is sent while the client is away: it waits here, bounded in number and age.
 */

const MOST = 64; // messages
const LONGEST = 30_000; // ms

/** @typedef {"old" | "full" | "closed"} Reason */

/**
 * A message of the client.
 *
 * @typedef {object} Outgoing
 * @property {string} text as it is sent
 * @property {string} path
 * @property {unknown} data
 * @property {string} [room]
 * @property {boolean} [sent] whether it was sent on the present connection
 * @property {(reason: Reason) => void} [dropped] it will not be sent
 */

export class Queue {
  /** @type {Map<Outgoing, { since: number, timer: any }>} oldest first */
  #waiting = new Map();
  #tell;

  /** @param {(message: Outgoing, reason: Reason) => void} tell is told of each message that is dropped */
  constructor(tell) {
    this.#tell = tell;
  }

  /**
   * @param {Outgoing} message
   * @returns {boolean} false if 64 messages wait already
   */
  push(message) {
    if (this.#waiting.size >= MOST) return this.drop(message, "full");
    const timer = setTimeout(() => this.drop(message, "old"), LONGEST);
    this.#waiting.set(message, { since: Date.now(), timer });
    return true;
  }

  /**
   * Take all messages out, oldest first. Timers stand still while a computer sleeps, so their age counts as well.
   *
   * @param {(message: Outgoing) => void} send
   */
  flush(send) {
    for (const [message, { since }] of [...this.#waiting]) {
      if (Date.now() - since > LONGEST) this.drop(message, "old");
      else if (this.remove(message)) send(message);
    }
  }

  /** The client is closed: drop everything. */
  close() {
    for (const message of [...this.#waiting.keys()]) this.drop(message, "closed");
  }

  /**
   * @param {Outgoing} message
   * @returns {boolean} whether it waited here
   */
  remove(message) {
    clearTimeout(this.#waiting.get(message)?.timer);
    return this.#waiting.delete(message);
  }

  /**
   * @param {Outgoing} message
   * @param {Reason} reason
   * @returns {false}
   */
  drop(message, reason) {
    this.remove(message);
    message.dropped?.(reason);
    this.#tell(message, reason);
    return false;
  }
}
