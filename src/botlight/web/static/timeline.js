/** A session's timeline: its facts, the newest on top. */

import { activityFace } from "./activities.js";
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

/** Reads the facts page by page, and takes those that come through the stream. */
export class Timeline {
  #api;
  #id;
  #list;
  #said;
  #facts = new Map();
  #reading = false;

  constructor(api, id, list, said) {
    this.#api = api;
    this.#id = id;
    this.#list = list;
    this.#said = said;
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
      this.#said.textContent = error.status === 404 ? "" : `Not to be had now: ${error.message}`;
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
    const facts = [...this.#facts.values()].sort((a, b) => b.n - a.n);
    const now = Date.now();
    this.#list.replaceChildren(
      ...facts.map((fact) =>
        element(
          "li",
          { "data-kind": fact.kind },
          element("time", { datetime: fact.at }, clockTime(fact.at, now, { seconds: true })),
          element("span", {}, factWords(fact)),
        ),
      ),
    );
  }
}
