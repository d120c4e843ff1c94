/**
 * When a client comes back: after which close codes, and after what pause. No clock, no sockets.
 */

const FIRST = 2_000; // ms, the longest first pause: 200 clients of a restarted server come back over 2 s, not at once
const LONGEST = 30_000; // ms

/** 1001 going away, 1006 cut, 1011 server error, 1012 restart, 1013 too slow. */
const COME_BACK = [1001, 1006, 1011, 1012, 1013];

/**
 * The pause before the next attempt, in milliseconds: anything up to a bound that doubles ("full jitter").
 *
 * @param {number} failures how many attempts or short connections have failed before
 */
export const pause = (failures) => Math.random() * Math.min(LONGEST, FIRST * 2 ** failures);

/**
 * Whether a connection that ended with this code is to be opened again. docs/wire.md, "Closing".
 *
 * @param {number} code
 */
export const comesBack = (code) => COME_BACK.includes(code) || (code >= 4000 && code < 4500);
