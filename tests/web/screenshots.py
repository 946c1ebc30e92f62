"""Pictures of the real page: `python -m tests.web.screenshots OUTDIR [--link ONE-TIME-LINK]`.

Without `--link` a service of its own is started on an empty store. With one, the pictures are made at the running
service that printed it; its board should be empty. Takes a good minute, since a session is lost after sixty seconds of
silence and no clock is moved here.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, Literal

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.web.conftest import CHROMIUM, FLAGS
from tests.web.parts import card, shows_state
from tests.web.real_service import Bot, SignIn, serving

WIDE: Final = (1120, 760)
PHONE: Final = (360, 780)
LOST_MS: Final = 90_000
CREDITS: Final = 0.5
FORM: Final = {"name": "filling_form", "details": {"title": "Data engineer", "company": "Acme"}, "n": 2}
MORNING: Final = [
    ("Junior data scientist", "Hooli", "applied", None),
    ("Backend developer, Python", "Globex", "applied", None),
    ("Platform engineer", "Umbrella", "skipped", "Closed before it was opened"),
    ("Analytics engineer", "Initech", "failed", "The form asked for a driving licence"),
    ("Data analyst", "Stark Industries", "applied", None),
    ("Machine learning engineer", "Cyberdyne", "applied", None),
    ("Database administrator", "Tyrell", "applied", None),
]


class Studio:
    """A browser, a signed-in person, and bots that speak when they are told to."""

    def __init__(self, browser: Browser, person: SignIn, folder: Path) -> None:
        self._browser = browser
        self._person = person
        self._folder = folder
        self._token = person.token("report")[1]

    def bot(self, name: str, activity: str | dict[str, Any], counters: Mapping[str, float], **fields: Any) -> Bot:
        """A bot that has reported once."""
        made = Bot(self._person.address, self._token, name)
        made.beat(activity, counters=counters, uptime_ms=fields.pop("uptime_ms", 2_520_000), **fields)
        return made

    @contextmanager
    def page(
        self, path: str = "", size: tuple[int, int] = WIDE, scheme: Literal["light", "dark"] = "light"
    ) -> Iterator[Page]:
        """A page that shows itself as live."""
        width, height = size
        profile = self._browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, locale="en-GB", device_scale_factor=1.5
        )
        profile.add_cookies(self._person.cookies)  # type: ignore[arg-type]  # plain dicts have the same keys
        page = profile.new_page()
        page.goto(self._person.address + path)
        if path == "":
            expect(page.locator("#fresh")).to_have_text("page live")
        yield page
        profile.close()

    def shoot(self, page: Page, name: str, session_id: str | None = None) -> None:
        """A picture of a card, or of the whole page."""
        path = self._folder / f"{name}.png"
        page.wait_for_timeout(900)  # buttons that have just moved are dimmed for a moment
        if session_id is None:
            page.screenshot(path=path, full_page=True)
        else:
            card(page, session_id).screenshot(path=path)


def shoot_all(studio: Studio) -> None:
    """Every picture that the documentation shows, in the order in which the bots live."""
    with studio.page() as page:
        studio.shoot(page, "empty")
    with studio.page(size=PHONE) as page:
        studio.shoot(page, "empty-phone")
    gone = studio.bot(
        "Old laptop", "searching", {"jobs_found": 12, "jobs_applied": 3, "credits_used": 1.5}, heartbeat_s=15
    )
    failed = studio.bot("Flat hunter", "logging_in", {"jobs_found": 0}, uptime_ms=14_000)
    failed.end("failed", {"type": "LoginRefused", "message": "The site asked for a code that was sent by mail"})
    done = studio.bot(
        "Evening run", "finishing", {"jobs_found": 33, "jobs_applied": 31, "jobs_failed": 2, "credits_used": 15.5}
    )
    done.end("success")
    waiting = studio.bot(
        "Night shift", "waiting", {"jobs_found": 20, "jobs_applied": 14, "credits_used": 7}, uptime_ms=9_000_000
    )
    waiting.beat("waiting", waiting={"seconds_left": 754, "reason": "pause between two applications"})
    search = {"name": "searching", "age_ms": 180_000, "n": 1}
    live = studio.bot("Job hunter", search, {"jobs_found": 64}, uptime_ms=3_900_000)
    live.beat(
        FORM | {"age_ms": 8000},
        counters={"jobs_found": 64, "jobs_applied": 41, "jobs_failed": 3, "credits_used": 20.5, "pages_read": 9},
        progress={"done": 47, "total": 64},  # three were skipped
    )
    _shoot_live(studio, live)
    _shoot_stop(studio)
    morning = _work_a_while(studio)
    _shoot_lost(studio, gone, (live, waiting))
    _shoot_board(studio, failed, morning)


def _shoot_live(studio: Studio, live: Bot) -> None:
    with studio.page() as page:
        shows_state(card(page, live.session_id), "Working")
        studio.shoot(page, "live", live.session_id)
    with studio.page(scheme="dark") as page:
        shows_state(card(page, live.session_id), "Working")
        studio.shoot(page, "live-dark", live.session_id)


def _shoot_stop(studio: Studio) -> None:
    bot = studio.bot("Weekend run", "applying", {"jobs_found": 30, "jobs_applied": 22, "credits_used": 11})
    with studio.page() as page:
        shown = card(page, bot.session_id)
        shown.get_by_role("button", name="Stop").click()
        shows_state(shown, "Stopping")
        bot.beat()
        bot.acknowledge(seen=False)
        page.wait_for_timeout(2500)  # what a bot needs to come to the end of its current step
        studio.shoot(page, "stopping", bot.session_id)
        bot.acknowledge(seen=True)
        page.wait_for_timeout(1200)
        bot.end("stopped")
        shows_state(shown, "Stopped")
        studio.shoot(page, "stopped", bot.session_id)


def _work_a_while(studio: Studio) -> Bot:
    """A bot whose whole life is seen, so that each of its rows has the time at which it happened."""
    bot = studio.bot("Morning round", {"name": "searching", "n": 1, "age_ms": 0}, {"jobs_found": 0}, uptime_ms=0)
    time.sleep(3)
    found = len(MORNING) + 2
    counters: dict[str, float] = {"jobs_found": found, "jobs_applied": 0, "jobs_failed": 0, "credits_used": 0}
    step = 1
    for number, (title, company, outcome, reason) in enumerate([*MORNING, ("Data engineer", "Acme", "", None)], 1):
        about = {"title": title, "company": company}
        done: dict[str, Any] = {"done": number - 1, "total": found}
        for name in ("opening_job",) if outcome == "skipped" else ("opening_job", "filling_form"):
            step += 1
            bot.beat({"name": name, "details": about, "n": step, "age_ms": 0}, counters=counters, progress=done)
            time.sleep(2)
        if not outcome:
            break  # it is still at this one
        if outcome != "skipped":
            counters[f"jobs_{outcome}"] += 1
        counters["credits_used"] = CREDITS * counters["jobs_applied"]
        job: dict[str, Any] = {
            "n": number,
            "key": f"job-{number}",
            "title": title,
            "company": company,
            "outcome": outcome,
        }
        job |= {"url": f"https://jobs.example/{number}", "age_ms": 0}
        job |= {"reason": reason} if reason else {"credits": CREDITS}
        now = {"name": name, "details": about, "n": step, "age_ms": 2000}
        bot.beat(now, counters=counters, progress=done | {"done": number}, jobs=[job])
    return bot


def _shoot_lost(studio: Studio, gone: Bot, others: tuple[Bot, Bot]) -> None:
    live, waiting = others
    with studio.page() as page:
        shown = card(page, gone.session_id)
        expect(shown.locator(".state")).to_have_text("Lost", timeout=LOST_MS)
        live.beat(FORM | {"age_ms": 4000, "n": 3})
        waiting.beat("waiting", waiting={"seconds_left": 690, "reason": "pause between two applications"})
        shown.get_by_role("button", name="Stop").click()
        expect(shown.locator(".note")).to_contain_text("not delivered")
        studio.shoot(page, "lost", gone.session_id)


def _shoot_board(studio: Studio, failed: Bot, morning: Bot) -> None:
    with studio.page() as page:
        studio.shoot(page, "failed", failed.session_id)
        studio.shoot(page, "board")
    with studio.page(scheme="dark") as page:
        expect(page.locator("bot-status-card")).to_have_count(7)
        studio.shoot(page, "board-dark")
    with studio.page(size=PHONE) as page:
        expect(page.locator("bot-status-card")).to_have_count(7)
        studio.shoot(page, "board-phone")
    with studio.page(f"sessions/{morning.session_id}") as page:
        shows_state(card(page, morning.session_id), "Working")
        expect(page.locator("#jobs li")).to_have_count(len(MORNING))
        studio.shoot(page, "session")


def main(run: Callable[[Studio], None] = shoot_all) -> None:
    """Reads the command line and makes the pictures."""
    arguments = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    arguments.add_argument("folder", type=Path, help="where the pictures go")
    arguments.add_argument("--link", help="the one-time link of a running service; else one is started")
    chosen = arguments.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        link = chosen.link
        if link is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            link = stack.enter_context(serving(Path(folder))).link
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        run(Studio(browser, SignIn(link), chosen.folder))
        browser.close()


if __name__ == "__main__":
    main()
