/**
 * The handlers of an application, by path. A path may have several; what one of them throws does not reach the others.
 */

import { report } from "./errors.js";

/** @typedef {(...args: any[]) => unknown} Handler */

export class Handlers {
  /** @type {Map<string, Set<Handler>>} */
  #paths = new Map();

  /**
   * @param {string} path
   * @param {Handler} handler
   * @returns {() => void} removes the handler
   */
  on(path, handler) {
    const handlers = this.#paths.get(path) ?? new Set();
    this.#paths.set(path, handlers.add(handler));
    return () => void handlers.delete(handler);
  }

  /**
   * Call the handlers of a path.
   *
   * @param {string} path
   * @param {...any} args
   * @returns {boolean} whether there is one
   */
  tell(path, ...args) {
    const handlers = [...(this.#paths.get(path) ?? [])]; // a copy: a handler may remove itself
    for (const handler of handlers) {
      try {
        handler(...args);
      } catch (error) {
        report(error);
      }
    }
    return handlers.length > 0;
  }
}
