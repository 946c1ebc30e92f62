/** The service's clock as seen from here, and a stop-watch that notices when this computer slept. */

/** An instant to measure from with `since`. */
export const mark = () => ({ steady: performance.now(), wall: Date.now() });

/**
 * Milliseconds since a mark. The steady clock stands still while a computer sleeps and the wall clock may be set back,
 * so the longer of the two counts: a picture may look older than it is, never fresher.
 */
export const since = (start) => Math.max(performance.now() - start.steady, Date.now() - start.wall);

/** Resolves after `ms`, or at once when the signal aborts. Never rejects. */
export function pause(ms, signal) {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done);
  });
}

/** Beyond this difference a clock was set; below it an answer was merely slow. */
const STEP_MS = 2000;

/** What time it is at the service. Until it was heard once, this computer's own time stands in. */
export class ServiceClock {
  #at = null;
  #mark = null;

  /** Notes an instant that the service has just said (RFC 3339 text). A slow answer never sets the clock back. */
  hear(serverTime) {
    const told = Date.parse(serverTime);
    if (Number.isNaN(told)) return;
    const behind = this.#at === null ? 0 : this.now() - told;
    if (behind > 0 && behind < STEP_MS) return;
    this.#at = told;
    this.#mark = mark();
  }

  /** Milliseconds since 1970 by the service's clock. */
  now() {
    return this.#at === null ? Date.now() : this.#at + since(this.#mark);
  }
}
