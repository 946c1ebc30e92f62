/**
 * <bot-status-card [session="…"] [server="https://host/prefix"] [token="…"] [href="…"]>: one bot, live, with its Stop.
 *
 * Without `session` it shows the first of the list: the newest session that runs, else the one that ended last. `server` is the address this module came from, unless said otherwise. Without `token` the sign-in of the page's own
 * origin speaks; with one, cookies stay out. `href` is where the bot's name leads. `theme="light"` or `"dark"` overrules
 * the system's choice. Job links and all other text of a bot are written as text.
 */

import { cardStyle } from "./card_style.js";
import { CardView } from "./card_view.js";
import { Press } from "./press.js";
import { hasEnded, shownState } from "./shown_state.js";
import { Stillness } from "./stillness.js";
import { openStream } from "./stream.js";

const HOME = new URL("../", import.meta.url).href;
const SECOND_MS = 1000;

/** The custom element. It reads from the shared stream while it is on a page, and from nothing when it is not. */
export class BotStatusCard extends HTMLElement {
  static observedAttributes = ["session", "server", "token", "href"];

  #view = new CardView();
  #press = new Press(() => this.#render());
  #stillness = new Stillness(this.#view.footer, () => this.#view.showDeaf(this.#stillness.deaf));
  #looking = false;
  #subscription = null;
  #ticking = 0;
  #missing = null;
  #shown = null;

  constructor() {
    super();
    const shadow = this.attachShadow({ mode: "open" });
    shadow.adoptedStyleSheets = [cardStyle];
    shadow.append(this.#view.root);
    shadow.addEventListener("click", (event) => this.#pressed(event), { capture: true });
    this.#view.stop.addEventListener("click", () => this.#send("stop"));
    this.#view.close.addEventListener("click", () => this.#send("close"));
  }

  connectedCallback() {
    this.#open();
    this.#ticking = setInterval(() => document.hidden || this.#render(), SECOND_MS);
  }

  disconnectedCallback() {
    this.#close();
    clearInterval(this.#ticking);
  }

  /** Looks whether the card has been moved. A page that moves cards calls it after moving them. */
  look() {
    if (this.#subscription && !document.hidden) this.#stillness.look();
  }

  attributeChangedCallback(name, before, after) {
    if (!this.#subscription || before === after) return;
    if (name !== "href") {
      this.#close();
      this.#press = new Press(() => this.#render());
      this.#open();
    }
    this.#render();
  }

  get #stream() {
    return this.#subscription?.stream;
  }

  /** The one session that the attribute names, or null. */
  get #named() {
    return this.getAttribute("session") || null;
  }

  get #id() {
    return this.#named ?? this.#stream?.listed()[0]?.id;
  }

  #open() {
    const server = this.getAttribute("server") || HOME;
    this.#subscription = openStream(server, this.getAttribute("token"), (change) => this.#heard(change));
    this.#missing = null;
    if (this.#named) this.#stream.want(this.#named);
    this.#ask();
    this.#render();
  }

  #close() {
    this.#subscription?.close();
    this.#subscription = null;
  }

  #heard({ kind, id }) {
    if (this.#named && id !== undefined && id !== this.#named) return;
    if (kind === "list" || kind === "back") this.#ask();
    if (kind === "removed" && this.#named) this.#missing = "This session was removed";
    if (kind === "session") this.#missing = null;
    if (kind !== "fact") this.#render();
  }

  /** A session outside the list (ended long ago) is asked for by itself, again after each (re)connection. */
  async #ask() {
    const { kind } = this.#stream.freshness();
    if (!this.#id || this.#stream.get(this.#id) || (kind !== "live" && kind !== "polling")) return;
    try {
      await this.#stream.ask(this.#id);
    } catch (error) {
      if (error.status === 404 || error.status === 410) this.#missing = "There is no such session";
      this.#render();
    }
  }

  /** A press that was meant for what stood here a moment ago does nothing. The keyboard presses what has the focus. */
  #pressed(event) {
    this.look();
    if (event.detail === 0 || !event.target.closest("button") || !this.#stillness.deaf) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }

  async #send(verb) {
    const stream = this.#stream;
    const shown = this.#shown; // what the person saw when they pressed
    const answer = await this.#press.send(verb, () => stream.api.post(verb, { session_id: shown }));
    if (answer?.session) stream.put(answer.session);
  }

  #render() {
    if (!this.#stream) return;
    const freshness = this.#stream.freshness();
    const session = this.#stream.get(this.#id);
    // Whoever comes by a page that is signed out sees nothing of anybody's bot.
    if (!session || freshness.kind === "signed_out") return this.#view.showNothing(this.#nothing(freshness), this.#missing ? null : freshness);
    // Without word from the service nothing is concluded from the passing of time: the picture stays as it was heard.
    const heard = ["live", "polling"].includes(freshness.kind);
    const now = this.#stream.now() - (heard ? 0 : freshness.ageMs);
    const state = shownState(session, now);
    // A card without an id moves on to a newer session; what came of a press there says nothing of this one.
    if (this.#shown !== null && this.#shown !== session.id) this.#press = new Press(() => this.#render());
    this.#shown = session.id;
    if (session.stop_requested_at || hasEnded(session)) this.#press.settle();
    else if (heard) this.#press.heard(freshness.ageMs);
    const byHand = this.#press.did("close");
    this.#view.show(session, { state, now, heard, freshness, href: this.getAttribute("href"), byHand });
    const own = this.getAttribute("token") ? null : new URL("sign-in", this.#stream.api.root).href;
    this.#view.showActions(session, state, this.#stream.mayOperate, this.#press, own);
    return this.#lookSoon();
  }

  /** Once a frame at most, when all cards have been drawn: reading a place between two writes costs a layout each. */
  #lookSoon() {
    if (this.#looking) return;
    this.#looking = true;
    requestAnimationFrame(() => {
      this.#looking = false;
      this.look();
    });
  }

  #nothing({ kind }) {
    if (kind !== "signed_out" && this.#missing) return this.#missing;
    if (!this.#id && kind === "live") return "No bot is reporting";
    return { signed_out: "Signed out", refused: "Not allowed to look", offline: "No connection" }[kind] ?? "Loading…";
  }
}

if (!customElements.get("bot-status-card")) customElements.define("bot-status-card", BotStatusCard);
