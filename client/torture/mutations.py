"""Breakages of the reporter, each of a line or two, and the case that has to notice: who watches the watchmen.

A breakage names the text that it replaces, which must be there exactly once: a reporter that was rewritten makes the
check fail loudly, and somebody looks whether the breakage still means what it says. The project's own tests then run
on a copy of the tree with the broken reporter in it. Noticed is only what a case asserted; a crash, an import that fails
or a time-out is none of its merit.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

__all__ = ["BREAKAGES", "Breakage", "Verdict", "broken", "copy_of_the_tree", "run"]

TREE = Path(__file__).parents[2]
REPORTER = Path("client") / "status_reporter.py"
COPIED = (
    "client",
    "contract",
    "tests/model",
    "tests/postgres",
    "tests/support",
    "tests/conftest.py",
    "conftest.py",
    "pyproject.toml",
)
LIMIT_S = 240


class Breakage(NamedTuple):
    """One thing that could be wrong with a reporter."""

    name: str
    case: str  # of the design's list
    test: str  # where the case is
    changes: tuple[tuple[str, str], ...]  # texts that are there exactly once, and what comes in their place
    marks: str = "not long and not root"  # which parts of the case are enough


class Verdict(NamedTuple):
    """How one test went."""

    test: str
    phase: str  # setup, call or teardown
    exception: str  # its class; empty where it passed
    asserted: bool  # whether that is an AssertionError, or nothing but these
    message: str


_PUT = "        keeper.inbox.put((_Keeper.note, time.monotonic(), (call, *args)))\n"

BREAKAGES = (
    Breakage(
        "differences instead of absolute counters",
        "T7",
        "tests/model/test_bot_lives.py::test_differences_would_not_be",
        (("{_dumps(name)}:{_decimals(value)}", "{_dumps(name)}:{_decimals(value - self.acked.get(name, 0))}"),),
    ),
    Breakage(
        "a plain lock in a public call",
        "T59",
        "client/torture/test_process.py::test_signal_storm",
        ((_PUT, '        with keeper.__dict__.setdefault("_plain", threading.Lock()):\n    ' + _PUT),),
    ),
    Breakage(
        "Event.set in a public call",
        "T59",
        "client/torture/test_process.py::test_signal_storm",
        ((_PUT, _PUT + '        keeper.__dict__.setdefault("_plain", threading.Event()).set()\n'),),
    ),
    Breakage(
        "a stop that `except Exception` swallows",
        "T25",
        "client/torture/test_stop.py::test_swallowed_exceptions",
        (("class StopRequested(BaseException):", "class StopRequested(Exception):"),),
    ),
    Breakage(
        "a page that is written in place",
        "T47",
        "client/torture/test_disk.py::test_full_meanwhile_and_to_the_end",
        (
            ('_open(self._path(file, "tmp"), os.O_WRONLY', "_open(self._path(file), os.O_WRONLY"),
            ('            _replace(self._path(file, "tmp"), self._path(file))\n', ""),
        ),
    ),
    Breakage(
        "a page that is removed before it is acknowledged",
        "T2",
        "client/torture/test_delivery.py::test_nothing_listening",
        (
            (
                "        if not ledger.speaks:\n            if ledger.kept:\n",
                "        if ledger.result or not ledger.speaks:\n            if ledger.kept:\n",
            ),
        ),
    ),
    Breakage(
        "redirects that are followed",
        "T37",
        "client/tests/test_reporter_network.py::test_redirects_are_not_followed",
        (
            (
                "    if 300 <= code < 400:\n",
                """    if 300 <= code < 400:
        import urllib.request
        urllib.request.urlopen(response.getheader("Location"), timeout=1)
""",
            ),
        ),
    ),
    Breakage(
        "a time-out for each byte and none for the whole",
        "T35",
        "client/tests/test_reporter_network.py::test_a_service_that_hangs_or_drips_is_given_up_after_ten_seconds",
        (("            if line is None or now <= line.deadline:\n", "            if True:\n"),),
    ),
    Breakage(
        "the wall clock in a timer",
        "T33",
        "client/torture/test_liveness.py::test_clock_is_set",
        (("        self._tend(time.monotonic())\n", "        self._tend(time.time())\n"),),
        "not root",
    ),
    Breakage(
        "no hook at a fork",
        "T57",
        "client/torture/test_process.py::test_fork_storm",
        (("    os.register_at_fork(after_in_child=_after_fork)\n", "    pass\n"),),
    ),
    Breakage(
        "success where a bot ended without a word",
        "T54",
        "client/tests/test_reporter_exit.py::test_the_end_is_told_as_it_was[returns without a word]",
        (('("interrupted", why) if error is None', '("success", None) if error is None'),),
    ),
)


def broken(source: str, breakage: Breakage) -> str:
    """The reporter with a breakage in it."""
    for old, new in breakage.changes:
        found = source.count(old)
        assert found == 1, f"{breakage.name}: found {found} times in status_reporter.py instead of once: {old!r}"
        source = source.replace(old, new)
    compile(source, "status_reporter.py", "exec")
    return source


def copy_of_the_tree(folder: Path, breakage: Breakage | None) -> Path:
    """The parts of the tree that the cases need, with the reporter broken, or as it is."""
    for name in COPIED:
        source, target = TREE / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
        else:
            shutil.copy(source, target)
    if breakage is not None:
        reporter = folder / REPORTER
        reporter.write_text(broken(reporter.read_text("utf-8"), breakage), "utf-8")
    return folder


def run(folder: Path, test: str, marks: str) -> list[Verdict]:
    """Runs the parts of a test with these marks in a copied tree, until one is red; answers what became of each."""
    notes = folder / "verdicts"
    notes.unlink(missing_ok=True)
    outside = {name: value for name, value in os.environ.items() if name != "TORTURE_REPORTER"}
    environment = {**outside, "PYTHONPATH": str(folder / "client"), "HISTORIES": "100"}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    command = [sys.executable, str(folder / "client" / "torture" / "mutations.py"), str(notes), test, marks]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    lines = notes.read_text("utf-8").splitlines() if notes.exists() else []
    assert lines, f"no test ran: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return [Verdict(**json.loads(line)) for line in lines]


class _Notes:
    """Writes down what became of each test, as the exceptions say it and not as the reports are worded."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            self._write(Verdict(report.nodeid, "call", "", asserted=False, message=""))

    def pytest_exception_interact(self, node: Any, call: pytest.CallInfo[Any], report: Any) -> None:
        if call.excinfo is not None:
            error = call.excinfo.value
            kind, message = type(error).__name__, str(error)[:500]
            self._write(Verdict(node.nodeid, report.when or "collect", kind, _is_asserted(error), message))

    def _write(self, verdict: Verdict) -> None:
        with self._path.open("a", encoding="utf-8") as notes:
            notes.write(json.dumps(verdict._asdict()) + "\n")


def _is_asserted(error: BaseException) -> bool:
    """Several failures of one property come as a group."""
    inner = getattr(error, "exceptions", None)
    return all(_is_asserted(one) for one in inner) if inner else isinstance(error, AssertionError)


if __name__ == "__main__":
    options = ["-q", "-x", "-m", sys.argv[3], "-k", "not real", "-p", "no:cacheprovider", "-p", "no:randomly", "-n0"]
    sys.exit(pytest.main([*options, sys.argv[2]], plugins=[_Notes(Path(sys.argv[1]))]))
