"""Many reporters, one after the other and some at once, each with a session of its own whose first request gets cut.

Steering: `many` sessions, `at_once`. Each counts its number of jobs. It tells how each end was acknowledged, and how many
threads of the reporter were alive when each of a group had something acknowledged (three for each).
"""

from __future__ import annotations

import threading
from typing import Any

from stage import Stage


def live(reporter: Any, n: int, ends: dict[int, bool], met: threading.Barrier, over: threading.Barrier) -> None:
    """One session from start to end, in step with those of its group."""
    reporter.start_session("1.0")
    reporter.send_heartbeat("applying", {"n": n})
    reporter.increment_jobs_found(n)
    reporter.flush(40)
    met.wait(60)
    over.wait(60)
    reporter.increment_jobs_applied()
    ends[n] = reporter.complete_session(timeout=40)
    reporter.close(0)


def main() -> None:
    """Group after group."""
    stage = Stage()
    ends: dict[int, bool] = {}
    alive: list[int] = []
    stage.tell("ready")
    for first in range(0, stage.many, stage.at_once):
        group = range(first, min(first + stage.at_once, stage.many))
        met, over = threading.Barrier(len(group) + 1), threading.Barrier(len(group) + 1)
        threads = [threading.Thread(target=live, args=(stage.reporter(timed=False), n, ends, met, over)) for n in group]
        for thread in threads:
            thread.start()
        met.wait(60)
        alive.append(len(stage.threads()) - 3 * len(group))
        over.wait(60)
        for thread in threads:
            thread.join()
        for n in group:
            stage.count("jobs_found", n)
            stage.count("jobs_applied")
    stage.done(unacknowledged=[n for n, end in ends.items() if not end], threads_missing=min(alive))


main()
