"""What the service wants of a bot. A command is a level: listed until the instance has reported how it ended."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from botlight.model.session import BotSession, Instance, Instant, SessionState, stop_command_id

__all__ = ["Command", "commands_for", "stop_command"]


class Command(Struct, frozen=True, kw_only=True):
    """One thing that is wanted."""

    id: str
    type: Literal["stop"]
    reason: str | None
    issued_at: Instant


def stop_command(session: BotSession) -> Command | None:
    """The session's stop, if somebody asked for one."""
    if session.stop_requested_at is None:
        return None
    issued = session.stop_requested_at
    return Command(id=stop_command_id(session), type="stop", reason=session.stop_reason, issued_at=issued)


def commands_for(state: SessionState, instance_id: str) -> list[Command]:
    """What is listed to an instance: through acknowledgements, silence and inferred ends, until its explicit result."""
    stop = stop_command(state.session)
    instance: Instance | None = state.instances.get(instance_id)
    said_its_end = instance is not None and instance.result is not None and not instance.result.inferred
    return [] if stop is None or said_its_end else [stop]
