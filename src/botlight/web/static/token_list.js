/** The list of tokens: what each may and when it was last used; and revoking, which asks first. */

import { mark, since } from "./clock.js";
import { element, setText } from "./element.js";
import { Hand } from "./hand.js";
import { clockTime } from "./time_words.js";

const SCOPES = { report: "for a bot", view: "to look", operate: "to look and stop", embed: "for a public card" };
/** A double click, or a key that is held down, must not answer the question that the first press brought up. */
const DEAD_MS = 800;

function factWords(token) {
  const now = Date.now();
  return [
    SCOPES[token.scope] ?? token.scope,
    token.bot && `bot ${token.bot}`,
    token.session_id && `session ${token.session_id.slice(0, 8)}`,
    token.origin && `on ${token.origin}`,
    token.last_used_at ? `last used ${clockTime(token.last_used_at, now)}` : "never used",
    token.expires_at && `until ${clockTime(token.expires_at, now)}`,
  ]
    .filter(Boolean)
    .join(" · ");
}

/** One token's row. Once revoked it stays where it is, so that no other row comes under the pointer. */
class TokenRow {
  #token;
  #revoke;
  #asked = null;
  #sending = false;
  #facts = element("span", { class: "hint" });
  #actions = element("span", { class: "row" });

  /** `revoke(token)` resolves to whether it worked. */
  constructor(token, revoke) {
    this.#token = token;
    this.#revoke = revoke;
    const words = element("div", {}, element("strong", {}, token.name), this.#facts);
    this.item = element("li", { tabindex: "-1" }, words, this.#actions);
    this.item.addEventListener("keydown", ({ key }) => key === "Escape" && this.#asked !== null && !this.#sending && this.#offer(true));
    this.take(token);
    this.#offer(false);
  }

  /** Takes the token's newest facts. */
  take(token) {
    setText(this.#facts, factWords(token));
  }

  /** The token is no longer good. */
  gone() {
    if (this.item.dataset.gone !== undefined) return;
    this.item.dataset.gone = "";
    this.#asked = null;
    const focused = this.item.contains(document.activeElement);
    this.#actions.replaceChildren(element("span", { class: "hint" }, "revoked"));
    if (focused) this.item.focus();
  }

  #offer(focus) {
    this.#asked = null;
    const ask = this.#button("Revoke", "quiet", `Revoke ${this.#token.name}`, () => this.#ask());
    this.#actions.replaceChildren(ask);
    if (focus) ask.focus();
  }

  /** The way back stands where the first press was. */
  #ask() {
    this.#asked = mark();
    const sure = this.#button("Revoke for good", "danger", `Revoke ${this.#token.name} for good`, () => this.#send(sure));
    const cancel = this.#button("Cancel", "quiet", `Keep ${this.#token.name}`, () => this.#alive && !this.#sending && this.#offer(true));
    this.#actions.replaceChildren(sure, cancel);
    sure.setAttribute("aria-disabled", "true");
    setTimeout(() => sure.removeAttribute("aria-disabled"), DEAD_MS);
    cancel.focus();
  }

  get #alive() {
    return since(this.#asked) >= DEAD_MS;
  }

  async #send(button) {
    // Not `disabled`, which would take the focus away.
    if (!this.#alive || this.#sending) return;
    this.#sending = true;
    button.setAttribute("aria-disabled", "true");
    if (await this.#revoke(this.#token)) this.gone();
    else button.removeAttribute("aria-disabled");
    this.#sending = false;
  }

  #button(label, kind, spoken, pressed) {
    const button = element("button", { type: "button", class: kind, "aria-label": spoken }, label);
    button.addEventListener("click", pressed);
    return button;
  }
}

/** The rows, the newest on top. */
export class TokenList {
  #box;
  #revoke;
  #hand;
  #rows = new Map();

  constructor(box, revoke) {
    this.#box = box;
    this.#revoke = revoke;
    this.#hand = new Hand([box], () => {});
  }

  /** Shows these tokens and no others. */
  show(tokens) {
    this.#rows = new Map(tokens.map((token) => [token.id, new TokenRow(token, this.#revoke)]));
    this.#box.replaceChildren(
      tokens.length ? element("ul", { class: "tokens" }, ...[...this.#rows.values()].map(({ item }) => item)) : element("p", { class: "hint" }, "None yet."),
    );
  }

  /** Takes the newest facts; what is new comes in on top, unless somebody points at the rows. */
  take(tokens) {
    const there = new Set(tokens.map(({ id }) => id));
    for (const token of tokens) this.#rows.get(token.id)?.take(token);
    for (const [id, row] of this.#rows) if (!there.has(id)) row.gone();
    const added = tokens.filter(({ id }) => !this.#rows.has(id));
    if (added.length === 0 || this.#hand.holds) return;
    if (this.#rows.size === 0) return this.show(tokens);
    const rows = added.map((token) => [token.id, new TokenRow(token, this.#revoke)]);
    this.#box.firstElementChild.prepend(...rows.map(([, { item }]) => item));
    this.#rows = new Map([...rows, ...this.#rows]);
  }

  /** Shows nothing any more. */
  clear() {
    this.#rows.clear();
    this.#box.replaceChildren();
  }
}
