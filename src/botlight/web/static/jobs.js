/** The proof list: the jobs behind a session's counters. */

import { countWords } from "./card_words.js";
import { element, setText, webAddress } from "./element.js";
import { clockTime } from "./time_words.js";

const PAGE = 50;
const COUNTERS = { applied: "jobs_applied", failed: "jobs_failed" };
const EMPTY = "No job is itemised here.";

/** A job's row. Its link leads to the web or is none. */
function row(job) {
  const address = webAddress(job.url);
  const title = job.title || job.key;
  const name = address ? element("a", { href: address, rel: "noopener noreferrer nofollow", target: "_blank" }, title) : title;
  const credits = job.credits === null ? null : `${countWords(job.credits)} credits`;
  return element(
    "li",
    { "data-outcome": job.outcome },
    element("span", { class: "outcome" }, job.outcome),
    element("span", { class: "job" }, element("strong", {}, name), element("span", { class: "hint" }, [job.company, job.reason, credits].filter(Boolean).join(" · "))),
    element("time", { datetime: job.at }, clockTime(job.at, Date.now())),
  );
}

/** Shows the jobs of one outcome, or all, page by page; asks again when the counters have moved. */
export class JobList {
  #api;
  #id;
  #parts;
  #outcome = null;
  #cursor = null;
  #session = null;
  #known = new Set();
  #reading = Promise.resolve();

  constructor(api, id, parts) {
    this.#api = api;
    this.#id = id;
    this.#parts = parts;
    parts.more.addEventListener("click", () => this.#read());
  }

  /** Starts over with the jobs of one outcome; null: all. */
  show(outcome) {
    this.#outcome = outcome;
    this.#cursor = null;
    this.#known.clear();
    this.#parts.list.replaceChildren();
    this.#read();
  }

  /** Takes the session's newest document: when its counters moved there may be more jobs. */
  counted(session) {
    const moved = !this.#session || ["jobs_applied", "jobs_failed", "jobs_found"].some((name) => session[name] !== this.#session[name]);
    this.#session = session;
    if (moved && this.#parts.more.hidden) this.#read();
    this.#say();
  }

  /** One page at a time, in order. */
  #read() {
    this.#reading = this.#reading.then(() => this.#page());
  }

  async #page() {
    const outcome = this.#outcome;
    const query = { limit: PAGE };
    if (outcome) query.outcome = outcome;
    if (this.#cursor !== null) query.cursor = this.#cursor;
    try {
      const page = await this.#api.get(`sessions/${encodeURIComponent(this.#id)}/jobs`, { query });
      if (outcome !== this.#outcome) return;
      const fresh = page.jobs.filter(({ n }) => !this.#known.has(n));
      for (const { n } of fresh) this.#known.add(n);
      this.#parts.list.append(...fresh.map(row));
      if (page.next_cursor !== null) this.#cursor = page.next_cursor;
      this.#parts.more.hidden = page.next_cursor === null;
      this.#say();
    } catch (error) {
      setText(this.#parts.said, error.status === 404 ? "" : `Not to be had now: ${error.message}`);
    }
  }

  /** "3 not itemised": what a counter has more than rows. */
  #say() {
    const rows = this.#parts.list.childElementCount;
    const counted = this.#session?.[COUNTERS[this.#outcome]] ?? 0;
    const missing = this.#parts.more.hidden ? Math.max(0, counted - rows) : 0;
    const words = missing ? `${countWords(missing)} not itemised by the bot.` : rows ? "" : EMPTY;
    setText(this.#parts.said, words);
  }
}
