/**
 * The one open table of activities: what a bot's word looks like on a card.
 *
 * Any word is legal. To give one of yours a face, either put an emoji in front of it in the bot
 * (`send_heartbeat("🧾 writing_invoice")`) or add a row from a module of your own page:
 *
 *     import { defineActivity } from "https://your-botlight.example/static/activities.js";
 *     defineActivity("writing_invoice", "🧾", "Writing the invoice");
 */

// The terminal's card reads these rows from this file: one a line, a string each.
const TABLE = new Map(
  Object.entries({
    starting: ["🚀", "Starting"],
    browser_opening: ["🌐", "Opening the browser"],
    logging_in: ["🔑", "Signing in"],
    searching: ["🔍", "Searching for jobs"],
    jobs_found: ["📋", "Found jobs"],
    opening_job: ["📄", "Opening a job"],
    filling_form: ["✍️", "Filling in the form"],
    applying: ["📨", "Applying"],
    applied: ["✅", "Applied"],
    waiting: ["⏳", "Waiting"],
    waiting_for_user: ["🙋", "Waiting for you"],
    captcha: ["🧩", "A captcha needs you"],
    rate_limited: ["🐢", "Slowed down by the site"],
    error: ["⚠️", "Met an error"],
    finishing: ["🏁", "Finishing"],
    stopping: ["🛑", "Stopping"],
  }),
);

const NEUTRAL = "🔹";
const LEADING_EMOJI = /^(\p{Extended_Pictographic}[\p{Emoji_Modifier}\u200d\ufe0f\p{Extended_Pictographic}]*)\s*(.*)$/su;

/** Adds a row to the table, or replaces one. Cards drawn from now on use it. */
export function defineActivity(name, emoji, label) {
  TABLE.set(String(name), [String(emoji), String(label)]);
}

/**
 * @param {string|null|undefined} name the bot's word, untrusted text
 * @returns {{emoji: string, label: string}} to be shown as text, never as HTML
 */
export function activityFace(name) {
  if (!name) return { emoji: NEUTRAL, label: "No activity reported yet" };
  const row = TABLE.get(name);
  if (row) return { emoji: row[0], label: row[1] };
  const [, emoji, words] = LEADING_EMOJI.exec(name) ?? [null, NEUTRAL, name];
  const label = words.includes(" ") ? words : words.replaceAll("_", " ").trim();
  return { emoji, label: label ? label[0].toLocaleUpperCase() + label.slice(1) : name };
}
