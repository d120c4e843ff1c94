/**
 * Events of a client and of a room. They have a door of their own, since the paths of messages belong to the application.
 */

/**
 * An EventTarget, as finch.d.ts describes it.
 *
 * @typedef {import("../finch.d.ts").Target<any> & Pick<EventTarget, "dispatchEvent">} Target
 */

export const Events = /** @type {new () => Target} */ (/** @type {unknown} */ (EventTarget));

/**
 * @param {Target} target
 * @param {string} type
 * @param {any} [detail]
 */
export const tell = (target, type, detail = null) => {
  target.dispatchEvent(new CustomEvent(type, { detail }));
};
