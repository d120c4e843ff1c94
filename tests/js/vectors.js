/** The exchanges of tests/wire/vectors.json, and what their placeholders stand for. docs/wire.md describes them. */

import { readFileSync } from "node:fs";

const FILE = new URL("../wire/vectors.json", import.meta.url);

/** @type {{ name: string, steps: any[] }[]} */
export const EXCHANGES = JSON.parse(readFileSync(FILE, "utf-8")).exchanges;

const PLACEHOLDER = /<(timestamp|text|id|call|client|epoch)(-\w+)?>/g;
const WHOLE = new RegExp(`^${PLACEHOLDER.source}$`);
const EACH_TIME_ANOTHER = ["timestamp", "text"];
const KINDS = {
  timestamp: (value) => Number.isInteger(value) && value > 1_600_000_000_000,
  text: (value) => typeof value === "string" && value !== "",
  id: (value) => value !== undefined && value !== null,
  call: (value) => typeof value === "string" && value !== "",
  client: (value) => typeof value === "string" && /^[\w-]{22}$/.test(value),
  epoch: (value) => typeof value === "string" && /^[\w-]{1,32}$/.test(value),
};

/** What the placeholders of one exchange stand for. */
export class Known {
  #values = new Map();
  #make;

  /** @param {(kind: string, name: string, values: Map<string, any>) => any} make a value for a placeholder that has none yet */
  constructor(make) {
    this.#make = make;
  }

  /** A message, each placeholder replaced. */
  filled(value) {
    if (Array.isArray(value)) return value.map((item) => this.filled(item));
    if (value !== null && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, this.filled(item)]));
    }
    if (typeof value !== "string") return value;
    const whole = WHOLE.exec(value);
    if (whole) return this.#value(whole[0], whole[1]);
    return value.replace(PLACEHOLDER, (found, kind) => String(this.#value(found, kind)));
  }

  /** Whether a message is the expected one, with its keys in the same order. */
  fits(expected, got) {
    const whole = typeof expected === "string" && WHOLE.exec(expected);
    if (whole) {
      const [found, kind] = whole;
      if (!KINDS[kind](got)) return false;
      if (EACH_TIME_ANOTHER.includes(kind)) return true;
      if (!this.#values.has(found)) this.#values.set(found, got);
      return this.#values.get(found) === got;
    }
    if (expected === null || typeof expected !== "object") return expected === got;
    if (got === null || typeof got !== "object" || Array.isArray(expected) !== Array.isArray(got)) return false;
    const keys = Object.keys(expected);
    return keys.join("\n") === Object.keys(got).join("\n") && keys.every((key) => this.fits(expected[key], got[key]));
  }

  #value(found, kind) {
    if (EACH_TIME_ANOTHER.includes(kind)) return this.#make(kind, found, this.#values);
    if (!this.#values.has(found)) this.#values.set(found, this.#make(kind, found, this.#values));
    return this.#values.get(found);
  }
}
