"""What lets a command in: the token that was given, or one from this machine's own store for as long as it runs."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from msgspec import Struct

from botlight.cli.http_service import is_local
from botlight.cli.settings import Settings
from botlight.cli.trouble import Trouble
from botlight.cli.wiring import open_access
from botlight.model.access import Scope
from botlight.model.errors import Unknown
from botlight.model.session import Instant

__all__ = ["Loan", "credential", "give_back", "has_own_store", "lend"]


def has_own_store(settings: Settings) -> bool:
    """Whether this person may read and write the store that the settings name; with PostgreSQL, who knows its address."""
    return settings.database_path is None or os.access(settings.database_path, os.R_OK | os.W_OK)


class Loan(Struct, frozen=True, kw_only=True):
    """A token that was made for a command, to be given back when the command ends."""

    settings: Settings
    user_id: str
    token_id: str
    secret: str


async def lend(settings: Settings, url: str, *, name: str, scope: Scope, life: timedelta) -> Loan:
    """Make a token for the first person of this machine's own store.

    `life` bounds it should the command be killed before it can give it back.

    Raises:
        Trouble: the service or its store is not this machine's, or nobody has an account.
    """
    if not is_local(url) or not has_own_store(settings):
        where = "runs elsewhere" if not is_local(url) else f"does not keep its store in {settings.database_path}"
        raise Trouble(f"A token is needed, since the service {where}.")
    expires_at = Instant(int((time.time() + life.total_seconds()) * 1000))
    async with open_access(settings) as (people, tokens):
        if not people.managed_here:
            raise Trouble("A token is needed, since people are managed in the Supabase project.")
        users = await people.all()
        if not users:
            raise Trouble("Nobody has an account yet; `botlight link` makes the first one.")
        token, secret = await tokens.issue(users[0].id, name, scope, expires_at=expires_at)
    return Loan(settings=settings, user_id=users[0].id, token_id=token.id, secret=secret)


async def give_back(loan: Loan) -> None:
    """Revoke it; one that somebody else has revoked is well."""
    async with open_access(loan.settings) as (_, tokens):
        with suppress(Unknown):
            await tokens.revoke(loan.user_id, loan.token_id)


@asynccontextmanager
async def credential(
    settings: Settings, url: str, given: str | None, *, name: str, scope: Scope = Scope.OPERATE, life: timedelta
) -> AsyncIterator[str]:
    """The token to come with: the given one, else a lent one that is given back at the end.

    Raises:
        Trouble: none was given, and none can be lent.
    """
    if given is not None:
        yield given
        return
    try:
        loan = await lend(settings, url, name=name, scope=scope, life=life)
    except Trouble as trouble:
        raise Trouble(f"{trouble} Set BOTLIGHT_TOKEN, or use --token-stdin.") from None
    try:
        yield loan.secret
    finally:
        await give_back(loan)
