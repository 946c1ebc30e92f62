"""Keys over HTTP: found by discovery or straight, and whatever else comes is told in one sentence."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable
from typing import Final

import pytest

from botlight.issuer.source import Fetched, KeySource, NoKeys, is_safe
from tests.support.issuer import DISCOVERY, JWKS, Answer, IssuerServer, issuing

pytestmark = pytest.mark.anyio

HANGS_NOT_S: Final = 8


async def fetched(issuer: IssuerServer, *, straight: bool) -> Fetched:
    """What is fetched by discovery, or straight from the keys' address."""
    source = KeySource(issuer=issuer.url, jwks_url=issuer.jwks_url if straight else None)
    try:
        return await source.fetch()
    finally:
        await source.close()


@pytest.mark.parametrize(("straight", "asked"), [(True, [JWKS]), (False, [DISCOVERY, JWKS])])
async def test_keys_are_fetched(issuer: IssuerServer, straight: bool, asked: list[str]) -> None:
    """Straight, or from where the issuer says they are; ten minutes without a word about it."""
    found = await fetched(issuer, straight=straight)
    assert set(found.keys) == {key.kid for key in issuer.keys}
    assert (found.fresh_s, issuer.asked) == (600, asked)


@pytest.mark.parametrize(
    ("said", "fresh_s"),
    [
        ("public, max-age=120", 120),
        ("max-age=0", 60),
        ("max-age=86400, immutable", 600),
        ("s-maxage=90", 600),
        ("no-store", 600),
        ("max-age=soon", 600),
    ],
)
async def test_for_how_long_they_are_believed(issuer: IssuerServer, said: str, fresh_s: float) -> None:
    """As long as the issuer says, between one minute and ten."""
    issuer.answers[JWKS] = Answer(body=b'{"keys": []}', headers=(("Cache-Control", said),))
    assert (await fetched(issuer, straight=True)).fresh_s == fresh_s


def configuration(issuer: IssuerServer, /, **changes: object) -> Answer:
    """The issuer's own description, changed."""
    return Answer(body=json.dumps({"issuer": issuer.url, "jwks_uri": issuer.jwks_url, **changes}).encode())


TROUBLE: Final[dict[str, tuple[bool, Callable[[IssuerServer], Answer], str]]] = {
    "an error": (True, lambda _: Answer(status=500), "answers 500"),
    "nothing there": (True, lambda _: Answer(status=404), "answers 404"),
    "no content": (True, lambda _: Answer(status=204), "answers 204"),
    "a redirect": (
        True,
        lambda issuer: Answer(status=302, headers=(("Location", issuer.url + "/other"),)),
        "redirects",
    ),
    "rubbish": (True, lambda _: Answer(body=b"<html>sign in</html>"), "no JWKS"),
    "too much": (True, lambda _: Answer(body=b" " * 65_537), "more than 64 KB"),
    "a packed body": (
        True,
        lambda _: Answer(body=gzip.compress(b" " * 10**6), headers=(("Content-Encoding", "gzip"),)),
        "compressed",
    ),
    "too many keys": (True, lambda _: Answer(body=json.dumps({"keys": [{}] * 101}).encode()), "101 keys"),
    "a description that is rubbish": (False, lambda _: Answer(body=b"[]"), "no OpenID configuration"),
    "a description without keys": (False, lambda issuer: configuration(issuer, jwks_uri=None), "no OpenID"),
    "a description of another issuer": (
        False,
        lambda issuer: configuration(issuer, issuer=issuer.url + "/"),
        "another issuer",
    ),
    "keys on an open road": (
        False,
        lambda issuer: configuration(issuer, jwks_uri="http://keys.example/jwks"),
        "not https",
    ),
    "keys in a file": (False, lambda issuer: configuration(issuer, jwks_uri="file:///etc/passwd"), "not https"),
    "keys at no address": (False, lambda issuer: configuration(issuer, jwks_uri="http://[::1/jwks"), "not https"),
}


@pytest.mark.parametrize("case", TROUBLE)
async def test_what_else_may_come_is_told(issuer: IssuerServer, case: str) -> None:
    """With the address, and the cure where there is one; a redirect is followed nowhere."""
    straight, answer, words = TROUBLE[case]
    issuer.answers[JWKS if straight else DISCOVERY] = answer(issuer)
    with pytest.raises(NoKeys, match=words) as told:
        await fetched(issuer, straight=straight)
    assert issuer.url in str(told.value)
    assert len(issuer.asked) == 1


async def test_an_issuer_that_hangs_is_not_waited_for(issuer: IssuerServer) -> None:
    """There is a deadline over all of it."""
    issuer.open.clear()
    began = time.monotonic()
    with pytest.raises(NoKeys, match="has not answered within 5 s"):
        await fetched(issuer, straight=False)
    assert time.monotonic() - began < HANGS_NOT_S


async def test_an_issuer_that_is_away_is_told() -> None:
    """A port on which nobody listens."""
    with issuing() as gone:
        pass
    with pytest.raises(NoKeys, match="cannot be reached"):
        await fetched(gone, straight=True)


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://login.example/keys", True),
        ("http://127.0.0.1:54321/keys", True),
        ("http://[::1]/keys", True),
        ("http://localhost:8000", True),
        ("http://login.example/keys", False),
        ("http://127.0.0.1.evil.example/", False),
        ("http://localhost.evil.example/", False),
        ("http://localhost@evil.example/", False),
        ("ftp://127.0.0.1/", False),
        ("https:///keys", False),
        ("login.example", False),
    ],
)
def test_keys_come_by_a_safe_road(url: str, safe: bool) -> None:
    """https, or this machine."""
    assert is_safe(url) is safe
