/** The bots that were turned away: they stay silent themselves, so their owner is told here. */

import { element } from "./element.js";
import { clockTime } from "./time_words.js";

const EVERY_MS = 10_000;

/** Asks with each new list and every ten seconds while the page is looked at. */
export class RefusalList {
  #api;
  #box;
  #list;
  #still;
  #shown = "";

  /** `still` is true while nothing below the box may be moved: it then waits for the next round. */
  constructor(api, box, list, still) {
    this.#api = api;
    this.#box = box;
    this.#list = list;
    this.#still = still;
    setInterval(() => document.hidden || this.ask(), EVERY_MS);
  }

  /** Asks now. Trouble leaves the list as it was: the page's freshness mark tells of it. */
  async ask() {
    try {
      const { refusals } = await this.#api.get("refusals");
      this.#show(refusals);
    } catch {
      // see above
    }
  }

  /** Leaves nothing of it on the page. */
  clear() {
    this.#shown = "";
    this.#box.hidden = true;
    this.#list.replaceChildren();
  }

  #show(refusals) {
    const told = JSON.stringify(refusals);
    if (told === this.#shown || this.#still()) return;
    this.#shown = told;
    this.#box.hidden = refusals.length === 0;
    this.#list.replaceChildren(
      ...refusals.map(({ at, address, reason }) =>
        element("li", {}, `Refused a bot at ${clockTime(at, Date.now())} from ${address}: ${reason}`),
      ),
    );
  }
}
