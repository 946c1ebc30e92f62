"""Which pages of other origins may ask: those of the setting, and those that embed tokens name."""

from __future__ import annotations

from typing import Final

from botlight.edge.exchange import Exchange
from botlight.model.session import Instant
from botlight.service.patience import in_time
from botlight.service.ports import Access, Clock

__all__ = ["Origins"]

ALLOWED_HEADERS: Final = b"Authorization, Content-Type, If-None-Match, Last-Event-ID"
EXPOSED_HEADERS: Final = b"ETag, Retry-After, X-Server-Time, X-Status-Api"
READ_EVERY_MS: Final = 2000
ASK_AGAIN_MS: Final = 100
REMEMBERED_MS: Final = 600_000


class Origins:
    """Answers pages of other origins. Never with credentials: a foreign page comes with a token or not at all.

    An origin is remembered for ten minutes after its last token went, so that its page can read that it is refused.
    """

    def __init__(self, access: Access, clock: Clock, fixed: frozenset[str]) -> None:
        """`fixed` holds the origins of the setting."""
        self._access = access
        self._clock = clock
        self._fixed = fixed
        self._listed: dict[str, Instant] = {}
        self._read_at = 0

    async def admit(self, exchange: Exchange) -> None:
        """Say in the answer's headers that the page may read it, if it may."""
        origin = (exchange.header(b"origin") or "").lower()
        if origin not in self._fixed and not await self._embeds(origin):
            return
        exchange.common += [
            (b"access-control-allow-origin", origin.encode()),
            (b"access-control-expose-headers", EXPOSED_HEADERS),
            (b"vary", b"Origin"),
        ]
        if exchange.method == "OPTIONS":
            exchange.common += [
                (b"access-control-allow-methods", b"GET, POST, DELETE"),
                (b"access-control-allow-headers", ALLOWED_HEADERS),
                (b"access-control-max-age", b"7200"),
            ]

    async def _embeds(self, origin: str) -> bool:
        """Whether an embed token names the origin, or did a moment ago."""
        now = self._clock.now()
        known = origin in self._listed
        if now - self._read_at > (READ_EVERY_MS if known else ASK_AGAIN_MS):
            self._read_at = now
            self._listed |= dict.fromkeys(await in_time(self._access.embed_origins()), now)
        return now - self._listed.get(origin, -REMEMBERED_MS) < REMEMBERED_MS
