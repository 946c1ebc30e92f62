"""A bot whose reporter loses its threads, in the ways in which a thread can be lost.

Steering: `how` is "raise" (the work of each thread raises once), "async" (an exception is thrown into each from outside,
as some libraries do) or "kill" (so often that the thread itself ends; one thread after the other). It tells `killed` with
the names of the threads before, `back` once each of them works again with how long that took, and ends in good order.
"""

from __future__ import annotations

import ctypes
import threading
import time
from typing import Any

from stage import Stage


def workers(reporter: Any) -> list[Any]:
    """The reporter's threads as it has them itself."""
    keeper = reporter._keeper
    return [keeper.sender, keeper.stream, keeper.spool, keeper]


def spoil(worker: Any) -> None:
    """Lets its next round raise."""
    genuine = type(worker).round

    def broken() -> None:
        worker.round = genuine.__get__(worker)
        raise MemoryError

    worker.round = broken


def throw(thread: threading.Thread) -> None:
    """Throws an exception into a thread; it arrives with its next step."""
    ident = ctypes.c_ulong(thread.ident or 0)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(SystemExit))


def hit(worker: Any, how: str) -> None:
    """Brings one thread down; with "kill" it has ended when this returns."""
    victim, before = worker._thread, worker.restarts
    if how == "raise":
        spoil(worker)
        if hasattr(worker, "aim"):  # a stream that is heard goes on for ever
            worker.cut()
        return
    throw(victim)
    while how == "kill" and victim.is_alive():
        if worker.restarts > before:  # it has caught that one; another hits it outside of everything
            throw(victim)
        time.sleep(0.01)


def is_back(worker: Any, before: int) -> bool:
    """Whether it had to begin anew, and did."""
    return bool(worker.restarts > before and worker._thread.is_alive())


def main() -> None:
    """Loses all threads, gets them back, and reports on."""
    stage = Stage()
    reporter = stage.reporter()
    reporter.start_session("1.0")
    reporter.increment_jobs_found()
    stage.count("jobs_found")
    reporter.flush(10)
    while reporter.status["stream"] != "open":
        time.sleep(0.01)
    all_of_them = workers(reporter)
    stage.tell("killed", threads=stage.threads())
    slowest = 0.0
    for victims in [[one] for one in all_of_them] if stage.how == "kill" else [all_of_them]:
        began, before = time.monotonic(), [one.restarts for one in victims]
        for one in victims:
            hit(one, stage.how)
        while not all(is_back(one, was) for one, was in zip(victims, before)):  # noqa: B905 -- strict came with 3.10
            time.sleep(0.01)
        slowest = max(slowest, time.monotonic() - began)
    stage.tell("back", took=slowest, threads=stage.threads(), restarts=[one.restarts for one in all_of_them])
    reporter.increment_jobs_found(7)
    stage.count("jobs_found", 7)
    stage.hear()
    ended = reporter.complete_session(timeout=20)
    stage.done(ended=ended, status=reporter.status)


main()
