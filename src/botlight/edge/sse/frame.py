"""One frame of a text/event-stream."""

from __future__ import annotations

from typing import Any, Final

from botlight.edge.codec import encode

__all__ = ["HEADERS", "frame"]

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
