"""Changes to the store of a service, beside it: what would otherwise take minutes or days of waiting."""

from __future__ import annotations

import hashlib
import time

from tests.support.service import RunningService

__all__ = ["expire_link", "expire_sign_in"]


def expire_link(service: RunningService, secret: str) -> None:
    """Let a one-time link have expired a second ago."""
    _expire(service, "links", secret)


def expire_sign_in(service: RunningService, secret: str) -> None:
    """Let a sign-in have expired a second ago."""
    _expire(service, "sign_ins", secret)


def _expire(service: RunningService, table: str, secret: str) -> None:
    past_ms = int(time.time() * 1000) - 1000
    secret_hash = hashlib.sha256(secret.encode()).hexdigest()
    statement = f"update {table} set expires_at = instant(:past) where secret_hash = :hash"  # noqa: S608  the two names above
    service.by_hand(statement, past=past_ms, hash=secret_hash)
