/**
 * The board: a card for every session, live ones first, then what ended in the last 24 hours. While somebody points at a
 * card, all of them stay where they are: what is new comes below, and the order is mended afterwards.
 */

import "./bot-status-card.js";
import { HOME, pageApi, showSignedOut, wireSignOut } from "./account.js";
import { freshnessWords } from "./card_words.js";
import { Columns } from "./columns.js";
import { element, setAttribute, setText } from "./element.js";
import { EmptyState } from "./empty_state.js";
import { Hand } from "./hand.js";
import { RefusalList } from "./refusals.js";
import { hasEnded } from "./shown_state.js";
import { openStream } from "./stream.js";
import { TokenPanel } from "./tokens.js";

const SECOND_MS = 1000;
/** Whether this browser's person has folded the ended sessions away. */
const FOLDED = "botlight ended folded";
const part = (id) => document.getElementById(id);

const api = pageApi();
const lists = [part("running-cards"), part("ended-cards")];
const hand = new Hand(lists, () => draw());
const columns = lists.map((list) => new Columns(list, () => hand.holds, () => lookWhereCardsStand(list)));
const refusals = new RefusalList(api, part("refusals"), part("refusal-list"), () => hand.holds);
const tokens = new TokenPanel(api, part("tokens"), () => stream.listed());
const emptyState = new EmptyState(api, HOME);
const cards = new Map();
/** The sessions on the screen, in their order. */
let running = [];
let ended = [];
let laid = "";
/** Nothing is called empty before the service has said so. */
let heard = false;

const { stream } = openStream(HOME.href, null, ({ kind }) => {
  if (kind === "list") refusals.ask();
  if (kind !== "fact") draw();
});

wireSignOut(api);
setInterval(() => document.hidden || draw(), SECOND_MS);
part("ended").open = localStorage.getItem(FOLDED) === null;
part("ended").addEventListener("toggle", () => {
  if (part("ended").open) localStorage.removeItem(FOLDED);
  else localStorage.setItem(FOLDED, "yes");
  columns[1].lay();
});
draw();

function draw() {
  const freshness = stream.freshness();
  drawFreshness(freshness);
  if (showSignedOut(freshness.kind)) return clear();
  if (!heard && !["live", "polling"].includes(freshness.kind)) return undefined;
  heard = true;
  const sessions = stream.listed();
  order(sessions);
  place(lists[0], running);
  place(lists[1], ended);
  forget([...running, ...ended]);
  part("running").hidden = running.length === 0;
  part("ended").hidden = ended.length === 0;
  lay();
  part("empty").hidden = running.length + ended.length > 0;
  part("more").hidden = !stream.more;
  const alive = sessions.filter((session) => !hasEnded(session)).length;
  document.title = `${alive ? `(${alive}) ` : ""}Your bots · Botlight`;
  return undefined;
}

/** Sizes are watched by the columns themselves: on the way of a change to the screen nothing is measured. */
function lay() {
  const layout = `${hand.holds} ${running} / ${ended}`;
  if (layout === laid) return;
  laid = layout;
  columns.forEach((each) => each.lay());
}

/** Signed out: nothing of anybody's bots stays on the screen. */
function clear() {
  lists.forEach((list) => place(list, []));
  forget([]);
  tokens.close();
  refusals.clear();
  emptyState.clear();
}

/** The order to show: the list's own, or, while a hand is on the cards, the one that stands, with what is new below. */
function order(sessions) {
  const ids = (those) => those.map(({ id }) => id);
  const alive = ids(sessions.filter((session) => !hasEnded(session)));
  const over = ids(sessions.filter(hasEnded));
  if (!hand.holds) {
    [running, ended] = [alive, over];
    return;
  }
  const shown = new Set([...running, ...ended]);
  running = [...running, ...alive.filter((id) => !shown.has(id))];
  ended = [...ended, ...over.filter((id) => !shown.has(id))];
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
function place(list, ids) {
  ids.forEach((id, index) => {
    const item = cardOf(id);
    if (list.children[index] !== item) list.insertBefore(item, list.children[index] ?? null);
  });
  while (list.children.length > ids.length) list.lastElementChild.remove();
}

function cardOf(id) {
  if (!cards.has(id)) {
    const href = new URL(`sessions/${encodeURIComponent(id)}`, HOME).pathname;
    cards.set(id, element("li", {}, element("bot-status-card", { session: id, href })));
  }
  return cards.get(id);
}

function forget(ids) {
  const shown = new Set(ids);
  for (const id of cards.keys()) if (!shown.has(id)) cards.delete(id);
}

function lookWhereCardsStand(list) {
  for (const { firstElementChild: card } of list.children) card.look();
}

part("tokens").addEventListener("toggle", () => part("tokens").open && tokens.show());
for (const link of document.querySelectorAll('a[href="#tokens"]')) {
  link.addEventListener("click", () => {
    part("tokens").open = true;
  });
}
if (location.hash === "#tokens") part("tokens").open = true;
