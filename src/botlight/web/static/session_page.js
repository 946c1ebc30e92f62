/** One session's page: its card, its jobs (the proof behind the counters), and its timeline. */

import "./bot-status-card.js";
import { HOME, pageApi, wireSignOut } from "./account.js";
import { JobList } from "./jobs.js";
import { openStream } from "./stream.js";
import { Timeline } from "./timeline.js";

const part = (id) => document.getElementById(id);

const id = part("card").getAttribute("session");
const api = pageApi();
const timeline = new Timeline(api, id, part("timeline"), part("timeline-said"));
const jobs = new JobList(api, id, { list: part("jobs"), said: part("jobs-said"), more: part("more-jobs") });

const { stream } = openStream(HOME.href, null, ({ kind, id: about, fact }) => {
  // Facts are not replayed: after each (re)connection the timeline is read again.
  if (kind === "list" || kind === "back") timeline.read();
  if (kind === "fact" && about === id) timeline.add(fact);
  if ((kind === "session" && about === id) || kind === "list") show(stream.get(id));
});

wireSignOut(api);
addEventListener("hashchange", filter);
filter();
timeline.read();

function filter() {
  const wanted = location.hash.slice(1) || "all";
  for (const link of document.querySelectorAll(".filters a")) {
    if (link.hash === `#${wanted}`) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
  jobs.show(wanted === "all" ? null : wanted);
}

function show(session) {
  if (!session) return;
  const name = session.bot_name || "Unnamed bot";
  document.title = `${name} · Botlight`;
  part("session-title").textContent = name;
  jobs.counted(session);
}
