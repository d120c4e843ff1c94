/**
 * How far a client has read each room, `finch.everyone` and `finch.user`: docs/wire.md, "Positions".
 * It decides whether a numbered message is new.
 */

/** @typedef {{ epoch: string, seq: number }} Position */

export class Positions {
  /** @type {Map<string, Position | null>} */
  #known = new Map();
  #prefix;

  /** @param {string | undefined} prefix of the keys in the page's sessionStorage; undefined to keep all in memory */
  constructor(prefix) {
    this.#prefix = prefix;
  }

  /**
   * @param {string} room
   * @returns {string | undefined} as `epoch:seq`
   */
  get(room) {
    const position = this.#find(room);
    return position ? `${position.epoch}:${position.seq}` : undefined;
  }

  /**
   * @param {string} room
   * @param {string} text as `epoch:seq`
   */
  set(room, text) {
    const [epoch, seq] = text.split(":");
    this.#put(room, { epoch, seq: Number(seq) });
  }

  /**
   * The answer to a join has come.
   *
   * @param {string} room
   * @param {import("../finch.d.ts").Message} message
   */
  joined(room, { epoch, seq, data }) {
    const stays = data.recovered && this.#find(room)?.epoch === epoch;
    if (epoch === undefined) this.forget(room);
    else if (!stays) this.#put(room, { epoch: String(epoch), seq: Number(seq) - (data.missed ?? 0) });
  }

  /**
   * A message with this number has come.
   *
   * @param {string} room
   * @param {number} seq
   * @returns {boolean} whether it is new
   */
  advance(room, seq) {
    const position = this.#find(room);
    if (!position) return true; // nothing has told where it is
    if (seq <= position.seq) return false;
    this.#put(room, { epoch: position.epoch, seq });
    return true;
  }

  /** @param {string} room */
  forget(room) {
    this.#known.set(room, null);
    this.#stored(room, (storage, key) => storage.removeItem(key));
  }

  /** @param {string} room */
  #find(room) {
    if (!this.#known.has(room)) {
      this.#known.set(room, null);
      this.#stored(room, (storage, key) => {
        const text = storage.getItem(key);
        if (text) this.set(room, text);
      });
    }
    return this.#known.get(room);
  }

  /**
   * @param {string} room
   * @param {Position} position
   */
  #put(room, position) {
    this.#known.set(room, position);
    this.#stored(room, (storage, key) => storage.setItem(key, `${position.epoch}:${position.seq}`));
  }

  /**
   * @param {string} room
   * @param {(storage: Storage, key: string) => void} use
   */
  #stored(room, use) {
    if (this.#prefix === undefined) return;
    try {
      use(sessionStorage, this.#prefix + room);
    } catch {
      // full, or forbidden: then it is kept in memory only
    }
  }
}
