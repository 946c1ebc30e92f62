"""A bot that ends in one of the ways in which bots end. Steering: `how`, one of those in `WAYS`.

It tells `leaving` when it is about to end. With `alone` in the steering it reports nothing more after the start.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import Any

from stage import Stage

ON_DISK_S = 0.3  # after which what was said is on disk, whatever comes


def returns(_: Any) -> None:
    """Just ends."""


def raises(_: Any) -> None:
    """Ends by an exception that nobody caught."""
    raise KeyError("door")


def exits(code: Any) -> Any:
    """What ends by `sys.exit` with this code."""
    return lambda _: sys.exit(code)


def hard(_: Any) -> None:
    """Ends in the middle of a step: nothing of Python's runs."""
    time.sleep(ON_DISK_S)
    os._exit(3)


def killed(_: Any) -> None:
    """Is told to go by the system, and has no handler for it."""
    time.sleep(ON_DISK_S)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)


def sleeps(_: Any) -> None:
    """Works until the case interrupts it."""
    time.sleep(60)


def thread_exits(reporter: Any) -> None:
    """A thread that asks for its own end ends nobody else."""
    thread = threading.Thread(target=sys.exit)
    thread.start()
    thread.join()
    reporter.complete_session()


def completes(reporter: Any) -> None:
    """Ends as it should."""
    reporter.complete_session()


WAYS: dict[str, Any] = {
    "return": returns,
    "exception": raises,
    "exit 0": exits(0),
    "exit 1": exits(1),
    "exit text": exits("gone"),
    "os._exit": hard,
    "SIGTERM": killed,
    "SIGINT": sleeps,
    "SystemExit in a thread": thread_exits,
    "completed": completes,
}


def main() -> None:
    """Begins, counts, and ends."""
    stage = Stage()
    reporter = stage.reporter()
    session_id = reporter.start_session("1.0")
    if not stage.steering.get("alone"):
        reporter.send_heartbeat("applying", {"n": 1})
        reporter.increment_jobs_found(7)
        stage.count("jobs_found", 7)
    stage.done(session_id=session_id)
    stage.tell("leaving")
    WAYS[stage.how](reporter)


main()
