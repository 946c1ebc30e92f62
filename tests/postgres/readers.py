"""Readers of a store that check themselves: at each position that they hold, what they show is the table as of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from random import Random
from typing import Any, Final

from botlight.model.session import Instant
from botlight.service.ports import Committed, SessionFilter
from botlight.store.postgres import lists
from botlight.store.postgres.clock import DatabaseClock
from botlight.store.postgres.connection import AnyConnection
from botlight.store.postgres.database import PostgresDatabase
from botlight.store.postgres.feed import PostgresFeed
from botlight.store.postgres.news import News
from botlight.store.postgres.positions import Moment

__all__ = ["Page", "SequenceWitness", "Views", "Witness"]

LIMIT: Final = 10_000
_TABLE: Final = "select user_id::text, id::text, revision from public.bot_sessions"

Views = dict[str, dict[str, int]]
"""What each person sees: revisions by session."""


def _views(rows: Iterable[Any]) -> Views:
    views: Views = defaultdict(dict)
    for user_id, session_id, revision in rows:
        views[user_id][session_id] = revision
    return views


class Witness(PostgresFeed):
    """A feed with somebody who follows it for everybody, and looks at the table in each snapshot that it reads."""

    def __init__(self, database: PostgresDatabase, clock: DatabaseClock) -> None:
        super().__init__(database, clock)
        self.counted: Counter[str] = Counter()
        self._shown: Views = {}
        self._table: Views = {}
        self._looked_at = ""
        self._anew = False
        self.listen(self._take)

    async def _news(self, connection: AnyConnection, here: Moment) -> News:
        news = await super()._news(connection, here)
        self._table = _views(await connection.fetch(_TABLE))
        self._looked_at = here.snapshot
        return news

    def _announce(self, news: News) -> None:
        super()._announce(news)
        self.counted["reads"] += 1
        self._anew = self._anew or news.reset
        if self._looked_at != news.here.snapshot:  # the read that opened an epoch looked at nothing
            return
        if self._anew:  # whoever follows begins anew, with a list
            self._shown = {user_id: dict(view) for user_id, view in self._table.items()}
            self._anew = False
        shown = {user_id: view for user_id, view in self._shown.items() if view}
        assert shown == self._table, "the feed missed something"

    def _take(self, committed: Committed) -> None:
        self.counted["changes"] += len(committed.changes)
        self.counted["removals"] += len(committed.removals)
        self.counted["resets"] += committed.reset
        for change in committed.changes:
            self._shown.setdefault(change.session.user_id, {})[change.session.id] = change.session.revision
        for gone in committed.removals:
            self._shown.get(gone.user_id, {}).pop(gone.session_id, None)


class SequenceWitness(Witness):
    """The same by a number from a sequence: numbers are not given in the order of commits."""

    _seen = 0

    async def _news(self, connection: AnyConnection, here: Moment) -> News:
        news = await super()._news(connection, here)
        rows = await connection.fetch("select n, ids::text[] from botlight.feed where n > $1", self._seen)
        self._seen = max([self._seen, *(row[0] for row in rows)])
        named = {session_id for row in rows for session_id in row[1]}
        return News(
            here=here,
            changes=[change for change in news.changes if change.session.id in named],
            removals=news.removals,
            reset=news.reset,
        )


class Page:
    """A page that is cut now and then, in the middle of what it is sent, and comes back with its position."""

    def __init__(self, user_id: str, random: Random, *, every_message_carries_it: bool = False) -> None:
        self._which = SessionFilter(user_id=user_id, ended_since=Instant(0))
        self._random = random
        self._every = every_message_carries_it
        self._shown: dict[str, int] = {}
        self._position: str | None = None
        self.counted: Counter[str] = Counter()

    async def come_back(self, database: PostgresDatabase) -> None:
        """Ask for what was missed, and take all of it or a part."""
        async with database.snapshot() as connection:
            table = _views(await connection.fetch(_TABLE))[self._which.user_id]
            board = await lists.board(connection, self._which, LIMIT, self._position)
        if board is None:  # nobody has opened an epoch yet
            return
        news: list[tuple[str, int | None]] = [(session.id, session.revision) for session in board.sessions]
        news += [(gone.session_id, None) for gone in board.removals]
        cut = self._random.randrange(len(news) + 1) if self._random.random() < 0.4 else None
        if board.replaces:
            if cut is not None:  # the list is one message: it arrives or it does not
                return
            self._shown = {}
        self.counted["lists" if board.replaces else "resumed"] += 1
        for session_id, revision in news if cut is None else news[:cut]:
            if revision is None:
                self._shown.pop(session_id, None)
            else:
                self._shown[session_id] = revision
            if self._every:
                self._position = board.position
        if cut is None:
            self._position = board.position
            assert self._shown == table, "a page missed something"
