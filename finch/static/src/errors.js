/**
 * What goes wrong: the error of a call, and what becomes of an exception in an application's handler.
 */

/** @typedef {import("../finch.d.ts").Code} Code */

/** @type {Record<Code, string>} */
const MEANING = {
  refused: "the server refused it",
  disconnected: "the connection was cut before the answer came",
  unsent: "it was not sent: it has waited too long for a connection, or too much waits",
  timeout: "no answer came in time",
  closed: "the client is closed, or has left the room",
};

/** Why a call has failed. */
export class FinchError extends Error {
  static name = "FinchError"; // the bundle has short names
  /**
   * @param {number} status as in HTTP; 0 if the client made the error
   * @param {any} [data] what the server says about it
   * @param {Code} [code]
   */
  constructor(status, data = null, code = "refused") {
    super(data?.message ?? (typeof data === "string" ? data : MEANING[code]));
    this.name = FinchError.name;
    this.status = status;
    this.data = data;
    this.code = code;
  }
}

/**
 * An error that the client itself makes.
 *
 * @param {Code} code
 */
export const failure = (code) => new FinchError(0, null, code);

/**
 * Tell the console of an exception in an application's handler. It concerns nobody else.
 *
 * @param {unknown} error
 */
export const report = (error) => (globalThis.reportError ?? console.error)(error);
