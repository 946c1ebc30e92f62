/** What a card says in words about a session, at one instant. Pure; all of it is text. */

import { heardAt, isLate, progressedAt } from "./shown_state.js";
import { pendingStop } from "./stop_steps.js";
import { clockTime, duration, stopwatch } from "./time_words.js";

/** The shown state as a person reads it. */
export const STATE_NAMES = {
  working: "Working",
  waiting: "Waiting",
  stuck: "Stuck",
  silent: "Silent",
  stopping: "Stopping",
  lost: "Lost",
  completed: "Completed",
  failed: "Failed",
  stopped: "Stopped",
  interrupted: "Interrupted",
};

/** The counters that every session has, in the order of a card. */
export const COUNTERS = [
  ["jobs_found", "found"],
  ["jobs_applied", "applied"],
  ["jobs_failed", "failed"],
  ["credits_used", "credits"],
];

const number = new Intl.NumberFormat(undefined, { maximumFractionDigits: 6 });

/** A counter's value. */
export const countWords = (value) => number.format(value ?? 0);

/** How long an announced pause still lasts. */
export function pauseWords(session, now) {
  const left = Date.parse(session.waiting_until) - now;
  return left > 0 ? `goes on in ${stopwatch(left + 999)}` : "goes on any moment";
}

function lostNote(session, now) {
  const heard = `Not heard since ${clockTime(heardAt(session), now)}. It may still run; its next report brings it back.`;
  return [pendingStop(session, now), heard].filter(Boolean).join(" ");
}

function endNote(verb, session, now) {
  return `${verb} at ${clockTime(session.ended_at, now)}`;
}

/** A stop that nobody hears of: how far it had come, and what it hangs on. */
function stoppingNote(session, now) {
  if (!isLate(session, now)) return "";
  const next = session.stop_seen_at
    ? "It has seen the stop; its end is not reported yet."
    : session.stop_delivered_at
      ? "The stop has reached it; what comes of it, its next word says."
      : "The stop waits for its next word.";
  return `Not heard for ${stopwatch(now - heardAt(session))}. ${next}`;
}

const NOTES = {
  stuck: (session, now) => `It speaks, but nothing has moved for ${duration(now - progressedAt(session))}`,
  stopping: stoppingNote,
  silent: (session, now) => `Not heard for ${stopwatch(now - heardAt(session))}. It means to speak every ${session.heartbeat_s} s.`,
  lost: lostNote,
  completed: (session, now) => endNote("Finished", session, now),
  failed: (session, now) => endNote("Ended with an error", session, now),
  stopped: (session, now) => endNote("Stopped", session, now),
  interrupted: (session, now) =>
    session.inferred ? `No end was reported; last heard at ${clockTime(heardAt(session), now)}` : endNote("Cut off", session, now),
};

/** The sentence that explains the shown state, or "". */
export function stateNote(session, state, now) {
  return NOTES[state]?.(session, now) ?? "";
}

/** Says of which moment a picture is, once nothing more is heard. */
export function lastKnownNote(now) {
  return `Last known, as of ${clockTime(now, Date.now(), { seconds: true })}`;
}

/** Says that a process of an ended session still reports, or "". */
export function afterlifeNote(session, now) {
  if (!session.ended_at || !session.last_heartbeat_at) return "";
  if (Date.parse(session.last_heartbeat_at) <= Date.parse(session.ended_at) + 1000) return "";
  return `A process of it still reports, last at ${clockTime(session.last_heartbeat_at, now, { seconds: true })}.`;
}

/** Names that say nothing beside their value. */
const PLAIN = new Set(["title", "company", "job", "message", "text", "query"]);

/** "Data analyst · Acme · page: 3" out of what the bot attached to its activity. */
export function detailWords(details) {
  if (details === null || details === undefined) return "";
  if (typeof details !== "object") return String(details);
  const words = (value) => (typeof value === "object" && value !== null ? JSON.stringify(value) : String(value));
  return Object.entries(details)
    .map(([name, value]) => (PLAIN.has(name) ? words(value) : `${name.replaceAll("_", " ")}: ${words(value)}`))
    .join(" · ");
}

/** From here on a card says how long the bot has not spoken. */
const HEARD_MS = 10_000;

/** Whether the bot's own clocks stand still: what it did since it was last heard, nobody knows. */
export const standsStill = (session, state, now) => state === "lost" || (!session.ended_at && isLate(session, now));

/** The running time: of an ended session how long it ran, of one that is silent how long it was heard. */
export function runningTime(session, state, now) {
  const began = Date.parse(session.started_at);
  if (session.ended_at) return `ran ${duration(Date.parse(session.ended_at) - began)}`;
  if (standsStill(session, state, now)) return `heard for ${stopwatch(heardAt(session) - began)}`;
  return `running ${stopwatch(now - began)}`;
}

/** "heard 12 s ago", of a bot that runs; "" where it has just spoken. */
export function heardWords(session, now) {
  const quiet = now - heardAt(session);
  return session.ended_at || quiet <= HEARD_MS ? "" : `heard ${duration(quiet)} ago`;
}

/**
 * The freshness mark: what it says, and what it says on a longer look. It speaks of the page and not of the bot, so it
 * names the page, and beside a bot that is not heard or has ended nothing is called live.
 */
export function freshnessWords({ kind, ageMs, reason }, session = null) {
  const quiet = session !== null && session.status !== "running";
  const words = {
    connecting: ["page connecting…", "Nothing has been heard from Botlight yet"],
    live: quiet ? ["page up to date", "Should anything change, this page shows it at once"] : ["page live", "This page shows changes at once"],
    polling: ["page polling every 10 s", "The live stream cannot be had, so this page asks every 10 s"],
    offline: [`page offline ${duration(ageMs)}`, "This page does not hear Botlight; it shows the last known picture"],
    signed_out: ["signed out", "Sign in to see what your bots do"],
    refused: ["not allowed", reason ?? ""],
  };
  return words[kind];
}
