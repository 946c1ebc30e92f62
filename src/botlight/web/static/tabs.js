/** The tabs of one person in one browser: one of them reads the stream and tells the others. */

import { mark, since } from "./clock.js";
import { EventReader } from "./event_reader.js";
import { LIVE_MS, POLL_MS } from "./freshness.js";
import { Leadership } from "./leadership.js";
import { Poll } from "./poll.js";

const CHECK_MS = 1000;
/** A leader that lives answers a hello at once; one that has not by now stands still. */
const ANSWER_MS = 3000;

/**
 * This tab's place among them. Lives from `new` to `leave()`; keeps `picture` current and tells each change.
 *
 * As the event reader's sink it has `confirm`, `position`, `forgetPosition`, `message`, `down`, `refused` and `poll`.
 */
export class Tabs {
  #api;
  #picture;
  #tell;
  #owned;
  #confirmed;
  #wanted;
  #poll;
  #channel = null;
  #leadership;
  #reader = null;
  /** One name for each life of a tab in the lead: what a deposed leader still has in its pipe counts no more. */
  #own = String(Math.random());
  #leader = null;
  #heard = mark();
  #asked = null;
  #jitterMs = Math.random() * 3000;
  #timers = [setInterval(() => this.check(), CHECK_MS)];

  /**
   * @param {string} name of the lock and the channel: one server, one person
   * @param {{api, picture, tell, owned, confirmed, wanted}} parts `tell(change)`; `owned(session)` is false for another
   *   person's; `confirmed(signal)` asks whether this is still the same person; `wanted` is the set of session ids that
   *   somebody shows
   */
  constructor(name, { api, picture, tell, owned, confirmed, wanted }) {
    this.#api = api;
    this.#picture = picture;
    this.#tell = tell;
    this.#owned = owned;
    this.#confirmed = confirmed;
    this.#wanted = wanted;
    this.#poll = new Poll(api);
    if (Leadership.possible) {
      this.#channel = new BroadcastChannel(name);
      this.#channel.onmessage = ({ data }) => this.#hear(data);
      this.#timers.push(setInterval(() => this.#say({ kind: "fresh" }), POLL_MS));
      this.#hello();
    }
    this.#leadership = new Leadership(name, (signal) => this.#read(signal));
  }

  /** Leaves the others; no change is told any more. */
  leave() {
    this.#timers.forEach(clearInterval);
    this.#tell = () => {};
    this.#leadership.end();
    this.#channel?.close();
    this.#channel = null;
  }

  /** Somebody looks at this tab again, or the network is back. */
  wake() {
    this.#reader?.wake();
    if (!this.#leadership.leading && since(this.#heard) > POLL_MS + ANSWER_MS) this.#hello();
    this.check();
  }

  /** Looks after the reader; takes the lead from a leader that stands still, if somebody looks at this tab. */
  check() {
    this.#reader?.check();
    if (!this.#channel || this.#leadership.leading || document.hidden) return;
    const silent = since(this.#heard) >= LIVE_MS + this.#jitterMs;
    const unanswered = this.#asked !== null && since(this.#asked) >= ANSWER_MS + this.#jitterMs;
    if (!silent && !unanswered) return;
    this.#heard = mark();
    this.#asked = null;
    this.#leadership.steal();
  }

  /** Lets the leader know that somebody shows a session. */
  want(id) {
    this.#channel?.postMessage({ kind: "want", wanted: [id] });
  }

  #hello() {
    this.#asked = mark();
    this.#channel?.postMessage({ kind: "hello", wanted: [...this.#wanted] });
  }

  async #read(signal) {
    this.#own = String(Math.random());
    this.#say({ kind: "lead" });
    this.#reader = new EventReader(this.#api, this);
    await this.#reader.run(signal);
    this.#heard = mark();
    this.#reader = null;
  }

  // --- what the reader tells ----------------------------------------------------------------------------------------

  /** Before a connection goes on from another's position: a cookie may have changed hands since. */
  async confirm(signal) {
    const same = this.position() === null || (await this.#confirmed(signal));
    if (!same) this.#tell({ kind: "stranger" });
  }

  position() {
    return this.#picture.list.position;
  }

  forgetPosition() {
    this.#picture.list.position = null;
  }

  message(message) {
    const told = message.data.sessions ?? [message.data.session ?? null];
    // The cookie may have changed hands between two connections.
    if (told.some((session) => session && !this.#owned(session))) return this.#tell({ kind: "stranger" });
    this.#say({ kind: "message", message });
    return this.#changed(this.#picture.message(message));
  }

  down() {
    this.#changed(this.#picture.down());
    this.#say({ kind: "fresh" });
  }

  refused(problem) {
    this.#changed(this.#picture.refused(problem));
    this.#say({ kind: "fresh" });
    if (problem.status === 401) this.#tell({ kind: "signed_out" });
  }

  async poll(signal) {
    try {
      const known = this.#picture.list.all().map((session) => session.id);
      const { sessions, more } = await this.#poll.ask([...this.#wanted, ...known], signal);
      if (signal.aborted) return;
      if (!sessions.every(this.#owned)) return void this.#tell({ kind: "stranger" });
      this.#changed(this.#picture.polled(sessions, more));
      this.#say({ kind: "poll", sessions, more });
    } catch (error) {
      if (!signal.aborted && error.status === 401) this.refused(error);
    }
  }

  #changed(change) {
    if (change) this.#tell(change);
  }

  // --- what the tabs tell each other --------------------------------------------------------------------------------

  #say(note) {
    if (!this.#leadership?.leading) return;
    this.#channel?.postMessage({ ...note, from: this.#own, fresh: this.#picture.fresh.toMessage() });
  }

  #hear(note) {
    if (note.kind === "hello" || note.kind === "want") return this.#welcome(note);
    if (this.#leadership.leading) return undefined;
    if (note.kind === "lead" || this.#leader === null) this.#leader = note.from;
    if (note.from !== this.#leader) return undefined;
    this.#heard = mark();
    this.#asked = null;
    if (note.kind === "message") return this.#changed(this.#picture.message(note.message));
    if (note.kind === "poll") return this.#changed(this.#picture.polled(note.sessions, note.more));
    if (note.kind === "all") return this.#changed(this.#picture.take(note.all));
    this.#picture.fresh.take(note.fresh);
    return this.#tell({ kind: "freshness" });
  }

  /** A tab has come, or shows one session more: the leader hands it the list. */
  #welcome({ kind, wanted }) {
    for (const id of wanted) this.#wanted.add(id);
    if (kind !== "hello") return;
    const known = this.#picture.fresh.report().kind !== "connecting";
    this.#say(known ? { kind: "all", all: this.#picture.toMessage() } : { kind: "fresh" });
  }
}
