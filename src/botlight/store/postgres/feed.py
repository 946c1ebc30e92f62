"""Committed changes, whoever made them: a notification wakes, a SELECT reads what the last snapshot did not see."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import Final, Self

from botlight.model.errors import Unavailable
from botlight.service.ports import Audience, Committed
from botlight.store.postgres.clock import DatabaseClock
from botlight.store.postgres.connection import AnyConnection
from botlight.store.postgres.database import PostgresDatabase
from botlight.store.postgres.failures import is_of_the_database
from botlight.store.postgres.listener import Listener
from botlight.store.postgres.news import News, Timelines, unseen
from botlight.store.postgres.positions import Moment, Position
from botlight.store.postgres.sql import SQL

__all__ = ["PostgresFeed"]

log = logging.getLogger(__name__)

APART_S: Final = 0.01  # between the beginnings of two reads, so that a flood of small commits is read in gulps
HEARING_WITHIN_S: Final = 2.0  # after a start, or a moment without a connection
POLL_S: Final = 1.0
PRUNE_S: Final = 60.0
PATIENCE_S: Final = (0.05, 2.0)  # after the first failure, and at most

position_of = lru_cache(maxsize=8192)(Position.of)


class PostgresFeed:
    """Made by `open`, ended by `close`. Used on one event loop.

    Between two reads it holds nothing but the position of the last one, so it misses nothing while it cannot read.
    """

    def __init__(self, database: PostgresDatabase, clock: DatabaseClock) -> None:
        """Use `open`."""
        self._database = database
        self._clock = clock
        self._sinks: list[Callable[[Committed], None]] = []
        self._audiences: list[Callable[[], Audience] | None] = []
        self._position: Position | None = None
        self._timelines = Timelines()
        self._listener: Listener | None = None
        self._listening = asyncio.Event()
        self._wake = asyncio.Event()
        self._turn = asyncio.Lock()
        self._begun = 0
        self._read_to = 0
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def open(cls, database: PostgresDatabase, clock: DatabaseClock) -> Self:
        """Begin at this moment.

        Raises:
            Unavailable: the database cannot be read.
        """
        feed = cls(database, clock)
        await feed.read()
        feed._tasks = [
            asyncio.create_task(feed._follow(), name="feed"),
            asyncio.create_task(feed._prune(), name="feed pruner"),
        ]
        return feed

    async def close(self) -> None:
        """Announce nothing more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def position(self) -> str:
        """Of a reader that has seen all that was announced."""
        if self._position is None:
            raise AssertionError("`open` has read once")
        return f"{self._position.epoch}.{self._position.snapshot}"

    def listen(self, sink: Callable[[Committed], None], audience: Callable[[], Audience] | None = None) -> None:
        """Call the sink with everything announced from now on that is of its audience, or of another's."""
        self._sinks.append(sink)
        self._audiences.append(audience)

    def _audience(self) -> Audience | None:
        """Whose changes anybody waits for; None: everybody's."""
        asked = [audience() for audience in self._audiences if audience is not None]
        if len(asked) < len(self._audiences):
            return None
        if len(asked) == 1:
            return asked[0]
        people: set[str] = set().union(*(each.people for each in asked))
        return Audience(people, set().union(*(each.sessions for each in asked)))

    @staticmethod
    def covers(position: str, announced: str) -> bool:
        """Whether a list of a position holds all that was announced up to another one."""
        there, here = position_of(position), position_of(announced)
        return there is not None and here is not None and there.includes(here)

    async def verify(self) -> None:
        """Return when all that was committed is announced and what is committed now would be.

        Raises:
            Unavailable: that is not so.
        """
        if self._database.can_listen:
            listener = await self._ear()
            try:
                await listener.check()
            except Exception as error:
                if is_of_the_database(error):
                    raise Unavailable("The database is not heard at the moment.") from error
                raise
        await self.read()

    async def _ear(self) -> Listener:
        try:
            async with asyncio.timeout(HEARING_WITHIN_S):
                await self._listening.wait()
        except TimeoutError:
            raise Unavailable("Nobody listens to the database at the moment.") from None
        if self._listener is None:
            raise AssertionError("who listens has an ear")
        return self._listener

    async def read(self) -> None:
        """Announce all that was committed before this was called. Those who wait share a read.

        Raises:
            Unavailable: the database cannot be read.
        """
        asked = self._begun
        async with self._turn:
            if self._read_to > asked:
                return
            self._begun += 1
            begun = self._begun
            news = await self._look()
            self._announce(news)
            self._read_to = begun

    # -- reading ---------------------------------------------------------------------------------------------------

    async def _look(self) -> News:
        async with self._database.snapshot() as connection:
            here = await Moment.of(connection)
            self._clock.hear(here.now)
            if here.epoch is not None:
                return await self._news(connection, here)
        async with self._database.writing() as writing:
            await writing.execute(SQL["open_epoch"])
        async with self._database.snapshot() as connection:
            here = await Moment.of(connection)
            if here.epoch is None:
                raise Unavailable("The database has no epoch.")
            return News(here=here, reset=True)

    async def _news(self, connection: AnyConnection, here: Moment) -> News:
        return await unseen(connection, here, self._position, self._audience, self._timelines)

    def _announce(self, news: News) -> None:
        first, position = self._position is None, position_of(news.here.position)
        if position is None:
            raise AssertionError(f"{news.here.position!r} is no position")
        self._position = position
        self._timelines.note(news)
        if first or not (news.reset or news.changes or news.removals):
            return
        committed = Committed(position=self.position, changes=news.changes, removals=news.removals, reset=news.reset)
        for sink in self._sinks:
            try:
                sink(committed)
            except Exception:
                log.exception("a reader of the feed failed")

    # -- following -------------------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        """Read whenever there is news, for ever; a database that is away is tried again and again."""
        first, most = PATIENCE_S
        patience = first
        while True:
            try:
                if self._database.can_listen:
                    async with self._database.listening(self._wake.set) as listener:
                        self._listener = listener
                        self._listening.set()
                        await self._hear(listener)
                else:
                    await self.read()
                    await asyncio.sleep(POLL_S)
                patience = first
                continue
            except Unavailable as error:
                log.debug("the feed cannot be read", extra={"reason": str(error)})
            except Exception:
                log.exception("the feed failed")
            finally:
                self._listening.clear()
            await asyncio.sleep(patience * random.uniform(0.5, 1))  # noqa: S311  so that a fleet does not come at once
            patience = min(most, patience * 2)

    async def _hear(self, listener: Listener) -> None:
        """Read at each notification until the connection is lost. First of all what nobody listened to."""
        lost = asyncio.create_task(listener.lost.wait())
        lost.add_done_callback(lambda _: self._wake.set())
        try:
            self._wake.set()
            while not lost.done():
                await self._wake.wait()
                self._wake.clear()
                await self.read()
                await asyncio.sleep(APART_S)
        finally:
            lost.cancel()

    async def _prune(self) -> None:
        """Once a minute drop what no reader needs any more, for ever; whoever of a fleet comes second does nothing."""
        while True:
            await asyncio.sleep(PRUNE_S)
            with suppress(Unavailable):
                await self.prune()

    async def prune(self) -> None:
        """Drop what no reader needs any more.

        Raises:
            Unavailable: it could not be dropped.
        """
        async with self._database.writing() as writing:
            await writing.execute(SQL["prune_feed"])
