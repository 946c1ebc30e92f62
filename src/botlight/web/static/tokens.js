/** The tokens panel: what there are, making one, revoking one. */

import { HOME, copy } from "./account.js";
import { element } from "./element.js";
import { clockTime } from "./time_words.js";

const SCOPES = { report: "report", view: "look", operate: "look and stop", embed: "public card" };

/** What to put on a page for an embed token: the newest session of its bot, or its one session. */
const snippet = (secret, token) => `<script type="module" src="${new URL("static/bot-status-card.js", HOME)}"></script>
<bot-status-card${token.session_id ? ` session="${token.session_id}"` : ""} token="${secret}"></bot-status-card>`;

/** Fills the panel when it is opened, and after each change. */
export class TokenPanel {
  #api;
  #panel;
  #sessions;

  /** `sessions` gives the sessions of the board: what an embed token can be made for. */
  constructor(api, panel, sessions) {
    this.#api = api;
    this.#panel = panel;
    this.#sessions = sessions;
    this.#form.addEventListener("submit", (event) => this.#make(event));
    this.#form.elements.scope.addEventListener("change", () => this.#embed());
    this.#part("#copy-secret").addEventListener("click", () => copy(this.#part("#secret").textContent, this.#said));
    if (panel.open) this.show();
  }

  get #form() {
    return this.#part("#token-form");
  }

  get #said() {
    return this.#part("#token-said");
  }

  #part(selector) {
    return this.#panel.querySelector(selector);
  }

  /** Asks for the list and shows it. */
  async show() {
    try {
      const { tokens } = await this.#api.get("tokens");
      this.#part("#token-table").replaceChildren(tokens.length ? this.#table(tokens) : element("p", { class: "hint" }, "None yet."));
    } catch (error) {
      this.#said.textContent = `The list is not to be had: ${error.message}`;
    }
  }

  #table(tokens) {
    return element("ul", { class: "tokens" }, ...tokens.map((token) => this.#row(token)));
  }

  #row(token) {
    const now = Date.now();
    const facts = [
      SCOPES[token.scope] ?? token.scope,
      token.bot && `bot ${token.bot}`,
      token.session_id && `session ${token.session_id.slice(0, 8)}`,
      token.origin && `on ${token.origin}`,
      token.last_used_at ? `last used ${clockTime(token.last_used_at, now)}` : "never used",
      token.expires_at && `until ${clockTime(token.expires_at, now)}`,
    ].filter(Boolean);
    const revoke = element("button", { type: "button", class: "quiet", "aria-label": `Revoke ${token.name}` }, "Revoke");
    revoke.addEventListener("click", () => this.#revoke(token, revoke));
    const words = element("div", {}, element("strong", {}, token.name), element("span", { class: "hint" }, facts.join(" · ")));
    return element("li", {}, words, revoke);
  }

  /** Revoking cannot be taken back and cuts off whoever uses the token: it takes a second press. */
  async #revoke(token, button) {
    if (button.dataset.sure === undefined) {
      button.dataset.sure = "";
      button.textContent = "Really revoke";
      return;
    }
    button.disabled = true;
    try {
      await this.#api.delete(`tokens/${encodeURIComponent(token.id)}`);
      this.#said.textContent = `${token.name} is revoked.`;
      await this.show();
    } catch (error) {
      this.#said.textContent = `Not revoked: ${error.message}`;
      button.disabled = false;
    }
  }

  #embed() {
    const embed = this.#form.elements.scope.value === "embed";
    const fields = this.#part("#embed-fields");
    fields.hidden = !embed;
    fields.disabled = !embed;
    this.#form.elements.origin.required = embed;
    const forever = this.#form.elements.expires_in_s.querySelector('[value=""]');
    forever.disabled = embed;
    if (embed && this.#form.elements.expires_in_s.value === "") this.#form.elements.expires_in_s.value = "2592000";
    if (embed) this.#targets();
  }

  #targets() {
    const sessions = this.#sessions();
    const bots = [...new Set(sessions.map((session) => session.bot_name).filter(Boolean))];
    this.#part("#embed-target").replaceChildren(
      ...bots.map((bot) => element("option", { value: JSON.stringify({ bot }) }, `every session of ${bot}`)),
      ...sessions.map(({ id, bot_name: bot, started_at: at }) =>
        element("option", { value: JSON.stringify({ session_id: id }) }, `${bot ?? "unnamed bot"}, started ${clockTime(at, Date.now())}`),
      ),
    );
  }

  #request() {
    const { name, scope, expires_in_s: expires, target, origin } = Object.fromEntries(new FormData(this.#form));
    const request = { name, scope };
    if (expires) request.expires_in_s = Number(expires);
    if (scope === "embed") Object.assign(request, JSON.parse(target), { origin: new URL(origin).origin });
    return request;
  }

  async #make(event) {
    event.preventDefault();
    try {
      const { secret, token } = await this.#api.post("tokens", this.#request());
      this.#part("#secret").textContent = token.scope === "embed" ? snippet(secret, token) : secret;
      this.#part("#token-secret").hidden = false;
      this.#said.textContent = "Made.";
      this.#form.elements.name.value = "";
      await this.show();
    } catch (error) {
      this.#said.textContent = `Not made: ${error.message}`;
    }
  }
}
