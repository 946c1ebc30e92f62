"""A bot with a pool of four worker processes. Steering: `method` (fork, spawn, forkserver), `tasks`, `own_words`.

Where its children import this script again, the start of the session at its top runs once more in each of them.
With `own_words` the workers report through `for_worker()`, else through the bot's own reporter, which is inert there.
"""

from __future__ import annotations

import multiprocessing
import os
from typing import Any

from stage import Stage

stage = Stage()
reporter = stage.reporter(timed=False)
session_id = reporter.start_session("1.0")


def work(task: tuple[Any, int]) -> tuple[int, str, str | None]:
    """One task of a worker."""
    mine, number = task
    mine.send_heartbeat("working", {"number": number})
    mine.increment_jobs_found(2)
    mine.job(number).applied(credits=0.25)
    mine.start_session("3.0")
    mine.complete_session(error="not a worker's to end")
    return os.getpid(), mine.status["runtime"], mine.status["instance_id"]


def main() -> None:
    """Hands out the tasks, and waits for all of them."""
    handed = reporter.for_worker() if stage.own_words else reporter
    reporter.send_heartbeat("leading")
    with multiprocessing.get_context(stage.method).Pool(4) as pool:
        did = pool.map(work, [(handed, number) for number in range(stage.tasks)], chunksize=1)
        pool.close()
        pool.join()
    if stage.own_words:
        stage.count("jobs_found", 3 * stage.tasks)
        stage.count("jobs_applied", stage.tasks)
        stage.count("credits_used", stage.tasks / 4)
    ended = reporter.complete_session(timeout=10)
    runtimes = sorted({runtime for _, runtime, _ in did})
    processes, instances = {pid for pid, _, _ in did}, {instance for _, _, instance in did}
    stage.done(
        session_id=session_id, ended=ended, processes=len(processes), runtimes=runtimes, instances=len(instances)
    )


if __name__ == "__main__":
    main()
