/** The question that a page asks every ten seconds while it cannot have the stream. */

const LIST_LIMIT = 200;

/** Asks for the whole list; a token that may not list (`embed`) asks for each session by itself. */
export class Poll {
  #api;
  #mayList = true;

  constructor(api) {
    this.#api = api;
  }

  /** Rejects with a Problem. `ids` are the sessions that somebody shows. */
  async ask(ids, signal) {
    if (this.#mayList) {
      try {
        const { sessions, next_cursor: next } = await this.#api.get("sessions", { query: { limit: LIST_LIMIT }, signal });
        return { sessions, more: next !== null };
      } catch (error) {
        if (error.status !== 403) throw error;
        this.#mayList = false;
      }
    }
    const answers = await Promise.all([...new Set(ids)].map((id) => this.#one(id, signal)));
    return { sessions: answers.filter(Boolean), more: false };
  }

  async #one(id, signal) {
    try {
      return (await this.#api.get("status", { query: { session_id: id }, signal })).session;
    } catch (error) {
      if (error.status === 404 || error.status === 410) return null;
      throw error;
    }
  }
}
