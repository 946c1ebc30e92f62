"""An opened store beside which others write SQL, and what its feed says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from botlight.model.session import BotSession
from botlight.service.ports import Audience, Committed
from tests.conformance.memory import PostgresMemory
from tests.conformance.names import name_of
from tests.conformance.scribe import ALICE, BOB, user
from tests.postgres.psql import Database

__all__ = ["Followed", "followed"]

PATIENCE_S: Final = 20


class Followed(PostgresMemory):
    """A store, and all that its feed has announced."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.sql = database
        self.heard: list[Committed] = []
        self.audience: Audience | None = None  # None: Alice and Bob
        self._news = asyncio.Event()

    async def _open(self) -> None:
        await super()._open()
        self.store.listen(self._hear, self._audience)

    def _audience(self) -> Audience:
        return Audience(frozenset({ALICE, BOB}), frozenset()) if self.audience is None else self.audience

    def _hear(self, committed: Committed) -> None:
        self.heard.append(committed)
        self._news.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds that an announcement brings about."""
        async with asyncio.timeout(PATIENCE_S):
            while not holds():
                self._news.clear()
                await self._news.wait()

    @property
    def newest(self) -> dict[str, BotSession]:
        """The newest of each session that was announced, by its name."""
        return {name_of(change.session.id): change.session for one in self.heard for change in one.changes}

    @property
    def removed(self) -> list[tuple[str, str]]:
        """Who was told to have lost what, in order, by names."""
        return [(name_of(gone.user_id), name_of(gone.session_id)) for one in self.heard for gone in one.removals]

    @property
    def resets(self) -> int:
        """How often everybody had to begin anew."""
        return sum(one.reset for one in self.heard)


@asynccontextmanager
async def followed(database: Database) -> AsyncIterator[Followed]:
    """Open a store in a database with Alice and Bob."""
    opened = Followed(database)
    await opened.begin()
    try:
        for each in (ALICE, BOB):
            await opened.access.add_user(user(each))
        yield opened
    finally:
        await opened.close()
