/** The proof list: the jobs behind a session's counters, the newest on top. */

import { countWords } from "./card_words.js";
import { mark, pause, since } from "./clock.js";
import { element, setText, webAddress } from "./element.js";
import { clockTime } from "./time_words.js";

/** What the service gives at most in one page. */
const PAGE = 200;
/** What is shown at first, and more with each press. */
const STEP = 50;
/** A session that changes all the time is asked about no more often. */
const ASK_MS = 1000;
const COUNTERS = { applied: "jobs_applied", failed: "jobs_failed" };
const STRENGTH = { skipped: 0, failed: 1, applied: 2 };
const SKIPPED = "Skipped jobs count neither as applied nor as failed, so progress may be ahead of the counters.";

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

/**
 * Reads all jobs, which the service gives oldest first, and goes on from there when the session has changed. Shows those
 * of one outcome, or all.
 */
export class JobList {
  #api;
  #id;
  #parts;
  #outcome = null;
  #shown = STEP;
  #cursor = null;
  #complete = false;
  #session = null;
  #jobs = new Map();
  #rows = new Map();
  #reading = false;
  #again = false;

  /** `parts` are the elements `list`, `said` and `more`. */
  constructor(api, id, parts) {
    this.#api = api;
    this.#id = id;
    this.#parts = parts;
    parts.more.addEventListener("click", () => {
      this.#shown += STEP;
      this.#draw();
    });
  }

  /** Shows the jobs of one outcome; null: all. */
  show(outcome) {
    this.#outcome = outcome;
    this.#shown = STEP;
    this.#draw();
  }

  /** Takes the session's newest document: when it has changed there may be more jobs. */
  counted(session) {
    const moved = this.#session?.revision !== session.revision;
    this.#session = session;
    if (moved) this.read();
    this.#say();
  }

  /** Reads what is new. One reading at a time; a wish meanwhile is met afterwards. */
  async read() {
    this.#again = true;
    if (this.#reading) return;
    this.#reading = true;
    while (this.#again) {
      this.#again = false;
      const began = mark();
      await this.#pages();
      if (this.#again) await pause(ASK_MS - since(began));
    }
    this.#reading = false;
  }

  async #pages() {
    try {
      let page;
      do {
        const query = { limit: PAGE, ...(this.#cursor === null ? {} : { cursor: this.#cursor }) };
        page = await this.#api.get(`sessions/${encodeURIComponent(this.#id)}/jobs`, { query });
        for (const job of page.jobs) this.#take(job);
        if (page.next_cursor !== null) this.#cursor = page.next_cursor;
      } while (page.next_cursor !== null);
      this.#complete = true;
      this.#draw();
    } catch (error) {
      setText(this.#parts.said, error.status === 404 ? "" : `Not to be had now: ${error.message}`);
    }
  }

  /** A job is listed once, under its strongest outcome. */
  #take(job) {
    const known = this.#jobs.get(job.key);
    if (!known || STRENGTH[job.outcome] >= STRENGTH[known.outcome]) this.#jobs.set(job.key, job);
  }

  #draw() {
    const { list, more } = this.#parts;
    const wanted = this.#of(this.#outcome).sort((a, b) => b.n - a.n);
    wanted.slice(0, this.#shown).forEach((job, index) => {
      if (!this.#rows.has(job.n)) this.#rows.set(job.n, row(job));
      const item = this.#rows.get(job.n);
      if (list.children[index] !== item) list.insertBefore(item, list.children[index] ?? null);
    });
    while (list.children.length > Math.min(wanted.length, this.#shown)) list.lastElementChild.remove();
    more.hidden = wanted.length <= this.#shown;
    this.#say();
  }

  #of(outcome) {
    const all = [...this.#jobs.values()];
    return outcome ? all.filter((job) => job.outcome === outcome) : all;
  }

  /** "38 more applied": what a counter has more than rows. */
  #say() {
    if (!this.#complete) return setText(this.#parts.said, "Reading…");
    const missing = Object.entries(COUNTERS)
      .filter(([outcome]) => this.#outcome === null || this.#outcome === outcome)
      .map(([outcome, name]) => [Math.max(0, (this.#session?.[name] ?? 0) - this.#of(outcome).length), outcome])
      .filter(([count]) => count > 0)
      .map(([count, outcome]) => `${countWords(count)} more ${outcome}`);
    const sentences = [
      missing.length ? `${missing.join(" and ")}, not itemised by the bot.` : this.#of(this.#outcome).length ? "" : "No job is itemised here.",
      this.#outcome === "skipped" || (this.#outcome === null && this.#of("skipped").length) ? SKIPPED : "",
    ];
    return setText(this.#parts.said, sentences.filter(Boolean).join(" "));
  }
}
