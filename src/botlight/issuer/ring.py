"""The keys that are known now. One task fetches them, ahead of need, so that no request waits for a known key."""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Final

from botlight.issuer.keys import Key
from botlight.issuer.source import FETCH_S, Fetched, KeySource, NoKeys
from botlight.model.errors import Overloaded, Unauthorized, Unavailable

__all__ = ["ASK_EVERY_S", "KeyRing"]

log = logging.getLogger(__name__)

ASK_EVERY_S: Final = 30.0
"""Between two fetches that unknown keys cause; what comes sooner is refused without one."""
LONGEST_BACK_OFF_S: Final = 60.0
MAX_WAITING: Final = 200  # requests that wait for one fetch; the next is told to come again


class KeyRing:
    """Keys by their `kid`. Those that were fetched stay in use while the issuer cannot be reached.

    Used on one event loop. Without a source they are those that are given, for ever.
    """

    def __init__(
        self,
        source: KeySource | None,
        keys: Mapping[str, Key] = MappingProxyType({}),
        *,
        ask_every_s: float = ASK_EVERY_S,
    ) -> None:
        self._source = source
        self._ask_every_s = ask_every_s
        self._keys = keys
        self._learned = source is None
        self._wanted = asyncio.Event()
        self._over = asyncio.Event()  # of the fetch that is under way, or else of the next one
        self._under_way = False
        self._began_at = -math.inf
        self._failures = 0
        self._waiting = 0

    def known(self, kid: str | None) -> Key | None:
        """A key that is known now."""
        return None if kid is None else self._keys.get(kid)

    async def find(self, kid: str | None) -> Key:
        """The key of this name, fetched if need be and if the last fetch was long enough ago.

        Raises:
            Unauthorized: the issuer has none, or the token names none.
            Unavailable: the issuer cannot be asked, so nobody can tell.
        """
        if kid is None:
            raise Unauthorized("The token names no key (kid).")
        if kid not in self._keys and self._source is not None:
            await self._ask()
        key = self.known(kid)
        if key is not None:
            return key
        if self._failures or not self._learned:
            raise Unavailable("The keys of the issuer cannot be fetched now.", retry_after_s=5.0)
        raise Unauthorized("The token is signed with a key that its issuer does not publish.")

    async def run(self) -> None:
        """Fetch before what is known is too old, when asked to, and ever more seldom while it fails; runs as one task."""
        while self._source is not None:
            wait_s = await self._fetch(self._source)
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._wanted.wait()

    async def _ask(self) -> None:
        """Wait for the fetch that is under way, or have one made unless the last one was just now."""
        if not self._under_way:
            if time.monotonic() - self._began_at < self._ask_every_s:
                return
            self._wanted.set()
        if self._waiting >= MAX_WAITING:
            raise Overloaded("Too many wait for the keys of the issuer.", retry_after_s=FETCH_S)
        self._waiting += 1
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(FETCH_S + 1):
                    await self._over.wait()
        finally:
            self._waiting -= 1

    async def _fetch(self, source: KeySource) -> float:
        """Fetch once; answers in how many seconds to do so again."""
        self._under_way, self._began_at = True, time.monotonic()
        self._wanted.clear()
        try:
            return self._learn(await source.fetch(), source)
        except NoKeys as missing:
            return self._failed(str(missing))
        except Exception as error:
            log.exception("the keys of the issuer could not be read")
            return self._failed(type(error).__name__)
        finally:
            self._under_way = False
            self._over.set()
            self._over = asyncio.Event()

    def _learn(self, fetched: Fetched, source: KeySource) -> float:
        if self._failures or not self._learned or set(fetched.keys) != set(self._keys):
            log.info("the keys of the issuer were fetched", extra={"keys": len(fetched.keys), "url": source.url})
        self._keys, self._learned, self._failures = fetched.keys, True, 0
        return fetched.fresh_s

    def _failed(self, reason: str) -> float:
        self._failures += 1
        if self._failures == 1:
            fields = {"reason": reason, "kept": len(self._keys)}
            log.warning("the keys of the issuer could not be fetched", extra=fields)
        longest = min(LONGEST_BACK_OFF_S, 2.0 ** min(self._failures, 10))
        return random.uniform(longest / 2, longest)  # noqa: S311  jitter, no secret
