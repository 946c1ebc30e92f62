"""The use cases on a real SQLite file, with a clock that a test moves."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import apsw
import msgspec
from argon2 import PasswordHasher

from botlight.model.access import Principal, Scope
from botlight.model.merge import Report
from botlight.model.report import Snapshot
from botlight.model.session import BotSession, Instant
from botlight.service.batch import Batch
from botlight.service.control import Control
from botlight.service.people import People
from botlight.service.ports import Committed, User
from botlight.service.principals import Principals
from botlight.service.pruner import Pruner
from botlight.service.queries import Queries
from botlight.service.reaper import Reaper
from botlight.service.reporting import Receipt, Reporting
from botlight.service.tokens import Tokens
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
    "HandClock",
    "House",
    "open_house",
]

ALICE: Final = Principal(user_id="alice", user_name="alice", scope=Scope.PERSON, credential_id="alice's sign-in")
BOB: Final = Principal(user_id="bob", user_name="bob", scope=Scope.PERSON, credential_id="bob's sign-in")
SECOND: Final = 1000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
START: Final = 1_769_000_000_000
LEASE: Final = 135 * SECOND  # three times the default interval of 45 s

CHEAP: Final = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""argon2id as the service uses it, but quick."""

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


class House:
    """Everything between the doors and the file, opened."""

    def __init__(self, path: Path, database: SqliteDatabase) -> None:
        self.path = path
        self.database = database
        self.sqlite = SqliteStore(database)
        self.access = SqliteAccess(database)
        self.clock = HandClock()
        self.heard: list[Committed] = []
        self.sqlite.listen(self.heard.append)
        self.batch = Batch(self.sqlite, self.sqlite, self.clock)
        self.reporting = Reporting(self.batch)
        self.control = Control(self.batch, self.sqlite, self.sqlite)
        self.queries = Queries(self.sqlite, self.clock)
        self.tokens = Tokens(self.access, self.clock)
        self.principals = Principals(self.tokens, self.clock)
        self.people = People(self.access, self.clock, CHEAP)

    def reaper(self) -> Reaper:
        """A reaper that begins to hear now, as after a start of the service."""
        return Reaper(self.batch, self.sqlite, self.clock)

    def pruner(self, retention_days: int | None) -> Pruner:
        """A pruner."""
        return Pruner(self.sqlite, self.sqlite, self.clock, retention_days)

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

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Occupy the one writing thread, as a slow disk does: what is submitted meanwhile waits."""
        release, begun = threading.Event(), threading.Event()

        def occupy(_: object) -> None:
            begun.set()
            release.wait()

        occupied = asyncio.create_task(self.database.writer.run(occupy))
        try:
            await asyncio.to_thread(begun.wait)
            yield
        finally:
            release.set()
            await occupied

    def by_hand(self, *statements: tuple[str, *tuple[str, ...]]) -> None:
        """Change the file as somebody with a SQL shell does: statements with their values, in one transaction."""
        connection = apsw.Connection(str(self.path))
        try:
            connection.set_busy_timeout(5000)
            with connection:
                for statement, *values in statements:
                    connection.execute(statement, values)
        finally:
            connection.close()

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """What the file holds, as somebody with a SQL shell sees it."""
        connection = apsw.Connection(str(self.path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            return connection.execute(statement).fetchall()
        finally:
            connection.close()

    async def kinds(self, session_id: str) -> list[str]:
        """The kinds of the facts of a session, oldest first."""
        return [fact.kind.value for fact in await self.queries.timeline(ALICE, session_id, 0, 200)]


@asynccontextmanager
async def open_house(path: Path) -> AsyncIterator[House]:
    """Open a file with Alice and Bob in it, both signed in."""
    database = await asyncio.to_thread(SqliteDatabase.open, path, serve=True)
    try:
        house = House(path, database)
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
    finally:
        await asyncio.to_thread(database.close)
