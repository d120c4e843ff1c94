/** The public names. finch.d.ts documents them, and these lines are checked against it. */

import { FinchError } from "./errors.js";
import { Finch } from "./finch.js";

/** @type {typeof import("../finch.d.ts").connect} */
export const connect = (url, options) => new Finch(url, options);

/** @satisfies {typeof import("../finch.d.ts").FinchError} */
export { FinchError };
