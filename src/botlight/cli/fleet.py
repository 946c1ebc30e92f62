"""`botlight serve --workers N`: a parent that listens, and processes that answer; one that dies is replaced."""

from __future__ import annotations

import logging
import multiprocessing
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Final

from msgspec import Struct

from botlight.cli.settings import Settings
from botlight.store.errors import CannotOpen

__all__ = ["Fleet", "Work"]

log = logging.getLogger(__name__)

START_S: Final = 30.0
END_S: Final = 5.0  # a worker takes two and some; one that takes longer is killed
LIVED_S: Final = 10.0  # a worker that lived so long was well: the next one begins at once
APART_S: Final = (0.5, 30.0)  # before a new worker where one did not live long, doubled each time, and at most

Work = Callable[[Settings, Sequence[socket.socket], Callable[[], None]], None]
"""What a worker does: serve on these sockets until it is told to end; says when it answers."""


class _Seat(Struct, kw_only=True):
    """The place of one worker, and who holds it."""

    number: int
    process: BaseProcess | None = None
    since: float = 0.0
    deaths: int = 0  # in a row, each soon after its beginning
    due: float = 0.0  # when the next one begins


class Fleet:
    """Begins the workers, and begins one anew that died, until it is told to end. Runs on the main thread."""

    def __init__(self, settings: Settings, sockets: Sequence[socket.socket], work: Work) -> None:
        self._settings = settings
        self._sockets = sockets
        self._work = work
        self._seats = [_Seat(number=n) for n in range(1, settings.workers + 1)]
        self._spawn = multiprocessing.get_context("spawn")
        self._told, self._tell = self._spawn.Pipe(duplex=False)

    def run(self, ready: Callable[[], None]) -> None:
        """Serve until SIGINT or SIGTERM; calls `ready` when every worker answers. Blocks.

        Raises:
            CannotOpen: a worker did not begin; its log says why.
        """
        with self._signals():
            try:
                if self._begin_all():
                    ready()
                    self._watch()
            finally:
                self._end()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Signals are words in a pipe, which is waited for together with the workers."""

        def tell(number: int, _frame: object) -> None:
            self._tell.send(number)

        before = {number: signal.signal(number, tell) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _begin_all(self) -> bool:
        """Whether all are there; false: it was told to end before that."""
        waiting: dict[Connection, _Seat] = {self._begin(seat): seat for seat in self._seats}
        until = time.monotonic() + START_S
        while waiting:
            deaths = {seat.process.sentinel for seat in self._seats if seat.process is not None}
            heard = wait([self._told, *waiting, *deaths], timeout=max(0.0, until - time.monotonic()))
            if self._told in heard:
                return False
            for one in [one for one in waiting if one in heard]:
                waiting.pop(one)
                _said(one)
            if not heard or any(one in deaths for one in heard):
                raise CannotOpen("A worker did not begin; the log above says why.")
        return True

    def _begin(self, seat: _Seat) -> Connection:
        """Begin a worker in its seat; what is answered says one word when the worker answers."""
        hear, say = self._spawn.Pipe(duplex=False)
        process = self._spawn.Process(
            target=_worker, args=(self._settings, list(self._sockets), say, self._work), name=f"worker {seat.number}"
        )
        process.start()
        say.close()
        seat.process, seat.since = process, time.monotonic()
        return hear

    def _watch(self) -> None:
        while True:
            now = time.monotonic()
            for seat in self._seats:
                if seat.process is None and seat.due <= now:
                    self._begin(seat).close()
            pauses = [max(0.0, seat.due - now) for seat in self._seats if seat.process is None]
            living = [seat.process.sentinel for seat in self._seats if seat.process is not None]
            if self._told in wait([self._told, *living], timeout=min(pauses, default=None)):
                return
            for seat in self._seats:
                if seat.process is not None and not seat.process.is_alive():
                    self._bury(seat, seat.process)

    def _bury(self, seat: _Seat, process: BaseProcess) -> None:
        lived_s = time.monotonic() - seat.since
        seat.deaths = 0 if lived_s >= LIVED_S else seat.deaths + 1
        pause_s = min(APART_S[0] * 2 ** (seat.deaths - 1), APART_S[1]) if seat.deaths else 0.0
        words = {"worker": seat.number, "pid": process.pid, "code": process.exitcode, "again_in_s": pause_s}
        log.error("a worker died", extra=words)
        process.join()
        process.close()
        seat.process, seat.due = None, time.monotonic() + pause_s

    def _end(self) -> None:
        """Tell every worker, and do not wait for ever."""
        living = [seat.process for seat in self._seats if seat.process is not None]
        for process in living:
            process.terminate()
        until = time.monotonic() + END_S
        for process in living:
            process.join(max(0.0, until - time.monotonic()))
            if process.is_alive():
                log.error("a worker did not end, and was killed", extra={"pid": process.pid})
                process.kill()
                process.join()


def _said(connection: Connection) -> None:
    """Take the word; a worker that died before it said it is found by its death."""
    try:
        connection.recv()
    except EOFError:
        pass
    finally:
        connection.close()


def _worker(settings: Settings, sockets: Sequence[socket.socket], say: Connection, work: Work) -> None:
    """What runs in a worker."""

    def ready() -> None:
        try:
            say.send(True)
        except OSError:  # nobody waits for it any more
            pass
        finally:
            say.close()

    work(settings, sockets, ready)
