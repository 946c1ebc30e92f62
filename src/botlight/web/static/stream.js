/**
 * The one shared stream of sessions: every card and board of this tab, and of all tabs of this browser, reads from here.
 *
 *     const stream = openStream(server, token, ({ kind, id }) => …);
 *     stream.get(id); stream.listed(); stream.freshness(); stream.now(); stream.close();
 */

import { Api, Problem } from "./api.js";
import { mark, pause, since, ServiceClock } from "./clock.js";
import { EventReader } from "./event_reader.js";
import { Freshness, LIVE_MS, POLL_MS } from "./freshness.js";
import { Leadership } from "./leadership.js";
import { SessionList } from "./session_list.js";

const LIST_LIMIT = 200;
const CHECK_MS = 1000;
const RETRY_MS = 5000;

/** What all subscribers of one (server, token) in this tab have in common. Made and ended by `openStream`. */
class SharedStream {
  #listeners = new Set();
  #list = new SessionList();
  #clock = new ServiceClock();
  #fresh = new Freshness();
  #wanted = new Map();
  #life = new AbortController();
  #nap = null;
  #channel = null;
  #leadership = null;
  #reader = null;
  #fromLeader = mark();
  #jitterMs = Math.random() * 3000;
  #listsSessions = true;

  constructor(server, token) {
    this.token = token;
    this.api = new Api(server, token, (serverTime) => this.#clock.hear(serverTime));
    this.#begin();
    const checks = setInterval(() => this.#check(), CHECK_MS);
    const pulses = setInterval(() => this.#say({ kind: "fresh" }), POLL_MS);
    for (const event of ["visibilitychange", "focus", "online", "pageshow"]) addEventListener(event, this.#wake, true);
    this.#life.signal.addEventListener("abort", () => {
      clearInterval(checks);
      clearInterval(pulses);
      for (const event of ["visibilitychange", "focus", "online", "pageshow"]) removeEventListener(event, this.#wake, true);
    });
  }

  get subscribers() {
    return this.#listeners.size;
  }

  add(listener) {
    this.#listeners.add(listener);
  }

  drop(listener) {
    this.#listeners.delete(listener);
  }

  get(id) {
    return this.#list.get(id);
  }

  get more() {
    return this.#list.more;
  }

  listed() {
    return this.#list.listed(this.#clock.now());
  }

  now() {
    return this.#clock.now();
  }

  freshness() {
    return this.#fresh.report();
  }

  /** Takes a document that came as the answer to a request, unless a newer one is known. */
  put(session) {
    if (this.#list.put(session)) this.#tell({ kind: "session", id: session.id });
  }

  /** Asks for a session that the list does not hold. Rejects with a Problem. */
  async fetchOne(id) {
    const { session } = await this.api.get("status", { query: { session_id: id }, signal: this.#life.signal });
    this.put(session);
  }

  /** A polling reader asks for these one by one where it may not list. */
  want(id) {
    this.#wanted.set(id, (this.#wanted.get(id) ?? 0) + 1);
    this.#say({ kind: "want", ids: [id] });
  }

  unwant(id) {
    const left = (this.#wanted.get(id) ?? 1) - 1;
    if (left) this.#wanted.set(id, left);
    else this.#wanted.delete(id);
  }

  end() {
    this.#life.abort();
    this.#leadership?.end();
    this.#channel?.close();
  }

  // --- who we are ---------------------------------------------------------------------------------------------------

  /** Finds out whose sessions these are, then joins the tabs of that person. */
  async #begin() {
    const signal = this.#life.signal;
    while (!signal.aborted) {
      try {
        const person = await this.#person(signal);
        if (!signal.aborted) this.#join(person);
        return;
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof Problem && !error.unanswered && error.status < 500) this.refused(error);
        else this.#tell({ kind: "freshness" });
      }
      this.#nap = new AbortController();
      await pause(RETRY_MS, AbortSignal.any([signal, this.#nap.signal]));
    }
  }

  async #person(signal) {
    if (!this.token) return (await this.api.me(signal)).user.id;
    if (!Leadership.possible) return "alone";
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(this.token));
    return Array.from(new Uint8Array(digest).slice(0, 16), (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  #join(person) {
    const name = `botlight ${this.api.root.href} ${this.token ? "token" : "person"} ${person}`;
    if (Leadership.possible) {
      this.#channel = new BroadcastChannel(name);
      this.#channel.onmessage = ({ data }) => this.#hear(data);
      this.#channel.postMessage({ kind: "hello", wanted: [...this.#wanted.keys()] });
    }
    this.#fromLeader = mark();
    this.#leadership = new Leadership(name, async (signal) => {
      this.#reader = new EventReader(this.api, this);
      await this.#reader.run(signal);
      this.#reader = null;
    });
  }

  // --- what the reader tells (EventReader's sink) -------------------------------------------------------------------

  position() {
    return this.#list.position;
  }

  forgetPosition() {
    this.#list.position = null;
  }

  message(message) {
    this.#take(message);
    this.#say({ kind: "message", message });
  }

  down() {
    this.#fresh.down();
    this.#tell({ kind: "freshness" });
    this.#say({ kind: "fresh" });
  }

  refused(problem) {
    this.#fresh.refused(problem);
    if (problem.status === 401) this.#list = new SessionList();
    this.#tell({ kind: "list" });
    this.#say({ kind: "fresh" });
  }

  /** One poll: the whole list, or with an embed token, which may not list, each session that somebody shows. */
  async poll(signal) {
    try {
      const sessions = this.#listsSessions ? await this.#pollList(signal) : await this.#pollEach(signal);
      if (signal.aborted) return;
      this.#takePoll(sessions);
      this.#say({ kind: "poll", sessions, more: this.#list.more });
    } catch (error) {
      if (signal.aborted) return;
      if (error.status === 401) this.refused(error);
      if (error.status === 403) this.#listsSessions = false;
    }
  }

  async #pollList(signal) {
    const { sessions } = await this.api.get("sessions", { query: { limit: LIST_LIMIT }, signal });
    return sessions;
  }

  async #pollEach(signal) {
    const ids = new Set([...this.#wanted.keys(), ...this.#list.all().map((session) => session.id)]);
    const sessions = [];
    for (const id of ids) {
      try {
        sessions.push((await this.api.get("status", { query: { session_id: id }, signal })).session);
      } catch (error) {
        if (error.status !== 404) throw error;
      }
    }
    return sessions;
  }

  #takePoll(sessions) {
    this.#list.replace(sessions, this.#list.more);
    this.#fresh.polled();
    this.#tell({ kind: "list" });
  }

  // --- the picture --------------------------------------------------------------------------------------------------

  #take({ event, data, id }) {
    if (data.server_time) this.#clock.hear(data.server_time);
    this.#fresh.heard();
    if (event === "sessions") this.#list.replace(data.sessions, data.more);
    if (event === "sessions" || event === "tick") this.#fresh.ticked();
    if (event === "stale") this.#fresh.down();
    if (id !== undefined) this.#list.position = id;
    if (event === "session" && !this.#list.put(data.session)) return;
    if (event === "removed") this.#list.remove(data.id);
    const change = {
      sessions: { kind: "list" },
      session: { kind: "session", id: data.session?.id },
      removed: { kind: "removed", id: data.id },
      fact: { kind: "fact", fact: data },
    };
    this.#tell(change[event] ?? { kind: "freshness" });
  }

  #tell(change) {
    for (const listener of [...this.#listeners]) listener(change);
  }

  // --- the other tabs -----------------------------------------------------------------------------------------------

  /** Passes something on to the followers; silent unless this tab leads. A `want` goes to the leader. */
  #say(note) {
    if (!this.#channel) return;
    if (note.kind !== "want" && !this.#leadership?.leading) return;
    this.#channel.postMessage({ ...note, fresh: this.#fresh.toMessage() });
  }

  #hear(note) {
    if (note.kind === "hello" || note.kind === "want") {
      for (const id of note.wanted ?? note.ids) if (!this.#wanted.has(id)) this.#wanted.set(id, 0);
      if (note.kind === "hello" && this.#fresh.report().kind !== "connecting") this.#sayList();
      return;
    }
    if (this.#leadership?.leading) return;
    this.#fromLeader = mark();
    if (note.kind === "message") this.#take(note.message);
    else if (note.kind === "poll") this.#takePoll(note.sessions);
    else if (note.kind === "list") this.#takeList(note);
    else {
      this.#fresh.take(note.fresh);
      this.#tell({ kind: note.fresh.refusal ? "list" : "freshness" });
    }
  }

  #sayList() {
    const { position, more } = this.#list;
    const serverTime = new Date(this.#clock.now()).toISOString();
    this.#say({ kind: "list", sessions: this.#list.all(), more, position, serverTime });
  }

  #takeList({ sessions, more, position, serverTime, fresh }) {
    this.#clock.hear(serverTime);
    for (const session of sessions) this.#list.put(session);
    this.#list.more = more;
    this.#list.position = position;
    this.#fresh.take(fresh);
    this.#tell({ kind: "list" });
  }

  /** Once a second: a follower whose leader is silent takes the lead, if somebody looks at it. */
  #check() {
    if (!this.#channel || this.#leadership.leading || document.hidden) return;
    if (since(this.#fromLeader) < LIVE_MS + this.#jitterMs) return;
    this.#fromLeader = mark();
    this.#leadership.steal();
  }

  /** Somebody looks at this page again, or the network is back. */
  #wake = () => {
    if (document.hidden) return;
    this.#nap?.abort();
    this.#reader?.wake();
    this.#check();
    this.#tell({ kind: "freshness" });
  };
}

const streams = new Map();

/**
 * Subscribes to the sessions of one person at one server.
 *
 * @param {string} server address of the service, with its path prefix
 * @param {string|null} token null on the service's own pages, where the cookie speaks
 * @param {(change: {kind: string, id?: string, fact?: object}) => void} listener told of each change; `kind` is "list",
 *   "session", "removed", "fact" or "freshness"
 * @returns the shared stream with a `close()` of this subscription; the last one to close ends the reading
 */
export function openStream(server, token, listener) {
  const key = `${server} ${token ?? ""}`;
  if (!streams.has(key)) streams.set(key, new SharedStream(server, token));
  const stream = streams.get(key);
  stream.add(listener);
  const close = () => {
    stream.drop(listener);
    // An element that is moved leaves the page and comes back in one breath.
    setTimeout(() => {
      if (stream.subscribers || streams.get(key) !== stream) return;
      streams.delete(key);
      stream.end();
    }, 0);
  };
  return { stream, close };
}
