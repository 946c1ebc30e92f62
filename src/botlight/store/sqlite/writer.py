"""The one thread that writes."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeVar

import apsw
from msgspec import Struct

from botlight.model.errors import Overloaded, Unavailable
from botlight.store.sqlite.connection import disconnect
from botlight.store.sqlite.failures import Outage

__all__ = ["Writer"]

log = logging.getLogger(__name__)

T = TypeVar("T")

QUEUE_SIZE: Final = 256  # jobs; one that finds it full is refused
CLOSE_WITHIN_S: Final = 10.0


class _Job(Struct, frozen=True, eq=False):
    work: Callable[[apsw.Connection], Any]
    answer: asyncio.Future[Any]
    done: Callable[[Any], None] | None
    loop: asyncio.AbstractEventLoop


class Writer:
    """Runs jobs one after the other on a connection of its own, each with its own transaction.

    `after_commit` is called in the thread after every job that wrote something.
    """

    def __init__(self, connection: apsw.Connection, outage: Outage, after_commit: Callable[[], None]) -> None:
        self._connection = connection
        self._outage = outage
        self._after_commit = after_commit
        self._jobs: queue.Queue[_Job | None] = queue.Queue(QUEUE_SIZE)
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="botlight-writer", daemon=True)
        self._thread.start()

    async def run(self, work: Callable[[apsw.Connection], T], done: Callable[[T], None] | None = None) -> T:
        """Run a job in the writing thread and return what it made.

        `done` is called with it on the event loop, in the order of the jobs and before the caller goes on, even if
        the caller has gone away meanwhile.

        Raises:
            RejectedWrite: the database refuses these values.
            Unavailable: nothing was written.
        """
        if self._closed:
            raise Unavailable("The store is closed.")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        try:
            self._jobs.put_nowait(_Job(work, answer, done, loop))
        except queue.Full:
            raise Overloaded(retry_after_s=1.0) from None
        return await answer

    def close(self) -> None:
        """Finish what was accepted, then end the thread and close the connection."""
        if self._closed:
            return
        self._closed = True
        with suppress(queue.Full):
            self._jobs.put(None, timeout=CLOSE_WITHIN_S)
        self._thread.join(CLOSE_WITHIN_S)
        if self._thread.is_alive():  # the disk hangs, and closing would hang with it
            log.error("the writing thread did not end in time")
        else:
            disconnect(self._connection)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            result: Any = None
            error: Exception | None = None
            try:
                result = self._done(job)
            except Exception as caught:  # noqa: BLE001  every error is somebody's answer
                error = self._outage.of_a_write(caught)
            try:
                job.loop.call_soon_threadsafe(_settle, job, result, error)
            except RuntimeError:  # the loop is closed: nobody is left to be told
                continue

    def _done(self, job: _Job) -> Any:
        before = self._connection.total_changes()
        result = job.work(self._connection)
        if self._connection.total_changes() != before:
            self._outage.over()
            self._after_commit()
        return result


def _settle(job: _Job, result: Any, error: Exception | None) -> None:
    if error is None and job.done is not None:
        job.done(result)
    if job.answer.done():
        return
    if error is None:
        job.answer.set_result(result)
    else:
        job.answer.set_exception(error)
