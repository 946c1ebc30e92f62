"""The keys that are known: fetched ahead of need, again for a new one, kept while the issuer is away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

import pytest

from botlight.issuer.ring import ASK_EVERY_S, MAX_WAITING, KeyRing
from botlight.issuer.source import KeySource
from botlight.model.errors import Overloaded, Unauthorized, Unavailable
from tests.support.issuer import JWKS, Answer, IssuerServer, SigningKey

pytestmark = pytest.mark.anyio

PATIENCE_S: Final = 10


@asynccontextmanager
async def ringed(issuer: IssuerServer, ask_every_s: float = ASK_EVERY_S) -> AsyncIterator[KeyRing]:
    """A ring that runs on an issuer's keys."""
    source = KeySource(issuer=issuer.url, jwks_url=issuer.jwks_url)
    ring = KeyRing(source, ask_every_s=ask_every_s)
    running = asyncio.create_task(ring.run())
    try:
        yield ring
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await source.close()


async def until(fact: Callable[[], bool]) -> None:
    """Wait for a fact."""
    async with asyncio.timeout(PATIENCE_S):
        while not fact():  # noqa: ASYNC110  the facts are another thread's
            await asyncio.sleep(0.02)


async def outcome(ring: KeyRing, kid: str) -> str:
    """What asking for a key ends in."""
    try:
        return (await ring.find(kid)).algorithm
    except (Unauthorized, Unavailable) as refusal:
        return type(refusal).__name__


async def test_the_first_who_come_wait_for_the_first_fetch(issuer: IssuerServer, keys: dict[str, SigningKey]) -> None:
    """All of them for the same one."""
    async with ringed(issuer) as ring:
        found = await asyncio.gather(*(ring.find(keys["ES256"].kid) for _ in range(20)))
    assert {key.algorithm for key in found} == {"ES256"}
    assert issuer.asked == [JWKS]


async def test_a_new_key_is_fetched_when_its_first_token_comes(
    issuer: IssuerServer, keys: dict[str, SigningKey]
) -> None:
    """While the service runs; what the issuer took back is refused from then on."""
    issuer.publish(keys["RS256"])
    async with ringed(issuer, ask_every_s=0) as ring:
        assert await outcome(ring, keys["RS256"].kid) == "RS256"
        issuer.publish(keys["ES256"])
        assert await outcome(ring, keys["RS256"].kid) == "RS256"  # known, so nobody is asked
        assert await outcome(ring, keys["ES256"].kid) == "ES256"
        assert await outcome(ring, keys["RS256"].kid) == "Unauthorized"


async def test_a_flood_of_unknown_names_causes_no_fetch(issuer: IssuerServer, keys: dict[str, SigningKey]) -> None:
    """Within half a minute after the last one; each is refused at once."""
    async with ringed(issuer) as ring:
        await ring.find(keys["ES256"].kid)
        began = time.monotonic()
        assert {await outcome(ring, f"unknown {n}") for n in range(500)} == {"Unauthorized"}
        assert time.monotonic() - began < PATIENCE_S
        assert issuer.asked == [JWKS]


async def test_a_flood_during_a_fetch_waits_for_that_one(issuer: IssuerServer, keys: dict[str, SigningKey]) -> None:
    """However long it takes, and up to a bound of those who wait; who is known waits for nothing."""
    async with ringed(issuer, ask_every_s=0.2) as ring:
        await ring.find(keys["ES256"].kid)
        await asyncio.sleep(0.2)
        issuer.open.clear()
        waiting = [asyncio.create_task(outcome(ring, f"unknown {n}")) for n in range(MAX_WAITING)]
        await until(lambda: len(issuer.asked) == 2)
        with pytest.raises(Overloaded):
            await ring.find("one too many")
        assert (await ring.find(keys["ES256"].kid)).algorithm == "ES256"
        issuer.open.set()
        assert set(await asyncio.gather(*waiting)) == {"Unauthorized"}
        assert issuer.asked == [JWKS] * 2


@pytest.mark.parametrize("answer", [Answer(status=503), Answer(body=b"<html>")])
async def test_while_the_issuer_is_away_its_keys_go_on_being_used(
    issuer: IssuerServer, keys: dict[str, SigningKey], answer: Answer
) -> None:
    """A name that nobody knows cannot be judged then: that is no refusal. When the issuer is back, it can."""
    async with ringed(issuer, ask_every_s=0) as ring:
        await ring.find(keys["ES256"].kid)
        issuer.answers[JWKS] = answer
        assert await outcome(ring, keys["HS256"].kid) == "Unavailable"
        assert await outcome(ring, keys["ES256"].kid) == "ES256"
        del issuer.answers[JWKS]
        assert await outcome(ring, keys["HS256"].kid) == "Unauthorized"


async def test_an_issuer_that_is_away_at_first_is_asked_again(
    issuer: IssuerServer, keys: dict[str, SigningKey]
) -> None:
    """By itself, after a pause that grows; until then nobody can be judged."""
    issuer.answers[JWKS] = Answer(status=500)
    async with ringed(issuer) as ring:
        assert await outcome(ring, keys["ES256"].kid) == "Unavailable"
        del issuer.answers[JWKS]
        await until(lambda: ring.known(keys["ES256"].kid) is not None)
        assert await outcome(ring, keys["ES256"].kid) == "ES256"
        assert issuer.asked == [JWKS] * 2


async def test_without_a_name_or_a_source_nobody_is_asked(issuer: IssuerServer) -> None:
    """What is fixed is all there is."""
    async with ringed(issuer, ask_every_s=0) as ring:
        await until(lambda: issuer.asked == [JWKS])
        with pytest.raises(Unauthorized):
            await ring.find(None)
        assert issuer.asked == [JWKS]
    fixed = KeyRing(None)
    await fixed.run()
    assert await outcome(fixed, "unknown") == "Unauthorized"
