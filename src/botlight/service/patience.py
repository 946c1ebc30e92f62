"""How long anybody waits for the store: a disk that hangs must not keep people and bots hanging too."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Final, TypeVar

from botlight.model.errors import Unavailable

__all__ = ["STORE_S", "in_time"]

STORE_S: Final = 8.0

T = TypeVar("T")


async def in_time(answer: Awaitable[T]) -> T:
    """What the store answers.

    Raises:
        Unavailable: it has not answered within 8 s; what was to be written may still be.
    """
    try:
        async with asyncio.timeout(STORE_S):
            return await answer
    except TimeoutError:
        raise Unavailable("The store does not answer.", retry_after_s=5.0) from None
