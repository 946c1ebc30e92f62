"""What is refused, as RFC 9457 problem documents: one table maps code to HTTP, one body shape everywhere."""

from __future__ import annotations

import math
import random
from typing import Any, Final

from botlight.edge.codec import encode
from botlight.model.errors import Invalid, Refusal, WrongMethod

__all__ = ["MEDIA_TYPE", "STATUS_OF", "body", "headers", "status_of"]

MEDIA_TYPE: Final = "application/problem+json"

STATUS_OF: Final[dict[str, int]] = {
    "malformed": 400,
    "invalid": 422,
    "token": 401,
    "scope": 403,
    "origin": 403,
    "unknown": 404,
    "method": 405,
    "ended": 409,
    "live": 409,
    "instances": 409,
    "deleted": 410,
    "too_large": 413,
    "media_type": 415,
    "host": 421,
    "rate": 429,
    "sessions": 429,
    "streams": 429,
    "internal": 500,
    "unavailable": 503,
    "overloaded": 503,
}


def status_of(refusal: Refusal) -> int:
    """The HTTP status of a refusal."""
    if isinstance(refusal, Invalid) and refusal.malformed:
        return STATUS_OF["malformed"]
    return STATUS_OF[refusal.code]


def body(refusal: Refusal, request_id: str) -> bytes:
    """The problem document."""
    document: dict[str, Any] = {
        "type": f"urn:botlight:problem:{refusal.code}",
        "title": (type(refusal).__doc__ or "").strip().splitlines()[0],
        "status": status_of(refusal),
        "detail": str(refusal),
        "code": refusal.code,
        "request_id": request_id,
    }
    if isinstance(refusal, Invalid) and refusal.errors:
        document["errors"] = [{"pointer": pointer, "message": message} for pointer, message in refusal.errors]
    return encode(document)


def headers(refusal: Refusal) -> list[tuple[bytes, bytes]]:
    """What goes along: when to try again (jittered, so that not all come at once), how to sign in."""
    found = [(b"content-type", MEDIA_TYPE.encode()), (b"cache-control", b"no-store")]
    if refusal.retry_after_s is not None:
        seconds = math.ceil(refusal.retry_after_s * random.uniform(1.0, 1.5))  # noqa: S311  jitter, no secret
        found.append((b"retry-after", str(seconds).encode()))
    if isinstance(refusal, WrongMethod):
        found.append((b"allow", ", ".join(refusal.allowed).encode()))
    if refusal.code == "token":
        found.append((b"www-authenticate", b"Bearer"))
    return found
