"""Several bots in one process, with a reporter each, for whom a service that comes back is there all at once.

Steering: `many`. It tells `ready` when all have failed at least three times, and ends all sessions when it is told to.
"""

from __future__ import annotations

import time

from stage import Stage


def main() -> None:
    """Begins, waits for the case, and ends."""
    stage = Stage()
    reporters = [stage.reporter(spool_dir=None) for _ in range(stage.many)]
    for one in reporters:
        one.start_session("1.0")
        one.increment_jobs_found(2)
        stage.count("jobs_found", 2)
    while not all(one.status["fails"] >= 3 for one in reporters):
        time.sleep(0.01)
    stage.tell("ready")
    stage.hear()
    stage.done(ended=[one.complete_session(timeout=20) for one in reporters])


main()
