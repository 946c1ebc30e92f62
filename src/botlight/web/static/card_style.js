/** The card's style as a constructed sheet, which a strict content security policy allows. */

const CSS = `
:host {
  color-scheme: light dark;
  display: block;
  container-type: inline-size;
  font: 400 1rem/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif;
  --surface: light-dark(#ffffff, #161d27);
  --ink: light-dark(#17202c, #e8edf4);
  --soft: light-dark(#566171, #9dabbd);
  --line: light-dark(#e3e7ed, #273241);
  --wash: light-dark(#f4f6f9, #1d2632);
  --good: light-dark(#0a6a4d, #74dcb4);
  --good-wash: light-dark(#e2f5ed, #12352b);
  --wait: light-dark(#775000, #f0c674);
  --wait-wash: light-dark(#fdf2d9, #3a2e12);
  --warn: light-dark(#97390a, #f7a97f);
  --warn-wash: light-dark(#fdebdf, #402414);
  --bad: light-dark(#a3222c, #ff9ea4);
  --bad-wash: light-dark(#fdeaea, #45191f);
  --calm: light-dark(#1d4f9f, #9cc2ff);
  --calm-wash: light-dark(#e6effc, #172c4c);
  --dusk: light-dark(#6a3d8f, #d5b0f5);
  --dusk-wash: light-dark(#f3eafa, #34204a);
  --grey: light-dark(#454f5e, #b9c4d2);
  --grey-wash: light-dark(#ebeef2, #273140);
}
:host([theme="light"]) { color-scheme: light; }
:host([theme="dark"]) { color-scheme: dark; }
:host([hidden]), [hidden] { display: none !important; }
* { box-sizing: border-box; }
p, dl, dd, ol, h2 { margin: 0; padding: 0; }

.card {
  --tone: var(--grey); --tone-wash: var(--grey-wash);
  position: relative; display: flex; flex-direction: column; gap: .8rem;
  padding: 1.1rem 1.2rem 1rem; border: 1px solid var(--line); border-radius: 16px;
  background: var(--surface); color: var(--ink);
  box-shadow: 0 1px 2px rgb(16 24 40 / .05), 0 6px 20px rgb(16 24 40 / .05);
  overflow-wrap: anywhere;
}
.card[data-state="working"], .card[data-state="completed"] { --tone: var(--good); --tone-wash: var(--good-wash); }
.card[data-state="waiting"] { --tone: var(--wait); --tone-wash: var(--wait-wash); }
.card[data-state="stuck"], .card[data-state="silent"] { --tone: var(--warn); --tone-wash: var(--warn-wash); }
.card[data-state="failed"] { --tone: var(--bad); --tone-wash: var(--bad-wash); }
.card[data-state="stopping"] { --tone: var(--calm); --tone-wash: var(--calm-wash); }
.card[data-state="stopping"][data-late] { --tone: var(--warn); --tone-wash: var(--warn-wash); }
.card[data-state="lost"], .card[data-state="interrupted"] { --tone: var(--dusk); --tone-wash: var(--dusk-wash); }

header { display: flex; justify-content: space-between; align-items: center; gap: .75rem; }
.state {
  display: inline-flex; align-items: center; gap: .5em; padding: .22rem .75rem .22rem .6rem; border-radius: 99px;
  background: var(--tone-wash); color: var(--tone); font-weight: 650; font-size: .9rem;
}
.state::before { content: ""; width: .55em; height: .55em; border-radius: 50%; background: currentColor; }
[data-state="completed"] .state::before, [data-state="stopped"] .state::before,
[data-state="failed"] .state::before, [data-state="interrupted"] .state::before { border-radius: 2px; }
[data-state="lost"] .state::before, [data-state="silent"] .state::before { background: none; border: 2px solid currentColor; }

/* What may be old by now has no colour of its own. */
.card[data-unheard] { --tone: var(--grey); --tone-wash: var(--grey-wash); }
.card[data-unheard] .emoji { filter: grayscale(1); }

.fresh { margin-inline-start: auto; display: inline-flex; align-items: center; gap: .45em; font-size: .78rem; color: var(--soft); white-space: nowrap; }
.fresh::before { content: ""; width: .42rem; height: .42rem; border-radius: 50%; border: 1.5px solid currentColor; }
.fresh[data-kind="live"]::before { background: var(--good); border-color: transparent; }
.fresh[data-kind="polling"] { color: var(--wait); }
.fresh[data-kind="offline"], .fresh[data-kind="signed_out"], .fresh[data-kind="refused"] { color: var(--bad); font-weight: 600; }
@keyframes breathe { 50% { opacity: .35; } }

h2 { font-size: 1.2rem; line-height: 1.25; font-weight: 680; letter-spacing: -.01em; }
h2 a { color: inherit; text-decoration: none; }
h2 a[href] { text-decoration: underline; text-decoration-thickness: 1.5px; text-decoration-color: var(--soft); text-underline-offset: .18em; }
h2 a[href]:hover { text-decoration-color: currentColor; text-decoration-thickness: 2px; }
.body { display: grid; grid-template-columns: minmax(0, 1fr); grid-template-rows: 1.6rem 1.35rem auto; }
.card[data-over] .body, .card[data-state="lost"] .body, .card[data-state="none"] .body { grid-template-rows: auto; }
.note { grid-row: 3; }
.card[data-over] .note, .card[data-state="lost"] .note { grid-row: auto; }
.activity { display: flex; align-items: baseline; gap: .5em; font-weight: 500; }
/* One line each, whatever a bot says: a button that jumps with each job cannot be pressed. */
.label, .details { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; min-width: 0; }
.emoji { font-size: 1.05em; }
.since { margin-inline-start: auto; color: var(--soft); font-weight: 400; font-size: .875rem; white-space: nowrap; font-variant-numeric: tabular-nums; }
.details { color: var(--soft); font-size: .9rem; }
.note { color: var(--tone); font-size: .9rem; font-variant-numeric: tabular-nums; }

.counters { display: flex; flex-wrap: wrap; gap: .5rem 1rem; padding: .2rem 0; }
.counter { display: flex; flex-direction: column; flex: 1 1 15%; min-width: max-content; }
.counter .value { font-size: clamp(1.4rem, 8.4cqi, 2.1rem); line-height: 1.1; font-weight: 680; letter-spacing: -.02em; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
.counter dt { color: var(--soft); font-size: .85rem; order: 2; }
.counter dt a { color: inherit; text-decoration: none; display: inline-block; padding: .2rem 0; min-width: 1.6rem; }
.counter dt a[href] { text-decoration: underline; text-decoration-color: var(--soft); text-underline-offset: .2em; }
.counter dt a[href]:hover { color: var(--ink); text-decoration-color: currentColor; }
.others { display: flex; flex-wrap: wrap; gap: .3rem .9rem; font-size: .875rem; color: var(--soft); }
.others div { display: flex; gap: .35em; }
.others dd { color: var(--ink); font-variant-numeric: tabular-nums; font-weight: 600; }

.progress { display: flex; align-items: center; gap: .7rem; font-size: .85rem; color: var(--soft); font-variant-numeric: tabular-nums; white-space: nowrap; }
progress { appearance: none; flex: 1; min-width: 3rem; height: .5rem; border: 0; border-radius: 99px; overflow: hidden; background: var(--grey-wash); }
progress::-webkit-progress-bar { background: var(--grey-wash); }
progress::-webkit-progress-value { background: var(--tone); border-radius: 99px; transition: inline-size .4s ease; }
progress::-moz-progress-bar { background: var(--tone); border-radius: 99px; }

.error { padding: .55rem .75rem; border-radius: 10px; background: var(--bad-wash); color: var(--bad); font-size: .9rem; white-space: pre-wrap; }

.steps { list-style: none; display: flex; flex-direction: column; padding: .7rem .8rem; border-radius: 12px; background: var(--wash); font-size: .875rem; }
.steps li { position: relative; display: grid; grid-template-columns: 1.35rem 6.3rem 4.6rem minmax(0, 1fr); align-items: baseline; padding: .16rem 0; color: var(--soft); }
.steps li::before { content: ""; margin-top: .28rem; align-self: start; width: .62rem; height: .62rem; border-radius: 50%; border: 2px solid var(--line); background: var(--surface); z-index: 1; }
.steps li:not(:last-child)::after { content: ""; position: absolute; left: .25rem; top: .7rem; bottom: -.7rem; width: 2px; background: var(--line); }
.steps li[data-state="done"]::before { background: var(--calm); border-color: var(--calm); }
.steps li:has(+ li[data-state="done"])::after { background: var(--calm); }
.steps li[data-state="done"] .step, .steps li[data-state="done"] .time { color: var(--ink); }
.steps li[data-state="waiting"]::before { border-color: var(--calm); animation: breathe 1.6s ease-in-out infinite; }
.steps li[data-state="waiting"] .words { color: var(--calm); }
[data-late] .steps li[data-state="waiting"]::before { border-color: var(--warn); animation: none; }
[data-late] .steps li[data-state="waiting"] .words { color: var(--warn); }
.steps li[data-state="missed"]::before, .steps li[data-state="concluded"]::before { border-color: var(--dusk); border-style: dashed; }
.steps li[data-state="missed"] .words, .steps li[data-state="concluded"] .words { color: var(--dusk); }
.steps li[data-state="apart"]::before { background: var(--soft); border-color: var(--soft); }
.steps .step { grid-column: 2; font-weight: 550; }
.steps .time { grid-column: 3; font-variant-numeric: tabular-nums; }
.steps .words { grid-column: 4; font-variant-numeric: tabular-nums; }
.steps .time[hidden] + .words { grid-column: 3 / 5; }

footer { display: flex; flex-wrap: wrap; align-items: center; justify-content: space-between; gap: .5rem 1rem; }
.times { display: flex; flex-direction: column; justify-content: center; min-height: 2.5rem; line-height: 1.3; color: var(--soft); font-size: .875rem; font-variant-numeric: tabular-nums; }
.card[data-over] .times { min-height: 0; }
.card[data-late] .heard { color: var(--tone); }
.actions { display: flex; flex-wrap: wrap; align-items: center; justify-content: flex-end; gap: .5rem .75rem; margin-inline-start: auto; }
.said { color: var(--bad); font-size: .875rem; flex-basis: 100%; text-align: end; }
button {
  font: inherit; font-weight: 620; min-height: 2.5rem; padding: .3rem 1.15rem; border-radius: 11px; cursor: pointer;
  color: var(--bad); background: transparent; border: 1.5px solid color-mix(in srgb, var(--bad) 45%, transparent);
  transition: background .15s, color .15s;
}
button:hover:not(:disabled, [aria-disabled]) { background: var(--bad); color: var(--surface); border-color: var(--bad); }
button[aria-disabled] { cursor: default; opacity: .65; }
button:disabled { cursor: progress; color: var(--soft); border-color: var(--line); }
.close { color: var(--soft); border-color: var(--line); font-weight: 500; }
.close:hover:not(:disabled) { background: var(--wash); color: var(--ink); border-color: var(--soft); }
.sign-in { color: var(--calm); font-weight: 600; font-size: .9rem; }
:focus-visible { outline: 3px solid light-dark(#2563c9, #8ab6ff); outline-offset: 2px; border-radius: 8px; }

.spoken { position: absolute; width: 1px; height: 1px; margin: -1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

@container (max-width: 23rem) {
  .steps li { grid-template-columns: 1.35rem minmax(0, 1fr) auto; }
  .steps .time { grid-column: 3; text-align: end; }
  .steps .words, .steps .time[hidden] + .words { grid-column: 2 / 4; }
}
@media (prefers-reduced-motion: reduce) {
  *, *::before, *::after { animation: none !important; transition: none !important; }
}
@media (forced-colors: active) {
  .card, button { border: 1px solid CanvasText; }
  progress::-webkit-progress-value { background: Highlight; }
}
`;

/** Adopted by every card of a page. */
export const cardStyle = new CSSStyleSheet();
cardStyle.replaceSync(CSS);
