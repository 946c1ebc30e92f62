"""A bot that is frozen: reports, works until the case's word, may have a worker process, and tells what it found.

Steering: `workers`, how many processes count one job each. It tells `ready` with its own process and that of its
bootloader, and how many certificate authorities it trusts where it finds them by itself.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from typing import Any

from stage import Stage

# `stage` imports it by its name, which a freezer does not see.
import status_reporter


def work(reporter: Any) -> None:
    """What a worker process does."""
    reporter.increment_jobs_applied()


def main() -> None:
    """Works until the case says `end`."""
    stage = Stage()
    reporter = stage.reporter(timed=False)
    session_id = reporter.start_session("1.0")
    reporter.increment_jobs_found(3)
    trusted = status_reporter._trusting(None).cert_store_stats()["x509_ca"]
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=work, args=(reporter.for_worker(),)) for _ in range(stage.workers)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    stage.tell("ready", session_id=session_id, pid=os.getpid(), parent=os.getppid(), trusted=trusted)
    while (line := stage.hear()) and "end" not in line:
        reporter.increment_jobs_found(line["found"])
        stage.tell("counted")
    ended = reporter.complete_session(timeout=10)
    stage.count("jobs_found", 3)
    stage.count("jobs_applied", stage.workers)
    stage.done(ended=ended, codes=[worker.exitcode for worker in workers])


if __name__ == "__main__":
    multiprocessing.freeze_support()
    if getattr(sys, "frozen", False):
        del sys.argv[1]  # the script, which only a Python has to be told
    main()
