"""What bots say and hear: start, heartbeat, complete, and the command stream."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from msgspec import Struct

from botlight.edge.codec import command_document, decode_snapshot, rfc3339, totals_document
from botlight.edge.operation import Call, Operation
from botlight.edge.services import Services
from botlight.edge.sse.bots import BotStreams
from botlight.model.access import Action
from botlight.model.report import Snapshot
from botlight.service.ports import Clock
from botlight.service.reporting import Receipt

__all__ = ["operations"]

MIN_INTERVAL_S = 1


class CommandsQuery(Struct, frozen=True):
    """Whose commands; `instance_id` left out: the instance whose id is the session's."""

    session_id: UUID
    instance_id: UUID | None = None


def operations(services: Services, prefix: str) -> list[Operation]:
    """The operations of this module."""
    streams = BotStreams(services.hub, services.queries, services.clock)

    async def commands(call: Call) -> None:
        query = call.query(CommandsQuery)
        session_id = str(query.session_id)
        instance_id = session_id if query.instance_id is None else str(query.instance_id)
        await streams.serve(call.exchange, call.principal, session_id, instance_id)

    def report(name: str) -> Operation:
        handle = _report(services, name)
        return Operation(method="POST", path=f"{prefix}/{name}", action=Action.REPORT, handle=handle, body=Snapshot)

    return [
        report("start"),
        report("heartbeat"),
        report("complete"),
        Operation(method="GET", path=f"{prefix}/commands", action=Action.REPORT, handle=commands, query=CommandsQuery),
    ]


def _report(services: Services, name: str) -> Callable[[Call], Awaitable[None]]:
    """The three are one upsert.

    `start` alone may leave the id to the service, and says 201 for a new session; `complete` needs a result.
    """
    is_start, is_end = name == "start", name == "complete"

    async def handle(call: Call) -> None:
        snapshot = decode_snapshot(await call.exchange.body(), needs_id=not is_start, needs_result=is_end)
        receipt = await services.reporting.report(call.principal, snapshot)
        status = 201 if is_start and receipt.created else 200
        await call.exchange.json(status, _answer(receipt, services.clock))

    return handle


def _answer(receipt: Receipt, clock: Clock) -> dict[str, Any]:
    session = receipt.session
    return {
        "ok": True,
        "applied": receipt.applied,
        "session": {"id": session.id, "status": session.status, "created": receipt.created},
        "server_time": rfc3339(clock.now()),
        "totals": totals_document(session.totals),
        "commands": [command_document(command) for command in receipt.commands],
        "config": {"heartbeat_s": session.heartbeat_s, "min_interval_s": MIN_INTERVAL_S, "stream": True},
    }
