"""Secrets of tokens, sign-ins and links: random, shown once, stored as a hash."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Final

__all__ = ["csrf_of", "hash_of", "new_secret"]

PREFIX: Final = "bl_"


def new_secret() -> str:
    """A new secret of 256 random bits, safe in a header and a fragment."""
    return PREFIX + secrets.token_urlsafe(32)


def hash_of(secret: str) -> str:
    """What is stored of a secret. It is random and long, so a plain SHA-256 is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()


def csrf_of(secret: str) -> str:
    """The CSRF token that belongs to a sign-in: derived, so that nothing has to be kept for it."""
    return hmac.new(secret.encode(), b"csrf", hashlib.sha256).hexdigest()
