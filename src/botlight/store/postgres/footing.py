"""What an address leads to: PostgreSQL itself, or a pooler that lends a connection for each transaction."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Final
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
from msgspec import Struct

from botlight.store.errors import CannotOpen
from botlight.store.postgres.connection import AnyConnection, connect, sentence, transaction
from botlight.store.postgres.failures import is_of_the_database

__all__ = ["Footing", "look"]

ROUNDS: Final = 3
HEARD_WITHIN_S: Final = 2.0
SUPABASE: Final = (".supabase.com", ".supabase.co")
SUPABASE_SESSION_PORT: Final = 5432


class Footing(Struct, frozen=True, kw_only=True):
    """What can be done over an address."""

    pooled: bool  # each transaction may meet another connection: nothing may be SET or prepared beyond one
    can_listen: bool
    better: str = ""  # what to use instead, as words; empty where nothing is better

    @property
    def words(self) -> str:
        """What a person should know about it; empty where all is well."""
        if self.can_listen:
            return ""
        what = "a pooler in transaction mode" if self.pooled else "something that passes no notifications on"
        return f"The address of the database leads to {what}, so changes are looked for once a second. {self.better}"


async def look(url: str) -> Footing:
    """Try out what the address can do.

    Raises:
        CannotOpen: it cannot be reached, or cannot even hold a transaction.
    """
    async with AsyncExitStack() as closing:
        first, second = [await connect(url, statement_cache_size=0) for _ in range(2)]
        for connection in (first, second):
            closing.callback(connection.terminate)
        try:
            pooled = await _is_pooled(first, second)
            can_listen = not pooled and await _can_listen(first, second)
            better = "" if can_listen else await _better(url, first)
        except Exception as error:
            if not is_of_the_database(error):
                raise
            raise CannotOpen(
                f"The database cannot be used like this: {sentence(error)} Behind a pooler it has to be one in "
                "session or transaction mode; without one it is PostgreSQL's own port."
            ) from error
    return Footing(pooled=pooled, can_listen=can_listen, better=better)


async def _is_pooled(first: AnyConnection, second: AnyConnection) -> bool:
    """Whether two connections share what lies behind, or one of them changes it.

    While the second is inside a transaction a pooler cannot give the first the same; before that it most likely does.
    """
    own = await _process(first)
    for _ in range(ROUNDS):
        async with transaction(second, "begin"):
            if await second.fetchval("select pg_backend_pid()") == own or await _process(first) != own:
                return True
    return False


async def _process(connection: AnyConnection) -> int:
    async with transaction(connection, "begin"):
        process: int = await connection.fetchval("select pg_backend_pid()")
        return process


async def _can_listen(first: asyncpg.Connection[asyncpg.Record], second: AnyConnection) -> bool:
    """Whether a notification arrives."""
    heard = asyncio.Event()
    channel = f"botlight_probe_{uuid4().hex}"
    try:
        await first.add_listener(channel, lambda *_: heard.set())
        await second.execute(f"notify {channel}")
        async with asyncio.timeout(HEARD_WITHIN_S):
            await heard.wait()
    except (asyncpg.PostgresError, TimeoutError):
        return False
    return True


async def _better(url: str, connection: AnyConnection) -> str:
    host = urlsplit(url).hostname or ""
    if host.endswith(SUPABASE):
        return f"Use port {SUPABASE_SESSION_PORT} of the same host (session mode) instead."
    async with transaction(connection, "begin"):
        port = await connection.fetchval("select current_setting('port')")
    return f"Use PostgreSQL's own port instead; it says that it listens on {port}."
