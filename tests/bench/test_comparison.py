"""The comparison of reporters measures what it says: blocked, raised, lost, each shown by something that surely does it."""

from __future__ import annotations

import math
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from bench.comparison import stand_in
from bench.comparison.backends import Backend, Botlight, NoBackend, StandInBackend
from bench.comparison.candidates import CLIENT, Candidate
from bench.comparison.door import Door, Down
from bench.comparison.stand_in import StandIn
from bench.comparison.trial import Leg, Scenario, trial

UP, GONE = Leg(3, 0.05, down=False), Leg(3, 0.05, down=True)
NEVER = Scenario("never", None, (UP,))
MIDDLE = Scenario("in the middle", Down.REFUSED, (UP, GONE, UP))
END = Scenario("at the end", Down.REFUSED, (UP, GONE), second=2)


def row(module: str, backend: Backend, *folders: Path) -> Candidate:
    """A row on the interpreter of the tests; its module may lie in one of the folders."""
    path = ("PYTHONPATH", ":".join(map(str, folders)))
    return Candidate(module, module, backend, "", "", environment=(path,), python=sys.executable)


def library(folder: Path, report: str) -> Candidate:
    """A row whose library does in each report what the line says."""
    calls = f"import os, sys, time\ndef start(): pass\ndef report(run, total): {report}\ndef end(run): pass\n"
    (folder / "with_fake.py").write_text(calls)
    return row("with_fake", NoBackend(), folder)


@pytest.fixture
def botlight(tmp_path: Path) -> Iterator[Candidate]:
    """Our row, with the service."""
    with ExitStack() as stack:
        yield row("with_status_reporter", Botlight(tmp_path / "service", stack), CLIENT)


@pytest.fixture
def naive() -> Candidate:
    """The row of a bot that posts by itself."""
    backend = StandInBackend({"BOT_BACKEND": "http://127.0.0.1:PORT/report"}, stand_in.json_totals, "totals")
    return row("with_httpx", backend)


def test_a_library_that_blocks_is_shown_as_blocking(tmp_path: Path) -> None:
    """Every second that a call keeps the bot's thread is in the figure."""
    outcome = trial(library(tmp_path, "time.sleep(0.2)"), NEVER, tmp_path / "home", "bot")
    assert outcome.calls == 5
    assert 3 * 0.2 <= outcome.blocked_s < math.inf


def test_a_library_that_blocks_at_the_exit_is_shown_as_blocking(tmp_path: Path) -> None:
    """What a library does after the bot's last line is its cost too."""
    late = "__import__('atexit').register(time.sleep, 0.3)"
    outcome = trial(library(tmp_path, late), NEVER, tmp_path / "home", "bot")
    assert 3 * 0.3 <= outcome.blocked_s < math.inf


def test_a_library_that_hangs_is_ended_and_shown(tmp_path: Path) -> None:
    """A hanging library neither hangs the bench nor gets a figure."""
    outcome = trial(library(tmp_path, "time.sleep(3600)"), NEVER, tmp_path / "home", "bot", limit_s=1.0)
    assert outcome.blocked_s == math.inf
    assert outcome.known is None


def test_a_library_that_ends_the_process_is_shown(tmp_path: Path) -> None:
    """A bot that dies is neither taken for one that hangs nor for one that got through."""
    outcome = trial(library(tmp_path, "os._exit(1)"), NEVER, tmp_path / "home", "bot")
    assert math.isnan(outcome.blocked_s)


@pytest.mark.parametrize("raised", ["1 / 0", "sys.exit(3)"])
def test_what_a_library_raises_is_counted(tmp_path: Path, raised: str) -> None:
    """Whatever comes out of a call is counted, also what `except Exception` would not catch."""
    outcome = trial(library(tmp_path, raised), NEVER, tmp_path / "home", "bot")
    assert outcome.raised == 3
    assert len(outcome.errors) == 1


def test_the_naive_bot_raises_in_an_outage_and_catches_up_after_it(tmp_path: Path, naive: Candidate) -> None:
    """A post for each report fails while nobody listens; the next total brings what was missed."""
    outcome = trial(naive, MIDDLE, tmp_path / "home", "bot")
    assert outcome.raised == 3
    assert outcome.known
    assert outcome.known.total == 9


def test_the_naive_bot_loses_what_the_outage_outlives(tmp_path: Path, naive: Candidate) -> None:
    """What was reported only while nobody listened never arrives."""
    outcome = trial(naive, END, tmp_path / "home", "bot", settle_s=0.5)
    assert outcome.known
    assert outcome.known.total == 3


@pytest.mark.parametrize("scenario", [NEVER, MIDDLE, END], ids=lambda one: one.when)
def test_the_reporter_raises_and_loses_nothing(tmp_path: Path, botlight: Candidate, scenario: Scenario) -> None:
    """Every count is with the service in the end, with the next run when the outage outlived this one."""
    outcome = trial(botlight, scenario, tmp_path / "home", "bot")
    assert outcome.raised == 0
    assert outcome.known
    assert outcome.known.total == scenario.reports


def test_a_door_is_shut_in_each_way_and_opened_again() -> None:
    """Refused, silent and 503 look to a client as they do when a backend goes down; open, it is as if no door were there."""
    with StandIn(lambda _: {"here": True}) as backend, Door(backend.port) as door:

        def ask() -> bytes:
            with urllib.request.urlopen(f"http://127.0.0.1:{door.port}/", b"{}", timeout=0.5) as answer:
                whole: bytes = answer.read()
                return whole

        for down, expected in (
            (Down.REFUSED, (urllib.error.URLError, "refused")),
            (Down.SILENT, (TimeoutError, "timed out")),
            (Down.UNAVAILABLE, (urllib.error.HTTPError, "503")),
        ):
            assert ask() == b'{"here": true}'
            door.shut(down)
            with pytest.raises(expected[0], match=expected[1]):
                ask()
            door.open()
        assert len(backend.messages) == 3
