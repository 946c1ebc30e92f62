"""What lets a command in: the token that was given, or one from this machine's own store for as long as it runs."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from botlight.cli.http_service import is_local
from botlight.cli.settings import Settings
from botlight.cli.trouble import Trouble
from botlight.cli.wiring import open_access
from botlight.model.access import Scope
from botlight.model.session import Instant

__all__ = ["credential", "has_own_store"]


def has_own_store(settings: Settings) -> bool:
    """Whether this person may read and write the store that the settings name."""
    return os.access(settings.database_path, os.R_OK | os.W_OK)


@asynccontextmanager
async def credential(
    settings: Settings, url: str, given: str | None, *, name: str, scope: Scope = Scope.OPERATE, life: timedelta
) -> AsyncIterator[str]:
    """The token to come with: the given one, else one made in the store for its first person and revoked at the end.

    `life` bounds it should the command be killed before it can revoke.

    Raises:
        Trouble: none was given, and the store is not this machine's.
    """
    if given is not None:
        yield given
        return
    if not is_local(url) or not has_own_store(settings):
        where = (
            "is not on this machine"
            if not is_local(url)
            else f"keeps its store elsewhere than {settings.database_path}"
        )
        raise Trouble(f"A token is needed: the service {where}. Set BOTLIGHT_TOKEN, or use --token-stdin.")
    expires_at = Instant(int((time.time() + life.total_seconds()) * 1000))
    async with open_access(settings) as (people, tokens):
        users = await people.all()
        if not users:
            raise Trouble("Nobody has an account yet; `botlight link` makes the first one.")
        token, secret = await tokens.issue(users[0].id, name, scope, expires_at=expires_at)
    try:
        yield secret
    finally:
        async with open_access(settings) as (_, tokens):
            await tokens.revoke(users[0].id, token.id)
