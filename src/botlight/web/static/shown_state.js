/**
 * The state that a person is shown, derived from a session document and the service's clock.
 *
 * The service has the same rules; `contract/shown_state.json` holds the cases that both are tested against.
 */

/** A wait ends by itself this long after its deadline. */
const WAIT_SLACK_MS = 30_000;
/** A bot that speaks but moves nothing for this long is stuck. */
const STUCK_MS = 600_000;
/** A heartbeat is late after this many of the bot's own intervals. */
const SILENT_INTERVALS = 1.5;

const ENDS = new Set(["completed", "failed", "stopped", "interrupted"]);

const at = (instant) => (instant ? Date.parse(instant) : null);

/** True once a session has ended, by the bot's word or by inference. */
export const hasEnded = (session) => ENDS.has(session.status);

/** When the bot was last heard, in milliseconds since 1970; the session's beginning where it never was. */
export const heardAt = (session) => at(session.last_heartbeat_at) ?? at(session.created_at);

/** Whether the next heartbeat is late. */
export const isLate = (session, now) => now - heardAt(session) > SILENT_INTERVALS * 1000 * session.heartbeat_s;

/** When the bot last moved anything, in milliseconds since 1970. */
export const progressedAt = (session) => at(session.progress_at) ?? at(session.started_at);

/**
 * @param {object} session the session document
 * @param {number} now milliseconds since 1970 by the service's clock
 * @returns {"working"|"waiting"|"stuck"|"silent"|"stopping"|"lost"|"completed"|"failed"|"stopped"|"interrupted"}
 */
export function shownState(session, now) {
  if (hasEnded(session)) return session.status;
  if (session.status === "lost") return "lost";
  if (session.stop_requested_at) return "stopping";
  if (isLate(session, now)) return "silent";
  if (session.waiting_until && now <= at(session.waiting_until) + WAIT_SLACK_MS) return "waiting";
  return now - progressedAt(session) > STUCK_MS ? "stuck" : "working";
}
