"""A bot under a storm of signals, whose handler calls the reporter and, one time in a hundred, raises out of it.

Steering: `seconds`. It tells how many calls came back (`truth`), and how many were broken off by the handler's exception: of
these nobody knows whether they were made.
"""

from __future__ import annotations

import itertools
import signal
import time
from typing import Any

from stage import Stage

EVERY_S = 0.0002
RAISES = 100
LEAST = 3  # calls broken off, however long it takes a busy machine


class Alarm(Exception):  # noqa: N818 -- what bots call it
    """A job has taken too long, says the bot's own timer, wherever it is just now."""


class Handler:
    """The handler; may be called in the middle of anything, itself included."""

    def __init__(self, reporter: Any) -> None:
        self.reporter = reporter
        self.made = itertools.count()  # `next` is one step, which no signal can split
        self.n = itertools.count(1)
        self.depth = 0
        self.armed = True

    def __call__(self, *_: object) -> None:
        """Calls the reporter; raises only out of the bot's own calls, so that what it counted itself is certain."""
        if self.depth > 3 or not self.armed:
            return
        self.depth += 1
        self.reporter.increment_jobs_found()
        next(self.made)
        self.reporter.send_heartbeat("alarm", {"n": 1})
        self.reporter.should_stop  # noqa: B018 -- a call like the others
        self.reporter.progress(1, 2)
        self.depth -= 1
        if self.depth == 0 and next(self.n) % RAISES == 0:
            raise Alarm


def main() -> None:
    """Calls while the signals come."""
    stage = Stage()
    reporter = stage.reporter(timed=False)
    reporter.start_session("1.0")
    handler = Handler(reporter)
    applied = broken = 0
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, EVERY_S, EVERY_S)
    ends, over = time.monotonic() + stage.seconds, False
    while not over:
        try:
            while time.monotonic() < ends or broken < LEAST:
                reporter.increment_jobs_applied()
                applied += 1
                reporter.checkpoint("applying", {"n": applied})
                reporter.job(("key", applied % 50), title="T").skipped("x")
                with reporter.activity("filling_form"):
                    reporter.increment("pages", 2)
                reporter.wait(0.0001)
            handler.armed = False
            over = True
        except Alarm:
            broken += 1
    signal.setitimer(signal.ITIMER_REAL, 0)
    stage.count("jobs_found", next(handler.made) + 50)
    stage.count("jobs_applied", applied)
    ended = reporter.complete_session(timeout=20)
    stage.done(broken=broken, ended=ended, keys=50, status=reporter.status)


main()
