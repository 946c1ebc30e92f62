"""What a snapshot sees and an earlier one did not: changed sessions, with their new facts, and who lost which."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from msgspec import Struct

from botlight.model.event import Change, Fact, Removal
from botlight.model.session import BotSession
from botlight.service.ports import Audience
from botlight.store.postgres.connection import AnyConnection
from botlight.store.postgres.loading import readable, sessions
from botlight.store.postgres.positions import Moment, Position
from botlight.store.postgres.sql import ids_among, rows
from botlight.store.rows import fact_from

__all__ = ["MOST_NEWS", "News", "Timelines", "unseen"]

MOST_NEWS: Final = 20_000  # sessions; more at once and every reader begins anew
TIMELINES_KNOWN: Final = 10_000


class News(Struct, frozen=True, kw_only=True):
    """What one read found."""

    here: Moment
    changes: Sequence[Change] = ()
    removals: Sequence[Removal] = ()
    reset: bool = False


class Timelines:
    """How far the timelines of lately changed sessions were told; of others the newest entries are looked through."""

    def __init__(self) -> None:
        self._told: OrderedDict[str, int] = OrderedDict()

    def known(self, session_id: str) -> int:
        """The number of the newest entry that was told."""
        return self._told.get(session_id, 0)

    def forget(self, session_ids: Iterable[str]) -> None:
        """These begin anew."""
        for session_id in session_ids:
            self._told.pop(session_id, None)

    def note(self, news: News) -> None:
        """These were told."""
        if news.reset:
            self._told.clear()
        for change in news.changes:
            if change.facts:
                self._told[change.session.id] = change.facts[-1].n
                self._told.move_to_end(change.session.id)
        while len(self._told) > TIMELINES_KNOWN:
            self._told.popitem(last=False)


async def unseen(
    connection: AnyConnection,
    here: Moment,
    since: Position | None,
    asked: Callable[[], Audience | None],
    timelines: Timelines,
) -> News:
    """Read, inside a snapshot transaction, what a reader who has seen a position has not.

    `asked` answers whose news anybody waits for (None: everybody's). It is called when the snapshot is there: who joins
    later reads the list in a later one, and misses nothing.
    """
    if since is None or not here.reaches_back_to(since):
        return News(here=here, reset=True)
    [(ids, made, transactions, gone)] = await rows(connection, "news", since.snapshot, MOST_NEWS + 1)
    if len(ids) > MOST_NEWS or len(gone) > MOST_NEWS:
        return News(here=here, reset=True)
    if not ids and not gone:
        return News(here=here)
    lost = [Removal(user_id=pair[:36], session_id=pair[36:]) for pair in gone]
    audience = asked()
    told = await _told(connection, sorted({*ids, *(removal.session_id for removal in lost)}), audience)
    begun, owners = set(made), {session.id: session.user_id for session in told}
    timelines.forget(begun)  # one that came back numbers its entries from 1 again
    facts = await _facts(connection, told, transactions, timelines)
    return News(
        here=here,
        changes=[
            Change(session=session, facts=tuple(facts.get(session.id, ())), began=session.id in begun)
            for session in told
        ],
        removals=[
            removal
            for removal in lost
            if owners.get(removal.session_id) != removal.user_id and _waited_for(removal, audience)
        ],
    )


async def _told(connection: AnyConnection, ids: Sequence[str], audience: Audience | None) -> list[BotSession]:
    if audience is None or len(audience.people) + len(audience.sessions) > len(ids):  # a long list helps nobody
        return sessions(await rows(connection, "told", ids, None, None))
    people, some = ids_among(audience.people), ids_among(audience.sessions)
    return sessions(await rows(connection, "told", ids, people, some)) if people or some else []


def _waited_for(removal: Removal, audience: Audience | None) -> bool:
    return audience is None or removal.user_id in audience.people or removal.session_id in audience.sessions


async def _facts(
    connection: AnyConnection, told: Sequence[BotSession], transactions: Sequence[str], timelines: Timelines
) -> dict[str, list[Fact]]:
    """The timeline entries that were written with the changes."""
    found: dict[str, list[Fact]] = {}
    if told:
        ids = [session.id for session in told]
        asked = (ids, [timelines.known(session_id) for session_id in ids], transactions)
        for session_id, fact in readable(await rows(connection, "new_facts", *asked), _fact_of):
            found.setdefault(session_id, []).append(fact)
    return found


def _fact_of(row: Sequence[Any]) -> tuple[str, Fact]:
    session_id, *fact = row
    return session_id, fact_from(fact)
