"""A bot on another scheduler than the system's threads. Steering: `kind`, and `late`: patched after the reporter's import.

Kinds: `gevent`, `eventlet` (monkey patched), `asyncio` (in debug mode), `uvloop`. It tells what the reporter says it runs on,
and what asyncio complained of.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import time
from typing import Any

from stage import Stage


class Complaints(logging.Handler):
    """What the loop's own logger says: it warns of whatever blocks the loop for over 0.1 s, in debug mode."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps it."""
        if record.levelno >= logging.WARNING:
            self.texts.append(record.getMessage())


def patch(kind: str) -> None:
    """Makes greenlets of threads."""
    if kind == "gevent":
        importlib.import_module("gevent.monkey").patch_all()
    else:
        importlib.import_module("eventlet").monkey_patch()


def compute(seconds: float) -> None:
    """Lets no greenlet have a turn."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass


def green(stage: Stage) -> None:
    """Works in greenlets: computes, and waits now and then."""
    if stage.late:
        importlib.import_module("status_reporter")
    patch(stage.kind)
    threading = importlib.import_module("threading")
    reporter = stage.reporter(timed=False)
    stage.tell("working", session_id=reporter.start_session("1.0"))

    def work() -> None:
        for _ in range(20):
            reporter.send_heartbeat("applying")
            reporter.increment_jobs_applied()
            compute(0.01)
            reporter.wait(0.01)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stage.count("jobs_applied", 60)
    while not reporter.wait(5):
        pass
    runtime = reporter.status["runtime"]
    stage.done(runtime=runtime, ended=reporter.complete_session(timeout=10), complaints=[])


async def work(reporter: Any) -> None:
    """One task."""
    for _ in range(20):
        reporter.send_heartbeat("applying")
        reporter.increment_jobs_applied()
        await asyncio.sleep(0.005)


async def bot(stage: Stage, reporter: Any) -> None:
    """Works in tasks, until it is stopped."""
    asyncio.get_running_loop().set_debug(enabled=True)
    async with reporter.session("1.0"):
        stage.tell("working", session_id=reporter.session_id)
        await asyncio.gather(*(work(reporter) for _ in range(3)))
        async for number in reporter.track(numbers(), found=True):
            if await reporter.wait_async(5) or number > 3:
                break


async def numbers() -> Any:
    """Without an end."""
    number = 0
    while True:
        yield number
        number += 1


def asynchronous(stage: Stage) -> None:
    """Works in an event loop that minds who blocks it."""
    complaints = Complaints()
    logging.getLogger("asyncio").addHandler(complaints)
    reporter = stage.reporter(timed=False)
    loop = importlib.import_module("uvloop" if stage.kind == "uvloop" else "asyncio").new_event_loop()
    try:
        loop.run_until_complete(bot(stage, reporter))
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
    stage.count("jobs_applied", 60)
    stage.count("jobs_found")
    stage.done(runtime=reporter.status["runtime"], ended=reporter.complete_session(), complaints=complaints.texts)


if __name__ == "__main__":
    its_stage = Stage()
    (green if its_stage.kind in ("gevent", "eventlet") else asynchronous)(its_stage)
