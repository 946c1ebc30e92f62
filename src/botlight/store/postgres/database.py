"""One PostgreSQL database, opened: the connections that the store and the access adapter share, and as whom they work."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final, Self

import asyncpg

from botlight.store.postgres.connection import (
    AS_SERVICE,
    AS_SNAPSHOT,
    CONNECT_S,
    SERVICE_ROLE,
    AnyConnection,
    as_person,
    transaction,
)
from botlight.store.postgres.examination import Examined, examine
from botlight.store.postgres.failures import Outage
from botlight.store.postgres.footing import Footing
from botlight.store.postgres.listener import Listener

__all__ = ["PostgresDatabase"]

log = logging.getLogger(__name__)

WRITERS: Final = 3  # two lanes of batches, and what people and the pruner write
READERS: Final = 4
CLOSE_S: Final = 2.0
GIVE_BACK_S: Final = 2.0
STATEMENTS: Final = 100  # prepared ones kept by each connection

COMMON: Final = {
    "application_name": "'botlight'",
    "timezone": "'UTC'",
    "jit": "off",  # compiling takes longer than any statement of ours
    "statement_timeout": "'10s'",  # whoever asked has given up by then
    "idle_in_transaction_session_timeout": "'30s'",  # a server process that hangs must not hold locks for ever
}
WRITING: Final = COMMON | {
    # A batch touches a few rows of a table that may have millions; statistics of a growing table say otherwise.
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    # Ours end within milliseconds. Somebody who leaves a transaction open must hold up what he changed, and no more.
    "lock_timeout": "'500ms'",
}
DURABLE: Final = """
select set_config('synchronous_commit',
  case current_setting('synchronous_commit') when 'off' then 'on' else current_setting('synchronous_commit') end, {})
"""
"""Whoever runs the database may let commits answer before they are on the disk; what is acknowledged here has to be."""


class PostgresDatabase:
    """An open database. Made by `open`, ended by `close`; in between it serves one event loop.

    Every way in is a context manager that gives a connection. What the database or the way to it says inside becomes
    `Unavailable`, and, in `writing`, `RejectedWrite` or `Collision`; other errors pass through.
    """

    def __init__(
        self,
        url: str,
        known: Examined,
        *,
        serving: bool,
        writers: asyncpg.Pool[asyncpg.Record],
        readers: asyncpg.Pool[asyncpg.Record],
    ) -> None:
        """Use `open`."""
        self._url = url
        self._footing = known.footing
        self._standing = known.standing
        self.serving = serving
        self._writers = writers
        self._readers = readers
        self._outage = Outage()

    @classmethod
    async def open(cls, url: str, *, serve: bool) -> Self:
        """Connect, and make sure that this is a database to work with.

        `serve` true: for a server. False: for a short command, which a server beside it does not mind.

        Raises:
            CannotOpen: with a message for the person who asked, in which the password of the URL is never repeated.
        """
        known = await examine(url)
        for warning in known.warnings if serve else ():
            log.warning("%s", warning)
        writers = await _pool(url, known.footing, WRITING, WRITERS if serve else 1)
        readers = await _pool(url, known.footing, COMMON, READERS if serve else 1)
        return cls(url, known, serving=serve, writers=writers, readers=readers)

    @property
    def can_listen(self) -> bool:
        """Whether `listening` hears anything; else the feed has to be read each second."""
        return self._footing.can_listen

    @property
    def on_supabase(self) -> bool:
        """Whether people are a Supabase project's, and not ours."""
        return self._standing.supabase

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AnyConnection]:
        """A read-committed transaction of the service: durable at the end, or nothing.

        Raises:
            RejectedWrite: the database refuses what was to be written.
            Collision: another transaction was in the way.
            Unavailable: it cannot be written now.
        """
        with self._outage.of_writes():
            async with (
                _lent(self._writers) as connection,
                transaction(connection, self._begin(AS_SERVICE, WRITING)),
            ):
                yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AnyConnection]:
        """The service's own reads, each statement as of its own moment.

        Raises:
            Unavailable: it cannot be read now.
        """
        async with self._reading(self._begin(AS_SERVICE, COMMON) if self._footing.pooled else None) as connection:
            yield connection

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AnyConnection]:
        """The service's own reads, all as of one moment: a repeatable-read transaction that writes nothing.

        Raises:
            Unavailable: it cannot be read now.
        """
        async with self._reading(self._begin(AS_SNAPSHOT, COMMON)) as connection:
            yield connection

    @asynccontextmanager
    async def person(self, user_id: str) -> AsyncIterator[AnyConnection]:
        """What this person may see, as of one moment: row level security is in force.

        Raises:
            Unavailable: it cannot be read now.
            ValueError: it is no person's id.
        """
        async with self._reading(as_person(user_id)) as connection:
            yield connection

    @asynccontextmanager
    async def login(self) -> AsyncIterator[AnyConnection]:
        """As whoever the URL says, reading only: for a command of the person who knows that URL, never for a server.

        Raises:
            Unavailable: it cannot be read now.
        """
        if self.serving:
            raise AssertionError("a server works as its own role")
        async with self._reading(f"{AS_SNAPSHOT}; set local role none") as connection:
            yield connection

    @asynccontextmanager
    async def listening(self, wake: Callable[[], None]) -> AsyncIterator[Listener]:
        """A connection of its own; `wake` is called on the event loop whenever anything changed from now on.

        When it is lost (`Listener.lost`) the caller opens another one, and reads what it has not seen.

        Raises:
            Unavailable: the database cannot be reached now.
        """
        with self._outage.of_reads():
            listener = Listener(await asyncpg.connect(self._url, timeout=CONNECT_S))
            try:
                await listener.begin(wake)
                yield listener
            finally:
                listener.close()

    async def close(self) -> None:
        """Finish what has begun, for a moment, then close every connection; twice is once."""
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._writers.close()
                await self._readers.close()
        except (TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            log.warning("the connections to the database were cut, since they would not close")
        finally:
            self._writers.terminate()
            self._readers.terminate()

    @asynccontextmanager
    async def _reading(self, begin: str | None) -> AsyncIterator[AnyConnection]:
        with self._outage.of_reads():
            async with _lent(self._readers) as connection:
                if begin is None:
                    yield connection
                else:
                    async with transaction(connection, begin):
                        yield connection

    def _begin(self, begin: str, settings: dict[str, str]) -> str:
        """Behind a pooler each transaction says for itself what a connection of ours has been told once."""
        if not self._footing.pooled:
            return begin
        told = (f"set local {name} = {value}" for name, value in settings.items())
        return "; ".join([begin, f"set local role {SERVICE_ROLE}", DURABLE.format("true"), *told])


@asynccontextmanager
async def _lent(pool: asyncpg.Pool[asyncpg.Record]) -> AsyncIterator[AnyConnection]:
    """A connection, given back whatever happens, and not waited for when it does not come back.

    The pool waits until the server has called off what was under way, and a server that hangs never does.
    """
    connection = await pool.acquire()
    try:
        yield connection
    finally:
        with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError):
            await pool.release(connection, timeout=GIVE_BACK_S)  # after which the pool has cut it


async def _pool(url: str, footing: Footing, settings: dict[str, str], size: int) -> asyncpg.Pool[asyncpg.Record]:
    """Connections that are the service's from their first moment to their last; none is opened yet."""
    settled = (f"set {name} = {value}" for name, value in settings.items())
    told = "; ".join([f"set role {SERVICE_ROLE}", DURABLE.format("false"), *settled])

    async def begin(connection: asyncpg.Connection[asyncpg.Record]) -> None:
        await connection.execute(told)

    async def keep(_connection: asyncpg.Connection[asyncpg.Record]) -> None:
        """Leave it as it is: no transaction of ours leaves anything behind, and resetting costs a way there and back."""

    pool = asyncpg.create_pool(
        url,
        min_size=0,  # the pool would log each vain attempt to keep up more, in its own words
        max_size=size,
        timeout=CONNECT_S,
        init=None if footing.pooled else begin,
        reset=keep,
        statement_cache_size=0 if footing.pooled else STATEMENTS,
    )
    await pool
    return pool
