"""The few threads that read."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import apsw

from botlight.model.errors import Overloaded, Unavailable
from botlight.store.sqlite.connection import disconnect, read_transaction
from botlight.store.sqlite.failures import Outage

__all__ = ["Readers"]

T = TypeVar("T")

WAITING: Final = 512  # reads; one that finds so many before it is refused


class Readers:
    """Runs reads in threads, each in one short read transaction."""

    def __init__(self, connections: Sequence[apsw.Connection], outage: Outage) -> None:
        self._connections = connections
        self._free: queue.SimpleQueue[apsw.Connection] = queue.SimpleQueue()
        for connection in connections:
            self._free.put(connection)
        self._threads = ThreadPoolExecutor(len(connections), "botlight-reader")
        self._outage = outage
        self._waiting = 0
        self._closed = False

    async def run(self, work: Callable[[apsw.Connection], T]) -> T:
        """Run a read; all that it sees is of one moment.

        Raises:
            Unavailable: it could not be read.
        """
        if self._closed:
            raise Unavailable("The store is closed.")
        if self._waiting >= WAITING:
            raise Overloaded(retry_after_s=1.0)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, work)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Finish the reads that were accepted, then close the connections."""
        self._closed = True
        self._threads.shutdown()
        for connection in self._connections:
            disconnect(connection)

    def _read(self, work: Callable[[apsw.Connection], T]) -> T:
        connection = self._free.get()
        try:
            with read_transaction(connection):
                return work(connection)
        except Exception as error:
            translated = self._outage.of_a_read(error)
            if translated is error:
                raise
            raise translated from error
        finally:
            self._free.put(connection)
