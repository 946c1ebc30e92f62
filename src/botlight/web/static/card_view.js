/** The face of one card: builds its elements once, then writes into them what has changed. */

import { activityFace } from "./activities.js";
import {
  COUNTERS,
  STATE_NAMES,
  afterlifeNote,
  countWords,
  detailWords,
  freshnessWords,
  heardWords,
  lastKnownNote,
  pauseWords,
  runningTime,
  standsStill,
  stateNote,
} from "./card_words.js";
import { element, setAttribute, setText } from "./element.js";
import { hasEnded, heardAt } from "./shown_state.js";
import { stopSteps } from "./stop_steps.js";
import { duration } from "./time_words.js";

const span = (name, attributes = {}) => element("span", { part: name, class: name, ...attributes });

function counter(name, label) {
  const value = element("dd", { class: "value", "data-counter": name }, "0");
  const caption = element("a", {}, label);
  return { row: element("div", { class: "counter" }, value, element("dt", {}, caption)), value, caption };
}

/** One card's elements. The custom element owns it, gives it the picture, and listens to its buttons. */
export class CardView {
  constructor() {
    this.pill = span("state");
    this.fresh = span("fresh");
    this.name = element("a", {});
    this.emoji = span("emoji", { "aria-hidden": "true" });
    this.label = span("label");
    this.since = span("since");
    this.details = element("p", { class: "details" });
    this.note = element("p", { class: "note" });
    this.counters = new Map(COUNTERS.map(([name, label]) => [name, counter(name, label)]));
    this.others = element("dl", { class: "others" });
    this.bar = element("progress", { "aria-label": "Progress" });
    this.done = span("done");
    this.progress = element("div", { class: "progress" }, this.bar, this.done);
    this.error = element("p", { class: "error" });
    this.steps = element("ol", { class: "steps", "aria-label": "Stop" });
    this.elapsed = span("elapsed");
    this.heard = span("heard");
    this.stop = element("button", { type: "button", part: "stop", class: "stop" });
    this.close = element("button", { type: "button", class: "close" }, "Mark as ended");
    this.said = span("said", { role: "status" });
    this.signIn = element("a", { class: "sign-in" }, "Sign in");
    this.announced = element("p", { class: "spoken", role: "status" });
    this.root = this.#assemble();
  }

  #assemble() {
    const counters = [...this.counters.values()].map(({ row }) => row);
    this.activity = element("p", { class: "activity" }, this.emoji, this.label, this.since);
    this.footer = element("footer", {}, element("span", { class: "times" }, this.elapsed, this.heard), element("span", { class: "actions" }, this.signIn, this.close, this.stop), this.said);
    this.body = element("div", { class: "body" }, this.activity, this.details, this.note);
    return element(
      "article",
      { part: "card", class: "card", "aria-labelledby": "name" },
      element("header", {}, this.pill, this.fresh),
      element("h2", { id: "name" }, this.name),
      this.body,
      element("dl", { class: "counters" }, ...counters),
      this.others,
      this.progress,
      this.error,
      this.steps,
      this.footer,
      this.announced,
    );
  }

  /** A card without a session: while the first picture is on its way, and when there is none (`freshness` is null). */
  showNothing(words, freshness) {
    if (freshness) this.#freshness(freshness);
    else this.fresh.hidden = true;
    setAttribute(this.root, "data-state", "none");
    setText(this.pill, "");
    setText(this.name, words);
    setAttribute(this.name, "href", null);
    for (const part of [this.body, this.others, this.progress, this.error, this.steps, this.footer]) part.hidden = true;
    this.root.querySelector(".counters").hidden = true;
  }

  /**
   * @param {object} session the session document
   * @param {{state: string, now: number, heard: boolean, freshness: object, href: string|null, byHand: boolean}} picture
   *   what was derived from it, at which instant of the service, whether the service is still heard, where the session's
   *   own page is, and whether this reader has marked the session as ended
   */
  show(session, picture) {
    const { state, now, heard, freshness, href, byHand } = picture;
    this.#freshness(freshness, session);
    this.#announce(session, state);
    setAttribute(this.root, "data-state", state);
    setAttribute(this.root, "data-late", standsStill(session, state, now));
    setText(this.pill, STATE_NAMES[state]);
    setText(this.name, session.bot_name || "Unnamed bot");
    setAttribute(this.name, "href", href);
    this.body.hidden = this.footer.hidden = false;
    this.#activity(session, state, now);
    this.#notes(session, state, now, heard);
    this.#counters(session, href);
    this.#progress(session);
    setText(this.error, [session.error_type, session.error_message].filter(Boolean).join(": "));
    this.#steps(session, now, byHand);
    setText(this.elapsed, runningTime(session, state, now));
    setText(this.heard, state === "lost" ? "" : heardWords(session, now));
  }

  /** Shows the buttons as they may be pressed now. `may` is false where this reader may only look. */
  showActions(session, state, may, press, signInHref) {
    const stoppable = may && !hasEnded(session) && !session.stop_requested_at;
    this.stop.hidden = !stoppable || ["ended", "gone", "signed_out"].includes(press.state);
    this.stop.disabled = press.state === "sending";
    setText(this.said, press.words);
    const [label, spoken] = press.state === "sending" ? ["Sending…", null] : press.retry ? ["Retry", "Retry to stop"] : ["Stop", "Stop"];
    if (this.stop.textContent !== label) this.stop.textContent = label;
    setAttribute(this.stop, "aria-label", spoken && `${spoken} ${session.bot_name || "the bot"}`);
    setAttribute(this.stop, "data-press", press.state);
    this.close.hidden = !(may && state === "lost");
    this.close.disabled = press.state === "sending";
    this.signIn.hidden = press.state !== "signed_out" || !signInHref;
    setAttribute(this.signIn, "href", signInHref);
  }

  /** Says of the buttons whether they are deaf for a moment, since the card has just been moved. */
  showDeaf(deaf) {
    for (const button of [this.stop, this.close]) setAttribute(button, "aria-disabled", deaf && "true");
  }

  #announce(session, state) {
    const words = `${session.bot_name || "The bot"}: ${STATE_NAMES[state]}`;
    // The first picture is read by whoever comes to the card; only changes are spoken.
    if (this.spoken !== undefined && this.spoken !== words) this.announced.textContent = words;
    this.spoken = words;
  }

  #freshness(freshness, session = null) {
    const [mark, explanation] = freshnessWords(freshness, session);
    setText(this.fresh, mark);
    setAttribute(this.fresh, "data-kind", freshness.kind);
    setAttribute(this.fresh, "title", explanation);
    setAttribute(this.root, "data-fresh", freshness.kind);
  }

  #activity(session, state, now) {
    const over = hasEnded(session);
    const past = over || state === "lost";
    const pause = state === "waiting";
    const face = activityFace(pause ? "waiting" : session.activity);
    // What a bot did last explains an end that it did not choose, and only confuses beside one that it did.
    this.activity.hidden = !session.activity && past ? true : state === "completed" || state === "stopped";
    setText(this.emoji, face.emoji);
    setText(this.label, past ? `Last: ${face.label}` : face.label);
    setAttribute(this.label, "title", this.label.textContent);
    const at = session.activity_at ? Date.parse(session.activity_at) : null;
    if (pause) setText(this.since, pauseWords(session, now));
    else setText(this.since, past || at === null ? "" : `for ${duration((standsStill(session, state, now) ? heardAt(session) : now) - at)}`);
    const details = pause ? session.waiting_reason : over ? "" : detailWords(session.activity_details);
    setText(this.details, details);
    setAttribute(this.details, "title", details || null);
    setAttribute(this.root, "data-over", over);
  }

  #notes(session, state, now, heard) {
    const notes = [heard ? "" : lastKnownNote(now), stateNote(session, state, now), afterlifeNote(session, now)];
    setText(this.note, notes.filter(Boolean).join(". "));
    setAttribute(this.root, "data-unheard", !heard);
  }

  #counters(session, href) {
    this.root.querySelector(".counters").hidden = false;
    for (const [name, { value, caption }] of this.counters) {
      const words = countWords(session[name]);
      if (value.textContent !== words) value.textContent = words;
      const opens = href && { jobs_applied: "#applied", jobs_failed: "#failed" }[name];
      setAttribute(caption, "href", opens ? `${href}${opens}` : null);
    }
    const others = Object.entries(session.counters ?? {});
    const words = JSON.stringify(others);
    if (this.othersShown === words) return;
    this.othersShown = words;
    this.others.replaceChildren(
      ...others.map(([name, value]) =>
        element("div", {}, element("dt", {}, name.replaceAll("_", " ")), element("dd", { "data-counter": name }, countWords(value))),
      ),
    );
    this.others.hidden = others.length === 0;
  }

  #progress(session) {
    const { progress_done: done, progress_total: total } = session;
    this.progress.hidden = done === null || done === undefined;
    if (this.progress.hidden) return;
    setAttribute(this.bar, "max", total || null);
    setAttribute(this.bar, "value", total ? Math.min(done, total) : null);
    this.bar.hidden = !total;
    setText(this.done, total ? `${countWords(done)} of ${countWords(total)}` : `${countWords(done)} done`);
  }

  #steps(session, now, byHand) {
    this.steps.hidden = !session.stop_requested_at;
    if (this.steps.hidden) return this.steps.replaceChildren();
    const rows = stopSteps(session, now, { byHand });
    if (this.steps.childElementCount === 0) this.steps.append(...rows.map(({ step, name }) => stepRow(step, name)));
    rows.forEach(({ state, time, words }, index) => {
      const row = this.steps.children[index];
      setAttribute(row, "data-state", state);
      setText(row.querySelector(".time"), time);
      setText(row.querySelector(".words"), words);
    });
    return undefined;
  }
}

function stepRow(step, name) {
  return element(
    "li",
    { "data-step": step },
    element("span", { class: "step" }, name),
    element("span", { class: "time" }),
    element("span", { class: "words" }),
  );
}
