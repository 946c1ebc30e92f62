"""The use cases on a real store, with a clock that a test moves."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeVar

import apsw
import asyncpg
import msgspec
from argon2 import PasswordHasher
from msgspec import Struct

from botlight.model.access import Principal, Scope
from botlight.model.errors import Unavailable
from botlight.model.merge import Report
from botlight.model.report import Snapshot
from botlight.model.session import BotSession, Instant
from botlight.service.batch import Batch
from botlight.service.control import Control
from botlight.service.people import People
from botlight.service.ports import Access, Committed, User
from botlight.service.principals import Principals
from botlight.service.pruner import Pruner
from botlight.service.queries import Queries
from botlight.service.reaper import Reaper
from botlight.service.reporting import Receipt, Reporting
from botlight.service.tokens import Tokens
from botlight.store.postgres.access import PostgresAccess
from botlight.store.postgres.database import WRITERS, PostgresDatabase
from botlight.store.postgres.store import PostgresStore
from botlight.store.sqlite import SqliteAccess, SqliteDatabase, SqliteStore

__all__ = [
    "ALICE",
    "BOB",
    "CHEAP",
    "DAY",
    "HOUR",
    "LEASE",
    "MINUTE",
    "SECOND",
    "START",
    "ByHand",
    "HandClock",
    "House",
    "open_house",
]

ALICE: Final = Principal(
    user_id="00000000-0000-4000-8000-0000000a11ce",
    user_name="alice",
    scope=Scope.PERSON,
    credential_id="alice's sign-in",
)
BOB: Final = Principal(
    user_id="00000000-0000-4000-8000-000000000b0b", user_name="bob", scope=Scope.PERSON, credential_id="bob's sign-in"
)
SECOND: Final = 1000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
START: Final = 1_769_000_000_000
LEASE: Final = 135 * SECOND  # three times the default interval of 45 s

CHEAP: Final = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""argon2id as the service uses it, but quick."""

T = TypeVar("T")

_decoder: Final = msgspec.json.Decoder(Snapshot, float_hook=Decimal)


class HandClock:
    """A service's clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.at = START

    def now(self) -> Instant:
        """The instant that it is."""
        return Instant(self.at)

    def move(self, ms: int) -> None:
        """Let time go by."""
        self.at += ms


class ByHand(Struct, frozen=True):
    """What somebody with a SQL shell types, in either store; empty: nothing is needed there."""

    sqlite: str
    postgres: str


class House(ABC):
    """Everything between the doors and the store, opened."""

    store: SqliteStore | PostgresStore

    def __init__(self, store: SqliteStore | PostgresStore, access: Access) -> None:
        self.store = store
        self.access = access
        self.clock = HandClock()
        self.heard: list[Committed] = []
        store.listen(self.heard.append)
        self.batch = Batch(store, store, self.clock)
        self.reporting = Reporting(self.batch)
        self.control = Control(self.batch, store, store)
        self.queries = Queries(store, self.clock)
        self.tokens = Tokens(self.access, self.clock)
        self.principals = Principals(self.tokens, self.clock, self.clock)
        self.people = People(self.access, self.clock, CHEAP)

    @abstractmethod
    def held(self) -> AbstractAsyncContextManager[None]:
        """Let the store write nothing, as a slow disk does: what is submitted meanwhile waits."""

    @abstractmethod
    async def announced(self) -> None:
        """Wait until what was committed is announced."""

    @abstractmethod
    async def blind(self) -> None:
        """From now on whoever reads from the store fails."""

    @abstractmethod
    def by_hand(self, *statements: tuple[ByHand, *tuple[str, ...]]) -> None:
        """Change the store as somebody with a SQL shell does: statements with their values, in one transaction."""

    @abstractmethod
    def kept(self) -> bytes:
        """All that the store holds about people and what lets them in."""

    @abstractmethod
    def buried_at(self) -> int:
        """When the newest tombstone was made, as the store says."""

    def reaper(self) -> Reaper:
        """A reaper that begins to hear now, as after a start of the service."""
        return Reaper(self.batch, self.store, self.clock)

    def pruner(self, retention_days: int | None) -> Pruner:
        """A pruner."""
        return Pruner(self.store, self.store, self.clock, retention_days)

    def report(self, session_id: str, *, of: Principal = ALICE, instance_id: str = "", **fields: Any) -> Report:
        """What a bot says; the fields are those of the wire."""
        snapshot = _decoder.decode(msgspec.json.encode(fields))
        return Report(
            user_id=of.user_id, session_id=session_id, instance_id=instance_id or session_id, snapshot=snapshot
        )

    async def beat(self, session_id: str, *, of: Principal = ALICE, **fields: Any) -> Receipt:
        """A bot reports and is answered."""
        snapshot = _decoder.decode(msgspec.json.encode({"session_id": session_id, **fields}))
        return await self.reporting.report(of, snapshot)

    async def session(self, session_id: str, of: Principal = ALICE) -> BotSession:
        """A session as its owner sees it."""
        return (await self.queries.state(of, session_id)).session

    async def kinds(self, session_id: str) -> list[str]:
        """The kinds of the facts of a session, oldest first."""
        return [fact.kind.value for fact in await self.queries.timeline(ALICE, session_id, 0, 200)]


class SqliteHouse(House):
    """On a file."""

    def __init__(self, path: Path, database: SqliteDatabase) -> None:
        super().__init__(SqliteStore(database), SqliteAccess(database))
        self._path = path
        self._database = database

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Occupy the one writing thread."""
        release, begun = threading.Event(), threading.Event()

        def occupy(_: object) -> None:
            begun.set()
            release.wait()

        occupied = asyncio.create_task(self._database.writer.run(occupy))
        try:
            await asyncio.to_thread(begun.wait)
            yield
        finally:
            release.set()
            await occupied

    async def announced(self) -> None:
        """It is as soon as the batch goes on."""
        await asyncio.sleep(0)

    async def blind(self) -> None:
        """End the threads that read."""
        await asyncio.to_thread(self._database.readers.close)

    def by_hand(self, *statements: tuple[ByHand, *tuple[str, ...]]) -> None:
        """Change the file."""
        connection = apsw.Connection(str(self._path))
        try:
            connection.set_busy_timeout(5000)
            with connection:
                for statement, *values in statements:
                    connection.execute(statement.sqlite, values)
        finally:
            connection.close()

    def kept(self) -> bytes:
        """Every file, whole."""
        return b"".join(file.read_bytes() for file in self._path.parent.iterdir())

    def buried_at(self) -> int:
        """The newest tombstone's time."""
        connection = apsw.Connection(str(self._path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            [(at,)] = connection.execute("select max(at) from gone").fetchall()
            assert isinstance(at, int)
            return at
        finally:
            connection.close()


class PostgresHouse(House):
    """In a database."""

    def __init__(self, url: str, database: PostgresDatabase, store: PostgresStore) -> None:
        super().__init__(store, PostgresAccess(database))
        self._url = url
        self._database = database

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Occupy every connection that writes."""
        async with AsyncExitStack() as held:
            for _ in range(WRITERS):
                await held.enter_async_context(self._database.writing())
            yield

    async def announced(self) -> None:
        """Wait until the feed has read it."""
        async with asyncio.timeout(10):
            while True:
                try:
                    return await self.store.verify()
                except Unavailable:  # nobody listens yet
                    await asyncio.sleep(0.01)

    async def blind(self) -> None:
        """Close every connection."""
        await self._database.close()

    def by_hand(self, *statements: tuple[ByHand, *tuple[str, ...]]) -> None:
        """Change the database, as its owner."""

        async def change(connection: asyncpg.Connection[asyncpg.Record]) -> None:
            for statement, *values in statements:
                if statement.postgres:
                    await connection.execute(statement.postgres, *values)

        self._as_owner(change)

    def kept(self) -> bytes:
        """Every table of people and what lets them in."""

        async def read(connection: asyncpg.Connection[asyncpg.Record]) -> bytes:
            tables = ("botlight.users", "botlight.tokens", "botlight.sign_ins", "botlight.links", "auth.users")
            found = [await connection.fetch(f"select t::text from {table} t") for table in tables]  # noqa: S608  these
            return "".join(row[0] for rows in found for row in rows).encode()

        return self._as_owner(read)

    def buried_at(self) -> int:
        """The newest tombstone's time."""
        newest = "select floor(extract(epoch from max(deleted_at)) * 1000)::bigint from botlight.tombstones"

        async def read(connection: asyncpg.Connection[asyncpg.Record]) -> int:
            return int(await connection.fetchval(newest))

        return self._as_owner(read)

    def _as_owner(self, work: Callable[[asyncpg.Connection[asyncpg.Record]], Coroutine[Any, Any, T]]) -> T:
        async def run() -> T:
            connection = await asyncpg.connect(self._url, server_settings={"search_path": "public, botlight"})
            try:
                async with connection.transaction():
                    return await work(connection)
            finally:
                await connection.close()

        with ThreadPoolExecutor(1) as thread:  # there is a loop on this one
            return thread.submit(asyncio.run, run()).result()


@asynccontextmanager
async def open_house(path: Path, url: str = "") -> AsyncIterator[House]:
    """Open a store with Alice and Bob in it, both signed in: a file, or the PostgreSQL database that is named."""
    async with AsyncExitStack() as closing:
        house: House
        if url.startswith("postgresql:"):
            postgres = await PostgresDatabase.open(url, serve=True)
            closing.push_async_callback(postgres.close)
            store = await PostgresStore.open(postgres)
            closing.push_async_callback(store.close)
            house = PostgresHouse(url, postgres, store)
        else:
            sqlite = await asyncio.to_thread(SqliteDatabase.open, path, serve=True)
            closing.push_async_callback(asyncio.to_thread, sqlite.close)
            house = SqliteHouse(path, sqlite)
        for who in (ALICE, BOB):
            at, later = Instant(START), Instant(START + 365 * DAY)
            user = User(id=who.user_id, name=who.user_name, password_hash=None, operator=False, created_at=at)
            await house.access.add_user(user)
            await house.access.sign_in(who.user_id, who.credential_id, who.user_id, at, later)
        running = asyncio.create_task(house.batch.run())
        try:
            yield house
        finally:
            await house.batch.close()
            await running
