/**
 * Who is in a room, as the server tells it: docs/wire.md, "finch.presence".
 */

import { Handlers } from "./handlers.js";

/** @typedef {import("../finch.d.ts").Person} Person */

/**
 * A user is one entry, and so is a client without a user.
 *
 * @param {Person} person
 */
const key = ({ user, client }) => JSON.stringify([user, client]);

export class Presence {
  count = 0;
  /** @type {Map<string, Person>} */
  #people = new Map();
  #handlers = new Handlers();

  [Symbol.iterator]() {
    return this.#people.values();
  }

  /**
   * @param {"change"} event
   * @param {import("./handlers.js").Handler} handler
   */
  on(event, handler) {
    return this.#handlers.on(event, handler);
  }

  /**
   * The answer to a join, or a `finch.presence`: the whole list, changes, or only a number.
   *
   * @param {{ presence?: Person[], joins?: Person[], leaves?: Person[], count?: number }} data
   */
  _take({ presence, joins = [], leaves = [], count }) {
    if (count === undefined) return; // a room without presence
    if (presence) this.#people.clear();
    for (const person of presence ?? joins) this.#people.set(key(person), person);
    for (const person of leaves) this.#people.delete(key(person));
    this.count = count;
    this.#handlers.tell("change", [...this], { joins, leaves });
  }
}
