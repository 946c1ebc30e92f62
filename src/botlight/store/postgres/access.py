"""People and what lets them in, in PostgreSQL: the port `Access`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Any, Final
from uuid import UUID

import asyncpg

from botlight.model.session import Instant
from botlight.service.ports import Credential, RejectedWrite, Token, User
from botlight.store.access import token_from, user_from
from botlight.store.postgres.database import PostgresDatabase
from botlight.store.sqlfile import statements

__all__ = ["PostgresAccess"]

SQL: Final = statements("botlight.store.postgres", "access.sql")
USER_FIELDS: Final = len(User.__struct_fields__)
LINKS_KEPT_MS: Final = 86_400_000


class PostgresAccess:
    """Every method may raise `Unavailable`; then nothing was written. Used on one event loop."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    @property
    def manages_people(self) -> bool:
        """Whether people are added here; false: they are the Supabase project's."""
        return not self._database.on_supabase

    async def users(self) -> Sequence[User]:
        """Everybody, oldest first; on Supabase nobody, since they are the project's."""
        return [user_from(row) for row in await self._rows("users")]

    async def user_named(self, name: str) -> User | None:
        """A person by name, whatever the case; on Supabase by id, for a command also by e-mail."""
        if "\0" in name:
            return None
        if self.manages_people:
            found = await self._rows("user_named", name)
            return user_from(found[0]) if found else None
        user_id = _id(name)
        if not self._database.serving:
            user_id = await self._of_supabase(user_id, name)
        return (
            None
            if user_id is None
            else User(id=user_id, name=name, password_hash=None, operator=False, created_at=Instant(0))
        )

    async def add_user(self, user: User) -> bool:
        """Add a person; false: the name is taken."""
        asked = (user.id, user.name, user.password_hash, user.operator, user.created_at)
        with suppress(_Taken):
            async with self._database.writing() as connection:
                await connection.execute(SQL["add_identity"], user.id)
                if not await connection.fetch(SQL["add_user"], *asked):
                    raise _Taken
            return True
        return False

    async def settle(self, user_id: str, now: Instant) -> None:
        """Keep a person from elsewhere, whose name is the id, unless they are kept already; on Supabase they are."""
        if not self.manages_people:
            return
        async with self._database.writing() as connection:
            await connection.execute(SQL["settle_identity"], user_id)
            await connection.execute(SQL["settle"], user_id, now)

    async def set_password(self, user_id: str, password_hash: str) -> None:
        """Set a password and end every sign-in of that person."""
        async with self._database.writing() as connection:
            await connection.execute(SQL["set_password"], user_id, password_hash)
            await connection.execute(SQL["end_sign_ins"], user_id)

    async def find(self, secret_hash: str) -> Credential | None:
        """The token or sign-in with this secret, expired or not."""
        for row in await self._rows("find_token", secret_hash):
            user, token = user_from(row[:USER_FIELDS]), token_from(row[USER_FIELDS:])
            return Credential(kind="token", id=token.id, user=user, expires_at=token.expires_at, token=token)
        for row in await self._rows("find_sign_in", secret_hash):
            sign_in_id, expires_at = row[USER_FIELDS:]
            return Credential(kind="sign_in", id=sign_in_id, user=user_from(row[:USER_FIELDS]), expires_at=expires_at)
        return None

    async def valid(self, credential_ids: Collection[str], now: Instant) -> frozenset[str]:
        """Those that are still there and have not expired."""
        return frozenset(row[0] for row in await self._rows("valid", list(credential_ids), now))

    async def tokens(self, user_id: str) -> Sequence[Token]:
        """A person's tokens, newest first."""
        return [token_from(row) for row in await self._rows("tokens", user_id)]

    async def add_token(self, token: Token, secret_hash: str) -> None:
        """Keep a new token."""
        times = (token.created_at, token.expires_at, token.last_used_at)
        names = (token.bot, token.session_id, token.origin)
        whose = (token.id, token.user_id, token.name, token.scope.value)
        await self._write("add_token", *whose, *times, *names, secret_hash)

    async def revoke(self, user_id: str, token_id: str) -> bool:
        """Remove a person's token; false: there is none."""
        return bool(await self._write("revoke", user_id, token_id))

    async def used(self, token_ids: Collection[str], now: Instant) -> None:
        """Note that tokens were used."""
        await self._write("used", sorted(token_ids), now)

    async def embed_origins(self) -> frozenset[str]:
        """The origins that embed tokens name."""
        return frozenset(row[0] for row in await self._rows("embed_origins"))

    async def sign_in(self, user_id: str, sign_in_id: str, secret_hash: str, now: Instant, expires_at: Instant) -> None:
        """Keep a new sign-in, and drop expired ones."""
        async with self._database.writing() as connection:
            await connection.execute(SQL["drop_sign_ins"], now)
            await connection.execute(SQL["add_sign_in"], sign_in_id, user_id, secret_hash, now, expires_at)

    async def sign_out(self, sign_in_id: str) -> None:
        """End a sign-in."""
        await self._write("sign_out", sign_in_id)

    async def add_link(self, user_id: str, secret_hash: str, expires_at: Instant) -> None:
        """Keep a one-time link, and drop those that expired a day before it will."""
        async with self._database.writing() as connection:
            await connection.execute(SQL["drop_links"], expires_at - LINKS_KEPT_MS)
            await connection.execute(SQL["add_link"], secret_hash, user_id, expires_at)

    async def take_link(self, secret_hash: str, now: Instant) -> User | None:
        """Consume a one-time link: it works once, and not after it expired."""
        async with self._database.writing() as connection:
            taken = await connection.fetchrow(SQL["take_link"], secret_hash)
            if taken is None or taken[1] <= now:
                return None
            [user] = await connection.fetch(SQL["user"], taken[0])
            return user_from(user)

    async def _of_supabase(self, user_id: str | None, name: str) -> str | None:
        """The id of a person of the project, where the login may look; else what was said, if it is an id."""
        async with self._database.login() as connection:
            if await connection.fetchval(SQL["may_look"]):
                found: str | None = await connection.fetchval(SQL["supabase_user"], user_id, name)
                return found
        return user_id

    async def _rows(self, name: str, *asked: Any) -> list[asyncpg.Record]:
        async with self._database.reading() as connection:
            return await connection.fetch(SQL[name], *asked)

    async def _write(self, name: str, *asked: Any) -> list[asyncpg.Record]:
        async with self._database.writing() as connection:
            return await connection.fetch(SQL[name], *asked)


class _Taken(RejectedWrite):
    """The name is another person's: nothing is kept."""


def _id(text: str) -> str | None:
    try:
        return str(UUID(text))
    except ValueError:
        return None
