"""Tokens: who comes with which secret, for how long, and what is kept of it."""

from __future__ import annotations

from typing import Any, Final

import pytest

from botlight.model.access import Scope
from botlight.model.errors import Invalid, Unauthorized, Unknown
from botlight.model.session import Instant
from botlight.service.tokens import Tokens
from tests.service.house import ALICE, BOB, DAY, MINUTE, SECOND, START, House

pytestmark = pytest.mark.anyio

S1: Final = "00000000-0000-4000-8000-000000000001"
ORIGIN: Final = "https://page.example"


async def _issue(house: House, scope: Scope = Scope.REPORT, **names: Any) -> tuple[str, str]:
    """A token's id and its secret."""
    token, secret = await house.tokens.issue(ALICE.user_id, "laptop", scope, **names)
    return token.id, secret


@pytest.mark.parametrize("scope", [Scope.REPORT, Scope.VIEW, Scope.OPERATE])
async def test_a_token_lets_its_person_in_with_its_scope(house: House, scope: Scope) -> None:
    """And names itself by its id, never by its secret."""
    token_id, secret = await _issue(house, scope)
    principal = await house.tokens.principal(secret)
    assert (principal.user_id, principal.scope, principal.credential_id) == (ALICE.user_id, scope, token_id)
    assert secret not in repr(principal)


async def test_an_embed_token_names_what_it_shows(house: House) -> None:
    """And the page on which it does."""
    later = Instant(START + DAY)
    _, secret = await _issue(house, Scope.EMBED, bot="apply-bot", origin=ORIGIN, expires_at=later)
    principal = await house.tokens.principal(secret)
    assert (principal.bot, principal.session_id, principal.origin) == ("apply-bot", None, ORIGIN)


@pytest.mark.parametrize("said", ["https://page.example/", "HTTPS://Page.Example", "https://page.example:443"])
async def test_an_origin_is_kept_as_browsers_send_it(house: House, said: str) -> None:
    """Whoever makes the token, over HTTP or at the command line."""
    later = Instant(START + DAY)
    token, _ = await house.tokens.issue(ALICE.user_id, "page", Scope.EMBED, bot="b", origin=said, expires_at=later)
    assert token.origin == ORIGIN


async def test_no_secret_is_kept(house: House) -> None:
    """Not in the database, and none is like another."""
    secrets = [(await _issue(house))[1] for _ in range(20)]
    assert len(set(secrets)) == 20
    assert min(len(secret) for secret in secrets) > 40
    kept = house.kept()
    assert not [secret for secret in secrets if secret.encode() in kept]


@pytest.mark.parametrize("secret", ["", "bl_", "bl_" + "x" * 43, "\x00", "é" * 50])
async def test_an_unknown_secret_lets_nobody_in(house: House, secret: str) -> None:
    """Whatever it looks like."""
    with pytest.raises(Unauthorized):
        await house.tokens.principal(secret)


async def test_a_token_expires(house: House) -> None:
    """At its instant, also where it is remembered; open streams ask the same."""
    token_id, secret = await _issue(house, expires_at=Instant(START + MINUTE))
    house.clock.at = START + MINUTE - 1
    await house.tokens.principal(secret)
    assert await house.tokens.valid({token_id}) == {token_id}
    house.clock.at = START + MINUTE
    with pytest.raises(Unauthorized):
        await house.tokens.principal(secret)
    assert await house.tokens.valid({token_id}) == set()


async def test_a_revoked_token_is_refused_at_once_here_and_soon_elsewhere(house: House) -> None:
    """Another process remembers it until it looks again, every two seconds, and never for more than four."""
    token_id, secret = await _issue(house)
    _, kept = await _issue(house)
    looking, away = Tokens(house.access, house.clock), Tokens(house.access, house.clock)
    for tokens in (house.tokens, looking, away):
        await tokens.principal(secret)
        await tokens.principal(kept)
    await house.tokens.revoke(ALICE.user_id, token_id)
    await looking.refresh()
    with pytest.raises(Unauthorized):
        await looking.principal(secret)
    house.clock.move(4 * SECOND + 1)
    with pytest.raises(Unauthorized):
        await away.principal(secret)
    for tokens in (house.tokens, looking, away):
        await tokens.principal(kept)
    assert await house.tokens.valid({token_id}) == set()


async def test_a_revoked_token_is_refused_here_without_waiting(house: House) -> None:
    """Where it was revoked nothing of it is remembered."""
    token_id, secret = await _issue(house)
    await house.tokens.principal(secret)
    await house.tokens.revoke(ALICE.user_id, token_id)
    with pytest.raises(Unauthorized):
        await house.tokens.principal(secret)


async def test_looking_again_keeps_those_that_are_still_good(house: House) -> None:
    """Also for longer than they would be remembered: without another read, and as they were."""
    _, secret = await _issue(house)
    before = await house.tokens.principal(secret)
    for _ in range(10):
        house.clock.move(2 * SECOND)
        await house.tokens.refresh()
    await house.blind()
    assert await house.tokens.principal(secret) == before


async def test_a_heartbeat_with_a_token_that_was_just_revoked_is_refused(house: House) -> None:
    """The batch asks once more, whatever the door remembered."""
    token_id, secret = await _issue(house)
    principal = await house.tokens.principal(secret)
    await house.beat(S1, of=principal)
    await house.tokens.revoke(ALICE.user_id, token_id)
    with pytest.raises(Unauthorized):
        await house.beat(S1, of=principal)


async def test_only_the_person_whose_it_is_can_revoke_a_token(house: House) -> None:
    """For others it does not exist."""
    token_id, secret = await _issue(house)
    for user_id, asked in ((BOB.user_id, token_id), (ALICE.user_id, "no such token")):
        with pytest.raises(Unknown):
            await house.tokens.revoke(user_id, asked)
    assert (await house.tokens.principal(secret)).user_id == ALICE.user_id
    assert not await house.tokens.of(BOB.user_id)


@pytest.mark.parametrize(
    ("scope", "names"),
    [
        (Scope.PERSON, {}),
        (Scope.VIEW, {"bot": "apply-bot"}),
        (Scope.REPORT, {"session_id": S1}),
        (Scope.OPERATE, {"origin": ORIGIN}),
        (Scope.EMBED, {}),
        (Scope.EMBED, {"bot": "apply-bot", "session_id": S1, "origin": ORIGIN, "expires_at": START + DAY}),
        (Scope.EMBED, {"bot": "apply-bot", "expires_at": START + DAY}),
        (Scope.EMBED, {"bot": "apply-bot", "origin": ORIGIN}),
    ],
)
async def test_a_token_that_makes_no_sense_is_not_issued(house: House, scope: Scope, names: dict[str, Any]) -> None:
    """An embed token names one bot or one session, an origin and an expiry; no other token names anything."""
    with pytest.raises(Invalid):
        await _issue(house, scope, **names)
    assert not await house.tokens.of(ALICE.user_id)


async def test_a_person_has_at_most_200_tokens(house: House) -> None:
    """Then some have to be revoked."""
    ids = [(await _issue(house))[0] for _ in range(200)]
    with pytest.raises(Invalid):
        await _issue(house)
    await house.tokens.revoke(ALICE.user_id, ids[0])
    await _issue(house)


async def test_the_last_use_of_a_token_is_noted(house: House) -> None:
    """When it is flushed, for those that were used since then."""
    used, secret = await _issue(house)
    unused, _ = await _issue(house)
    house.clock.move(MINUTE)
    await house.tokens.principal(secret)
    await house.tokens.flush()
    noted = {token.id: token.last_used_at for token in await house.tokens.of(ALICE.user_id)}
    assert noted == {used: START + MINUTE, unused: None}
    house.clock.move(MINUTE)
    await house.tokens.flush()
    assert {token.id: token.last_used_at for token in await house.tokens.of(ALICE.user_id)} == noted


async def test_nobody_who_is_not_there_gets_a_token(house: House) -> None:
    """An id that nobody has, as of a person who was removed while they looked."""
    with pytest.raises(Unknown, match="not there"):
        await house.tokens.issue("00000000-0000-4000-8000-00000000dead", "bot", Scope.REPORT)
