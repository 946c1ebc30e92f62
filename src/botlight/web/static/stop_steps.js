/** The four steps of a stop, each from its own fact in the session document. Pure. */

import { hasEnded } from "./shown_state.js";
import { clockTime, duration, span } from "./time_words.js";

const WAITING = {
  requested: "",
  delivered: "on its way to the bot",
  seen: "the bot looks after its current step",
  ended: "the bot is finishing",
};
const NAMES = { requested: "Requested", delivered: "Delivered", seen: "Seen", ended: "Ended" };
const OUTCOMES = { success: "as completed", failed: "as failed", interrupted: "as interrupted" };

function endWords(session) {
  if (session.inferred) return "concluded from silence";
  return ["the bot reported its end", OUTCOMES[session.outcome]].filter(Boolean).join(" ");
}

function missed(step, session) {
  if (hasEnded(session)) return "not reported";
  return { delivered: "not delivered", seen: "not seen", ended: "no end reported" }[step];
}

/**
 * @param {object} session a session document with a stop requested
 * @param {number} now milliseconds since 1970 by the service's clock
 * @returns {{step: string, name: string, state: "done"|"waiting"|"missed"|"ahead", time: string, words: string}[]}
 *   one row per step; `waiting` is the one that everything now hangs on
 */
export function stopSteps(session, now) {
  const facts = {
    requested: session.stop_requested_at,
    delivered: session.stop_delivered_at,
    seen: session.stop_seen_at,
    ended: session.ended_at,
  };
  const over = hasEnded(session) || session.status === "lost";
  let last = Date.parse(facts.requested);
  let reached = true;
  return Object.entries(facts).map(([step, at]) => {
    const row = { step, name: NAMES[step], time: "", words: "" };
    if (at) {
      const gap = step === "requested" ? "" : `+${span(Date.parse(at) - last)}`;
      last = Date.parse(at);
      const words = step === "ended" ? endWords(session) : "";
      return { ...row, state: "done", time: clockTime(at, now, { seconds: true }), words: [gap, words].filter(Boolean).join(" · ") };
    }
    if (over) return { ...row, state: "missed", words: missed(step, session) };
    if (!reached) return { ...row, state: "ahead" };
    reached = false;
    return { ...row, state: "waiting", words: `${WAITING[step]} · ${duration(now - last)}` };
  });
}

/** "stop requested 14:02, not delivered": the state of a stop whose bot nobody hears. Null without a pending stop. */
export function pendingStop(session, now) {
  if (!session.stop_requested_at || session.status !== "lost") return null;
  const reached = session.stop_seen_at ? "seen, no end reported" : session.stop_delivered_at ? "delivered, not seen" : "not delivered";
  return `Stop requested ${clockTime(session.stop_requested_at, now)}, ${reached}.`;
}
