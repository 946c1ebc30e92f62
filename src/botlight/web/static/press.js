/** A button's request to the service, from the press to the answer. Says nothing that it does not know. */

import { Problem } from "./api.js";
import { mark, since } from "./clock.js";

const WORDS = {
  offline: "Not sent: no connection to Botlight.",
  timeout: "No answer came. Retry: pressing twice is one request.",
  signed_out: "Not sent: you are signed out.",
  ended: "Nothing to do: it has already ended.",
  unknown: "Nothing to do: this session no longer exists.",
};
/** What is known once the service is heard again, and the session shows nothing of the press. */
const UNHEARD = { stop: "Your stop was not sent.", close: "Your mark was not sent." };

/** What came of the last press. `state` is idle, sending, sent, failed, offline, unsent, signed_out, ended or gone. */
export class Press {
  state = "idle";
  /** One sentence for the person, "" when there is nothing to say. */
  words = "";
  /** What the last press asked for: "stop" or "close". */
  verb = "stop";
  #changed;
  #failed = null;

  constructor(changed) {
    this.#changed = changed;
  }

  /** Whether another press makes sense. */
  get retry() {
    return this.verb === "stop" && (this.state === "failed" || this.state === "offline");
  }

  /** Whether the last press was this one, and went through. */
  did(verb) {
    return this.state === "sent" && this.verb === verb;
  }

  /** Runs `request`, a function that returns the promise of an answer. A second press while one is on its way is none. */
  async send(verb, request) {
    if (this.state === "sending") return null;
    this.verb = verb;
    this.#set("sending", "");
    try {
      const answer = await request();
      this.#set("sent", "");
      return answer;
    } catch (error) {
      this.#fail(error);
      return null;
    }
  }

  /** Forgets the last press: the session itself has told what came of it. */
  settle() {
    if (this.verb === "stop" && this.state !== "idle" && this.state !== "sending") this.#set("idle", "");
  }

  /** The service was heard `ageMs` ago. A press that never reached it is told as that, and not as being under way. */
  heard(ageMs) {
    if (this.state === "offline" && since(this.#failed) > ageMs) this.#set("unsent", UNHEARD[this.verb]);
  }

  #fail(error) {
    this.#failed = mark();
    if (!(error instanceof Problem)) return this.#set("failed", "Not sent. Retry.");
    if (error.unanswered) return this.#set(error.code === "offline" ? "offline" : "failed", WORDS[error.code]);
    if (error.status === 401) return this.#set("signed_out", WORDS.signed_out);
    if (error.status === 409) return this.#set("ended", WORDS.ended);
    if (error.status === 404 || error.status === 410) return this.#set("gone", WORDS.unknown);
    return this.#set("failed", `Not sent: ${error.message.replace(/\.$/u, "")}.`);
  }

  #set(state, words) {
    this.state = state;
    this.words = words;
    this.#changed();
  }
}
