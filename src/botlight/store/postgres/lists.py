"""A person's list: whole, page by page, or what changed in it.

What is shown is read as the person, under row level security. The service asks only what that person may not: which
rows a snapshot did not see, and what is gone.
"""

from __future__ import annotations

from typing import Any, Final

from botlight.model.event import Removal
from botlight.model.session import BotSession
from botlight.service.ports import Board, PageCursor, SessionFilter
from botlight.store.lists import ENDED, groups, within
from botlight.store.postgres.connection import AnyConnection, be_person
from botlight.store.postgres.loading import sessions
from botlight.store.postgres.positions import Moment, Position
from botlight.store.postgres.sql import column, ids_among, is_id, rows, value

__all__ = ["NOWHERE", "board", "page"]

NOWHERE: Final = "00000000-0000-0000-0000-000000000000"
_EARLIEST: Final = 0
_LATEST: Final = 253_402_300_799_999  # the last millisecond of the year 9999, after which nothing is kept


async def board(connection: AnyConnection, which: SessionFilter, limit: int, since: str | None) -> Board | None:
    """The list and its exact position, or what changed in it since a position; None: no position means anything now.

    Inside the service's snapshot transaction, which is the person's when this returns.
    """
    here = await Moment.of(connection)
    if here.epoch is None:
        return None
    if not is_id(which.user_id):
        return Board(position=here.position, sessions=())
    known = Position.of(since) if since is not None and which.status is None else None
    if known is not None and here.reaches_back_to(known):
        news = await _changed(connection, which, limit, known)
        if news is not None:
            ids, removals = news
            await connection.execute(be_person(which.user_id))
            changed = sessions(await rows(connection, "shown", ids)) if ids else []
            return Board(position=here.position, sessions=changed, removals=removals, replaces=False)
    await connection.execute(be_person(which.user_id))
    found = await page(connection, which, limit + 1, None)
    return Board(position=here.position, sessions=found[:limit], more=len(found) > limit)


async def page(
    connection: AnyConnection, which: SessionFilter, limit: int, after: PageCursor | None
) -> list[BotSession]:
    """One page of the list: running, lost, ended, newest first in each. Inside the person's transaction."""
    status = None if which.status is None else which.status.value
    if which.session_id is not None:
        asked = (which.user_id, which.session_id if is_id(which.session_id) else NOWHERE, which.bot, status)
        one = sessions(await rows(connection, "listed_one", *asked))
        return [session for session in one if within(session, which, after)][:limit]
    found: list[BotSession] = []
    for group in groups(which, after):
        begin, after_id = _LATEST * 1000, NOWHERE
        if after is not None and after.group == group:
            begin, after_id = await _place(connection, after)
        asked_group = (which.user_id, group, _since(which, group), begin, after_id, which.bot, status)
        found += await _listed(connection, asked_group, limit - len(found))
        if len(found) >= limit:
            break
    return found


async def _listed(connection: AnyConnection, asked: tuple[Any, ...], limit: int) -> list[BotSession]:
    """So many sessions of one group, or all there are: one that cannot be read takes nobody's place."""
    unreadable = 0
    while True:
        found = await rows(connection, "listed", *asked, limit + unreadable)
        read = sessions(found)
        if len(read) >= limit or len(found) < limit + unreadable:
            return read[:limit]
        unreadable = len(found) - len(read)


async def _place(connection: AnyConnection, after: PageCursor) -> tuple[int, str]:
    """Where a page begins, in microseconds: a session that somebody else began may stand between two milliseconds."""
    at = min(max(after.at, _EARLIEST), _LATEST)
    if not is_id(after.id):
        return at * 1000, NOWHERE
    exact = await value(connection, "place", after.id)
    return (exact if exact is not None and exact // 1000 == at else at * 1000), after.id


async def _changed(
    connection: AnyConnection, which: SessionFilter, limit: int, since: Position
) -> tuple[list[str], list[Removal]] | None:
    """Ids of sessions, and removals, after a position; None: too many, or it cannot be told from what is kept.

    A session that ended meanwhile, longer ago than the list goes back, is among them: the reader still shows it live.
    """
    user, bot, snapshot, most = which.user_id, which.bot, since.snapshot, limit + 1
    one = which.session_id
    if one is not None and not is_id(one):
        return [], []
    gone = await column(connection, "removed", user, snapshot, one, bot, most)
    changed: list[str] = []
    if one is not None:
        changed = await column(connection, "changed_one", user, one, bot, snapshot)
    else:
        # A session may have had this bot's name and lost it; naming it would tell a stranger about another bot.
        if bot is not None and await value(connection, "other_bots_moved", user, snapshot, bot):
            return None
        for group in range(ENDED + 1):
            changed += await column(connection, "changed", user, group, _since(which, group), bot, snapshot, most)
        changed += await column(connection, "left", user, snapshot, _since(which, ENDED), bot, most)
    if len(changed) > limit or len(gone) > limit:
        return None
    return ids_among(changed), [Removal(session_id=session_id, user_id=user) for session_id in gone]


def _since(which: SessionFilter, group: int) -> int:
    """How far back the list goes, in microseconds."""
    return 0 if group != ENDED else min(max(which.ended_since or 0, _EARLIEST), _LATEST) * 1000
