/** Whether somebody is about to press something: a pointer over some elements, a finger down on them, or focus inside. */

import { mark, since } from "./clock.js";

/** A pointer that slips off the cards for a moment has not left. */
const GRACE_MS = 1000;

/** Watches over `zones`; `left` is called once nothing holds any more. */
export class Hand {
  #zones;
  #over = new Set();
  #fingers = new Set();
  #gone = null;

  /** @param {Element[]} zones @param {() => void} left */
  constructor(zones, left) {
    this.#zones = zones;
    const parted = () => {
      this.#gone = mark();
      setTimeout(() => this.holds || left(), GRACE_MS + 50);
    };
    for (const zone of zones) this.#watch(zone, parted);
    // A finger may be lifted anywhere.
    for (const event of ["pointerup", "pointercancel"]) {
      addEventListener(event, ({ pointerId }) => this.#fingers.delete(pointerId) && parted(), { capture: true });
    }
  }

  /** True while nothing in the zones may move, and for a second after. */
  get holds() {
    if (this.#over.size > 0 || this.#fingers.size > 0) return true;
    if (document.hasFocus() && this.#zones.some((zone) => zone.matches(":focus-within"))) return true;
    return this.#gone !== null && since(this.#gone) < GRACE_MS;
  }

  #watch(zone, parted) {
    zone.addEventListener("pointerenter", ({ pointerType }) => pointerType !== "touch" && this.#over.add(zone));
    zone.addEventListener("pointerleave", () => this.#over.delete(zone) && parted());
    zone.addEventListener("pointerdown", ({ pointerId, pointerType }) => {
      if (pointerType === "touch") this.#fingers.add(pointerId);
    });
    zone.addEventListener("focusout", parted);
  }
}
