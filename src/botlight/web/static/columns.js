/**
 * Lays a list of cards out in columns without holes, in the order of the list: each card under the one before it in its
 * column, so that one that grows moves nothing in the other columns. The style sheet makes the list a grid of short rows.
 */

const LEAST_PX = 376;
const ROW_PX = 4;

/** Keeps one list laid out for as long as the page lives. */
export class Columns {
  #list;
  #still;
  #moved;
  #sizes = new ResizeObserver(() => this.lay());

  /**
   * @param {Element} list its items hold one card each
   * @param {() => boolean} still true while no card may give up room, since those below it would jump
   * @param {() => void} moved called after each layout
   */
  constructor(list, still, moved) {
    this.#list = list;
    this.#still = still;
    this.#moved = moved;
    addEventListener("resize", () => this.lay());
  }

  /** Lays the cards out anew: after items came, went or changed places; sizes are watched. */
  lay() {
    const items = [...this.#list.children];
    const gap = Number.parseFloat(getComputedStyle(this.#list).columnGap) || 0;
    const columns = Math.max(1, Math.floor((this.#list.clientWidth + gap) / (LEAST_PX + gap)));
    this.#list.style.gridTemplateColumns = `repeat(${columns}, minmax(0, 1fr))`;
    const heights = items.map((item) => item.firstElementChild.getBoundingClientRect().height);
    items.forEach((item, index) => {
      this.#sizes.observe(item.firstElementChild);
      const needed = Math.ceil((heights[index] + gap) / ROW_PX);
      const rows = this.#still() ? Math.max(needed, Number(item.dataset.rows ?? 0)) : needed;
      item.dataset.rows = rows;
      item.style.gridColumn = String((index % columns) + 1);
      item.style.gridRow = `span ${rows}`;
    });
    this.#moved();
  }
}
