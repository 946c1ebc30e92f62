"""Who comes with a secret of an issuer elsewhere, and for how long, where the service's clock is not the world's."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final

import pytest

from botlight.issuer.keys import keys_of
from botlight.issuer.provider import Provider
from botlight.model.errors import Unauthorized
from botlight.model.identity import Issuer
from botlight.service.principals import Principals
from tests.service.house import HOUR, MINUTE, HandClock, House
from tests.support.issuer import SigningKey, signing_key

pytestmark = pytest.mark.anyio

ISSUER: Final = Issuer(url="https://login.example", audience="botlight")


@pytest.fixture
def key() -> SigningKey:
    """The key of the issuer."""
    return signing_key("ES256")


@pytest.fixture
def world() -> HandClock:
    """The issuer's clock."""
    return HandClock()


@pytest.fixture
def principals(house: House, world: HandClock, key: SigningKey) -> Principals:
    """What lets people of the issuer into the house."""
    keys = keys_of(json.dumps({"keys": [key.jwk]}).encode())
    return Principals(house.tokens, house.clock, world, Provider(ISSUER, world, keys=keys))


@pytest.fixture
def token(world: HandClock, key: SigningKey) -> Callable[[int], str]:
    """A person's token that is good for so many ms, by the issuer's clock."""

    def sign(lasts: int) -> str:
        expires_s = (world.now() + lasts) / 1000
        return key.token(iss=ISSUER.url, aud=ISSUER.audience, sub="ada", exp=expires_s)

    return sign


@pytest.mark.parametrize("ahead", [0, HOUR, -HOUR])
async def test_a_token_lasts_as_long_as_its_issuer_meant(
    house: House, world: HandClock, principals: Principals, token: Callable[[int], str], ahead: int
) -> None:
    """A service whose clock is ahead of the world's, or behind, throws nobody out early, and nobody stays longer."""
    house.clock.move(ahead)
    secret = token(MINUTE)
    person = await principals.principal(secret)
    assert person.expires_at == house.clock.now() + MINUTE
    assert await principals.valid({person.credential_id}) == {person.credential_id}
    world.move(MINUTE)
    assert await principals.valid({person.credential_id}) == frozenset()
    with pytest.raises(Unauthorized, match="expired"):
        await principals.principal(secret)
