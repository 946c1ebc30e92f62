"""People: accounts, passwords, sign-ins and one-time links."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Final, Literal

import pytest
from argon2 import PasswordHasher

from botlight.model.access import Scope
from botlight.model.errors import Invalid, Unauthorized, Unknown
from botlight.service.people import LINK_MS, SIGN_IN_MS, People
from tests.service.house import START, ByHand, House

pytestmark = pytest.mark.anyio

NOBODY: Final = ("delete from sign_ins", "delete from links", "delete from users")
OUTSIDER: Final = "8e91a7cb-2a4d-57b7-b3ca-53f82b577d43"
PASSWORD: Final = "correct horse battery"


async def test_who_has_an_account_signs_in(house: House) -> None:
    """With name, whatever its case, and password; the secret lets in as a person, and names no password."""
    added = await house.people.add("Carol", PASSWORD)
    user, secret = await house.people.sign_in("carol", PASSWORD)
    assert user.id == added.id
    principal = await house.tokens.principal(secret)
    assert (principal.user_id, principal.user_name, principal.scope) == (added.id, "Carol", Scope.PERSON)
    assert user.password_hash is not None
    assert user.password_hash.startswith("$argon2id$")
    kept = house.kept()
    assert user.password_hash.encode() in kept
    assert PASSWORD.encode() not in kept
    assert secret.encode() not in kept


@pytest.mark.parametrize(
    ("name", "password"),
    [("carol", PASSWORD + "x"), ("carol", ""), ("nobody", PASSWORD), ("alice", PASSWORD), ("carol", "x" * 100_000)],
)
async def test_a_wrong_name_and_a_wrong_password_are_refused_alike(house: House, name: str, password: str) -> None:
    """Nobody learns which it was, nor who has an account without a password."""
    await house.people.add("carol", PASSWORD)
    with pytest.raises(Unauthorized) as refused:
        await house.people.sign_in(name, password)
    assert str(refused.value) == "Wrong name or password."


@pytest.mark.parametrize("name", ["", " ", " carol", "carol ", "x" * 65, "ALICE"])
async def test_a_name_that_cannot_be_used_is_refused(house: House, name: str) -> None:
    """Empty, with spaces around, too long, or taken in whatever case; the refusal says `name`."""
    with pytest.raises(Invalid, match=r"^name: "):
        await house.people.add(name, PASSWORD)


@pytest.mark.parametrize("password", ["", "1234567", "x" * 1001])
async def test_a_password_that_cannot_be_used_is_refused(house: House, password: str) -> None:
    """Too short or too long; nobody is added, and the refusal does not repeat it."""
    with pytest.raises(Invalid, match=r"^password: ") as refused:
        await house.people.add("carol", password)
    assert not password or password not in str(refused.value)
    with pytest.raises(Unknown):
        await house.people.named("carol")


async def test_a_new_password_ends_every_sign_in(house: House) -> None:
    """Of that person, and of nobody else."""
    await house.people.add("carol", PASSWORD)
    await house.people.add("dave", PASSWORD)
    secrets = [(await house.people.sign_in(name, PASSWORD))[1] for name in ("carol", "carol", "dave")]
    await house.people.set_password("carol", "another password")
    for secret in secrets[:2]:
        with pytest.raises(Unauthorized):
            await house.tokens.principal(secret)
    assert (await house.tokens.principal(secrets[2])).user_name == "dave"
    with pytest.raises(Unauthorized):
        await house.people.sign_in("carol", PASSWORD)
    await house.people.sign_in("carol", "another password")


async def test_a_sign_in_ends_when_it_is_ended_and_after_30_days(house: House) -> None:
    """Each by itself."""
    await house.people.add("carol", PASSWORD)
    secrets = [(await house.people.sign_in("carol", PASSWORD))[1] for _ in range(2)]
    first = await house.tokens.principal(secrets[0])
    await house.people.sign_out(first.credential_id)
    house.tokens.forget(first.credential_id)
    with pytest.raises(Unauthorized):
        await house.tokens.principal(secrets[0])
    house.clock.at = START + SIGN_IN_MS - 1
    await house.tokens.principal(secrets[1])
    house.clock.at = START + SIGN_IN_MS
    with pytest.raises(Unauthorized):
        await house.tokens.principal(secrets[1])


async def test_a_link_works_once(house: House) -> None:
    """For the person it was made for; at the same time too."""
    secret = await house.people.link("bob")
    outcomes = await asyncio.gather(*(house.people.sign_in_by_link(secret) for _ in range(5)), return_exceptions=True)
    admitted = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
    assert [user.name for user, _ in admitted] == ["bob"]
    assert sum(isinstance(outcome, Unauthorized) for outcome in outcomes) == 4
    assert (await house.tokens.principal(admitted[0][1])).user_name == "bob"


async def test_a_link_is_good_for_ten_minutes(house: House) -> None:
    """And one that nobody made for none."""
    late, timely = await house.people.link("bob"), await house.people.link("bob")
    house.clock.move(LINK_MS - 1)
    await house.people.sign_in_by_link(timely)
    house.clock.move(1)
    for secret in (late, timely, "bl_made-up", ""):
        with pytest.raises(Unauthorized):
            await house.people.sign_in_by_link(secret)
    with pytest.raises(Unknown):
        await house.people.link("nobody")


async def test_the_first_person_runs_the_service(house: House) -> None:
    """A link without a name is for the first; where there is nobody yet, it makes one."""
    user, _ = await house.people.sign_in_by_link(await house.people.link())
    assert user.name == "alice"
    house.by_hand(*((ByHand(sqlite=one, postgres=one),) for one in NOBODY))
    user, _ = await house.people.sign_in_by_link(await house.people.link())
    assert (user.name, user.operator, user.password_hash) == ("local", True, None)
    assert not (await house.people.add("carol", PASSWORD)).operator


async def test_passwords_are_hashed_two_at_a_time_beside_the_loop(house: House) -> None:
    """A crowd that signs in takes neither all memory nor the loop on which heartbeats are answered."""

    class Watched(PasswordHasher):
        busy = most = 0
        lock = threading.Lock()

        def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002  the library's name
            with self.lock:
                self.busy += 1
                self.most = max(self.most, self.busy)
            try:
                time.sleep(0.05)  # as long as a real one takes
                return super().verify(hash, password)
            finally:
                with self.lock:
                    self.busy -= 1

    hasher = Watched(time_cost=1, memory_cost=8, parallelism=1)
    people = People(house.access, house.clock, hasher)
    await people.add("carol", PASSWORD)
    crowd = asyncio.gather(*(people.sign_in("carol", PASSWORD) for _ in range(10)))
    turns = 0
    while not crowd.done():
        await asyncio.sleep(0)
        turns += 1
    assert len(await crowd) == 10
    assert hasher.most == 2
    assert turns > 100


async def test_people_from_elsewhere_run_nothing_and_take_no_name(house: House) -> None:
    """Who comes from elsewhere first is no operator; the first of our own is, and is whom a link without a name is for."""
    house.by_hand(*((ByHand(sqlite=one, postgres=one),) for one in NOBODY))
    for _ in range(2):
        await house.people.settle(OUTSIDER)
    user, _ = await house.people.sign_in_by_link(await house.people.link())
    assert (user.name, user.operator, user.elsewhere) == ("local", True, False)
    outsider = (await house.people.all())[0]
    assert (outsider.id, outsider.operator, outsider.elsewhere) == (OUTSIDER, False, True)
    for taken in (OUTSIDER, OUTSIDER.upper(), "00000000-0000-0000-0000-000000000000"):
        with pytest.raises(Invalid, match="not an id"):
            await house.people.add(taken, None)
    with pytest.raises(Unauthorized):
        await house.people.sign_in(OUTSIDER, "")
