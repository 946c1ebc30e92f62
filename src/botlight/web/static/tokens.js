/** The tokens panel: what there are, making one, revoking one. */

import { HOME, copy } from "./account.js";
import { element } from "./element.js";
import { clockTime } from "./time_words.js";
import { TokenList } from "./token_list.js";

/** "last used" is kept current while the panel is open. */
const EVERY_MS = 10_000;

/** What to put on a page for an embed token: the newest session of its bot, or its one session. */
const snippet = (secret, token) => `<script type="module" src="${new URL("static/bot-status-card.js", HOME)}"></script>
<bot-status-card${token.session_id ? ` session="${token.session_id}"` : ""} token="${secret}"></bot-status-card>`;

/** Fills the panel when it is opened, after each change, and every ten seconds. */
export class TokenPanel {
  #api;
  #panel;
  #sessions;
  #list;

  /** `sessions` gives the sessions of the board: what an embed token can be made for. */
  constructor(api, panel, sessions) {
    this.#api = api;
    this.#panel = panel;
    this.#sessions = sessions;
    this.#form.addEventListener("submit", (event) => this.#make(event));
    this.#form.elements.scope.addEventListener("change", () => this.#embed());
    this.#part("#copy-secret").addEventListener("click", () => copy(this.#part("#secret").textContent, this.#said));
    this.#list = new TokenList(this.#part("#token-table"), (token) => this.#revoke(token));
    setInterval(() => this.#panel.open && !document.hidden && this.#ask((tokens) => this.#list.take(tokens)), EVERY_MS);
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

  /** Asks for the list and shows it anew. */
  show() {
    return this.#ask((tokens) => this.#list.show(tokens));
  }

  /** Closes it, and leaves nothing of it on the page. */
  close() {
    this.#panel.open = false;
    this.#list.clear();
    this.#part("#secret").textContent = this.#said.textContent = "";
    this.#part("#token-secret").hidden = true;
  }

  async #ask(take) {
    try {
      take((await this.#api.get("tokens")).tokens);
    } catch (error) {
      this.#said.textContent = `The list is not to be had: ${error.message}`;
    }
  }

  async #revoke(token) {
    try {
      await this.#api.delete(`tokens/${encodeURIComponent(token.id)}`);
      this.#said.textContent = `${token.name} is revoked.`;
      return true;
    } catch (error) {
      this.#said.textContent = `Not revoked: ${error.message}`;
      return false;
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
    const button = this.#form.querySelector("[type=submit]");
    button.disabled = true;
    try {
      const { secret, token } = await this.#api.post("tokens", this.#request());
      this.#part("#secret").textContent = token.scope === "embed" ? snippet(secret, token) : secret;
      this.#part("#token-secret").hidden = false;
      this.#said.textContent = "Made.";
      this.#form.elements.name.value = "";
      await this.#ask((tokens) => this.#list.take(tokens));
    } catch (error) {
      this.#said.textContent = `Not made: ${error.message}`;
    } finally {
      button.disabled = false;
    }
  }
}
