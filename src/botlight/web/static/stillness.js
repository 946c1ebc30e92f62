/** Notices that buttons were moved under a pointer by something other than scrolling, and for how long they stay deaf. */

import { mark, since } from "./clock.js";

/** How long a person needs to see that something else is under the pointer now. */
const DEAF_MS = 600;
/** A shift that leaves a button where it was for a finger. */
const SHIFT_PX = 6;

/** Keeps where one element stands. New, and each time it has been moved, it is deaf for a moment. */
export class Stillness {
  #target;
  #changed;
  #place = null;
  #moved = null;

  /** `changed` is called when the deafness begins and when it ends. */
  constructor(target, changed) {
    this.#target = target;
    this.#changed = changed;
  }

  /** Whether a press by pointer counts for nothing now. */
  get deaf() {
    return this.#moved !== null && since(this.#moved) < DEAF_MS;
  }

  /** Looks where the element stands now. */
  look() {
    const box = this.#target.getBoundingClientRect();
    if (box.width === 0 && box.height === 0) return;
    const place = { x: box.left, y: box.top, pageX: box.left + scrollX, pageY: box.top + scrollY };
    const before = this.#place;
    this.#place = place;
    if (before === null || shifted(before, place)) this.#began();
  }

  #began() {
    this.#moved = mark();
    this.#changed();
    setTimeout(() => this.deaf || this.#changed(), DEAF_MS + 20);
  }
}

/** Scrolling moves an element in the window alone, and the browser's own scroll anchoring on the page alone. */
function shifted(before, after) {
  const far = (...names) => names.some((name) => Math.abs(after[name] - before[name]) > SHIFT_PX);
  return far("x", "y") && far("pageX", "pageY");
}
