"""One reader of the hub: at once, at most 20 times a second, the newest of each session, never a backlog."""

from __future__ import annotations

import asyncio
import time

import pytest

from botlight.realtime.subscription import BURST
from tests.realtime.announcer import Sink, change, embed

pytestmark = pytest.mark.anyio


async def test_the_first_change_goes_out_at_once() -> None:
    """Without waiting for a moment of the twenty."""
    sink = Sink()
    sink.subscription.release(0, ())
    sink.offer([change("s1", 1)], 1)
    assert sink.told == [("s1", 1)]
    assert sink.deliveries[0].position == "boot.1"


async def test_at_most_twenty_batches_a_second_and_the_last_word_always() -> None:
    """Of 2,000 changes in two seconds each batch has the newest of each session, and the very last one arrives."""
    sink = Sink()
    sink.subscription.release(0, ())
    sent_at: list[float] = []
    began = time.monotonic()
    revision = 0
    while time.monotonic() - began < 2:
        revision += 1
        before = len(sink.deliveries)
        sink.offer([change(f"s{revision % 3}", revision)], revision)
        await asyncio.sleep(0.001)
        sent_at += [time.monotonic()] * (len(sink.deliveries) - before)
    await sink.until(lambda: (f"s{revision % 3}", revision) in sink.told)
    for first, later in zip(sent_at, sent_at[20:], strict=False):
        assert later - first > 0.95
    for delivery in sink.deliveries:
        ids = [one.session.id for one in delivery.changes]
        assert len(ids) == len(set(ids)) <= 3
    assert sink.deliveries[-1].position == f"boot.{revision}"
    assert len(sink.told) < revision / 2


async def test_a_few_batches_that_follow_each_other_at_once_do_not_wait() -> None:
    """The steps of a stop come within milliseconds of one another."""
    sink = Sink()
    sink.subscription.release(0, ())
    for revision in range(1, BURST + 1):
        sink.offer([change("s1", revision)], revision)
    assert sink.told == [("s1", revision) for revision in range(1, BURST + 1)]


async def test_what_a_session_was_before_it_went_is_not_told() -> None:
    """A removal takes the place of what waits; a session that is there again takes the place of its removal."""
    sink = Sink()
    sink.subscription.release(0, ())
    for revision in range(1, BURST + 1):
        sink.offer([change("s0", revision)], revision)
    sink.offer([change("s1", 12), change("s2", 13)], 13)
    sink.remove("s1", 14)
    await sink.until(lambda: ("s2", 13) in sink.told)
    assert sink.told == [*(("s0", revision) for revision in range(1, BURST + 1)), ("s2", 13)]
    assert sink.removed == ["s1"]
    assert sink.deliveries[-1].position == "boot.14"


async def test_a_blocked_reader_gets_the_newest_of_each_session_later() -> None:
    """While it takes nothing, nothing is sent and nothing piles up but the newest state and the last facts."""
    sink = Sink()
    sink.subscription.release(0, ())
    sink.full = True
    sink.offer([change("s0", 1)], 1)
    for revision in range(2, 5002):
        sink.offer([change(f"s{revision % 5}", revision, facts=1)], revision)
    await asyncio.sleep(0.2)
    assert len(sink.deliveries) == 1
    assert sink.subscription.blocked_for_s > 0
    assert not sink.subscription.flush()
    sink.full = False
    sink.subscription.unblocked()
    await sink.until(lambda: ("s1", 5001) in sink.told)
    assert sorted(sink.told[1:]) == sorted((f"s{revision % 5}", revision) for revision in range(4997, 5002))
    assert [fact.fact.n for fact in sink.deliveries[-1].facts] == [n * 1000 for n in range(4802, 5002)]
    assert sink.subscription.blocked_for_s == 0


async def test_what_the_list_holds_is_not_told_again() -> None:
    """Until it has its list a reader is sent nothing; what was announced up to the list's place is dropped then."""
    sink = Sink()
    sink.offer([change("s1", 1, facts=1), change("s2", 2)], 1)
    sink.remove("s3", 2)
    sink.offer([change("s1", 4, facts=1)], 3)
    sink.remove("s4", 4)
    await asyncio.sleep(0.1)
    assert not sink.deliveries
    assert not sink.subscription.flush()
    sink.subscription.release(2, ["s1", "s2"])
    assert sink.told == [("s1", 4)]
    assert sink.removed == ["s4"]
    assert [fact.fact.n for fact in sink.deliveries[0].facts] == [4000]
    assert sink.deliveries[0].position == "boot.4"


async def test_a_list_that_holds_everything_leaves_nothing_to_tell() -> None:
    """And no position that is older than the list's."""
    sink = Sink()
    sink.offer([change("s1", 1, facts=3)], 1)
    sink.remove("s2", 2)
    sink.subscription.release(2, ["s1"])
    assert not sink.deliveries
    assert sink.subscription.flush()


async def test_a_reader_of_one_bot_is_told_when_a_session_is_that_bots_no_more() -> None:
    """And learns nothing of sessions that it has never seen, be they renamed or removed."""
    sink = Sink(embed(bot="shown"))
    sink.offer([change("held", 1, bot="other")], 1)
    sink.remove("stranger", 2)
    sink.subscription.release(0, ["held", "kept"])
    assert sink.removed == ["held"]
    sink.offer([change("new", 3, bot="shown"), change("foreign", 4, bot="other")], 4)
    await sink.until(lambda: ("new", 3) in sink.told)
    sink.offer([change("foreign", 5, bot="third")], 5)
    sink.remove("foreign", 6)
    sink.remove("kept", 7)
    sink.offer([change("new", 8, bot="other")], 8)
    await sink.until(lambda: len(sink.removed) == 3)
    assert sink.removed == ["held", "kept", "new"]
    assert sink.told == [("new", 3)]


async def test_an_embed_is_sent_no_facts() -> None:
    """The timeline is no stranger's business."""
    sink = Sink(embed(session_id="s1"))
    sink.subscription.release(0, ["s1"])
    sink.offer([change("s1", 1, facts=2), change("s2", 2, facts=2)], 2)
    assert sink.told == [("s1", 1)]
    assert not sink.deliveries[0].facts


async def test_nothing_is_sent_after_the_end() -> None:
    """A batch that waits for its moment goes nowhere when the reader has gone."""
    sink = Sink()
    sink.subscription.release(0, ())
    for revision in range(1, BURST + 1):
        sink.offer([change("s1", revision)], revision)
    sink.offer([change("s1", 12)], 12)
    sink.subscription.end()
    await asyncio.sleep(0.2)
    sink.offer([change("s1", 13)], 13)
    assert sink.told == [("s1", revision) for revision in range(1, BURST + 1)]
