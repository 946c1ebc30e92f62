"""A bot whose garbage reports: objects in cycles call the reporter when the collector finds them, wherever that is.

Steering: `many`, how many of them each of two threads makes.
"""

from __future__ import annotations

import gc
import threading
import time
from typing import Any, ClassVar

from stage import Stage


class Page:
    """Reports its own end."""

    gone: ClassVar[list[None]] = []  # `append` is one step

    def __init__(self, reporter: Any) -> None:
        self.reporter = reporter
        self.itself = self

    def __del__(self) -> None:
        self.reporter.increment_jobs_found()
        self.reporter.send_heartbeat("closing", {"page": 1})
        self.reporter.job("page").skipped()
        Page.gone.append(None)


def work(reporter: Any, many: int) -> None:
    """Makes garbage, and reports meanwhile."""
    for n in range(many):
        Page(reporter)
        reporter.increment_jobs_applied()
        reporter.send_heartbeat("applying", {"n": n, "of": [many, {"deep": (n,)}]})


def main() -> None:
    """Makes garbage in two threads, with the collector on its toes all the time."""
    stage = Stage()
    reporter = stage.reporter(timed=False)
    reporter.start_session("1.0")
    gc.set_threshold(1, 1, 1)
    threads = [threading.Thread(target=work, args=(reporter, stage.many)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gc.set_threshold(700, 10, 10)
    until = time.monotonic() + 60
    while len(Page.gone) < 2 * stage.many and time.monotonic() < until:
        if not gc.collect():  # a thread of the reporter may be collecting just now, and then this does nothing
            time.sleep(0.01)
    found = len(Page.gone)
    stage.count("jobs_found", found + 1)  # and the page by its key
    stage.count("jobs_applied", 2 * stage.many)
    stage.done(found=found, ended=reporter.complete_session(timeout=20))


main()
