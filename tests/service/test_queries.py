"""What a person may look at: the board, pages of the list, one session with its timeline and proof."""

from __future__ import annotations

from typing import Any, Final

import pytest
from msgspec import structs

from botlight.model.access import Scope
from botlight.model.errors import Unknown
from botlight.model.event import Fact, JobOutcome
from botlight.model.merge import Expiry
from botlight.model.session import BotSession, Instant, Status
from botlight.service.ports import PageCursor
from tests.service.house import ALICE, BOB, DAY, HOUR, LEASE, MINUTE, SECOND, START, House

pytestmark = pytest.mark.anyio

S1: Final = "00000000-0000-4000-8000-000000000001"
S2: Final = "00000000-0000-4000-8000-000000000002"
GROUPS: Final = {Status.RUNNING: 0, Status.LOST: 1}


def _id(n: int) -> str:
    return f"10000000-0000-4000-8000-{n:012}"


async def _lose(house: House, *session_ids: str) -> None:
    for session_id in session_ids:
        await house.batch.submit(session_id, Expiry(hearing_since=Instant(START - DAY)))


async def _crowd(house: House) -> list[BotSession]:
    """Sixty sessions in every state, begun and ended at different times, two at each instant; in the list's order."""
    for n in range(60):
        house.clock.move(MINUTE if n % 2 else 0)
        await house.beat(_id(n), bot={"name": f"bot {n % 3}"})
    house.clock.move(LEASE + SECOND)
    await _lose(house, *(_id(n) for n in range(20, 40)))
    for n in range(40):
        if n < 20:
            house.clock.move(MINUTE if n % 3 else 0)
            await house.beat(_id(n), result={"outcome": ("success", "failed")[n % 2]})
    await house.beat(S1, of=BOB)
    sessions = [_listed(await house.session(_id(n))) for n in range(60)]
    return sorted(
        sessions,
        key=lambda one: (
            GROUPS.get(one.status, 2),
            -(one.started_at if one.ended_at is None else one.ended_at),
            one.id,
        ),
    )


def _listed(session: BotSession) -> BotSession:
    """A session as a list has to know it; whose instance spoke last is no part of the document."""
    return structs.replace(session, instance_id=None)


async def _walk(house: House, limit: int, **which: Any) -> list[BotSession]:
    """All pages of a list, each as full as it may be."""
    found: list[BotSession] = []
    after: PageCursor | None = None
    while True:
        page, after = await house.queries.page(ALICE, limit=limit, after=after, **which)
        found += map(_listed, page)
        assert len(page) == limit or after is None
        if after is None:
            return found


@pytest.mark.parametrize("limit", [1, 7, 20, 60, 61, 200])
async def test_pages_walk_through_running_lost_and_ended_newest_first(house: House, limit: int) -> None:
    """Whatever the size of a page, each session comes once, in the one order, and nobody else's."""
    listed = await _crowd(house)
    assert await _walk(house, limit) == listed


async def test_a_list_is_filtered_by_bot_status_and_age(house: House) -> None:
    """Each filter alone and all together; `since` is about ended ones, live ones are always in."""
    listed = await _crowd(house)
    assert await _walk(house, 7, bot="bot 1") == [one for one in listed if one.bot_name == "bot 1"]
    for status in Status:
        assert await _walk(house, 7, status=status) == [one for one in listed if one.status is status]
    ended = [one for one in listed if one.ended_at is not None]
    since = ended[10].ended_at
    assert since is not None
    within = [one for one in listed if one.ended_at is None or one.ended_at >= since]
    assert await _walk(house, 7, since=since) == within
    both = [one for one in within if one.bot_name == "bot 2" and one.status is Status.FAILED]
    assert both
    assert await _walk(house, 7, since=since, bot="bot 2", status=Status.FAILED) == both
    assert await _walk(house, 7, bot="no bot") == []


async def test_a_list_goes_back_a_day_unless_it_is_asked_for_more(house: House) -> None:
    """What ended longer ago is found with `since`; a session that runs or is lost has no age."""
    await house.beat(S1, result={"outcome": "success"})
    await house.beat(S2)
    house.clock.move(DAY)
    assert [one.id for one in await _walk(house, 50)] == [S2, S1]
    house.clock.move(SECOND)
    assert [one.id for one in await _walk(house, 50)] == [S2]
    assert [one.id for one in await _walk(house, 50, since=START)] == [S2, S1]
    assert [one.id for one in (await house.queries.board(ALICE)).sessions] == [S2]


async def test_the_board_holds_the_first_200_and_says_when_there_are_more(house: House) -> None:
    """In the order of the list."""
    for n in range(200):
        house.clock.move(SECOND)
        await house.beat(_id(n), result={"outcome": "success"})
    board = await house.queries.board(ALICE)
    assert (len(board.sessions), board.more) == (200, False)
    await house.beat(S1)
    board = await house.queries.board(ALICE)
    assert (len(board.sessions), board.more) == (200, True)
    assert board.sessions[0].id == S1
    assert _id(0) not in {one.id for one in board.sessions}


async def test_a_session_that_leaves_the_list_is_told_to_who_comes_back(house: House) -> None:
    """It ended while the reader was away, and so long ago that the list no longer holds it: the reader still shows it live."""
    await house.beat(S1)
    await house.beat(S2)
    position = (await house.queries.board(ALICE)).position
    await house.beat(S1, result={"outcome": "success"})
    house.clock.move(2 * DAY)
    told = await house.queries.board(ALICE, position)
    assert not told.replaces
    assert [(one.id, one.status) for one in told.sessions] == [(S1, Status.COMPLETED)]


async def test_the_first_session_is_the_one_on_top_of_the_list(house: House) -> None:
    """However long ago it ended, where there is no other; nobody's is not found."""
    with pytest.raises(Unknown):
        await house.queries.first(ALICE)
    await house.beat(S1, result={"outcome": "success"})
    house.clock.move(100 * DAY)
    assert (await house.queries.first(ALICE)).id == S1
    await house.beat(S2)
    assert (await house.queries.first(ALICE)).id == S2
    with pytest.raises(Unknown):
        await house.queries.first(BOB)


async def test_an_embed_token_sees_what_it_names(house: House) -> None:
    """One bot's sessions, or one session; the rest of the same person's does not exist."""
    await house.beat(S1, bot={"name": "shown"})
    await house.beat(S2, bot={"name": "hidden"})
    for names in ({"bot": "shown"}, {"session_id": S1}):
        embed = structs.replace(ALICE, scope=Scope.EMBED, **names)
        assert [one.id for one in (await house.queries.board(embed)).sessions] == [S1]
        assert (await house.queries.state(embed, S1)).session.id == S1
        assert (await house.queries.first(embed)).id == S1
        with pytest.raises(Unknown):
            await house.queries.state(embed, S2)


async def test_a_strangers_session_does_not_exist(house: House) -> None:
    """Neither it, nor its timeline, nor its proof."""
    await house.beat(S1, activity="applying", jobs=[{"key": "j1", "outcome": "applied"}])
    for ask in (
        house.queries.state(BOB, S1),
        house.queries.timeline(BOB, S1, 0, 50),
        house.queries.jobs(BOB, S1, None, 0, 50),
    ):
        with pytest.raises(Unknown):
            await ask
    assert not (await house.queries.board(BOB)).sessions


async def test_a_timeline_is_paged_by_number(house: House) -> None:
    """Oldest first, each fact once."""
    for n in range(1, 31):
        await house.beat(S1, seq=n, activity={"name": f"a{n}", "n": n})
    facts: list[Fact] = []
    while page := await house.queries.timeline(ALICE, S1, facts[-1].n if facts else 0, 7):
        facts += page
    assert [fact.data.get("name") for fact in facts] == [None, *(f"a{n}" for n in range(1, 31))]


async def test_the_proof_is_paged_by_number_and_kind(house: House) -> None:
    """Oldest first, each job once and under its strongest outcome: applied before failed before skipped."""
    outcomes = ("applied", "failed", "skipped")
    for n in range(1, 31):
        await house.beat(S1, seq=n, jobs=[{"key": f"j{n}", "outcome": outcomes[n % 3], "n": n}])
    await house.beat(S1, seq=31, jobs=[{"key": "j1", "outcome": "applied"}, {"key": "j2", "outcome": "failed"}])
    await house.beat(S1, seq=32, jobs=[{"key": "j3", "outcome": "failed"}, {"key": "j4", "outcome": "skipped"}])
    expected = {
        "applied": [*(f"j{n}" for n in range(3, 31, 3)), "j1"],
        "failed": [*(f"j{n}" for n in range(4, 31, 3)), "j2"],
        "skipped": [f"j{n}" for n in range(5, 31, 3)],
    }
    for outcome, keys in expected.items():
        jobs: list[JobOutcome] = []
        while page := await house.queries.jobs(ALICE, S1, outcome, jobs[-1].n if jobs else 0, 4):
            jobs += page
        assert [job.key for job in jobs] == keys
    assert len(await house.queries.jobs(ALICE, S1, None, 0, 200)) == 30


async def test_a_cursor_survives_what_changes_meanwhile(house: House) -> None:
    """Sessions that begin or end between two pages neither shift the others nor make one of them come twice."""
    for n in range(30):
        house.clock.move(MINUTE)
        await house.beat(_id(n))
    page, after = await house.queries.page(ALICE, limit=10)
    house.clock.move(HOUR)
    await house.beat(S1)
    await house.beat(page[0].id, result={"outcome": "success"})
    rest: list[BotSession] = []
    while after is not None:
        page, after = await house.queries.page(ALICE, limit=10, after=after)
        rest += page
    running = [one.id for one in rest if one.status is Status.RUNNING]
    assert running == [_id(n) for n in reversed(range(20))]
    assert [one.id for one in rest if one.status is Status.COMPLETED] == [_id(29)]
