"""Users and tokens from their rows, in the order of the statements that both adapters have for them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from botlight.model.access import Scope
from botlight.service.ports import Token, User

__all__ = ["token_from", "user_from"]


def user_from(row: Iterable[Any]) -> User:
    """A user from its `user_fields`."""
    user_id, name, password_hash, operator, created_at = row
    return User(id=user_id, name=name, password_hash=password_hash, operator=bool(operator), created_at=created_at)


def token_from(row: Iterable[Any]) -> Token:
    """A token from its `token_fields`."""
    token_id, user_id, name, scope, created_at, expires_at, last_used_at, bot, session_id, origin = row
    return Token(
        id=token_id,
        user_id=user_id,
        name=name,
        scope=Scope(scope),
        created_at=created_at,
        expires_at=expires_at,
        last_used_at=last_used_at,
        bot=bot,
        session_id=session_id,
        origin=origin,
    )
