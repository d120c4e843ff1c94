/**
 * The rooms of a client, by name.
 */

import { Room } from "./room.js";

export class Rooms {
  /** @type {Map<string, Room>} */
  #rooms = new Map();
  /** @type {string[]} rooms that were left, as long as the server has not said so: messages may be under way */
  #leaving = [];
  #home;

  /** @param {Omit<import("./room.js").Home, "leave">} home */
  constructor(home) {
    this.#home = { ...home, leave: (/** @type {string} */ name) => this.#leave(name) };
  }

  /**
   * @param {string} name
   * @param {import("../finch.d.ts").JoinOptions} [options]
   */
  join(name, options = {}) {
    const known = this.#rooms.get(name);
    if (known && known.state !== "refused") return known;
    const room = known ?? new Room(name, options, this.#home);
    room._expect();
    room._join(); // throws if its meta is no JSON; then it is not asked for on later connections either
    this.#rooms.set(name, room);
    return room;
  }

  /** @param {string | undefined} name */
  get(name) {
    return this.#rooms.get(/** @type {string} */ (name));
  }

  /**
   * Whether a message is of a room that was left before it came.
   *
   * @param {string | undefined} name
   */
  hasLeft(name) {
    return this.#leaving.includes(/** @type {string} */ (name));
  }

  /** There is a new connection. */
  opened() {
    for (const room of this.#rooms.values()) room._opened();
  }

  /** The connection was cut. */
  cut() {
    for (const room of this.#rooms.values()) room._cut();
  }

  /**
   * The client is closed.
   *
   * @param {import("./errors.js").FinchError} error
   */
  close(error) {
    for (const room of this.#rooms.values()) room._reject(error);
  }

  /** @param {string} name */
  #leave(name) {
    this.#rooms.delete(name);
    this.#home.positions.forget(name);
    this.#leaving.push(name);
    const left = () => void this.#leaving.splice(this.#leaving.indexOf(name), 1);
    this.#home.calls.begin({ path: "finch.leave", room: name }, { now: true }, { end: left, fail: left });
  }
}
