/** How fresh a page's picture is, by what was heard and when. Nothing here is live by default. */

import { mark, since } from "./clock.js";

/** The service says `tick` this often. */
const TICK_MS = 15_000;
/** Two missed ticks, and a second for the way: from here on the picture is not live. */
export const LIVE_MS = 2 * TICK_MS + 1000;
/** A page that polls asks this often. */
export const POLL_MS = 10_000;
/** Two missed answers, and a second for the way. */
const POLLED_MS = 2 * POLL_MS + 1000;

/** Keeps what the freshness mark of a card says. The leader's is told to the other tabs, which keep their own time. */
export class Freshness {
  #source = "none";
  #ticked = null;
  #heard = null;
  #refusal = null;
  #silence = null;
  #byToken;

  /** `byToken`: who looks has a token and no sign-in, so that signing in would not help. */
  constructor(byToken = false) {
    this.#byToken = byToken;
  }

  /** A `tick` or a whole list came through the stream: the service is sure to hear changes. */
  ticked() {
    this.#source = "stream";
    this.#ticked = this.#heard = mark();
    this.#refusal = null;
  }

  /** The first question had no answer: from here on the time without word is counted. */
  unheard() {
    this.#silence ??= mark();
  }

  /** Any other message came: the picture is from now, which alone makes nothing live. */
  heard() {
    this.#heard = mark();
  }

  /** A poll was answered. */
  polled() {
    this.#source = "poll";
    this.#heard = mark();
    this.#refusal = null;
  }

  /** The stream ended, or the service said that it is stale. */
  down() {
    if (this.#source === "stream") this.#source = "none";
  }

  /** The service will not have this reader: `problem` is its answer. */
  refused(problem) {
    this.#source = "none";
    this.#refusal = { kind: problem.status === 401 && !this.#byToken ? "signed_out" : "refused", reason: problem.message };
  }

  /** Whether ticks are missing although the stream stands. */
  get overdue() {
    return this.#source === "stream" && since(this.#ticked) >= LIVE_MS;
  }

  /**
   * @returns {{kind: "connecting"|"live"|"polling"|"offline"|"signed_out"|"refused", ageMs: number, reason?: string}}
   *   `ageMs` is the time since anything was heard; 0 before that
   */
  report() {
    const last = this.#heard ?? this.#silence;
    const ageMs = last ? since(last) : 0;
    if (this.#refusal) return { ...this.#refusal, ageMs };
    if (!last) return { kind: "connecting", ageMs };
    if (this.#source === "stream" && !this.overdue) return { kind: "live", ageMs };
    if (this.#source === "poll" && ageMs < POLLED_MS) return { kind: "polling", ageMs };
    return { kind: "offline", ageMs };
  }

  /** For another tab: what is known, without marks, which mean nothing there. */
  toMessage() {
    const age = (start) => (start ? since(start) : null);
    return { source: this.#source, ticked: age(this.#ticked), heard: age(this.#heard), refusal: this.#refusal };
  }

  /** Takes what another tab knows. */
  take({ source, ticked, heard, refusal }) {
    const start = (age) => {
      if (age === null) return null;
      const now = mark();
      return { steady: now.steady - age, wall: now.wall - age };
    };
    this.#source = source;
    this.#ticked = start(ticked);
    this.#heard = start(heard);
    this.#refusal = refusal;
  }
}
