"""What a person may look at: the board, a page of the list, one session with its timeline and proof."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from botlight.model.access import Principal
from botlight.model.errors import Unknown
from botlight.model.event import Fact, JobOutcome
from botlight.model.session import BotSession, Instant, SessionState, Status
from botlight.service.patience import in_time
from botlight.service.ports import Board, Clock, PageCursor, SessionFilter, Store

__all__ = ["DAY_MS", "Queries"]

DAY_MS: Final = 86_400_000
BOARD_SIZE: Final = 200


class Queries:
    """Reads for one principal at a time; what is somebody else's does not exist."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def board(self, principal: Principal, since: str | None = None) -> Board:
        """All live sessions and those that ended in the last 24 h, or what changed in that list since a position."""
        mine = self._mine(principal, self._clock.now() - DAY_MS)
        return await in_time(self._store.board(mine, BOARD_SIZE, since=since))

    async def page(
        self,
        principal: Principal,
        *,
        since: int | None = None,
        status: Status | None = None,
        bot: str | None = None,
        limit: int = 50,
        after: PageCursor | None = None,
    ) -> tuple[Sequence[BotSession], PageCursor | None]:
        """One page of the list and where the next one begins, if there is one."""
        which = SessionFilter(
            user_id=principal.user_id,
            ended_since=Instant(self._clock.now() - DAY_MS if since is None else since),
            status=status,
            bot=bot,
        )
        found = await in_time(self._store.page(which, limit + 1, after))
        if len(found) <= limit:
            return found, None
        return found[:limit], PageCursor.of(found[limit - 1])

    async def first(self, principal: Principal) -> BotSession:
        """The first session of the list: the one that a card without an id shows."""
        found = await in_time(self._store.page(self._mine(principal, Instant(0)), 1, None))
        if not found:
            raise Unknown("There is no session yet.")
        return found[0]

    async def state(self, principal: Principal, session_id: str) -> SessionState:
        """One session with its instances."""
        state = await in_time(self._store.session(session_id, principal.user_id))
        if state is None or not principal.sees(state.session):
            raise Unknown("There is no such session.")
        return state

    async def timeline(self, principal: Principal, session_id: str, after: int, limit: int) -> Sequence[Fact]:
        """Facts of a session, oldest first, `n` above `after`."""
        await self.state(principal, session_id)
        return await in_time(self._store.timeline(session_id, principal.user_id, after, limit))

    async def jobs(
        self, principal: Principal, session_id: str, outcome: str | None, after: int, limit: int
    ) -> Sequence[JobOutcome]:
        """The proof list: each job under its strongest outcome, oldest first, `n` above `after`."""
        await self.state(principal, session_id)
        return await in_time(self._store.jobs(session_id, principal.user_id, outcome, after, limit))

    @staticmethod
    def _mine(principal: Principal, ended_since: int) -> SessionFilter:
        return SessionFilter(
            user_id=principal.user_id,
            ended_since=Instant(ended_since),
            bot=principal.bot,
            session_id=principal.session_id,
        )
