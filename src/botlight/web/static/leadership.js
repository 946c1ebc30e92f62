/**
 * Which tab reads the stream. One does, the others listen to it: a browser opens six connections to a host, and eight
 * tabs with a stream each would hold back every request of the ninth, its Stop too.
 */

/** Calls `lead(signal)` while this tab is the one that reads under this name; the signal aborts when it no longer is. */
export class Leadership {
  #name;
  #lead;
  #term = null;
  #queued = null;
  #ended = false;

  constructor(name, lead) {
    this.#name = name;
    this.#lead = lead;
    document.addEventListener("freeze", this.#step);
    document.addEventListener("resume", this.#join);
    document.addEventListener("visibilitychange", this.#seen);
    this.#join();
  }

  /** Whether tabs can agree at all: not on plain http beyond this computer, where each visible tab reads for itself. */
  static get possible() {
    return Boolean(navigator.locks);
  }

  get leading() {
    return this.#term !== null;
  }

  /** Takes the lead from a tab that went silent with it. */
  steal() {
    if (this.#ended || this.leading || !Leadership.possible) return;
    this.#queued?.abort();
    this.#request({ steal: true });
  }

  /** Leaves for good. */
  end() {
    this.#ended = true;
    document.removeEventListener("freeze", this.#step);
    document.removeEventListener("resume", this.#join);
    document.removeEventListener("visibilitychange", this.#seen);
    this.#queued?.abort();
    this.#step();
  }

  /** A tab about to be frozen hands over in time; one that is frozen without warning is stolen from. */
  #step = () => {
    this.#term?.abort();
    this.#term = null;
  };

  #seen = () => {
    if (Leadership.possible) return;
    if (document.hidden) this.#step();
    else this.#join();
  };

  #join = () => {
    if (this.#ended || this.leading) return;
    if (Leadership.possible) {
      this.#queued?.abort();
      this.#queued = new AbortController();
      this.#request({ signal: this.#queued.signal });
    } else if (!document.hidden) {
      this.#serve();
    }
  };

  async #request(options) {
    let term = null;
    try {
      await navigator.locks.request(this.#name, options, async () => {
        if (this.#ended) return;
        term = new AbortController();
        await this.#serve(term);
      });
    } catch {
      // Either this tab left the queue, or the lock was stolen from it: then it queues again, behind the thief.
      if (term === null) return;
      term.abort();
      this.#term = null;
      this.#join();
    }
  }

  async #serve(term = new AbortController()) {
    this.#term = term;
    // The lock goes with the abort and not with the end of the reading: a tab being frozen has no time for that.
    const over = new Promise((resolve) => term.signal.addEventListener("abort", resolve));
    await Promise.race([this.#lead(term.signal), over]);
    if (this.#term === term) this.#term = null;
  }
}
