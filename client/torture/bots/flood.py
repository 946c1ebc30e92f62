"""Counts `rate` times a second in `threads` threads for `seconds`, and measures what the reporter's own threads use."""

from __future__ import annotations

import threading
import time
from typing import Any

from stage import Stage


def flood(reporter: Any, share: float, until: float, tally: list[int]) -> None:
    """One thread's share, in steps of 10 ms."""
    began = time.monotonic()
    while True:
        now = time.monotonic()
        if now >= until:
            return
        for _ in range(int((now - began) * share) - tally[0]):
            reporter.increment_jobs_found()
            tally[0] += 1
        time.sleep(0.01)


def used_s() -> float:
    """Processor time of the reporter's threads."""
    clocks = [
        time.pthread_getcpuclockid(one.ident or 0)
        for one in threading.enumerate()
        if one.name.startswith("status-reporter")
    ]
    return sum(time.clock_gettime(clock) for clock in clocks)


def main() -> None:
    """Floods, then tells."""
    stage = Stage()
    reporter = stage.reporter()
    stage.tell("ready", session_id=reporter.start_session("1.0"))
    reporter.flush(10)
    tallies = [[0] for _ in range(stage.threads_n)]
    began, used = time.monotonic(), used_s()
    share, until = stage.rate / stage.threads_n, began + stage.seconds
    threads = [threading.Thread(target=flood, args=(reporter, share, until, tally)) for tally in tallies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took, used = time.monotonic() - began, used_s() - used
    stage.tell("flooded", began=began)
    stage.count("jobs_found", sum(tally[0] for tally in tallies))
    ended = reporter.complete_session(timeout=20)
    stage.done(ended=ended, took_s=took, used_s=used)


main()
