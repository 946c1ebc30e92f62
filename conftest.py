"""What every run of the tests shares: it shows what was measured, and it ends, whatever a test left behind."""

from __future__ import annotations

import faulthandler
import sys
from typing import Any

import pytest

from tests.support.figures import Figures

FIGURES = pytest.StashKey[Figures]()
SECONDS_TO_END = 60


def pytest_configure(config: pytest.Config) -> None:
    """Make the table that the figures of this run go into."""
    config.stash[FIGURES] = Figures()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In one of several processes: hand its rows to the one that prints the table."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        figures = session.config.stash[FIGURES]
        output["figures"] = (figures.rows, figures.notes)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take the rows of one of several processes."""
    rows, notes = getattr(node, "workeroutput", {}).get("figures", ((), ()))
    node.config.stash[FIGURES].rows += [tuple(row) for row in rows]
    node.config.stash[FIGURES].notes += notes


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Show what was measured."""
    if figures := config.stash[FIGURES]:
        terminalreporter.section("figures")
        for line in figures.lines():
            terminalreporter.write_line(line)


@pytest.hookimpl(tryfirst=True)
def pytest_unconfigure() -> None:
    """Show where each thread stands, and fail, when the interpreter does not end after the last test."""
    if sys.__stderr__ is not None:
        faulthandler.dump_traceback_later(SECONDS_TO_END, exit=True, file=sys.__stderr__)


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Figures:
    """`figures.add("T17", "stop latency p99", 3.2, "ms", python)`: a row of the table at the end of the run."""
    return request.config.stash[FIGURES]
