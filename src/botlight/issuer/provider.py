"""An issuer whose tokens are accepted: the port `Elsewhere`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from botlight.issuer.keys import Key
from botlight.issuer.ring import KeyRing
from botlight.issuer.source import KeySource
from botlight.issuer.token import Header, claims_of, header_of
from botlight.model.identity import Claims, Issuer
from botlight.service.ports import Clock

__all__ = ["Provider"]


class Provider:
    """Proves the tokens of one issuer, with keys that it publishes, with keys of a file, with a shared secret."""

    def __init__(
        self,
        issuer: Issuer,
        clock: Clock,
        *,
        source: KeySource | None = None,
        keys: Mapping[str, Key] = MappingProxyType({}),
        secret: Key | None = None,
    ) -> None:
        self.issuer = issuer
        self._clock = clock
        self._source = source
        self._secret = secret
        self._ring = KeyRing(source, keys)

    async def claims(self, token: str) -> Claims:
        """What a token says, once its signature and times are found right.

        Raises:
            Unauthorized: they are not.
            Unavailable: the keys cannot be had now.
        """
        header = header_of(token)
        key = await self._key(header)
        return claims_of(token, header, key, self._clock.now())

    async def run(self) -> None:
        """Keep the keys fresh; runs as one task, and ends at once where nothing is fetched."""
        await self._ring.run()

    async def close(self) -> None:
        """Let go of the network."""
        if self._source is not None:
            await self._source.close()

    async def _key(self, header: Header) -> Key:
        """The key that a token has to be signed with: the published one of that name, else the secret.

        A token chooses among keys by its algorithm, never an algorithm for a key.
        """
        secret = self._secret
        if secret is not None and header.alg == secret.algorithm and self._ring.known(header.kid) is None:
            return secret
        return await self._ring.find(header.kid)
