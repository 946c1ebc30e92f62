/** The board: a card for every session, live ones first, then what ended in the last 24 hours. */

import "./bot-status-card.js";
import { HOME, pageApi, wireSignOut } from "./account.js";
import { freshnessWords } from "./card_words.js";
import { element, setAttribute, setText } from "./element.js";
import { wireEmptyState } from "./empty_state.js";
import { RefusalList } from "./refusals.js";
import { hasEnded } from "./shown_state.js";
import { openStream } from "./stream.js";
import { TokenPanel } from "./tokens.js";

const SECOND_MS = 1000;
const part = (id) => document.getElementById(id);

const api = pageApi();
const refusals = new RefusalList(api, part("refusals"), part("refusal-list"));
const tokens = new TokenPanel(api, part("tokens"), () => stream.listed());
const cards = new Map();
/** Nothing is called empty before the service has said so. */
let heard = false;

const { stream } = openStream(HOME.href, null, ({ kind }) => {
  if (kind === "list") refusals.ask();
  if (kind !== "fact") draw();
});

wireSignOut(api);
wireEmptyState(api, HOME);
setInterval(() => document.hidden || draw(), SECOND_MS);
draw();

function draw() {
  const freshness = stream.freshness();
  drawFreshness(freshness);
  part("signed-out").hidden = freshness.kind !== "signed_out";
  if (!heard && !["live", "polling"].includes(freshness.kind)) return undefined;
  heard = true;
  const sessions = stream.listed();
  const running = sessions.filter((session) => !hasEnded(session));
  const ended = sessions.filter(hasEnded);
  place(part("running-cards"), running);
  place(part("ended-cards"), ended);
  part("running").hidden = running.length === 0;
  part("ended").hidden = ended.length === 0;
  part("empty").hidden = sessions.length > 0;
  part("more").hidden = !stream.more;
  forget(sessions);
  document.title = `${running.length ? `(${running.length}) ` : ""}Your bots · Botlight`;
  return undefined;
}

function drawFreshness(freshness) {
  const [mark, explanation] = freshnessWords(freshness);
  const line = part("fresh");
  // The seconds of "offline 40 s" are for the eyes: a screen reader is told once.
  setAttribute(line, "aria-live", freshness.kind === "offline" && line.dataset.kind === "offline" ? "off" : "polite");
  setText(line, mark);
  setAttribute(line, "title", explanation);
  setAttribute(line, "data-kind", freshness.kind);
}

/** Puts the cards of these sessions into a list in this order, and moves none that stands right. */
function place(list, sessions) {
  sessions.forEach((session, index) => {
    const item = cardOf(session.id);
    if (list.children[index] !== item) list.insertBefore(item, list.children[index] ?? null);
  });
  while (list.children.length > sessions.length) list.lastElementChild.remove();
}

function cardOf(id) {
  if (!cards.has(id)) {
    const href = new URL(`sessions/${encodeURIComponent(id)}`, HOME).pathname;
    cards.set(id, element("li", {}, element("bot-status-card", { session: id, href })));
  }
  return cards.get(id);
}

function forget(sessions) {
  const shown = new Set(sessions.map((session) => session.id));
  for (const id of cards.keys()) if (!shown.has(id)) cards.delete(id);
}

part("tokens").addEventListener("toggle", () => part("tokens").open && tokens.show());
for (const link of document.querySelectorAll('a[href="#tokens"]')) {
  link.addEventListener("click", () => {
    part("tokens").open = true;
  });
}
if (location.hash === "#tokens") part("tokens").open = true;
