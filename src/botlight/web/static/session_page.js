/** One session's page: its card, its jobs (the proof behind the counters), and its timeline. */

import "./bot-status-card.js";
import { HOME, pageApi, showSignedOut, wireSignOut } from "./account.js";
import { JobList } from "./jobs.js";
import { openStream } from "./stream.js";
import { Timeline } from "./timeline.js";

const part = (id) => document.getElementById(id);

const id = part("card").getAttribute("session");
const api = pageApi();
const timeline = new Timeline(api, id, { list: part("timeline"), said: part("timeline-said"), missing });
const jobs = new JobList(api, id, { list: part("jobs"), said: part("jobs-said"), more: part("more-jobs") });

const { stream } = openStream(HOME.href, null, ({ kind, id: about, fact }) => {
  if (showSignedOut(stream.freshness().kind)) return clear("Signed out");
  // Facts are not replayed: after each (re)connection the timeline is read again.
  if (kind === "list" || kind === "back") timeline.read();
  if (kind === "fact" && about === id) timeline.add(fact);
  if (kind === "removed" && about === id) missing("This session was removed");
  if ((kind === "session" && about === id) || kind === "list") show(stream.get(id));
  return undefined;
});

wireSignOut(api);
addEventListener("hashchange", filter);
for (const button of document.querySelectorAll(".switch button")) button.addEventListener("click", () => turnTo(button.dataset.part));
filter();
timeline.read();
jobs.read();

function filter() {
  const wanted = location.hash.slice(1) || "all";
  for (const link of document.querySelectorAll(".filters a")) {
    if (link.hash === `#${wanted}`) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
  jobs.show(wanted === "all" ? null : wanted);
}

/** On a small screen one of the two lists is shown. */
function turnTo(name) {
  part("one").dataset.part = name;
  for (const button of document.querySelectorAll(".switch button")) button.setAttribute("aria-pressed", String(button.dataset.part === name));
}

function show(session) {
  if (!session) return;
  const name = session.bot_name || "Unnamed bot";
  document.title = `${name} · Botlight`;
  part("session-title").textContent = name;
  jobs.counted(session);
  timeline.about(session);
}

/** The service knows no such session, or none any more: the page says that and nothing else. */
function missing(words) {
  clear(words);
  part("missing").hidden = false;
  part("missing-title").textContent = words;
  document.title = `${words} · Botlight`;
}

/** Leaves nothing of the session on the page. */
function clear(title) {
  part("one").replaceChildren();
  part("one").hidden = true;
  part("session-title").textContent = title;
}
