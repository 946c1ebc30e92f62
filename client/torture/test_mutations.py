"""The suite against itself: each small breakage of the reporter turns its case red, by an assertion and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fake_service import TOKEN, FakeService
from torture.figures import Figures
from torture.mutations import BREAKAGES, Breakage, copy_of_the_tree, run

from status_reporter import _unsealed

WHOLE = 200  # readings of a page that changes all the time

BUSY = """
import sys, time
from status_reporter import StatusReporter
reporter = StatusReporter(spool_dir=sys.argv[1])
reporter.start_session("1.0")
while True:
    reporter.increment_jobs_found()
    reporter.send_heartbeat("busy", {"at": time.monotonic()})
    time.sleep(0.01)
"""
SET_BACK = """
import time
from status_reporter import StatusReporter
reporter, right = StatusReporter(heartbeat_interval=1, spool_dir=None), time.time
reporter.start_session("1.0")
assert reporter.flush(10)
time.time = lambda: right() - 86_400
for _ in range(3):
    reporter.increment_jobs_found()
    time.sleep(1.2)
assert reporter.flush(10)
reporter.complete_session(timeout=5)
"""


def start(code: str, service: str, *arguments: str) -> subprocess.Popen[bytes]:
    """A bot, given as text, in a process of its own, with the reporter of this tree."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "PYTHONDONTWRITEBYTECODE": "1"}
    environment |= {"STATUS_REPORTER_TOKEN": TOKEN, "STATUS_REPORTER_URL": service}
    return subprocess.Popen([sys.executable, "-c", code, *arguments], env=environment)


def test_a_page_is_whole_at_every_moment(tmp_path: Path) -> None:
    """T46: whoever looks into the spool, or whatever kill stops a write half-way, finds a page as it was sealed."""
    bot = start(BUSY, "http://127.0.0.1:9", str(tmp_path))
    try:
        seen: set[bytes] = set()
        until = time.monotonic() + 60
        while len(seen) < WHOLE // 10:
            assert time.monotonic() < until, "the page does not change"
            for page in tmp_path.glob("*.json"):
                raw = page.read_bytes()
                assert _unsealed(raw) is not None, f"a torn page of {len(raw)} bytes"
                seen.add(raw)
    finally:
        bot.kill()
        bot.wait(10)


def test_a_clock_that_is_set_back_delays_nothing() -> None:
    """T33: somebody sets the clock back by a day while a bot runs; its reports come as before, and nobody slept."""
    with FakeService() as service:
        bot = start(SET_BACK, service.url)
        try:
            service.wait_for(lambda: service.totals["jobs_found"] == 3, 20)
            assert bot.wait(20) == 0
        finally:
            bot.kill()
            bot.wait(10)
        assert service.session.status == "completed"
        assert {one["gap_ms"] for one in service.documents()} == {0}


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("breakage", BREAKAGES, ids=[one.name.replace(" ", "-") for one in BREAKAGES])
def test_a_breakage_turns_its_case_red(breakage: Breakage, tmp_path: Path, figures: Figures) -> None:
    """With the breakage in the reporter the case fails in its own body, with an AssertionError."""
    verdicts = run(copy_of_the_tree(tmp_path, breakage), breakage.test)
    red = [one for one in verdicts if one.exception]
    assert red, f"nobody notices: {breakage.name}"
    assert (red[0].phase, red[0].asserted) == ("call", True), red[0]
    figures.add(breakage.case, f"notices: {breakage.name}", 1, "red test")


@pytest.mark.long
@pytest.mark.timeout(900)
def test_without_a_breakage_the_same_cases_are_green(tmp_path: Path) -> None:
    """A copy of the tree is as good as the tree: what turns red above is the breakage's doing."""
    folder = copy_of_the_tree(tmp_path, None)
    verdicts = [verdict for test in sorted({one.test for one in BREAKAGES}) for verdict in run(folder, test)]
    assert [one for one in verdicts if one.exception] == []
