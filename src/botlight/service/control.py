"""What a person does to a session: stop, close, delete."""

from __future__ import annotations

import logging

from botlight.model.access import Principal
from botlight.model.command import Command, stop_command
from botlight.model.errors import Live, Unknown
from botlight.model.merge import Closing, StopRequest
from botlight.model.session import BotSession
from botlight.service.batch import Batch
from botlight.service.patience import in_time
from botlight.service.ports import Feed, Store

__all__ = ["Control"]

log = logging.getLogger(__name__)


class Control:
    """Acts on sessions for the person whose they are; what is somebody else's does not exist."""

    def __init__(self, batch: Batch, store: Store, feed: Feed) -> None:
        self._batch = batch
        self._store = store
        self._feed = feed

    async def stop(self, principal: Principal, session_id: str, reason: str | None) -> tuple[BotSession, Command]:
        """Ask a bot to end. Pressing twice is one command.

        Raises:
            Unknown: not this person's.
            Ended: the bot itself said that it ended, and no instance of it is alive.
        """
        request = StopRequest(user_id=principal.user_id, reason=reason)
        step = await self._batch.submit(session_id, request, principal.revocable)
        session = step.state.session
        command = stop_command(session)
        if command is None:
            raise AssertionError("a stop that was taken has a command")
        fields = {"session_id": session_id, "user_id": principal.user_id, "credential_id": principal.credential_id}
        log.info("stop requested" if step.changed else "stop requested again", extra=fields)
        return session, command

    async def close(self, principal: Principal, session_id: str) -> BotSession:
        """End a lost session by hand: interrupted, inferred, refuted by its next heartbeat.

        Raises:
            Unknown: not this person's.
            Live: it is still heard.
            Ended: it has ended already.
        """
        closing = Closing(user_id=principal.user_id)
        return (await self._batch.submit(session_id, closing, principal.revocable)).state.session

    async def delete(self, principal: Principal, session_id: str) -> None:
        """Remove an ended session with all that hangs on it.

        Raises:
            Unknown: not this person's.
            Live: it has not ended.
        """
        state = await in_time(self._store.session(session_id, principal.user_id))
        if state is None or not principal.sees(state.session):
            raise Unknown
        committed = await in_time(self._store.delete([session_id], user_id=principal.user_id))
        self._feed.ring(committed)  # what others deleted meanwhile is in it too
        if session_id not in {removal.session_id for removal in committed.removals}:
            if await in_time(self._store.session(session_id, principal.user_id)) is None:
                raise Unknown  # somebody else was faster
            raise Live("A session that has not ended cannot be deleted; stop or close it first.")
        log.info("session deleted", extra={"session_id": session_id, "user_id": principal.user_id})
