"""One frame of a text/event-stream."""

from __future__ import annotations

import random
from typing import Any, Final

from botlight.edge.codec import encode

__all__ = ["HEADERS", "farewell", "frame"]

BYE_SPREAD_MS: Final = 20_000

HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)


def frame(event: str, data: Any, position: str | None = None) -> bytes:
    """A frame with one line of JSON; `position` becomes its id.

    Our own encoder writes no line break into JSON and positions are our own words, so nobody can forge a field.
    """
    head = f"event: {event}\n" if position is None else f"event: {event}\nid: {position}\n"
    return b"%bdata: %b\n\n" % (head.encode(), data if isinstance(data, bytes) else encode(data))


def farewell() -> bytes:
    """A `bye` frame: each reader comes back at its own time, so that they do not all come at once."""
    return frame("bye", {"reconnect_after_ms": random.randrange(BYE_SPREAD_MS)})  # noqa: S311  jitter, no secret
