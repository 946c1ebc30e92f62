"""Counts `rate` times a second until it is killed, and says so before it does: `counts` with how many there then will be.

So what it counted is never more than the last `counts`, and not less than the one before it. Beside it a plain thread
writes the time into a file ten times a second and tells `wrote`: where even that one is late, the machine was.
"""

from __future__ import annotations

import os
import threading
import time

from stage import Stage

STEP_S = 0.005
WRITES_S = 0.1


def witness(stage: Stage) -> None:
    """Writes as the reporter does, and does nothing else."""
    name = f"witness-{os.getpid()}"
    while True:
        with open(name + ".tmp", "w") as file:  # noqa: PTH123 -- as plain as can be
            file.write(str(time.monotonic()))
        os.replace(name + ".tmp", name)  # noqa: PTH105 -- as plain as can be
        stage.tell("wrote")
        time.sleep(WRITES_S)


def main() -> None:
    """Counts."""
    stage = Stage()
    reporter = stage.reporter()
    session_id = reporter.start_session("1.0")
    stage.tell("ready", session_id=session_id)
    threading.Thread(target=witness, args=(stage,), daemon=True).start()
    began, count = time.monotonic(), 0
    while True:
        due = int((time.monotonic() - began) * stage.rate) - count
        stage.tell("counts", n=count + due)
        for _ in range(due):
            reporter.increment_jobs_found()
        count += due
        time.sleep(STEP_S)


main()
