"""A bot that has run out of something. Steering: `short_of` (threads, files, memory), `early`: before the session starts.

It works while it is short, then has enough again, and tells how that went.
"""

from __future__ import annotations

import contextlib
import os
import resource
import time
from pathlib import Path
from typing import Any

from stage import Stage

THREADS = 2  # what it has: its own and that of its time limit
FILES = 10
ROOM = 12_000_000  # bytes of address space: not enough for two threads
JOBS = 20_000
TOOK_S = 0.3


def status_number(word: str) -> int:
    """A number of what the system says of this process."""
    lines = Path("/proc/self/status").read_text("ascii", "replace").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(word + ":"))


class Shortage:
    """Takes something away, and gives it back."""

    def __init__(self, what: str) -> None:
        self.what = {"threads": resource.RLIMIT_NPROC, "files": resource.RLIMIT_NOFILE, "memory": resource.RLIMIT_AS}[
            what
        ]
        self.before = resource.getrlimit(self.what)
        self.open: list[int] = []

    def begin(self) -> None:
        """Nothing more is to be had."""
        amounts = {resource.RLIMIT_NPROC: status_number("Threads"), resource.RLIMIT_NOFILE: FILES}
        amount = amounts.get(self.what) or status_number("VmSize") * 1024 + ROOM
        resource.setrlimit(self.what, (amount, self.before[1]))
        while self.what == resource.RLIMIT_NOFILE:
            try:
                self.open.append(os.open(os.devnull, os.O_RDONLY))
            except OSError:
                break

    def end(self) -> None:
        """There is enough again."""
        resource.setrlimit(self.what, self.before)
        for descriptor in self.open:
            os.close(descriptor)


def work(stage: Stage, reporter: Any) -> None:
    """Counts a lot; a bot that is short of memory may itself meet the end of it, but not in a call."""
    for n in range(JOBS):
        reporter.increment_jobs_found()
        if n % 100 == 0:
            reporter.send_heartbeat("applying", {"n": n})
            reporter.job(n).applied(credits=0.5)
            reporter.should_stop  # noqa: B018 -- a call like the others
    stage.count("jobs_found", JOBS + JOBS // 100)
    stage.count("jobs_applied", JOBS // 100)
    stage.count("credits_used", JOBS // 200)


def main() -> None:
    """Starts before or within the shortage, works in it, and recovers."""
    stage = Stage()
    reporter = stage.reporter()
    shortage = Shortage(stage.short_of)
    if not stage.early:
        reporter.start_session("1.0")
        reporter.flush(10)
    shortage.begin()
    began = time.monotonic()
    session_id = reporter.start_session("1.0")
    work(stage, reporter)
    flushed = reporter.flush(TOOK_S)
    during = reporter.status
    waiting = reporter._keeper.inbox.qsize()
    took = time.monotonic() - began
    shortage.end()
    ended = reporter.complete_session(timeout=20)
    with contextlib.suppress(KeyError):
        del during["counters"]
    stage.done(
        session_id=session_id,
        flushed=flushed,
        took_s=took,
        waiting=waiting,
        during=during,
        after=reporter.status,
        ended=ended,
    )


main()
