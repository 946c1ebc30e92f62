/** What the stream has told about sessions, by id. Pure: messages in, documents out. */

/** Ended sessions leave the list after this long. */
const LIST_MS = 24 * 3600 * 1000;

const ORDER = { running: 0, lost: 1 };
const instant = (session) => session.ended_at ?? session.started_at ?? session.created_at;

/** The sessions as last told. A revision is taken once and never an older one; `sessions` replaces all of it. */
export class SessionList {
  #byId = new Map();
  /** The reader's position: what `Last-Event-ID` says at the next connection; null before the first. */
  position = null;
  /** True when the service has more sessions than it lists. */
  more = false;

  /** The document of one session, or undefined. */
  get(id) {
    return this.#byId.get(id);
  }

  /** All documents, in no order. */
  all() {
    return [...this.#byId.values()];
  }

  /** Takes the whole list: forgets everything known before, revisions too. */
  replace(sessions, more = false) {
    this.#byId = new Map(sessions.map((session) => [session.id, session]));
    this.more = more;
  }

  /** Takes one document. Returns false, and changes nothing, when it is not newer than what is known. */
  put(session) {
    const known = this.#byId.get(session.id);
    if (known && known.revision >= session.revision) return false;
    this.#byId.set(session.id, session);
    return true;
  }

  /** Forgets a session and its revision. */
  remove(id) {
    return this.#byId.delete(id);
  }

  /** What a board shows at `now`: running, then lost, then what ended in the last 24 h; newest first in each. */
  listed(now) {
    const rank = (session) => ORDER[session.status] ?? 2;
    return this.all()
      .filter((session) => rank(session) < 2 || now - Date.parse(session.ended_at) < LIST_MS)
      .sort((a, b) => rank(a) - rank(b) || Date.parse(instant(b)) - Date.parse(instant(a)) || (a.id < b.id ? -1 : 1));
  }
}
