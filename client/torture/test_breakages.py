"""The suite against itself: each of these small breakages of the reporter has to turn its case red, by an assertion.

A breakage is a text of `status_reporter.py` and what is put in its place; a copy so spoiled is tortured with one case.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import NamedTuple

import pytest
from torture.bot import REPORTER
from torture.figures import Figures

HERE = Path(__file__).parent
PUT = "keeper.inbox.put((_Keeper.note, time.monotonic(), (call, *args)))"
LOG = '_log = logging.getLogger("status_reporter")\n'
CRASHES = re.compile(
    r"\b(SyntaxError|IndentationError|ImportError|ModuleNotFoundError|NameError|AttributeError|TypeError)\b"
)
PASSED, FAILED = 0, 1  # exit codes of pytest


class Breakage(NamedTuple):
    """What is wrong, the case that must notice, and pairs of a text and what takes its place."""

    name: str
    case: str
    changes: tuple[tuple[str, str], ...]


BREAKAGES = [
    Breakage(
        "deltas instead of absolute counters",
        "T3",
        (
            (
                'f"{_dumps(name)}:{_decimals(value)}" for name, value in self.counters.items()',
                'f"{_dumps(name)}:{_decimals(value - self.acked.get(name, 0))}" for name, value in self.counters.items()',
            ),
        ),
    ),
    Breakage(
        "a plain Lock in a public call",
        "T59",
        ((LOG, LOG + "_plain = threading.Lock()\n"), (PUT, f"with _plain:\n            {PUT}")),
    ),
    Breakage(
        "Event.set in a public call",
        "T59",
        ((LOG, LOG + "_event = threading.Event()\n"), (PUT, f"{PUT}\n        _event.set()\n        _event.clear()")),
    ),
    Breakage(
        "a stop that is an Exception",
        "T25",
        (("class StopRequested(BaseException)", "class StopRequested(Exception)"),),
    ),
    Breakage(
        "the spool written in place",
        "T46",
        (
            ('_open(self._path(file, "tmp"), os.O_WRONLY', "_open(self._path(file), os.O_WRONLY"),
            ('            _replace(self._path(file, "tmp"), self._path(file))\n', ""),
        ),
    ),
    Breakage(
        "a page removed before it is acknowledged",
        "T2",
        (("        if not ledger.speaks:\n", "        if ledger.result or not ledger.speaks:\n"),),
    ),
    Breakage(
        "redirects followed",
        "T37",
        (
            (
                "    if 300 <= code < 400:\n",
                """    if 300 <= code < 400:
        import urllib.request

        urllib.request.urlopen(response.getheader("Location") or "", timeout=5)
""",
            ),
        ),
    ),
    Breakage(
        "a time limit without a watchdog",
        "T35",
        (
            (
                "            if not line.was_cut:\n                line.cut()\n",
                "            if not line.was_cut:\n                continue\n",
            ),
        ),
    ),
    Breakage("the wall clock in the timers", "T33", (("time.monotonic()", "time.time()"),)),
    Breakage(
        "no hook after a fork",
        "T57",
        (
            (
                'if hasattr(os, "register_at_fork"):\n    os.register',
                'if not hasattr(os, "register_at_fork"):\n    os.register',
            ),
        ),
    ),
    Breakage(
        "success as what is guessed at exit",
        "T54",
        (('outcome, reason = ("interrupted", why) if error', 'outcome, reason = ("success", None) if error'),),
    ),
]


def spoil(breakage: Breakage, folder: Path) -> Path:
    """A copy of the reporter with the breakage in it."""
    text = REPORTER.read_text("utf-8")
    for old, new in breakage.changes:
        assert old in text, f"the reporter has changed: {old!r} is not in it any more"
        text = text.replace(old, new)
    compile(text, "status_reporter.py", "exec")
    spoiled = folder / "status_reporter.py"
    spoiled.write_text(text, "utf-8")
    return spoiled


def torture(reporter: Path, case: str, folder: Path) -> tuple[int, list[str]]:
    """Runs the quick tests of a case until one is red; answers the exit code of pytest and what it was red for."""
    result = folder / "result.xml"
    command = [sys.executable, "-m", "pytest", str(HERE), "-k", f"{case}:", "-x", "-q"]
    command += [f"--junitxml={result}", "-p", "no:cacheprovider"]
    environment = {**os.environ, "TORTURE_REPORTER": str(reporter)}
    done = subprocess.run(command, cwd=HERE.parents[1], env=environment, capture_output=True, timeout=280, check=False)
    assert done.returncode in (PASSED, FAILED), done.stdout.decode()[-2_000:]
    found = ET.parse(result).iter()  # noqa: S314 -- pytest has just written it
    return done.returncode, [one.get("message", "") for one in found if one.tag in ("failure", "error")]


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("breakage", BREAKAGES, ids=[one.name.replace(" ", "-") for one in BREAKAGES])
def test_breakage_is_noticed(breakage: Breakage, tmp_path: Path, figures: Figures) -> None:
    """A reporter with this breakage turns its case red, by an assertion and not by a crash."""
    code, reasons = torture(spoil(breakage, tmp_path), breakage.case, tmp_path)
    assert code == FAILED, f"nobody notices: {breakage.name}"
    assert all(one.startswith(("AssertionError", "assert ", "Failed")) for one in reasons), reasons
    assert not CRASHES.search(" ".join(reasons)), reasons
    figures.add(breakage.case, f"notices {breakage.name}", reasons[0].splitlines()[0][:90])
