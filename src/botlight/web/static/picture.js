/** What a tab knows: the sessions, the service's time, and how fresh both are. Messages in, changes out; no network. */

import { ServiceClock } from "./clock.js";
import { Freshness } from "./freshness.js";
import { SessionList } from "./session_list.js";

/** Each taking method returns the change that subscribers are told, or null when nothing is new. */
export class Picture {
  list = new SessionList();
  clock = new ServiceClock();
  fresh;

  /** `byToken`: a token reads, and no sign-in. */
  constructor(byToken) {
    this.fresh = new Freshness(byToken);
  }

  /** Takes one message of the event stream. */
  message({ event, data, id }) {
    if (data.server_time) this.clock.hear(data.server_time);
    if (id !== undefined) this.list.position = id;
    this.fresh.heard();
    switch (event) {
      case "sessions":
        this.list.replace(data.sessions, data.more);
        this.fresh.ticked();
        return { kind: "list" };
      case "session":
        return this.put(data.session);
      case "removed":
        this.list.remove(data.id);
        return { kind: "removed", id: data.id };
      case "fact":
        return { kind: "fact", id: data.session_id, fact: data.fact };
      case "tick":
        return this.#tick();
      case "stale":
        this.fresh.down();
        return { kind: "freshness" };
      default:
        return null; // an event of a newer service
    }
  }

  /** The first tick of a connection that resumed stands for the list it did not have to send again. */
  #tick() {
    const back = this.fresh.report().kind !== "live";
    this.fresh.ticked();
    return { kind: back ? "back" : "freshness" };
  }

  /** Takes one document, unless a newer one is known. */
  put(session) {
    return this.list.put(session) ? { kind: "session", id: session.id } : null;
  }

  /** Takes the answer to a poll: like `sessions`, without a position. */
  polled(sessions, more) {
    this.list.replace(sessions, more);
    this.fresh.polled();
    return { kind: "list" };
  }

  /** The stream ended. */
  down() {
    this.fresh.down();
    return { kind: "freshness" };
  }

  /** The service was asked and did not answer. */
  unheard() {
    this.fresh.unheard();
    return { kind: "freshness" };
  }

  /** The service will not have this reader. */
  refused(problem) {
    this.fresh.refused(problem);
    return { kind: "freshness" };
  }

  /** All of it, for a tab that has just come. */
  toMessage() {
    const { position, more } = this.list;
    const serverTime = new Date(this.clock.now()).toISOString();
    return { sessions: this.list.all(), more, position, serverTime, fresh: this.fresh.toMessage() };
  }

  /** Takes all of what another tab knows; where this one knows a newer revision, it keeps that. */
  take({ sessions, more, position, serverTime, fresh }) {
    this.clock.hear(serverTime);
    const newer = (session) => {
      const known = this.list.get(session.id);
      return known && known.revision > session.revision ? known : session;
    };
    this.list.replace(sessions.map(newer), more);
    this.list.position = position;
    this.fresh.take(fresh);
    return { kind: "list" };
  }
}
