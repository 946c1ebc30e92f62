"""The port Store: the board, pages of the list, and what changed since a position. Holds for every adapter."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest

from botlight.model.errors import Refusal
from botlight.model.merge import Report
from botlight.model.session import BotSession, Instant, Status
from botlight.service.ports import Board, PageCursor, SessionFilter
from tests.conformance.memory import Memory
from tests.conformance.names import name_of, named, names_of
from tests.conformance.scribe import ALICE, BOB, DAY, HOUR, MINUTE, SECOND, START, Scribe, report

pytestmark = pytest.mark.anyio

LIMIT = 200


def mine(**fields: Any) -> SessionFilter:
    """Alice's list, as the board asks for it: ended ones for a day."""
    known: dict[str, Any] = {"user_id": ALICE, "ended_since": Instant(START - DAY)}
    return SessionFilter(**known | fields)


def ids(sessions: Sequence[BotSession]) -> list[str]:
    """Their names, in the order that they came."""
    return names_of(session.id for session in sessions)


def cursor(session: BotSession) -> PageCursor:
    """Where a page ends."""
    group = {Status.RUNNING: 0, Status.LOST: 1}.get(session.status, 2)
    return PageCursor(
        group=group, at=session.started_at if session.ended_at is None else session.ended_at, id=session.id
    )


async def life(
    scribe: Scribe, session_id: str, status: str, minute: int, owner: str = ALICE, *, bot: str = "b"
) -> None:
    """A session that began, or ended, in a minute."""
    scribe.now = Instant(START + minute * MINUTE)
    await scribe.report(session_id, owner, bot={"name": bot})
    if status == "ended":
        await scribe.end(session_id, owner)
    elif status == "lost":
        scribe.now = Instant(scribe.now + HOUR)
        await scribe.expire(session_id)


class Page:
    """What a reader shows: it takes boards as they come, and never an older revision."""

    def __init__(self) -> None:
        self.sessions: dict[str, BotSession] = {}
        self.position: str | None = None

    def take(self, board: Board) -> None:
        """As the stream's reader does."""
        if board.replaces:
            self.sessions = {}
        for removal in board.removals:
            self.sessions.pop(removal.session_id, None)
        self.sessions |= {session.id: session for session in board.sessions}
        self.position = board.position

    def shown(self, ended_since: int) -> dict[str, BotSession]:
        """Without what has aged out of the list."""
        return {
            id_: session
            for id_, session in self.sessions.items()
            if session.ended_at is None or session.ended_at >= ended_since
        }


async def test_the_board_shows_running_then_lost_then_ended_newest_first(memory: Memory) -> None:
    """And nobody else's."""
    lives = [("e1", "ended", 1), ("r1", "running", 2), ("l1", "lost", 3), ("r2", "running", 4), ("e2", "ended", 5)]
    for id_, status, minute in [*lives, ("l2", "lost", 6), ("r3", "running", 4)]:
        await life(memory.scribe, id_, status, minute)
    await life(memory.scribe, "bobs", "running", 7, BOB)
    board = await memory.store.board(mine(), LIMIT)
    assert ids(board.sessions) == ["r2", "r3", "r1", "l2", "l1", "e2", "e1"]
    assert (board.replaces, board.more, list(board.removals)) == (True, False, [])
    assert ids((await memory.store.board(mine(user_id=BOB), LIMIT)).sessions) == ["bobs"]
    assert ids((await memory.store.board(mine(user_id=named("nobody")), LIMIT)).sessions) == []


async def test_what_is_somebody_elses_does_not_exist(memory: Memory) -> None:
    """Neither in a list nor by its id, with all that hangs on it; nobody at all has nothing."""
    jobs = [{"key": "a", "outcome": "applied"}]
    await memory.scribe.report("bobs", BOB, activity="secret", jobs=jobs)
    bobs = named("bobs")
    assert await memory.store.session(bobs, BOB) is not None
    assert await memory.store.timeline(bobs, BOB, 0, 10)
    assert await memory.store.jobs(bobs, BOB, None, 0, 10)
    for other in (ALICE, named("nobody"), "no id at all"):
        assert await memory.store.session(bobs, other) is None
        assert list(await memory.store.timeline(bobs, other, 0, 10)) == []
        assert list(await memory.store.jobs(bobs, other, None, 0, 10)) == []
        theirs = mine(user_id=other)
        assert list((await memory.store.board(theirs, LIMIT)).sessions) == []
        assert list(await memory.store.page(theirs, LIMIT, None)) == []
        assert list((await memory.store.board(mine(user_id=other, session_id=bobs), LIMIT)).sessions) == []


async def test_the_board_has_a_bound_and_says_when_there_is_more(memory: Memory) -> None:
    """The bound keeps what comes first in the list; what ended before a day is not in it."""
    for id_, status, minute in (("e1", "ended", 1), ("r1", "running", 2), ("e2", "ended", 3)):
        await life(memory.scribe, id_, status, minute)
    board = await memory.store.board(mine(), 2)
    assert (ids(board.sessions), board.more) == (["r1", "e2"], True)
    board = await memory.store.board(mine(), 3)
    assert (ids(board.sessions), board.more) == (["r1", "e2", "e1"], False)
    board = await memory.store.board(mine(ended_since=Instant(START + 2 * MINUTE)), 2)
    assert (ids(board.sessions), board.more) == (["r1", "e2"], False)


async def test_pages_put_together_are_the_list(memory: Memory) -> None:
    """Whatever the size of the pages, with equal times too; filters hold on every page."""
    dice = random.Random(3)
    for n in range(37):
        status = dice.choice(("running", "lost", "ended"))
        await life(memory.scribe, f"s{n:02}", status, dice.randrange(6), bot=dice.choice("ab"))
    whole = list(await memory.store.page(mine(), 100, None))
    assert len(whole) == 37
    for which in (mine(), mine(bot="a"), mine(status=Status.COMPLETED), mine(status=Status.LOST, bot="b")):
        expected = [
            session
            for session in whole
            if which.bot in (None, session.bot_name) and which.status in (None, session.status)
        ]
        for size in (1, 5, 36):
            found: list[BotSession] = []
            while page := await memory.store.page(which, size, cursor(found[-1]) if found else None):
                assert len(page) <= size
                found += page
            assert found == expected


async def test_a_list_of_one_session_holds_that_one_or_nothing(memory: Memory) -> None:
    """As an embed token names it; another person's is not there."""
    await life(memory.scribe, "mine", "running", 1)
    await life(memory.scribe, "other", "running", 1)
    await life(memory.scribe, "old", "ended", 1)
    await life(memory.scribe, "bobs", "running", 1, BOB)
    assert ids((await memory.store.board(mine(session_id=named("mine")), LIMIT)).sessions) == ["mine"]
    assert ids((await memory.store.board(mine(session_id=named("bobs")), LIMIT)).sessions) == []
    late = Instant(START + DAY)
    assert ids((await memory.store.board(mine(session_id=named("old"), ended_since=late), LIMIT)).sessions) == []
    assert ids(await memory.store.page(mine(session_id=named("mine")), 1, PageCursor(group=1, at=0, id=""))) == []


async def test_a_reader_that_missed_ten_changes_gets_those(memory: Memory) -> None:
    """And not the whole board; the position it gets is that of what it was told."""
    scribe = memory.scribe
    for n in range(30):
        await scribe.report(f"s{n:02}")
    await scribe.report("bobs", BOB)
    seen = await memory.store.board(mine(), LIMIT)
    for n in range(10):
        await scribe.report(f"s{n:02}", activity="searching")
    await scribe.report("bobs", BOB, activity="searching")
    news = await memory.store.board(mine(), LIMIT, since=seen.position)
    assert not news.replaces
    assert sorted(ids(news.sessions)) == [f"s{n:02}" for n in range(10)]
    again = await memory.store.board(mine(), LIMIT, since=news.position)
    assert (again.replaces, list(again.sessions), again.position) == (False, [], news.position)


async def test_the_position_of_a_commit_covers_its_changes(memory: Memory) -> None:
    """A reader that was told of a transaction is not told of it again."""
    change = await memory.scribe.report("s1")
    position = await memory.position()
    assert list((await memory.store.board(mine(), LIMIT, since=position)).sessions) == []
    await memory.scribe.report("s1", activity="searching")
    news = await memory.store.board(mine(), LIMIT, since=position)
    assert [session.revision > change.session.revision for session in news.sessions] == [True]


async def test_too_many_changes_are_answered_with_the_whole_list(memory: Memory) -> None:
    """The bound of the list is the bound of the news."""
    seen = await memory.store.board(mine(), 3)
    for n in range(4):
        await memory.scribe.report(f"s{n}")
    board = await memory.store.board(mine(), 3, since=seen.position)
    assert (board.replaces, len(board.sessions), board.more) == (True, 3, True)


async def test_a_removal_is_told_to_its_owner_alone(memory: Memory) -> None:
    """Also when the process began anew in between."""
    scribe = memory.scribe
    for id_, owner in (("s1", ALICE), ("s2", ALICE), ("s3", BOB)):
        await scribe.report(id_, owner)
        await scribe.end(id_, owner)
    seen = await memory.store.board(mine(), LIMIT)
    await scribe.delete("s1", "s3")
    await memory.reopen()
    for _ in range(2):
        news = await memory.store.board(mine(), LIMIT, since=seen.position)
        assert (news.replaces, ids(news.sessions)) == (False, [])
        assert names_of(removal.session_id for removal in news.removals) == ["s1"]
    assert ids((await memory.store.board(mine(), LIMIT)).sessions) == ["s2"]


async def test_what_ended_long_ago_while_the_reader_was_away_is_told(memory: Memory) -> None:
    """A session is closed as of when it was last heard, which is outside the list at once: the reader still shows it."""
    scribe = memory.scribe
    await life(scribe, "s1", "lost", 1)
    await life(scribe, "older", "ended", 1)
    scribe.now = Instant(START + HOUR)
    seen = await memory.store.board(mine(ended_since=Instant(scribe.now - DAY)), LIMIT)
    scribe.now = Instant(START + 2 * DAY)
    await scribe.expire("s1")
    list_now = mine(ended_since=Instant(scribe.now - DAY))
    assert ids((await memory.store.board(list_now, LIMIT)).sessions) == []
    news = await memory.store.board(list_now, LIMIT, since=seen.position)
    assert (news.replaces, ids(news.sessions)) == (False, ["s1"])
    assert news.sessions[0].status is Status.INTERRUPTED


async def test_a_position_that_means_nothing_gets_the_whole_list(memory: Memory) -> None:
    """Malformed, of the future, of another life: never an error."""
    await memory.scribe.report("s1")
    useless = ["", ".", "0", "x.1", "' or 1=1", "\x00", *memory.useless(await memory.position())]
    for since in useless:
        board = await memory.store.board(mine(), LIMIT, since=since)
        assert board.replaces, since
        assert ids(board.sessions) == ["s1"]


async def test_a_position_outlives_a_restart(memory: Memory) -> None:
    """Of this life of the process and of the ones before, whatever each gave out."""
    positions = [(0, await memory.position())]
    for n in range(3):
        await memory.scribe.report(f"s{n}")
        positions.append((n + 1, await memory.position()))
        await memory.reopen()
        positions.append((n + 1, await memory.position()))
    for seen, position in positions:
        board = await memory.store.board(mine(), LIMIT, since=position)
        assert not board.replaces
        assert sorted(ids(board.sessions)) == [f"s{n}" for n in range(seen, 3)]


async def test_a_position_below_the_floor_gets_the_whole_list(memory: Memory) -> None:
    """What it may have missed is no longer known; one at the floor has missed nothing."""
    scribe = memory.scribe
    await scribe.report("s1")
    await scribe.report("s2")
    await scribe.end("s1")
    before = await memory.store.board(mine(), LIMIT)
    await scribe.delete("s1")
    after = await memory.store.board(mine(), LIMIT)
    assert (await memory.store.board(mine(), LIMIT, since=before.position)).removals
    await memory.drop_history()
    assert (await memory.store.board(mine(), LIMIT, since=before.position)).replaces
    assert not (await memory.store.board(mine(), LIMIT, since=after.position)).replaces


async def test_an_embedded_list_names_nothing_outside_it(memory: Memory) -> None:
    """Changes and removals of other bots and sessions stay unsaid to a page that strangers see."""
    scribe = memory.scribe
    for id_, bot in (("s1", "shown"), ("s2", "shown"), ("s3", "hidden"), ("s4", "hidden")):
        await life(scribe, id_, "ended", 1, bot=bot)
    for which, inside in ((mine(bot="shown"), {"s1", "s2"}), (mine(session_id=named("s1")), {"s1"})):
        board = await memory.store.board(which, LIMIT)
        assert set(ids(board.sessions)) == inside
    bot_seen = (await memory.store.board(mine(bot="shown"), LIMIT)).position
    one_seen = (await memory.store.board(mine(session_id=named("s1")), LIMIT)).position
    await scribe.report("s4", instance="i1", counters={"jobs_found": 5})
    await scribe.delete("s2", "s3")
    news = await memory.store.board(mine(bot="shown"), LIMIT, since=bot_seen)
    assert (news.replaces, ids(news.sessions), names_of(gone.session_id for gone in news.removals)) == (
        False,
        [],
        ["s2"],
    )
    news = await memory.store.board(mine(session_id=named("s1")), LIMIT, since=one_seen)
    assert (news.replaces, ids(news.sessions), list(news.removals)) == (False, [], [])
    await scribe.delete("s1")
    news = await memory.store.board(mine(session_id=named("s1")), LIMIT, since=one_seen)
    assert names_of(gone.session_id for gone in news.removals) == ["s1"]


async def test_a_session_that_took_another_name_leaves_the_embedded_list(memory: Memory) -> None:
    """Without being named: the page gets the whole list."""
    scribe = memory.scribe
    await life(scribe, "s1", "running", 1, bot="shown")
    await life(scribe, "s2", "running", 1, bot="shown")
    seen = await memory.store.board(mine(bot="shown"), LIMIT)
    await scribe.report("s1", seq=1, bot={"name": "hidden"})
    board = await memory.store.board(mine(bot="shown"), LIMIT, since=seen.position)
    assert (board.replaces, ids(board.sessions)) == (True, ["s2"])


async def test_a_reader_cut_anywhere_ends_equal_to_the_store(memory: Memory) -> None:
    """Over a random history, from whatever position it last had: its view is the table as of the position it gets."""
    scribe, dice = memory.scribe, random.Random(11)
    readers = [Page() for _ in range(12)]
    known: set[str] = set()
    resumed = 0
    for n in range(600):
        scribe.now = Instant(
            scribe.now + dice.choice((SECOND, SECOND, SECOND, MINUTE, MINUTE, MINUTE, HOUR, 20 * HOUR))
        )
        id_, owner = f"s{dice.randrange(n // 10 + 4)}", ALICE if dice.random() < 0.8 else BOB
        id_ = f"{name_of(owner)}-{id_}"
        known.add(id_)
        intent = report(
            id_,
            owner,
            dice.choice(("i1", "i2")),
            counters={"jobs_found": n},
            bot={"name": dice.choice(("a", "a", "a", "b"))},
            result={"outcome": "success", "inferred": dice.random() < 0.5} if dice.random() < 0.2 else None,
        )
        await _attempt(scribe, id_, intent)
        if dice.random() < 0.05:
            await scribe.delete(dice.choice(sorted(known)))
        if dice.random() < 0.05:
            for lost in await memory.store.expired(scribe.now, Instant(0), "", 50):
                await scribe.expire(lost)
        if dice.random() < 0.02:
            await memory.reopen()
            scribe = memory.scribe
        ended_since = Instant(scribe.now - DAY)
        whole = await memory.store.board(mine(ended_since=ended_since), 1000)
        reader = dice.choice(readers)
        news = await memory.store.board(mine(ended_since=ended_since), 1000, since=reader.position)
        resumed += not news.replaces
        reader.take(news)
        assert memory.store.covers(reader.position or "", whole.position)  # others on the server may have moved it on
        assert reader.shown(ended_since) == {session.id: session for session in whole.sessions}
    assert resumed == 600 - len(readers)


async def _attempt(scribe: Scribe, session_id: str, intent: Report) -> None:
    """Report, unless the contract refuses it: the session is deleted, or has ended."""
    if named(session_id) in (await scribe.store.load([named(session_id)])).deleted:
        return
    with suppress(Refusal):
        await scribe.act(session_id, intent)
