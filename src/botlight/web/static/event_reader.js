/** Reads the event stream for as long as it may: connects, watches the ticks, resumes, and polls while it must. */

import { Problem } from "./api.js";
import { mark, pause, since } from "./clock.js";
import { LIVE_MS, POLL_MS } from "./freshness.js";
import { messages } from "./sse.js";

/** The stream may be away this long (a restart) before polling begins. */
const GRACE_MS = 2000;
/** A connection that lived this long begins the next row of attempts anew. */
const STEADY_MS = 10_000;
const LONGEST_BACKOFF_MS = 15_000;
/** Who was refused asks again this often, and at once when the page is looked at. */
const REFUSED_MS = 60_000;

const refuses = (error) => error instanceof Problem && [401, 403, 404].includes(error.status);
const backoff = (fails) => Math.min(LONGEST_BACKOFF_MS, 250 * 2 ** fails) * (0.5 + Math.random() / 2);

/**
 * One reader of one person's events. The sink, which keeps the picture, has
 * `confirm(signal)` (who is asking still is), `position()`, `forgetPosition()`, `message({event, data, id})`, `down()`, `refused(problem)` and `poll(signal)`.
 */
export class EventReader {
  #api;
  #sink;
  #connection = null;
  #ticked = null;
  #waiting = null;
  #polling = null;

  constructor(api, sink) {
    this.#api = api;
    this.#sink = sink;
  }

  /** Reads until the signal aborts. Never throws. */
  async run(signal) {
    let fails = 0;
    while (!signal.aborted) {
      const began = mark();
      const wait = await this.#read(signal);
      if (signal.aborted) break;
      fails = since(began) > STEADY_MS ? 0 : fails + 1;
      if (wait !== REFUSED_MS) this.#pollUntilHeard(signal);
      this.#waiting = new AbortController();
      await pause(wait ?? backoff(fails), AbortSignal.any([signal, this.#waiting.signal]));
    }
    this.#polling?.abort();
  }

  /** Tries again at once if it waits. For a page that is looked at again. */
  wake() {
    this.#waiting?.abort();
    this.check();
  }

  /** Drops a connection whose ticks are overdue: after the computer's sleep timers know nothing of it. */
  check() {
    if (this.#ticked && since(this.#ticked) >= LIVE_MS) this.#connection?.abort();
  }

  /** One connection, from its request to its end; returns how long to wait before the next, null for "as usual". */
  async #read(signal) {
    try {
      return await this.#connect(signal);
    } catch (error) {
      if (signal.aborted) return null;
      if (refuses(error)) {
        this.#polling?.abort();
        this.#sink.refused(error);
        return REFUSED_MS;
      }
      if (error instanceof SyntaxError || error instanceof RangeError) this.#sink.forgetPosition();
      return error.retryAfterMs ?? null;
    } finally {
      this.#connection?.abort();
      this.#ticked = null;
      this.#sink.down();
    }
  }

  async #connect(signal) {
    this.#connection = new AbortController();
    const both = AbortSignal.any([signal, this.#connection.signal]);
    const abort = () => this.#connection.abort();
    let watchdog = setTimeout(abort, LIVE_MS);
    this.#pollUntilHeard(signal);
    try {
      for await (const message of messages(await this.#open(both))) {
        const data = JSON.parse(message.data);
        if (message.event === "bye") return data.reconnect_after_ms;
        if (message.event === "tick" || message.event === "sessions") {
          clearTimeout(watchdog);
          watchdog = setTimeout(abort, LIVE_MS);
          this.#ticked = mark();
          this.#polling?.abort();
        }
        this.#sink.message({ ...message, data });
        if (message.event === "stale") this.#pollUntilHeard(signal);
      }
      return null;
    } finally {
      clearTimeout(watchdog);
    }
  }

  async #open(signal) {
    await this.#sink.confirm(signal);
    const position = this.#sink.position();
    const headers = { Accept: "text/event-stream" };
    if (position !== null) headers["Last-Event-ID"] = position;
    const response = await this.#api.fetch("events", { headers, signal });
    if (!response.ok) throw await Problem.of(response);
    if (!response.headers.get("Content-Type")?.startsWith("text/event-stream")) {
      throw new Problem({ status: 502, code: "no_stream", title: "Something on the way answered instead of Botlight" });
    }
    return response;
  }

  /** Asks every ten seconds until the stream speaks again; one such row at a time. */
  async #pollUntilHeard(signal) {
    if (this.#polling && !this.#polling.signal.aborted) return;
    this.#polling = new AbortController();
    const either = AbortSignal.any([signal, this.#polling.signal]);
    await pause(GRACE_MS, either);
    while (!either.aborted) {
      await this.#sink.poll(either);
      await pause(POLL_MS, either);
    }
  }
}
