"""One message of the socket in both serializers that the clients speak, and the messages that the service says."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from botlight.edge.codec import encode

__all__ = [
    "PREFIX",
    "Event",
    "Frame",
    "Malformed",
    "Ref",
    "Version",
    "changes",
    "closed",
    "decode",
    "encoded",
    "failed",
    "refused",
    "replied",
    "system",
]

Ref = Annotated[str, Meta(max_length=64)] | Annotated[int, Meta(ge=0, le=2**53)] | None
Topic = Annotated[str, Meta(max_length=512)]
Word = Annotated[str, Meta(max_length=64)]

PUSH: Final = 3
PUSH_LENGTHS: Final = 5  # one byte each: join_ref, ref, topic, event, meta; then one byte that names the encoding
PREFIX: Final = "realtime:"


class Version(StrEnum):
    """The serializer that the client asks for in its address (`vsn`)."""

    OBJECT = "1.0.0"
    ARRAY = "2.0.0"


class Event(StrEnum):
    """The events that the service knows."""

    JOIN = "phx_join"
    LEAVE = "phx_leave"
    CLOSE = "phx_close"
    ERROR = "phx_error"
    REPLY = "phx_reply"
    HEARTBEAT = "heartbeat"
    ACCESS_TOKEN = "access_token"  # noqa: S105  the name of an event
    SYSTEM = "system"
    CHANGES = "postgres_changes"


class Malformed(ValueError):  # noqa: N818  the client's fault, not ours
    """What came is no message of this serializer."""


class Frame(Struct, frozen=True, kw_only=True):
    """One message, either way. Refs are the client's words and go back as they came."""

    join_ref: Ref = None
    ref: Ref = None
    topic: Topic
    event: Word
    payload: Any = {}


class _Object(Struct, frozen=True):
    topic: Topic
    event: Word
    payload: Any | UnsetType = UNSET
    ref: Ref = None
    join_ref: Ref = None


class _Array(Struct, frozen=True, array_like=True):
    join_ref: Ref
    ref: Ref
    topic: Topic
    event: Word
    payload: Any


_object: Final = msgspec.json.Decoder(_Object).decode
_array: Final = msgspec.json.Decoder(_Array).decode


def decode(data: bytes, version: Version, *, binary: bool = False) -> Frame:
    """A message as it came; a binary one is a broadcast, and only its head is read.

    Raises:
        Malformed: it is none.
    """
    if binary:
        return _pushed(data)
    try:
        found = _object(data) if version is Version.OBJECT else _array(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise Malformed(f"not a message of version {version}") from None
    payload = {} if found.payload is UNSET else found.payload
    return Frame(join_ref=found.join_ref, ref=found.ref, topic=found.topic, event=found.event, payload=payload)


def _pushed(data: bytes) -> Frame:
    """The head of a binary push: `3`, five lengths and an encoding, a byte each, then the texts."""
    lengths, at = data[1 : 1 + PUSH_LENGTHS], 2 + PUSH_LENGTHS
    if len(data) < at or data[0] != PUSH or len(data) < at + sum(lengths):
        raise Malformed("not a binary push")
    texts: list[str] = []
    for length in lengths[:4]:
        try:
            texts.append(data[at : at + length].decode())
        except UnicodeDecodeError:
            raise Malformed("a binary push whose head is not UTF-8") from None
        at += length
    join_ref, ref, topic, _ = texts
    return Frame(join_ref=join_ref or None, ref=ref or None, topic=topic, event="broadcast")


def encoded(frame: Frame, version: Version) -> bytes:
    """A message as text. `ref` is there even where it is null: a client drops what lacks it."""
    if version is Version.OBJECT:
        return encode({"topic": frame.topic, "event": frame.event, "payload": frame.payload, "ref": frame.ref})
    return encode([frame.join_ref, frame.ref, frame.topic, frame.event, frame.payload])


# -- what the service says -------------------------------------------------------------------------------------------


def replied(to: Frame, response: Any) -> Frame:
    """The good answer to a message."""
    return _reply(to, "ok", response)


def refused(to: Frame, reason: str) -> Frame:
    """The answer to a message that is not done; clients read the word before the colon of a reason."""
    return _reply(to, "error", {"reason": reason})


def _reply(to: Frame, status: str, response: Any) -> Frame:
    payload = {"status": status, "response": response}
    join_ref = to.ref if to.event == Event.JOIN else to.join_ref
    return Frame(join_ref=join_ref, ref=to.ref, topic=to.topic, event=Event.REPLY, payload=payload)


def system(topic: str, message: str, *, ok: bool, extension: str = "postgres_changes") -> Frame:
    """A word about a channel. A client takes one that is not `ok` for the end of the channel, or shows it."""
    payload = {
        "extension": extension,
        "status": "ok" if ok else "error",
        "message": message,
        "channel": topic.removeprefix(PREFIX),
    }
    return Frame(topic=topic, event=Event.SYSTEM, payload=payload)


def closed(topic: str, join_ref: Ref) -> Frame:
    """The channel is over; a client heeds it only when the ref is that of its join."""
    return Frame(join_ref=join_ref, ref=join_ref, topic=topic, event=Event.CLOSE)


def failed(topic: str, join_ref: Ref) -> Frame:
    """The channel is to be joined again."""
    return Frame(join_ref=join_ref, ref=join_ref, topic=topic, event=Event.ERROR)


def changes(topic: str, ids: list[int], data: Any) -> Frame:
    """A change of a row, for the bindings of these ids."""
    return Frame(topic=topic, event=Event.CHANGES, payload={"ids": ids, "data": data})
