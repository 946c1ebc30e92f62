"""A connection of its own that hears that something changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import asyncpg

__all__ = ["CHANNEL", "Listener"]

CHANNEL: Final = "bot_sessions"
ANSWER_S: Final = 3.0


class Listener:
    """Made by `PostgresDatabase.listening`. `lost` is set as soon as the connection is known to be gone."""

    def __init__(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        self._connection = connection
        self.lost = asyncio.Event()
        connection.add_termination_listener(self._gone)

    async def begin(self, wake: Callable[[], None]) -> None:
        """Call `wake` whenever anything was committed that concerns sessions; it says no more than that."""
        await self._connection.add_listener(CHANNEL, lambda *_: wake())

    async def check(self) -> None:
        """One way there and back, since a connection that was cut in between says nothing.

        Raises:
            asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError: it is gone.
        """
        await self._connection.execute("select 1", timeout=ANSWER_S)

    def close(self) -> None:
        """End the connection at once; nothing is lost with it."""
        self._connection.terminate()

    def _gone(self, _connection: object) -> None:
        self.lost.set()
