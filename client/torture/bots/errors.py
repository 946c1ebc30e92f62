"""Many reporters at once, each of which meets another error for ever; each works on to the end of its jobs."""

from __future__ import annotations

import threading
import time
from typing import Any

from stage import Stage


def work(reporter: Any, n: int, done: dict[int, int]) -> None:
    """Twenty jobs, unless something says stop."""
    reporter.start_session(str(n))
    for _ in range(20):
        if reporter.should_stop or reporter.stop_event.is_set() or reporter.wait(0.05):
            break
        reporter.checkpoint("applying", {"n": n})
        reporter.increment_jobs_applied()
        done[n] = done.get(n, 0) + 1
    reporter.complete_session(timeout=0.3)


def main() -> None:
    """All at once."""
    stage = Stage()
    done: dict[int, int] = {}
    began = time.monotonic()
    threads = [threading.Thread(target=work, args=(stage.reporter(timed=False), n, done)) for n in range(stage.many)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stage.done(done=[done.get(n, 0) for n in range(stage.many)], took_s=time.monotonic() - began)


main()
