/** A session's timeline: its facts, the newest on top. */

import { activityFace } from "./activities.js";
import { detailWords } from "./card_words.js";
import { element } from "./element.js";
import { clockTime, duration } from "./time_words.js";

const PAGE = 200;

const WORDS = {
  "session.started": () => "Started",
  "session.attached": () => "Went on in a new process",
  "session.lost": () => "Not heard any more",
  "session.recovered": () => "Heard again",
  "session.ended": ({ outcome, inferred }) => `Ended${outcome ? `: ${outcome}` : ""}${inferred ? ", concluded from silence" : ""}`,
  "stop.requested": ({ reason }) => `Stop requested${reason ? `: ${reason}` : ""}`,
  "stop.delivered": () => "Stop delivered to the bot",
  "stop.seen": () => "Stop seen by the bot",
  slept: ({ gap_ms: gap }) => `The computer slept${gap ? ` for ${duration(gap)}` : ""}`,
};

/** What a fact says: text, whatever a bot put in. A kind that is not known is shown by its name. */
export function factWords({ kind, data }) {
  if (kind === "activity") {
    const { emoji, label } = activityFace(data.name);
    return `${emoji} ${label}`;
  }
  return WORDS[kind]?.(data) ?? kind.replaceAll(/[._]/gu, " ");
}

/** What stands below a fact: the job that an activity was about, and the error that the bot ended with. */
function moreWords({ kind, at, data }, session) {
  if (kind === "activity") return detailWords(data.details);
  if (kind !== "session.ended" || session?.ended_at !== at) return "";
  return [session.error_type, session.error_message].filter(Boolean).join(": ");
}

/** Reads the facts page by page, and takes those that come through the stream. */
export class Timeline {
  #api;
  #id;
  #list;
  #said;
  #missing;
  #facts = new Map();
  #session = null;
  #reading = false;

  /** `missing(words)` is called when there is no such session. */
  constructor(api, id, { list, said, missing }) {
    this.#api = api;
    this.#id = id;
    this.#list = list;
    this.#said = said;
    this.#missing = missing;
  }

  /** Takes the session's newest document: its error belongs to the end. */
  about(session) {
    const told = this.#session?.error_message === session.error_message && this.#session?.ended_at === session.ended_at;
    this.#session = session;
    if (!told) this.#draw();
  }

  /** Reads everything again. */
  async read() {
    if (this.#reading) return;
    this.#reading = true;
    try {
      let cursor = null;
      do {
        const query = { limit: PAGE, ...(cursor === null ? {} : { cursor }) };
        const page = await this.#api.get(`sessions/${encodeURIComponent(this.#id)}/timeline`, { query });
        for (const fact of page.facts) this.#facts.set(fact.n, fact);
        cursor = page.next_cursor;
      } while (cursor !== null);
      this.#said.textContent = this.#facts.size ? "" : "Nothing yet.";
      this.#draw();
    } catch (error) {
      if (error.status === 404 || error.status === 410) this.#missing("There is no such session");
      else this.#said.textContent = `Not to be had now: ${error.message}`;
    } finally {
      this.#reading = false;
    }
  }

  /** Takes one fact from the stream. */
  add(fact) {
    this.#facts.set(fact.n, fact);
    this.#said.textContent = "";
    this.#draw();
  }

  #draw() {
    // By their own times: what a bot could not say during an outage comes late.
    const facts = [...this.#facts.values()].sort((a, b) => Date.parse(b.at) - Date.parse(a.at) || b.n - a.n);
    const now = Date.now();
    let above = "";
    this.#list.replaceChildren(
      ...facts.map((fact) => {
        const more = moreWords(fact, this.#session);
        // What was done about one job stands together, with its name once.
        const same = more !== "" && more === above;
        above = more;
        return element(
          "li",
          { "data-kind": fact.kind, "data-same": same },
          element("time", { datetime: fact.at }, clockTime(fact.at, now, { seconds: true })),
          element("span", {}, factWords(fact), more && !same ? element("span", { class: "about" }, more) : null),
        );
      }),
    );
  }
}
