"""From the bot to the screen and back, in real Chromium with five live cards.

Three times: reporter call → DOM changed; click on Stop → `should_stop` true in the bot; click → "seen" on the card. Bot
and browser read the same machine's clock; how far the two readings may lie apart is printed.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvloop
from playwright.sync_api import Page, Playwright, sync_playwright

from bench.ingest import server
from botlight.cli.settings import Settings
from botlight.cli.wiring import open_access
from botlight.model.access import Scope

__all__ = ["main"]

SAMPLES = int(os.environ.get("SAMPLES", "200"))
APART_S = 1.2  # a reporter sends at most once a second; the first change goes at once
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
NOW = "performance.timeOrigin + performance.now()"
PATIENCE_MS = 15_000

# Resolves with the browser's time at which a selector inside a card's shadow has the given text, or attribute.
CHANGED = f"""
([session, selector, attribute, value]) => new Promise((resolve) => {{
  const root = document.querySelector(`bot-status-card[session="${{session}}"]`).shadowRoot;
  const look = () => {{
    const node = root.querySelector(selector);
    const found = attribute ? node?.getAttribute(attribute) : node?.textContent;
    if (found !== value) return false;
    observer.disconnect();
    resolve({NOW});
    return true;
  }};
  const observer = new MutationObserver(look);
  observer.observe(root, {{ subtree: true, childList: true, characterData: true, attributes: true }});
  look();
}})
"""


class Bot:
    """The bot in its own process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def tell(self, order: str) -> None:
        """Give an order."""
        assert self._process.stdin is not None
        self._process.stdin.write(order + "\n")
        self._process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        """Its next answer."""
        assert self._process.stdout is not None
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


@contextmanager
def talking_bot(port: int, token: str, folder: Path) -> Iterator[Bot]:
    """A bot that reports to the service on a port; `folder` takes its spool."""
    environment = {**os.environ, "STATUS_REPORTER_TOKEN": token, "STATUS_REPORTER_URL": f"http://127.0.0.1:{port}"}
    environment["XDG_STATE_HOME"] = str(folder / "state")
    command = [sys.executable, "-m", "bench.talking_bot"]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Bot(process)
        process.kill()


async def admit(settings: Settings) -> tuple[str, str]:
    """A report token and the secret of a one-time link, for one person."""
    async with open_access(settings) as (people, tokens):
        users = await people.all()
        user = users[0] if users else await people.add("bench", None)
        token = await tokens.issue(user.id, "bench", Scope.REPORT)
        return token[1], await people.link()


def offset(page: Page) -> tuple[float, float]:
    """How much to add to the browser's clock to get ours, and how far wrong that may be; in ms."""
    best = (float("inf"), 0.0)
    for _ in range(50):
        before = time.time_ns() / 1e6
        theirs = page.evaluate(NOW)
        after = time.time_ns() / 1e6
        best = min(best, (after - before, (before + after) / 2 - theirs))
    return best[1], best[0] / 2


@contextmanager
def open_board(playwright: Playwright, port: int, secret: str) -> Iterator[Page]:
    """The board in Chromium, signed in by a one-time link, with a card on it."""
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
    page = browser.new_page()
    page.goto(f"http://127.0.0.1:{port}/link#{secret}")
    page.get_by_role("button").first.click()
    page.wait_for_selector("bot-status-card", timeout=PATIENCE_MS)
    yield page
    browser.close()


def appear(page: Page, session_id: str) -> None:
    """Wait until the session's card is on the board and live."""
    card = page.locator(f'bot-status-card[session="{session_id}"]')
    card.locator('.fresh[data-kind="live"]').wait_for(timeout=PATIENCE_MS)


def start_watching(page: Page, session_id: str, *what: str | None) -> None:
    """Begin to wait for a change; `watched` gives its time."""
    page.evaluate(f"(asked) => {{ window.watched = ({CHANGED})(asked); }}", [session_id, *what])


def forget(page: Page, session_id: str) -> None:
    """Delete an ended session, so that the board holds five cards and not one for each sample."""
    page.evaluate(
        """async (id) => {
          const api = new URL("api/autoapply/bot/", document.baseURI);
          const { csrf } = await (await fetch(new URL("me", api))).json();
          await fetch(new URL(`sessions/${id}`, api), { method: "DELETE", headers: { "X-CSRF-Token": csrf } });
        }""",
        session_id,
    )


def to_screen(page: Page, bot: Bot) -> list[float]:
    """Reporter call → DOM changed."""
    shift, _ = offset(page)
    bot.tell("session")
    session_id = bot.hear()["session"]
    appear(page, session_id)
    found = []
    for number in range(1, SAMPLES + 1):
        time.sleep(APART_S)
        start_watching(page, session_id, '[data-counter="jobs_applied"]', None, str(number))
        bot.tell("count")
        called = bot.hear()["at"]
        found.append(page.evaluate("window.watched") + shift - called)
    bot.tell("end")
    bot.hear()
    return found


def to_bot(page: Page, bot: Bot) -> tuple[list[float], list[float]]:
    """Click on Stop → `should_stop` true; click → seen on the card."""
    shift, _ = offset(page)
    stopped, seen = [], []
    for _ in range(SAMPLES):
        bot.tell("session")
        session_id = bot.hear()["session"]
        appear(page, session_id)
        bot.tell("watch")
        time.sleep(APART_S)
        start_watching(page, session_id, 'li[data-step="seen"]', "data-state", "done")
        clicked = page.evaluate(
            f'(id) => {{ const card = document.querySelector(`bot-status-card[session="${{id}}"]`);'
            f" const at = {NOW}; card.shadowRoot.querySelector('button.stop').click(); return at; }}",
            session_id,
        )
        stopped.append(bot.hear()["at"] - clicked - shift)
        seen.append(page.evaluate("window.watched") - clicked)
        bot.tell("end")
        bot.hear()
        forget(page, session_id)
    return stopped, seen


def show(name: str, took: list[float], aim: str = "") -> None:
    """Print one row."""
    cuts = statistics.quantiles(took, n=20)
    said = f"   aim {aim}" if aim else ""
    print(f"  {name:36} {statistics.median(took):8.1f} {cuts[18]:8.1f} {max(took):8.1f}{said}")


def main() -> None:
    """Run and print the table."""
    with tempfile.TemporaryDirectory() as folder, server("service", Path(folder)) as (port, settings, _):
        token, secret = uvloop.run(admit(settings))
        with (
            talking_bot(port, token, Path(folder)) as bot,
            sync_playwright() as playwright,
            open_board(playwright, port, secret) as page,
        ):
            print(f"Latency in ms, {SAMPLES} samples at least {APART_S} s apart, five live cards, Chromium")
            print(f"  {'':36} {'p50':>8} {'p95':>8} {'max':>8}")
            show("reporter call → DOM changed", to_screen(page, bot), "p50 < 12")
            stopped, seen = to_bot(page, bot)
            show("Stop click → should_stop true", stopped, "p50 < 20")
            show("Stop click → seen on the card", seen, "p50 < 40")
            print(f"  (bot's and browser's clock agree within {offset(page)[1]:.2f} ms)")


if __name__ == "__main__":
    main()
