"""What bots say: start, heartbeat and complete are one and the same upsert."""

from __future__ import annotations

from uuid import uuid4

from msgspec import UNSET, Struct

from botlight.model.access import Principal
from botlight.model.command import Command, commands_for
from botlight.model.merge import Report
from botlight.model.report import Snapshot
from botlight.model.session import BotSession
from botlight.service.batch import Batch

__all__ = ["Receipt", "Reporting"]


class Receipt(Struct, frozen=True, kw_only=True):
    """What a bot is told once its snapshot is durable. `applied`: the live fields were taken."""

    session: BotSession
    applied: bool
    created: bool
    commands: list[Command]


class Reporting:
    """Takes snapshots from bots."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    async def report(self, principal: Principal, snapshot: Snapshot) -> Receipt:
        """Make a snapshot durable and say what the service wants of the bot.

        A snapshot without an id begins a session under a new one; the caller decides whether that is allowed.
        """
        session_id = str(uuid4()) if snapshot.session_id is UNSET else str(snapshot.session_id)
        instance_id = session_id if snapshot.instance_id is UNSET else str(snapshot.instance_id)
        report = Report(user_id=principal.user_id, session_id=session_id, instance_id=instance_id, snapshot=snapshot)
        step = await self._batch.submit(session_id, report, principal.credential_id)
        return Receipt(
            session=step.state.session,
            applied=step.applied,
            created=step.created,
            commands=commands_for(step.state, instance_id),
        )
