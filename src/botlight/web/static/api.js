/** The service's HTTP doors as a page uses them: one request, one answer, or one Problem. */

const PREFIX = "api/autoapply/bot";
const TIMEOUT_MS = 10_000;

/** An answer that is not a success, by its problem document; or no answer at all (`code` "offline" or "timeout"). */
export class Problem extends Error {
  constructor({ status = 0, code = "unknown", title = "", detail = "" }, retryAfterMs = null) {
    super(detail || title || code);
    this.status = status;
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }

  /** True when no answer came, so that nobody here knows whether the request arrived. */
  get unanswered() {
    return this.status === 0;
  }

  /** Reads what a failed answer says about itself. Never throws. */
  static async of(response) {
    const body = await response.json().catch(() => ({}));
    const seconds = Number(response.headers.get("Retry-After"));
    const fallback = { title: response.statusText || `HTTP ${response.status}` };
    return new Problem({ ...fallback, ...body, status: response.status }, seconds > 0 ? seconds * 1000 : null);
  }
}

/** Speaks for one person: by the cookie on our own pages, by a token everywhere else. */
export class Api {
  #token;
  #csrf = null;
  #heard;

  /**
   * @param {string} server the address of the service, with its path prefix if it has one
   * @param {string|null} token goes into the Authorization header, and cookies stay out then
   * @param {(serverTime: string) => void} heard is told the service's time with each answer
   * @param {string|null} csrf where the page came with it; else `me` finds it out
   */
  constructor(server, token = null, heard = () => {}, csrf = null) {
    this.root = new URL(server.endsWith("/") ? server : `${server}/`, document.baseURI);
    this.#token = token;
    this.#heard = heard;
    this.#csrf = csrf;
  }

  /** Who this page speaks for: `{user, csrf, scopes, server_time, version}`. */
  async me(signal) {
    const me = await this.get("me", { signal });
    this.#csrf = me.csrf ?? null;
    return me;
  }

  get(path, { query = {}, signal } = {}) {
    return this.#json("GET", path, { query, signal });
  }

  post(path, body = {}) {
    return this.#json("POST", path, { body });
  }

  delete(path) {
    return this.#json("DELETE", path);
  }

  /** One request without a time limit; the answer as it is. Rejects only when there is none. */
  fetch(path, { method = "GET", query = {}, headers = {}, body, signal } = {}) {
    const url = new URL(`${PREFIX}/${path}`, this.root);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    const auth = this.#token ? { Authorization: `Bearer ${this.#token}` } : {};
    return fetch(url, {
      method,
      signal,
      body,
      headers: { ...auth, ...headers },
      credentials: this.#token ? "omit" : "same-origin",
      cache: "no-store",
      redirect: "error",
    });
  }

  async #json(method, path, { query, body, signal } = {}) {
    let response = await this.#answer(method, path, query, body, signal);
    if (response.status === 403 && method !== "GET" && !this.#token) {
      // The CSRF token belongs to one sign-in: another tab may have signed in anew since.
      const before = this.#csrf;
      await this.me(signal).catch(() => {});
      if (this.#csrf && this.#csrf !== before) response = await this.#answer(method, path, query, body, signal);
    }
    if (!response.ok) throw await Problem.of(response);
    if (response.status === 204) return null;
    return response.json().catch(() => {
      throw new Problem({ code: "timeout", title: "The answer broke off" });
    });
  }

  async #answer(method, path, query, body, signal) {
    const limit = AbortSignal.timeout(TIMEOUT_MS);
    const headers = { Accept: "application/json" };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (method !== "GET" && this.#csrf) headers["X-CSRF-Token"] = this.#csrf;
    try {
      const response = await this.fetch(path, {
        method,
        query,
        headers,
        body: body === undefined ? undefined : JSON.stringify(body),
        signal: signal ? AbortSignal.any([signal, limit]) : limit,
      });
      const told = response.headers.get("X-Server-Time");
      if (told) this.#heard(told);
      return response;
    } catch (error) {
      if (signal?.aborted) throw error;
      if (limit.aborted) throw new Problem({ code: "timeout", title: "No answer" });
      throw new Problem({ code: "offline", title: "No connection" });
    }
  }
}
