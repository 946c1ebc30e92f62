"""A person's list: whole, page by page, or what changed in it. Runs in a reading thread, within its transaction."""

from __future__ import annotations

from typing import Any, Final

import apsw

from botlight.model.event import Removal
from botlight.model.session import BotSession
from botlight.service.ports import Board, PageCursor, SessionFilter
from botlight.store.lists import ENDED, groups, within
from botlight.store.sqlite.positions import position, revision_of
from botlight.store.sqlite.rows import session_from
from botlight.store.sqlite.sql import rows, value

__all__ = ["board", "page"]

_LATEST: Final = 2**63 - 1


def board(connection: apsw.Connection, which: SessionFilter, limit: int, since: str | None, boot: str) -> Board:
    """The list and its exact position, or what changed in it since a position."""
    current = value(connection, "counter")
    here = position(boot, current)
    if since is not None and which.status is None:
        revision = revision_of(connection, since, current)
        news = None if revision is None else _changed(connection, which, limit, revision)
        if news is not None:
            return Board(position=here, sessions=news[0], removals=news[1], replaces=False)
    sessions = page(connection, which, limit + 1, None)
    return Board(position=here, sessions=sessions[:limit], more=len(sessions) > limit)


def page(
    connection: apsw.Connection, which: SessionFilter, limit: int, after: PageCursor | None, since: int = -1
) -> list[BotSession]:
    """One page of the list, of those changed after a revision: running, lost, ended, newest first in each."""
    asked = _asked(which) | {"since": since}
    if which.session_id is not None:
        sessions = map(session_from, rows(connection, "listed_one", asked))
        return [session for session in sessions if within(session, which, after)][:limit]
    found: list[BotSession] = []
    for group in groups(which, after):
        place: dict[str, Any] = {"group": group, "at_most": _LATEST, "after_id": "", "limit": limit - len(found)}
        place["at_least"] = (which.ended_since or 0) if group == ENDED else 0
        if after is not None and after.group == group:
            place |= {"at_most": after.at, "after_id": after.id}
        found += map(session_from, rows(connection, "listed", asked | place))
        if len(found) >= limit:
            break
    return found


def _changed(
    connection: apsw.Connection, which: SessionFilter, limit: int, since: int
) -> tuple[list[BotSession], list[Removal]] | None:
    """Sessions and removals after a revision; None: too many, or it cannot be told from what is kept.

    A session that ended meanwhile, longer ago than the list goes back, is among them: the reader still shows it live.
    """
    asked = _asked(which) | {"since": since, "at_least": which.ended_since or 0, "limit": limit + 1}
    removals = rows(connection, "removed", asked)
    if which.session_id is not None:
        changed = [session_from(row) for row in rows(connection, "listed_one", asked)]
    else:
        # A session may have had this bot's name and lost it; naming it would tell a stranger about another bot.
        if which.bot is not None and rows(connection, "other_bots_moved", asked):
            return None
        changed = page(connection, which, limit + 1, None, since)
        changed += map(session_from, rows(connection, "left", asked))
    if len(changed) > limit or len(removals) > limit:
        return None
    return changed, [Removal(session_id=session_id, user_id=user_id) for session_id, user_id in removals]


def _asked(which: SessionFilter) -> dict[str, Any]:
    status = None if which.status is None else which.status.value
    return {"user": which.user_id, "id": which.session_id, "bot": which.bot, "status": status}
