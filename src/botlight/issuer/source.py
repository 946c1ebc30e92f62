"""Where an issuer publishes its keys: asked over HTTP, with a bound on everything that it may answer."""

from __future__ import annotations

import asyncio
import re
from typing import Final
from urllib.parse import urlsplit

import httpx
import msgspec
from msgspec import Struct

from botlight.issuer.keys import UNREADABLE, BadKeys, Key, keys_of

__all__ = ["FETCH_S", "Fetched", "KeySource", "NoKeys", "is_safe"]

FETCH_S: Final = 5.0
MAX_BODY: Final = 64 * 1024
FRESH_S: Final = 600.0
LEAST_FRESH_S: Final = 60.0
DISCOVERY: Final = "/.well-known/openid-configuration"
LOOPBACK: Final = re.compile(r"localhost|127(\.[0-9]{1,3}){3}|::1")


class NoKeys(Exception):  # noqa: N818  a sentence for the operator
    """The keys could not be fetched; the message says from where and why not."""


class Fetched(Struct, frozen=True, kw_only=True):
    """What was published, and for how many seconds that may be believed."""

    keys: dict[str, Key]
    fresh_s: float


class _Configuration(Struct, frozen=True, kw_only=True):
    """What is read of an OpenID provider's own description."""

    issuer: str
    jwks_uri: str


def is_safe(url: str) -> bool:
    """Whether nobody on the way can change what an address answers: https, or this machine."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        return bool(parts.hostname)
    return parts.scheme == "http" and LOOPBACK.fullmatch(parts.hostname or "") is not None


class KeySource:
    """The keys at an address, or at the one that the issuer's own description names. Redirects are not followed."""

    def __init__(self, *, issuer: str, jwks_url: str | None = None) -> None:
        self._issuer = issuer
        self._jwks_url = jwks_url
        self.url = jwks_url or issuer.rstrip("/") + DISCOVERY
        # A proxy that the environment names is for the world outside, not for this machine.
        outside = urlsplit(self.url).scheme == "https"
        self._http = httpx.AsyncClient(
            follow_redirects=False,
            trust_env=outside,
            timeout=FETCH_S,
            # A compressed body would have no bound that can be told from what comes in.
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=0),
        )

    async def close(self) -> None:
        """Let go of the network."""
        await self._http.aclose()

    async def fetch(self) -> Fetched:
        """The keys that are published now. One call at a time.

        Raises:
            NoKeys: they cannot be had.
        """
        try:
            async with asyncio.timeout(FETCH_S):
                return await self._fetch()
        except TimeoutError:
            raise NoKeys(f"{self.url} has not answered within {FETCH_S:.0f} s") from None

    async def _fetch(self) -> Fetched:
        url = self._jwks_url or await self._discovered()
        body, fresh_s = await self._get(url)
        try:
            keys = await asyncio.to_thread(keys_of, body)
        except BadKeys as bad:
            raise NoKeys(f"what {url} answers cannot be used: {bad}") from None
        return Fetched(keys=keys, fresh_s=fresh_s)

    async def _discovered(self) -> str:
        """Where the issuer says that its keys are."""
        body, _ = await self._get(self.url)
        try:
            said = msgspec.json.decode(body, type=_Configuration)
        except UNREADABLE:
            raise NoKeys(f"{self.url} is no OpenID configuration; BOTLIGHT_JWT_JWKS_URL names the keys") from None
        if said.issuer != self._issuer:
            raise NoKeys(f"{self.url} names another issuer than BOTLIGHT_JWT_ISSUER, letter by letter")
        try:
            # Only who is on this machine may send us to this machine.
            safe = is_safe(said.jwks_uri) and (said.jwks_uri.startswith("https:") or self.url.startswith("http:"))
        except ValueError:
            safe = False
        if not safe:
            raise NoKeys(f"{self.url} names an address of keys that is not https")
        return said.jwks_uri

    async def _get(self, url: str) -> tuple[bytes, float]:
        """A body, and for how long it may be believed."""
        try:
            async with self._http.stream("GET", url) as answer:
                if answer.is_redirect:
                    raise NoKeys(f"{url} redirects, which is not followed; set the address that it leads to")
                if answer.status_code != httpx.codes.OK:
                    raise NoKeys(f"{url} answers {answer.status_code}")
                if answer.headers.get("content-encoding", "identity") != "identity":
                    raise NoKeys(f"{url} answers compressed, though it was asked not to")
                return await self._body(url, answer), _fresh_s(answer.headers.get("cache-control", ""))
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, UnicodeError) as error:
            raise NoKeys(f"{url} cannot be reached ({type(error).__name__})") from None

    @staticmethod
    async def _body(url: str, answer: httpx.Response) -> bytes:
        whole = bytearray()
        async for part in answer.aiter_raw():
            whole += part
            if len(whole) > MAX_BODY:
                raise NoKeys(f"{url} answers more than {MAX_BODY // 1024} KB")
        return bytes(whole)


def _fresh_s(cache_control: str) -> float:
    """From one minute to ten: as long as the issuer says, ten minutes when it says nothing."""
    said = re.search(r"(?:^|[\s,])max-age=([0-9]{1,9})(?:$|[\s,])", cache_control.lower())
    return min(FRESH_S, max(LEAST_FRESH_S, float(said[1]))) if said else FRESH_S
