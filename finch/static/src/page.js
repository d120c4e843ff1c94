/**
 * What a page tells about itself: it is shown again, it comes back from the browser's cache, the network is back.
 * Browsers slow down the timers of hidden pages, so these are the moments when a client looks after its connection.
 */

/**
 * Call a function whenever the page wakes up. Never where there are no pages, as in Node.
 *
 * @param {() => void} wake
 * @param {AbortSignal} signal ends it
 */
export const watch = (wake, signal) => {
  const { document } = globalThis;
  document?.addEventListener("visibilitychange", () => document.hidden || wake(), { signal });
  globalThis.addEventListener?.("online", wake, { signal });
  globalThis.addEventListener?.("pageshow", (event) => event.persisted && wake(), { signal });
};
