/** The four steps of a stop, each from its own fact in the session document. Pure. */

import { hasEnded, heardAt, isLate } from "./shown_state.js";
import { clockTime, duration, span } from "./time_words.js";

const WAITING = {
  requested: "",
  delivered: "on its way to the bot",
  seen: "the bot will look after its current step is done",
  ended: "the bot is finishing",
};
const LATE = "waits for the bot's next word";
const NAMES = { requested: "Requested", delivered: "Delivered", seen: "Seen", ended: "Ended" };
const OUTCOMES = { success: "as completed", failed: "as failed", interrupted: "as interrupted" };

/** What the bot said about its end, and how long after the press that was: one total, and no sum to be done in the head. */
function endWords(session) {
  const total = Date.parse(session.ended_at) - Date.parse(session.stop_requested_at);
  const after = total >= 0 ? `${span(total)} after Stop was pressed` : "before Stop was pressed";
  const outcome = OUTCOMES[session.outcome];
  return `the bot reported its end${outcome ? ` ${outcome}` : ""}, ${after}`;
}

/** An end without the bot's word: when it was last heard, and who concluded. */
function concludedWords(session, now, byHand) {
  const heard = `last heard ${clockTime(heardAt(session), now, { seconds: true })}`;
  return `${heard} · ${byHand ? "you marked it as ended" : "concluded from silence"}`;
}

function missed(step, session) {
  if (hasEnded(session)) return "not reported";
  return { delivered: "not delivered", seen: "not seen", ended: "no end reported" }[step];
}

/**
 * @param {object} session a session document with a stop requested
 * @param {number} now milliseconds since 1970 by the service's clock
 * @param {{byHand?: boolean}} [known] whether the reader has marked it as ended
 * @returns {{step: string, name: string, state: "done"|"waiting"|"missed"|"ahead"|"concluded"|"apart", time: string, words: string}[]}
 *   one row per step; `waiting` is the one that everything now hangs on, `concluded` an end without the bot's word,
 *   `apart` a fact that lies before the one above it and so is no result of it
 */
export function stopSteps(session, now, { byHand = false } = {}) {
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
    if (at && step === "ended" && session.inferred) return { ...row, state: "concluded", words: concludedWords(session, now, byHand) };
    if (at) {
      const gap = Date.parse(at) - last;
      last = Math.max(last, Date.parse(at));
      const words = step === "ended" ? endWords(session) : gap > 0 ? `+${span(gap)}` : "";
      return { ...row, state: gap < 0 ? "apart" : "done", time: clockTime(at, now, { seconds: true }), words };
    }
    if (over) return { ...row, state: "missed", words: missed(step, session) };
    if (!reached) return { ...row, state: "ahead" };
    reached = false;
    if (isLate(session, now)) return { ...row, state: "waiting", words: LATE };
    return { ...row, state: "waiting", words: `${WAITING[step]} · ${duration(now - last)}` };
  });
}

/** "stop requested 14:02, not delivered": the state of a stop whose bot nobody hears. Null without a pending stop. */
export function pendingStop(session, now) {
  if (!session.stop_requested_at || session.status !== "lost") return null;
  const reached = session.stop_seen_at ? "seen, no end reported" : session.stop_delivered_at ? "delivered, not seen" : "not delivered";
  return `Stop requested ${clockTime(session.stop_requested_at, now)}, ${reached}.`;
}
