"""The port Access: people and what lets them in. Holds for every adapter."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec import structs

from botlight.model.access import Scope
from botlight.model.session import Instant
from botlight.service.ports import RejectedWrite, Token
from tests.conformance.memory import Memory
from tests.conformance.names import named
from tests.conformance.scribe import ALICE, BOB, CHARLIE, DAY, MINUTE, START, user

pytestmark = pytest.mark.anyio


def token(token_id: str = "t1", owner: str = ALICE, **fields: Any) -> Token:
    """A token as it is issued."""
    known: dict[str, Any] = {
        "id": token_id,
        "user_id": owner,
        "name": "my bot",
        "scope": Scope.REPORT,
        "created_at": Instant(START),
    }
    return Token(**known | fields)


async def test_a_person_is_found_by_name_whatever_the_case(memory: Memory) -> None:
    """And by no other name."""
    charlie = user("c1", name="Charlie", password_hash="$argon2id$x", created_at=Instant(START + 1))
    assert await memory.access.add_user(charlie)
    await memory.reopen()
    assert await memory.access.user_named("cHARLIE") == charlie
    assert await memory.access.user_named("charlie ") is None
    assert [each.name for each in await memory.access.users()] == ["alice", "bob", "Charlie"]
    assert [each.operator for each in await memory.access.users()] == [True, False, False]


async def test_a_name_is_taken_once(memory: Memory) -> None:
    """In any case, and when two add it at once."""
    assert not await memory.access.add_user(user("other", name="ALICE"))
    both = (memory.access.add_user(user("c1", name=CHARLIE)), memory.access.add_user(user("c2", name=CHARLIE)))
    assert sorted(await asyncio.gather(*both)) == [False, True]
    assert len(await memory.access.users()) == 3


async def test_a_token_is_found_by_the_hash_of_its_secret(memory: Memory) -> None:
    """Whole, with the person whose it is, expired or not."""
    known = token(
        scope=Scope.EMBED, expires_at=Instant(1), bot="apply-bot", session_id=named("s1"), origin="https://example.org"
    )
    await memory.access.add_token(known, "secret hash")
    await memory.reopen()
    found = await memory.access.find("secret hash")
    assert found is not None
    assert (found.kind, found.id, found.token, found.expires_at) == ("token", "t1", known, 1)
    assert found.user.id == ALICE
    assert await memory.access.find("other hash") is None
    assert await memory.access.embed_origins() == {"https://example.org"}


async def test_a_person_from_elsewhere_is_kept_once(memory: Memory) -> None:
    """By the id, which stands for the name; somebody who is there already stays as they are."""
    someone = "5d8f6a4e-93b1-4c57-8a0d-2f7be1c6d935"
    await asyncio.gather(*(memory.access.settle(someone, Instant(START + n)) for n in range(3)))
    before = await memory.access.users()
    await memory.access.settle(ALICE, Instant(START + 9))
    assert await memory.access.users() == before
    [kept] = [each for each in before if each.id == someone]
    assert (kept.name, kept.password_hash, kept.operator, kept.elsewhere) == (someone, None, False, True)
    await memory.access.add_token(token(owner=someone), "hash")
    found = await memory.access.find("hash")
    assert found is not None
    assert found.user == kept


async def test_a_token_needs_a_person_and_a_secret_of_its_own(memory: Memory) -> None:
    """What cannot be kept is refused, not half kept."""
    await memory.access.add_token(token("t1"), "hash")
    for wrong, secret in ((token("t2"), "hash"), (token("t1"), "other"), (token("t3", owner="nobody"), "third")):
        with pytest.raises(RejectedWrite):
            await memory.access.add_token(wrong, secret)
    assert len(await memory.access.tokens(ALICE)) == 1


async def test_a_persons_tokens_are_listed_newest_first(memory: Memory) -> None:
    """Only their own, with the time of their last use, which never falls."""
    for n, id_ in enumerate(("t1", "t2", "t3")):
        await memory.access.add_token(token(id_, created_at=Instant(START + n)), f"hash {id_}")
    await memory.access.add_token(token("b1", BOB), "bob's hash")
    await memory.access.used(["t1", "b1", "unknown"], Instant(START + 9))
    await memory.access.used(["t1"], Instant(START + 5))
    tokens = await memory.access.tokens(ALICE)
    assert [(each.id, each.last_used_at) for each in tokens] == [("t3", None), ("t2", None), ("t1", START + 9)]


async def test_a_revoked_token_lets_nobody_in(memory: Memory) -> None:
    """Only its owner revokes it, once."""
    await memory.access.add_token(token(), "hash")
    assert not await memory.access.revoke(BOB, "t1")
    assert await memory.access.valid(["t1"], Instant(START)) == {"t1"}
    assert (await memory.store.load([], credentials=["t1"])).valid == {"t1"}
    assert await memory.access.revoke(ALICE, "t1")
    assert not await memory.access.revoke(ALICE, "t1")
    assert await memory.access.find("hash") is None
    assert await memory.access.valid(["t1"], Instant(START)) == frozenset()
    assert (await memory.store.load([], credentials=["t1"])).valid == frozenset()


async def test_what_has_expired_is_not_valid(memory: Memory) -> None:
    """At the very instant, for tokens and sign-ins alike."""
    await memory.access.add_token(token("t1"), "1")
    await memory.access.add_token(token("t2", expires_at=Instant(START + MINUTE)), "2")
    await memory.access.sign_in(BOB, "in", "3", Instant(START), Instant(START + MINUTE))
    asked = ["t1", "t2", "in", "unknown"]
    assert await memory.access.valid(asked, Instant(START + MINUTE - 1)) == {"t1", "t2", "in"}
    assert await memory.access.valid(asked, Instant(START + MINUTE)) == {"t1"}


async def test_a_sign_in_lasts_until_it_ends(memory: Memory) -> None:
    """Across restarts; signing out ends one, and a new one drops those that have expired."""
    await memory.access.sign_in(ALICE, "in1", "hash 1", Instant(START), Instant(START + DAY))
    await memory.access.sign_in(ALICE, "in2", "hash 2", Instant(START), Instant(START + 2 * DAY))
    await memory.reopen()
    found = await memory.access.find("hash 1")
    assert found is not None
    assert (found.kind, found.id, found.user.id, found.token) == ("sign_in", "in1", ALICE, None)
    assert found.expires_at == START + DAY
    assert (await memory.store.load([], credentials=["in2"])).valid == {"in2"}
    await memory.access.sign_out("in2")
    assert await memory.access.find("hash 2") is None
    assert (await memory.store.load([], credentials=["in2"])).valid == frozenset()
    await memory.access.sign_in(BOB, "in3", "hash 3", Instant(START + DAY), Instant(START + 2 * DAY))
    assert await memory.access.find("hash 1") is None


async def test_a_new_password_ends_every_sign_in_of_that_person(memory: Memory) -> None:
    """And nobody else's; tokens stay."""
    for owner in (ALICE, BOB):
        await memory.access.sign_in(owner, f"in {owner}", f"hash {owner}", Instant(START), Instant(START + DAY))
    await memory.access.add_token(token(), "hash")
    await memory.access.set_password(ALICE, "$argon2id$new")
    alice = await memory.access.user_named("alice")
    assert alice == structs.replace(user(ALICE, operator=True), password_hash="$argon2id$new")
    ids = ["t1", f"in {ALICE}", f"in {BOB}"]
    assert await memory.access.valid(ids, Instant(START)) == {"t1", f"in {BOB}"}


async def test_a_one_time_link_works_once(memory: Memory) -> None:
    """Also when two open it at once, and not after it expired."""
    await memory.access.add_link(BOB, "hash", Instant(START + MINUTE))
    await memory.reopen()
    taken = await asyncio.gather(*(memory.access.take_link("hash", Instant(START)) for _ in range(5)))
    assert [each.id for each in taken if each] == [BOB]
    assert await memory.access.take_link("unknown", Instant(START)) is None
    await memory.access.add_link(BOB, "late", Instant(START + MINUTE))
    assert await memory.access.take_link("late", Instant(START + MINUTE)) is None
    await memory.access.add_link(BOB, "good", Instant(START + 2 * MINUTE))
    await memory.access.add_link(ALICE, "too", Instant(START + 3 * MINUTE))
    assert await memory.access.take_link("good", Instant(START + MINUTE)) is not None


async def test_secrets_are_nowhere_in_the_store(memory: Memory) -> None:
    """What is handed in is a hash, and the listing gives not even that."""
    await memory.access.add_token(token(), "the hash")
    assert "the hash" not in repr(await memory.access.tokens(ALICE))
    assert "the hash" not in repr(await memory.access.find("the hash"))
