"""What a person does to a session: stop, close, delete."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from botlight.edge.codec import command_document, session_document
from botlight.edge.operation import Call, Operation
from botlight.edge.services import Services
from botlight.model.access import Action

__all__ = ["operations"]


class StopBody(Struct, frozen=True):
    """Which session is to end, and why."""

    session_id: UUID
    reason: Annotated[str, Meta(max_length=200)] | None = None


class CloseBody(Struct, frozen=True):
    """Which lost session is ended by hand."""

    session_id: UUID


def operations(services: Services, prefix: str) -> list[Operation]:
    """The operations of this module."""

    async def stop(call: Call) -> None:
        body = await call.body(StopBody)
        session, command = await services.control.stop(call.principal, str(body.session_id), body.reason)
        document = session_document(session, services.clock.now())
        await call.exchange.json(202, {"ok": True, "session": document, "command": command_document(command)})

    async def close(call: Call) -> None:
        body = await call.body(CloseBody)
        session = await services.control.close(call.principal, str(body.session_id))
        await call.exchange.json(200, {"ok": True, "session": session_document(session, services.clock.now())})

    async def delete(call: Call) -> None:
        await services.control.delete(call.principal, call.id)
        await call.exchange.answer(204)

    return [
        Operation(method="POST", path=f"{prefix}/stop", action=Action.STOP, handle=stop, body=StopBody),
        Operation(method="POST", path=f"{prefix}/close", action=Action.STOP, handle=close, body=CloseBody),
        Operation(method="DELETE", path=f"{prefix}/sessions/{{id}}", action=Action.MANAGE, handle=delete),
    ]
