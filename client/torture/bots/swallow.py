# ruff: noqa: BLE001, E722, S110, S112 -- bots as people write them: they catch everything and go on
"""Loops of six shapes as bots have them, each of which swallows exceptions in its own way, until they are stopped.

Each is run twice: with `checkpoint()` between two jobs, which raises, and with `should_stop`. A loop that does not end
by itself is ended `AFTER` jobs after the stop. Steering: none; the case presses Stop at each `working`.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from stage import Stage

from status_reporter import StopRequested

if TYPE_CHECKING:
    from collections.abc import Callable

AFTER = 25
NEVER = 3_000


class Work:
    """What a loop calls between two jobs, and how often it went on although it was to stop."""

    def __init__(self, reporter: Any, *, raising: bool) -> None:
        self.reporter = reporter
        self.raising = raising
        self.jobs = 0
        self.late = 0
        self.raised = 0

    def next(self) -> bool:
        """Whether to go on; with checkpoints it never says no, it raises."""
        time.sleep(0.005)
        self.jobs += 1
        if not self.raising:
            return not self.reporter.should_stop
        try:
            self.reporter.checkpoint()
        except StopRequested:
            self.raised += 1
            raise
        return True

    def submit(self) -> None:
        """Presses the button: too late when a stop was seen before."""
        self.late += bool(self.raised)
        self.reporter.increment_jobs_applied()

    @property
    def over(self) -> bool:
        """The case's patience: long enough to see that the loop does not end."""
        return self.raised >= AFTER or self.jobs >= NEVER


def choke_point(work: Work) -> None:
    """One loop, everything in it tried."""
    while not work.over:
        try:
            if not work.next():
                break
            work.submit()
        except Exception:
            continue


def for_ever(work: Work) -> None:
    """`while True` round a try, with a return that only the word gives."""
    while True:
        try:
            if work.over or not work.next():
                return
            work.submit()
        except Exception:
            time.sleep(0.001)


def nested(work: Work) -> None:
    """A loop in a loop in a loop, each with its own net."""
    for _ in range(NEVER):
        try:
            for _ in range(10):
                try:
                    for _ in range(10):
                        if work.over or not work.next():
                            return
                        work.submit()
                except Exception:
                    continue
        except Exception:
            continue


def retries(work: Work) -> None:
    """A decorator that tries five times round the whole application."""

    def retried(call: Callable[[], bool]) -> bool:
        for _ in range(5):
            try:
                return call()
            except Exception:
                continue
        return True

    def apply() -> bool:
        going = work.next()
        if going:
            work.submit()
        return going

    while not work.over and retried(apply):
        pass


def at_last(work: Work) -> None:
    """Cleans up in a finally after each job."""
    while not work.over:
        with contextlib.suppress(Exception):
            try:
                if not work.next():
                    return
                work.submit()
            finally:
                time.sleep(0)


def bare(work: Work) -> None:
    """A bare except: nothing that is raised gets out of it."""
    while not work.over:
        try:
            if not work.next():
                break
            work.submit()
        except:
            pass


SHAPES = (choke_point, for_ever, nested, retries, at_last, bare)


def main() -> None:
    """Every shape, both ways."""
    stage = Stage()
    for shape in SHAPES:
        for raising in (True, False):
            reporter = stage.reporter()
            work = Work(reporter, raising=raising)
            stage.tell("working", session_id=reporter.start_session("1.0"))
            came_out = "end"
            try:
                shape(work)
            except StopRequested:
                came_out = "StopRequested"
            stage.tell(
                "loop",
                shape=shape.__name__,
                raising=raising,
                by_itself=not work.over,
                out=came_out,
                raised=work.raised,
                late=work.late,
            )
            reporter.close(5)
    stage.done()


main()
