"""Pictures of the real page: `python -m tests.web.screenshots OUTDIR [--link ONE-TIME-LINK]`.

Without `--link` a service of its own is started on an empty store. With one, the pictures are made at the running
service that printed it; its board should be empty. Takes a good minute, since a session is lost after sixty seconds of
silence and no clock is moved here.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
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
JOBS: Final = [
    ("Data engineer", "Acme", "applied", None),
    ("Backend developer, Python", "Globex", "applied", None),
    ("Analytics engineer", "Initech", "failed", "The form was closed"),
    ("Platform engineer", "Umbrella", "skipped", "Closed before it was opened"),
    ("Junior data scientist", "Hooli", "applied", None),
]
FORM: Final = {"name": "filling_form", "details": {"title": "Data engineer", "company": "Acme"}, "n": 2}


class Studio:
    """A browser, a signed-in person, and bots that speak when they are told to."""

    def __init__(self, browser: Browser, person: SignIn, folder: Path) -> None:
        self._browser = browser
        self._person = person
        self._folder = folder
        self._token = person.token("report")[1]
        self._quiet = threading.Event()
        self.pages: list[Page] = []

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
    gone = studio.bot("Old laptop", "searching", {"jobs_found": 12, "jobs_applied": 3}, heartbeat_s=15)
    failed = studio.bot("Flat hunter", "logging_in", {"jobs_found": 4})
    failed.end("failed", {"type": "LoginRefused", "message": "The site asked for a code that was sent by mail"})
    done = studio.bot(
        "Evening run", "finishing", {"jobs_found": 40, "jobs_applied": 31, "jobs_failed": 2, "credits_used": 15.5}
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
        progress={"done": 47, "total": 64},
        jobs=[_job(n, *job) for n, job in enumerate(JOBS, 1)],
    )
    _shoot_live(studio, live)
    _shoot_stop(studio)
    _shoot_lost(studio, gone, (live, waiting))
    _shoot_board(studio, failed, live)


def _job(n: int, title: str, company: str, outcome: str, reason: str | None) -> dict[str, Any]:
    address = f"https://jobs.example/{n}"
    job = {"n": n, "key": f"job-{n}", "title": title, "company": company, "url": address, "outcome": outcome}
    return job | {"age_ms": 60_000 * (6 - n)} | ({"reason": reason} if reason else {"credits": 0.5})


def _shoot_live(studio: Studio, live: Bot) -> None:
    with studio.page() as page:
        shows_state(card(page, live.session_id), "Working")
        studio.shoot(page, "live", live.session_id)
    with studio.page(scheme="dark") as page:
        shows_state(card(page, live.session_id), "Working")
        studio.shoot(page, "live-dark", live.session_id)


def _shoot_stop(studio: Studio) -> None:
    bot = studio.bot("Newsletter bot", "applying", {"jobs_found": 30, "jobs_applied": 22, "credits_used": 11})
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


def _shoot_board(studio: Studio, failed: Bot, live: Bot) -> None:
    with studio.page() as page:
        studio.shoot(page, "failed", failed.session_id)
        studio.shoot(page, "board")
    with studio.page(scheme="dark") as page:
        expect(page.locator("bot-status-card")).to_have_count(6)
        studio.shoot(page, "board-dark")
    with studio.page(size=PHONE) as page:
        expect(page.locator("bot-status-card")).to_have_count(6)
        studio.shoot(page, "board-phone")
    with studio.page(f"sessions/{live.session_id}") as page:
        shows_state(card(page, live.session_id), "Working")
        expect(page.locator("#jobs li")).to_have_count(len(JOBS))
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
