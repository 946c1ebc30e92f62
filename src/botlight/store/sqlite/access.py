"""People and what lets them in, in SQLite: the port `Access`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Final, TypeVar

import apsw

from botlight.model.session import Instant
from botlight.service.ports import Credential, Token, User
from botlight.store.access import token_from, user_from
from botlight.store.sqlite.connection import transaction
from botlight.store.sqlite.database import SqliteDatabase
from botlight.store.sqlite.loading import found_credentials, json_list
from botlight.store.sqlite.sql import rows

__all__ = ["SqliteAccess"]

T = TypeVar("T")

USER_FIELDS: Final = len(User.__struct_fields__)
LINKS_KEPT_MS: Final = 86_400_000


class SqliteAccess:
    """Every method may raise `Unavailable`; then nothing was written. Used on one event loop."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    @property
    def manages_people(self) -> bool:
        """Whether people are added here: always."""
        return True

    async def users(self) -> Sequence[User]:
        """Everybody, oldest first."""
        return [user_from(row) for row in await self._rows("users")]

    async def user_named(self, name: str) -> User | None:
        """A person by name, whatever the case."""
        found = await self._rows("user_named", name)
        return user_from(found[0]) if found else None

    async def add_user(self, user: User) -> bool:
        """Add a person; false: the name is taken."""
        asked = (user.id, user.name, user.password_hash, user.operator, user.created_at)
        return bool(await self._write("add_user", asked))

    async def settle(self, user_id: str, now: Instant) -> None:
        """Keep a person from elsewhere, whose name is the id, unless they are kept already."""
        await self._write("settle", (user_id, now))

    async def set_password(self, user_id: str, password_hash: str) -> None:
        """Set a password and end every sign-in of that person."""

        def set_password(connection: apsw.Connection) -> None:
            with transaction(connection):
                rows(connection, "set_password", (user_id, password_hash))
                rows(connection, "end_sign_ins", (user_id,))

        await self._take_back(set_password)

    async def find(self, secret_hash: str) -> Credential | None:
        """The token or sign-in with this secret, expired or not."""
        return await self._database.readers.run(lambda connection: _found(connection, secret_hash))

    async def valid(self, credential_ids: Collection[str], now: Instant) -> frozenset[str]:
        """Those that are still there and have not expired.

        Asked every two seconds about all that came lately, so that a batch seldom has to ask for itself.
        """
        known, generation = self._database.credentials, self._database.credentials.generation
        found = await self._database.readers.run(lambda connection: found_credentials(connection, credential_ids))
        known.note(found, generation)
        return frozenset(id_ for id_, expires_at in found.items() if expires_at is None or expires_at > now)

    async def tokens(self, user_id: str) -> Sequence[Token]:
        """A person's tokens, newest first."""
        return [token_from(row) for row in await self._rows("tokens", user_id)]

    async def add_token(self, token: Token, secret_hash: str) -> None:
        """Keep a new token."""
        times = (token.created_at, token.expires_at, token.last_used_at)
        names = (token.bot, token.session_id, token.origin)
        whose = (token.id, token.user_id, token.name, token.scope.value)
        await self._write("add_token", (*whose, *times, *names, secret_hash))

    async def revoke(self, user_id: str, token_id: str) -> bool:
        """Remove a person's token; false: there is none."""
        return bool(await self._take_back(lambda connection: _run(connection, "revoke", (user_id, token_id))))

    async def used(self, token_ids: Collection[str], now: Instant) -> None:
        """Note that tokens were used."""
        await self._write("used", (json_list(token_ids), now))

    async def embed_origins(self) -> frozenset[str]:
        """The origins that embed tokens name."""
        return frozenset(row[0] for row in await self._rows("embed_origins"))

    async def sign_in(self, user_id: str, sign_in_id: str, secret_hash: str, now: Instant, expires_at: Instant) -> None:
        """Keep a new sign-in, and drop expired ones."""

        def sign_in(connection: apsw.Connection) -> None:
            with transaction(connection):
                rows(connection, "drop_sign_ins", (now,))
                rows(connection, "add_sign_in", (sign_in_id, user_id, secret_hash, now, expires_at))

        await self._database.writer.run(sign_in)

    async def sign_out(self, sign_in_id: str) -> None:
        """End a sign-in."""
        await self._take_back(lambda connection: _run(connection, "sign_out", (sign_in_id,)))

    async def add_link(self, user_id: str, secret_hash: str, expires_at: Instant) -> None:
        """Keep a one-time link, and drop those that expired a day before it will."""

        def add_link(connection: apsw.Connection) -> None:
            with transaction(connection):
                rows(connection, "drop_links", (expires_at - LINKS_KEPT_MS,))
                rows(connection, "add_link", (secret_hash, user_id, expires_at))

        await self._database.writer.run(add_link)

    async def take_link(self, secret_hash: str, now: Instant) -> User | None:
        """Consume a one-time link: it works once, and not after it expired."""

        def take_link(connection: apsw.Connection) -> User | None:
            with transaction(connection):
                taken = rows(connection, "take_link", (secret_hash,))
                if not taken or taken[0][1] <= now:
                    return None
                return user_from(rows(connection, "user", (taken[0][0],))[0])

        return await self._database.writer.run(take_link)

    async def _rows(self, name: str, *asked: Any) -> list[tuple[Any, ...]]:
        return await self._database.readers.run(lambda connection: rows(connection, name, asked))

    async def _write(self, name: str, asked: Sequence[Any]) -> list[tuple[Any, ...]]:
        return await self._database.writer.run(lambda connection: _run(connection, name, asked))

    async def _take_back(self, work: Callable[[apsw.Connection], T]) -> T:
        """Write what takes a credential away: the batch asks again for all of them."""
        try:
            return await self._database.writer.run(work)
        finally:
            self._database.credentials.clear()


def _run(connection: apsw.Connection, name: str, asked: Sequence[Any]) -> list[tuple[Any, ...]]:
    with transaction(connection):
        return rows(connection, name, asked)


def _found(connection: apsw.Connection, secret_hash: str) -> Credential | None:
    for row in rows(connection, "find_token", (secret_hash,)):
        user, token = user_from(row[:USER_FIELDS]), token_from(row[USER_FIELDS:])
        return Credential(kind="token", id=token.id, user=user, expires_at=token.expires_at, token=token)
    for row in rows(connection, "find_sign_in", (secret_hash,)):
        sign_in_id, expires_at = row[USER_FIELDS:]
        return Credential(kind="sign_in", id=sign_in_id, user=user_from(row[:USER_FIELDS]), expires_at=expires_at)
    return None
