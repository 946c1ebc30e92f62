"""Every piece of code in the guide for Python bots runs as it is shown, against a real service.

What a block takes for granted is stood in for: `find_jobs` and `apply_to` are a few lines each, and Selenium, which is not
among the tools of this project, is one class with the one method that is shown. Chromium and Playwright are real, but for
the path of the browser.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from tests.docs.shown_bot import WAIT_S, environment, press_stop, session_where, shown_bot
from tests.docs.test_guide import GUIDE
from tests.support.service import RunningService

JOBS: Final = """
import types

def find_jobs(*_):
    return [types.SimpleNamespace(id=number, title=f"Job {number}", company="Acme", url=PAGE) for number in range(4)]

def apply_to(*_):
    return True

PAGE = "https://jobs.example/1"
"""
"""Four jobs, and a form that takes every application."""

BROWSER: Final = f"""{JOBS}
import functools
import shutil
from playwright.KIND_api import BrowserType

PAGE = "data:text/html,<button onclick='this.remove()'>Send</button>"
BrowserType.launch = functools.partialmethod(
    BrowserType.launch, executable_path=shutil.which("chromium"), args=["--no-sandbox"]
)
"""
"""A page with a button, and where Chromium is."""

SELENIUM: Final = f"""{JOBS}
import sys
import threading
import time

class WebDriverWait:
    def __init__(self, driver, timeout, poll_frequency):
        self.driver, self.until_s, self.pause_s = driver, time.monotonic() + timeout, poll_frequency
    def until(self, condition):
        while not condition(self.driver):
            assert time.monotonic() < self.until_s
            time.sleep(self.pause_s)

for name in ("selenium", "selenium.webdriver", "selenium.webdriver.support", "selenium.webdriver.support.ui"):
    sys.modules[name] = types.ModuleType(name)
sys.modules["selenium.webdriver.support.ui"].WebDriverWait = WebDriverWait

class open_browser:
    def __init__(self):
        self.thread = threading.get_ident()
    def quit(self):
        assert threading.get_ident() == self.thread
        print("quit")

def is_signed_in(driver):
    return SIGNED_IN
"""

CHOKE_POINT: Final = """
with get_reporter().session("1.0"):
    for outcome in ("success", "failed", "skipped", "success"):
        write_to_file(types.SimpleNamespace(id=outcome, title="Analyst", company="Acme"), outcome, "why")
"""

TRIES: Final = f"""{JOBS}
def apply_to(job):
    if job.id:
        raise TimeoutError

def has_arrived(job):
    return job.id == 2
"""

SEARCH: Final = f"""{JOBS}
def search(page):
    return find_jobs()
"""

Document = Mapping[str, Any]


def shown_secret() -> str:
    """What the guide says that the card shows of the block with a password."""
    [shown] = [span for span in GUIDE.spans if span.startswith('{"user"')]
    return shown


def _pausing(session: Document) -> bool:
    return bool(session["state"] == "waiting" and session["jobs_applied"])


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """One block of the guide, what stands around it, what is done to it, and what comes of it."""

    heading: str
    number: int = 0
    name: str = ""
    before: str = JOBS
    after: str = ""
    put: tuple[str, str] = ("", "")  # this for that: a shorter pause
    stop_when: Callable[[Document], bool] | None = None  # a person presses Stop
    said: str = ""
    code: int = 0
    expected: Mapping[str, Any] = field(default_factory=dict)  # of the session at its end

    @property
    def text(self) -> str:
        """The bot."""
        shown = GUIDE.blocks("python", heading=self.heading)[self.number].text
        assert self.put[0] in shown
        return f"{self.before}\n{shown.replace(*self.put) if self.put[0] else shown}\n{self.after}"


STOPPED: Final = {"status": "stopped", "inferred": False}
COMPLETED: Final = {"status": "completed", "inferred": False}
FAILED: Final = {"status": "failed", "inferred": False}
WITHOUT: Final = "Put it into your bot"

CASES: Final = [
    Shown(
        heading="Try it without a bot",
        before="",
        expected=COMPLETED
        | {"jobs_found": 5, "activity": "jobs_found", "bot_version": "1.0.0-test", "platform": "win32"},
    ),
    Shown(heading=WITHOUT, stop_when=_pausing, expected=STOPPED | {"jobs_found": 1, "jobs_applied": 1}),
    Shown(
        heading=WITHOUT,
        name="to the end",
        before=JOBS.replace("return True", "return False"),
        put=("wait(30", "wait(0"),
        expected=COMPLETED | {"jobs_found": 4, "jobs_failed": 4},
    ),
    Shown(
        heading=WITHOUT,
        number=1,
        after=CHOKE_POINT,
        expected=COMPLETED | {"jobs_found": 3, "jobs_applied": 1, "jobs_failed": 1, "credits_used": 0.5},
    ),
    Shown(heading=WITHOUT, number=2, before="def run_bot(reporter): pass", expected=COMPLETED),
    Shown(
        heading=WITHOUT,
        number=2,
        name="error",
        before="def run_bot(reporter): raise LookupError('no such button')",
        code=1,
        said="no such button",
        expected=FAILED | {"error_type": "LookupError", "error_message": "no such button"},
    ),
    Shown(
        heading=WITHOUT,
        number=2,
        name="Ctrl-C",
        before="def run_bot(reporter): raise KeyboardInterrupt",
        code=-2,
        said="KeyboardInterrupt",
        expected={"status": "interrupted", "inferred": True},
    ),
    Shown(
        heading=WITHOUT,
        number=2,
        name="Stop",
        before="def run_bot(reporter):\n    while True:\n        reporter.checkpoint()\n        time.sleep(0.01)\nimport time",
        stop_when=lambda session: session["state"] == "working",
        expected=STOPPED,
    ),
    Shown(heading="Let it stop", before=SEARCH, stop_when=_pausing, expected=STOPPED | {"jobs_applied": 4}),
    Shown(
        heading="Let it stop",
        name="page after page",
        before=SEARCH,
        put=("wait(300)", "wait(0.01)"),
        stop_when=lambda session: session["jobs_applied"] == 4,
        expected=STOPPED | {"jobs_applied": 4, "activity": "searching"},
    ),
    Shown(
        heading="Handle errors",
        before=TRIES,
        expected=COMPLETED | {"jobs_found": 4, "jobs_applied": 2, "jobs_failed": 2},
    ),
    Shown(
        heading="Handle errors",
        name="fatal",
        before=TRIES.replace("TimeoutError", "LookupError('no form')"),
        code=1,
        said="no form",
        expected=FAILED | {"jobs_found": 2, "jobs_applied": 1, "jobs_failed": 1, "error_type": "LookupError"},
    ),
    Shown(
        heading="Selenium",
        before=SELENIUM.replace("SIGNED_IN", "True"),
        stop_when=_pausing,
        said="quit",
        expected=STOPPED | {"jobs_applied": 1},
    ),
    Shown(
        heading="Selenium",
        name="waiting for a person",
        before=SELENIUM.replace("SIGNED_IN", "False"),
        stop_when=lambda session: session["activity"] == "captcha",
        said="quit",
        expected=STOPPED | {"jobs_applied": 0},
    ),
    Shown(heading="Playwright", before=BROWSER.replace("KIND", "sync"), stop_when=_pausing, expected=STOPPED),
    Shown(
        heading="Playwright", number=1, before=BROWSER.replace("KIND", "async"), stop_when=_pausing, expected=STOPPED
    ),
    Shown(heading="Threads, asyncio and processes", expected=COMPLETED | {"jobs_applied": 4}),
    Shown(
        heading="Threads, asyncio and processes",
        name="Stop",
        before=JOBS.replace("return True", "finished.wait(60); return True"),
        stop_when=lambda session: session["state"] == "working",
        expected=STOPPED | {"jobs_applied": 3},
    ),
    Shown(
        heading="Threads, asyncio and processes",
        number=1,
        expected=COMPLETED | {"jobs_found": 4, "jobs_applied": 4, "instances": 3},
    ),
    Shown(
        heading="What leaves the computer",
        before="",
        expected={"activity_details": json.loads(shown_secret())},
    ),
    Shown(heading="Test it", before="", said="n: expected a number from 0"),
    Shown(
        heading="Test it",
        number=1,
        before="",
        stop_when=lambda session: session["state"] == "waiting",
        expected=STOPPED,
    ),
    Shown(heading="Troubleshooting", before="", said="True \n", expected=COMPLETED | {"activity": "starting"}),
]


def test_every_block_is_among_the_cases() -> None:
    """None is shown that was not run."""
    shown = [block.text for block in GUIDE.blocks("python")]
    run = {(case.heading, case.number) for case in CASES}
    texts = [GUIDE.blocks("python", heading=heading)[number].text for heading, number in run]
    assert sorted(texts) == sorted(shown)


@pytest.mark.parametrize("case", CASES, ids=[f"{one.heading}-{one.number}-{one.name}" for one in CASES])
def test_a_block_does_what_the_guide_says(case: Shown, shared: RunningService, tmp_path: Path) -> None:
    """It runs, says nothing that it should not, and the session ends as it should."""
    person = shared.person()
    with shown_bot(case.text, person, tmp_path) as process:
        if case.stop_when is not None:
            press_stop(person, session_where(person, case.stop_when))
        said, _ = process.communicate(timeout=WAIT_S)

    assert process.returncode == case.code, said
    assert case.said in said if case.said else said == ""
    if case.expected:
        ended = session_where(person, lambda session: session["ended_at"] is not None)
        assert {name: ended[name] for name in case.expected} == case.expected
        assert case.stop_when is None or ended["stop_seen_at"] is not None


@pytest.mark.parametrize("token", ["good", "bad"])
def test_the_first_lines_for_a_shell_say_whether_a_report_gets_through(
    token: str, shared: RunningService, tmp_path: Path
) -> None:
    """The block with the self-test, in a shell, with token and address filled in."""
    [block] = GUIDE.blocks("sh")
    person = shared.person()
    around = environment(person, tmp_path, PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    secret = around["STATUS_REPORTER_TOKEN"] if token == "good" else "wrong"
    script = block.text.replace("TOKEN=...", f"TOKEN={secret}").replace("http://localhost:3000", shared.address)
    (tmp_path / "status_reporter.py").symlink_to(Path(__file__).parents[2] / "client" / "status_reporter.py")

    done = subprocess.run(
        ["bash", "-e", "-c", script], cwd=tmp_path, env=around, capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.returncode, done.stderr) == (0 if token == "good" else 1, ""), done.stdout
    assert ("self-test" if token == "good" else "what to do:") in done.stdout
    assert secret not in done.stdout
