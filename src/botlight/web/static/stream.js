/**
 * The one shared stream of sessions: every card and board of this tab, and of all tabs of this browser, reads from here.
 *
 *     const { stream, close } = openStream(server, token, ({ kind, id }) => …);
 *     stream.get(id); stream.listed(); stream.freshness(); stream.now();
 */

import { Api, Problem } from "./api.js";
import { pause } from "./clock.js";
import { Leadership } from "./leadership.js";
import { Picture } from "./picture.js";
import { Tabs } from "./tabs.js";

/** A service that does not answer is asked again after this long, then twice as long, up to fifteen seconds. */
const RETRY_MS = 1000;
const LONGEST_RETRY_MS = 15_000;
/** Who is signed out is asked about again this often, and at once when the page is looked at. */
const SIGNED_OUT_MS = 60_000;
const LOOKS = ["visibilitychange", "focus", "online", "pageshow"];

const refuses = (error) => error instanceof Problem && error.status >= 400 && error.status < 500 && error.status !== 429;

/** What all subscribers of one (server, token) in this tab have in common. Made and ended by `openStream`. */
class SharedStream {
  /** Whether this reader may stop a bot: null until it is known. */
  mayOperate = null;
  #token;
  #listeners = new Set();
  #wanted = new Set();
  #picture;
  #life = new AbortController();
  #nap = null;
  #person = null;
  #tabs = null;

  constructor(server, token) {
    this.#token = token;
    this.#picture = new Picture(Boolean(token));
    this.api = new Api(server, token, (serverTime) => this.#picture.clock.hear(serverTime));
    for (const event of LOOKS) addEventListener(event, this.#wake, { capture: true, signal: this.#life.signal });
    this.#begin();
  }

  /** The document of one session as last told, or undefined. */
  get(id) {
    return this.#picture.list.get(id);
  }

  /** What a board shows now, in its order. */
  listed() {
    return this.#picture.list.listed(this.now());
  }

  /** Whether the service has more sessions than it lists. */
  get more() {
    return this.#picture.list.more;
  }

  /** Milliseconds since 1970 by the service's clock. */
  now() {
    return this.#picture.clock.now();
  }

  /** How fresh the picture is; see `Freshness.report`. */
  freshness() {
    return this.#picture.fresh.report();
  }

  /** Takes a document that came as the answer to a request, unless a newer one is known. */
  put(session) {
    this.#tell(this.#picture.put(session));
  }

  /** Asks for a session that the list does not hold. Rejects with a Problem. */
  async ask(id) {
    const { session } = await this.api.get("status", { query: { session_id: id }, signal: this.#life.signal });
    this.put(session);
  }

  /** Says that somebody shows this session: who may not list polls for it alone. */
  want(id) {
    if (this.#wanted.has(id)) return;
    this.#wanted.add(id);
    this.#tabs?.want(id);
  }

  add(listener) {
    this.#listeners.add(listener);
  }

  /** Drops a listener; returns whether it was the last. */
  drop(listener) {
    this.#listeners.delete(listener);
    return this.#listeners.size === 0;
  }

  get used() {
    return this.#listeners.size > 0;
  }

  end() {
    this.#life.abort();
    this.#tabs?.leave();
  }

  /** Finds out whose sessions these are, then joins the tabs of that person. */
  async #begin() {
    const signal = this.#life.signal;
    for (let retry = RETRY_MS; !signal.aborted; retry = Math.min(2 * retry, LONGEST_RETRY_MS)) {
      let wait = retry;
      try {
        const person = await this.#identify(signal);
        if (!signal.aborted) this.#join(person);
        return;
      } catch (error) {
        if (signal.aborted) return;
        if (refuses(error)) wait = SIGNED_OUT_MS;
        this.#tell(refuses(error) ? this.#picture.refused(error) : this.#picture.unheard());
      }
      this.#nap = new AbortController();
      await pause(wait, AbortSignal.any([signal, this.#nap.signal]));
    }
  }

  async #identify(signal) {
    if (!this.#token) {
      const { user } = await this.api.me(signal);
      this.mayOperate = true;
      return `person ${user.id}`;
    }
    if (!Leadership.possible) return "token";
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(this.#token));
    return `token ${Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
  }

  #join(person) {
    if (this.#person !== null && this.#person !== person) this.#picture = new Picture(Boolean(this.#token));
    this.#person = person;
    this.#tabs = new Tabs(`botlight ${this.api.root.href} ${person}`, {
      api: this.api,
      picture: this.#picture,
      tell: (change) => this.#changed(change),
      confirmed: async (signal) => Boolean(this.#token) || (await this.#identify(signal)) === person,
      owned: (session) => Boolean(this.#token) || `person ${session.user_id}` === person,
      wanted: this.#wanted,
    });
  }

  /** A sign-in that ended, or a cookie that changed hands: who is asking is asked anew. */
  #changed(change) {
    const anew = !this.#token && (change.kind === "signed_out" || change.kind === "stranger");
    if (anew) {
      this.#tabs.leave();
      this.#tabs = null;
      this.#begin();
    } else {
      this.#tell(change);
      this.#learnScopes();
    }
  }

  /** A token that sees whose session it is is no `embed` token, and may ask what it may do. */
  async #learnScopes() {
    if (!this.#token || this.mayOperate !== null) return;
    const seen = this.#picture.list.all();
    if (seen.length === 0) return;
    this.mayOperate = false;
    if (!seen.some((session) => session.user_id)) return;
    const { scopes } = await this.api.me(this.#life.signal).catch(() => ({ scopes: [] }));
    this.mayOperate = scopes.includes("operate");
    this.#tell({ kind: "freshness" });
  }

  #tell(change) {
    if (!change) return;
    // A board that hears of a removal takes cards away, which then are told nothing more.
    for (const listener of [...this.#listeners]) if (this.#listeners.has(listener)) listener(change);
  }

  #wake = () => {
    if (document.hidden) return;
    this.#nap?.abort();
    this.#tabs?.wake();
    this.#tell({ kind: "freshness" });
  };
}

const streams = new Map();

/**
 * Subscribes to the sessions of one person at one server.
 *
 * @param {string} server address of the service, with its path prefix
 * @param {string|null} token null on the service's own pages, where the cookie speaks
 * @param {(change: {kind: string, id?: string, fact?: object}) => void} listener told of each change; `kind` is "list"
 *   (all is new), "back" (the stream is back, and had nothing else to tell), "session", "removed", "fact", "freshness"
 * @returns the shared stream, and `close()` of this subscription; the last one to close ends the reading
 */
export function openStream(server, token, listener) {
  const key = `${server} ${token ?? ""}`;
  if (!streams.has(key)) streams.set(key, new SharedStream(server, token));
  const stream = streams.get(key);
  stream.add(listener);
  const close = () => {
    if (!stream.drop(listener)) return;
    // An element that is moved leaves the page and comes back in one breath.
    setTimeout(() => {
      if (stream.used || streams.get(key) !== stream) return;
      streams.delete(key);
      stream.end();
    }, 0);
  };
  return { stream, close };
}
