"""An adapter of the ports, opened, with what a test needs beside the ports."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from botlight.model.session import Instant
from botlight.service.ports import Access
from botlight.store.postgres.access import PostgresAccess
from botlight.store.postgres.database import PostgresDatabase
from botlight.store.postgres.store import PostgresStore
from botlight.store.sqlite import SqliteAccess, SqliteDatabase, SqliteStore
from tests.conformance.scribe import Scribe
from tests.postgres.psql import Database
from tests.support.postgres import url

__all__ = ["Memory", "PostgresMemory", "SqliteMemory"]

NOBODYS_EPOCH = "00000000-0000-0000-0000-000000000000"


class Memory(ABC):
    """A store and what belongs to it, through several lives of the process."""

    store: SqliteStore | PostgresStore
    access: Access
    scribe: Scribe

    async def begin(self) -> None:
        """Open it."""
        await self._open()
        self.scribe = Scribe(self.store)

    async def reopen(self) -> None:
        """A new life of the process: nothing is remembered but what was saved."""
        now = self.scribe.now
        await self.close()
        await self.begin()
        self.scribe.now = now

    async def position(self) -> str:
        """The position of a reader that has been told of everything."""
        await self.store.verify()
        return self.store.position()

    @abstractmethod
    async def _open(self) -> None: ...

    @abstractmethod
    async def close(self) -> None:
        """End it."""

    @abstractmethod
    async def drop_history(self) -> None:
        """Forget what readers have missed so far."""

    @abstractmethod
    def useless(self, position: str) -> Sequence[str]:
        """Positions that look like this good one and mean nothing."""


class SqliteMemory(Memory):
    """A file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    async def _open(self) -> None:
        self.database = SqliteDatabase.open(self.path, serve=True)
        self.store = SqliteStore(self.database)
        self.access = SqliteAccess(self.database)

    async def close(self) -> None:
        """End it."""
        self.database.close()

    async def drop_history(self) -> None:
        """Forget what readers have missed so far."""
        await self.store.forget(Instant(2**50))

    def useless(self, position: str) -> Sequence[str]:
        """Positions that look like this good one and mean nothing."""
        boot, now = position.split(".")
        shouted = boot.upper() if boot.upper() != boot else "x"
        numbers = ("", "-1", "1e3", "٣", "1.1", "1\n", f"{int(now) + 1}", "99999999999999999999999999")
        return [boot, *(f"{boot}.{number}" for number in numbers), f"00000000.{now}", f"{shouted}.1", f" {boot}.1"]


class PostgresMemory(Memory):
    """A database."""

    def __init__(self, database: Database) -> None:
        self.url = url(database)

    async def _open(self) -> None:
        self.database = await PostgresDatabase.open(self.url, serve=True)
        self.store = await PostgresStore.open(self.database)
        self.access = PostgresAccess(self.database)

    async def close(self) -> None:
        """End it."""
        assert isinstance(self.store, PostgresStore)
        await self.store.close()
        await self.database.close()

    async def drop_history(self) -> None:
        """Forget what readers have missed so far."""
        for _ in range(2):  # what was noted the first time is what may go the second time
            async with self.database.writing() as connection:
                await connection.execute("select botlight.prune_feed(interval '0')")

    def useless(self, position: str) -> Sequence[str]:
        """Positions that look like this good one and mean nothing."""
        epoch, snapshot = position.split(".")
        low, high, _ = snapshot.split(":")
        snapshots = (
            *("", ":", "::", f"{low}:{high}", f"{high}:{int(low) - 1}:", f"{low}:{int(high) + 1}:", "0:0:", "-1:5:"),
            *(f"{low}:{high}:{high}", f"{low}:{high}:{int(low) - 1}", "1:5:3,2", "1:5:2,2", "1:5:,", "1:٣:", "1:5:2,"),
            *(f"{low}:{high}:\n", f" {snapshot}", "1:99999999999999999999:", f"1:{2**63}:", f"1:{2**64}:", "1:2:x"),
        )
        of_others = (f"{NOBODYS_EPOCH}.{snapshot}", f"{epoch.upper()}.{snapshot}", f"{epoch[:-1]}.{snapshot}")
        return [epoch, *(f"{epoch}.{other}" for other in snapshots), *of_others]
