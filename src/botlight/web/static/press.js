/** A button's request to the service, from the press to the answer. Says nothing that it does not know. */

import { Problem } from "./api.js";

const WORDS = {
  offline: "Not sent: no connection to Botlight.",
  timeout: "No answer came. Retry: pressing twice is one request.",
  signed_out: "Not sent: you are signed out.",
  ended: "Nothing to do: it has already ended.",
  unknown: "Nothing to do: this session no longer exists.",
};

/** What came of the last press. `state` is idle, sending, sent, failed, offline, signed_out, ended or gone. */
export class Press {
  state = "idle";
  /** One sentence for the person, "" when there is nothing to say. */
  words = "";
  #changed;

  constructor(changed) {
    this.#changed = changed;
  }

  /** Whether another press makes sense. */
  get retry() {
    return this.state === "failed" || this.state === "offline";
  }

  /** Runs `request`, a function that returns the promise of an answer. A second press while one is on its way is none. */
  async send(request) {
    if (this.state === "sending") return null;
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
    if (this.state !== "idle" && this.state !== "sending") this.#set("idle", "");
  }

  #fail(error) {
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
