/**
 * A socket without a WebSocket: it reads a stream of events, and speaks in POSTs. docs/wire.md, "Without a WebSocket".
 * It has of a WebSocket what a connection uses, and its events.
 */

const ENDS_WITHIN = 5_000; // ms in which what was sent before a close may still go out
const AGAIN = 1_000; // ms before a POST that the server has no room for is sent again
const CUT = 1006; // as of a WebSocket that ends without a Close
const TOO_LONG = 1009;

export class EventSocket {
  readyState = 0;
  onopen = (/** @type {any} */ _) => {};
  onmessage = (/** @type {any} */ _) => {};
  onclose = (/** @type {any} */ _) => {};
  onerror = (/** @type {any} */ _) => {};
  #url;
  #control = new AbortController();
  /** @type {string[]} messages that are not sent yet */
  #waiting = [];
  #posting = false;
  #number = 0; // of the last POST
  #stream = ""; // what says that a POST is of this stream
  #most = 0; // bytes of a POST

  /** @param {string} url of a WebSocket */
  constructor(url) {
    this.#url = url.replace(/^ws/, "http");
    this.#read();
  }

  /** @param {string} text */
  send(text) {
    this.#waiting.push(text);
    this.#post();
  }

  /**
   * @param {number} [code]
   * @param {string} [_reason] nobody gets it
   */
  close(code, _reason) {
    if (code !== undefined && code !== 1000 && !(code >= 3000 && code < 5000)) throw new DOMException("", "InvalidAccessError");
    if (this.readyState > 1) return;
    this.readyState = 2;
    const end = () => this.#control.abort();
    if (code !== undefined && this.#posting) setTimeout(end, ENDS_WITHIN);
    else end();
  }

  /**
   * @param {string} url
   * @param {RequestInit} init
   */
  #fetch(url, init) {
    // WebSockets send cookies to other origins as well
    return fetch(url, { ...init, credentials: "include", signal: this.#control.signal });
  }

  async #read() {
    let why = "";
    try {
      const { status, body } = await this.#fetch(this.#url, { headers: { accept: "text/event-stream" } });
      if (status !== 200 || !body) throw new Error(`the status is ${status}`);
      const reader = body.getReader();
      const decoder = new TextDecoder();
      let rest = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        const events = (rest + decoder.decode(value, { stream: true })).split("\n\n");
        rest = String(events.pop());
        for (const event of events) this.#heard(event);
      }
    } catch (error) {
      why = String(error);
    }
    this.#end(CUT, why);
  }

  /** @param {string} event */
  #heard(event) {
    const [, type, data] = /^(?:event: (.*)\n)?data: (.*)$/.exec(event) ?? []; // anything else is a comment, or of a later version
    if (type === "close") {
      const { code, reason } = JSON.parse(data);
      this.#end(code, reason);
    } else if (type === "open") {
      ({ stream: this.#stream, most: this.#most } = JSON.parse(data));
      if (this.readyState) return;
      this.readyState = 1;
      this.onopen({});
    } else if (!type && data && this.readyState === 1) this.onmessage({ data });
  }

  /** Send what waits: one POST at a time, so that everything stays in order. */
  async #post() {
    if (this.#posting) return;
    this.#posting = true;
    try {
      await null; // what is said in one go goes in one POST
      while (this.#waiting.length && this.readyState < 3) await this.#postSome();
    } catch (error) {
      this.#end(CUT, String(error));
    }
    this.#posting = false;
    if (this.readyState > 1) this.#control.abort();
  }

  async #postSome() {
    let size = 0;
    // a character has at most three bytes, and a line its end
    const over = this.#waiting.findIndex((text) => (size += 3 * text.length + 1) > this.#most);
    const body = this.#waiting.splice(0, over < 0 ? this.#waiting.length : over || 1).join("\n");
    const headers = { "finch-stream": `${this.#stream} ${++this.#number}` };
    for (;;) {
      const { status } = await this.#fetch(this.#url, { method: "POST", headers, body });
      if (status === 204) return;
      if (status !== 429) return this.#end(status === 413 ? TOO_LONG : CUT, `a POST has the status ${status}`);
      await new Promise((done) => setTimeout(done, AGAIN));
    }
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  #end(code, reason) {
    if (this.readyState > 2) return;
    this.readyState = 3;
    this.#control.abort();
    this.onclose({ code, reason });
  }
}
