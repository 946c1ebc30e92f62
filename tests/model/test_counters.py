"""Counters: the maximum of each instance, the sum over instances, whatever comes when."""

from __future__ import annotations

import pytest
from msgspec import structs

from botlight.model.errors import Invalid
from tests.model.story import DAY, HOUR, SECOND, Story


def test_a_doubled_heartbeat_counts_once() -> None:
    """A counter is absolute: saying it again changes nothing."""
    story = Story()
    for _ in range(2):
        story.hears(seq=1, counters={"jobs_applied": 3})
    assert story.totals == {"jobs_applied": 3}


def test_a_late_heartbeat_counts_nothing_back() -> None:
    """What was counted stays counted, though an older report comes last."""
    story = Story()
    story.hears(seq=2, counters={"jobs_found": 9, "jobs_applied": 4})
    story.hears(seq=1, counters={"jobs_found": 5})
    assert story.totals == {"jobs_found": 9, "jobs_applied": 4}


def test_a_late_heartbeat_still_adds_what_nobody_knew() -> None:
    """An older `seq` holds back the live fields and never a count."""
    story = Story()
    story.hears(seq=2, counters={"jobs_found": 1})
    step = story.hears(seq=1, counters={"jobs_applied": 7})
    assert not step.applied
    assert story.totals == {"jobs_found": 1, "jobs_applied": 7}


def test_a_counter_left_out_stays() -> None:
    """Silence about a counter is no nought."""
    story = Story()
    story.hears(counters={"jobs_found": 5})
    story.hears(counters={})
    story.hears()
    assert story.totals == {"jobs_found": 5}


def test_instances_are_summed() -> None:
    """A restarted bot counts from nought and loses nothing; workers add to it."""
    story = Story()
    story.hears("a", counters={"jobs_applied": 3, "credits_used": 0.1})
    story.hears("b", counters={"jobs_applied": 1, "credits_used": 0.2})
    story.hears("w", role="worker", counters={"pages_read": 8})
    assert story.totals == {"jobs_applied": 4, "credits_used": 0.3, "pages_read": 8}
    assert story.session.instances == 3


def test_a_spool_counts_whatever_the_status() -> None:
    """A spool adds its counts to a running, a lost, a concluded and an ended session, once each."""
    story = Story()
    story.hears("a", counters={"jobs_applied": 1})
    story.replays("b", counters={"jobs_applied": 10})
    story.later(HOUR).reaper()
    story.replays("c", counters={"jobs_applied": 100})
    story.later(2 * DAY).reaper()
    story.replays("d", counters={"jobs_applied": 1000})
    story.hears("a", result={"outcome": "success"})
    story.replays("e", counters={"jobs_applied": 10_000})
    story.replays("e", counters={"jobs_applied": 10_000})
    assert story.totals == {"jobs_applied": 11_111}
    assert story.session.status == "completed"


def test_later_data_count_after_an_explicit_end() -> None:
    """A worker that outlives the end of the main instance still counts, and reopens nothing."""
    story = Story()
    story.hears("a")
    story.hears("w", role="worker", counters={"jobs_applied": 1})
    story.hears("a", result={"outcome": "success"})
    step = story.later(30 * SECOND).hears("w", role="worker", counters={"jobs_applied": 2})
    assert not step.applied
    assert story.totals == {"jobs_applied": 2}
    assert story.session.status == "completed"


def test_tenths_add_up_exactly() -> None:
    """Credits in tenths make whole numbers, not 0.30000000000000004."""
    story = Story()
    for n in range(30):
        story.hears(f"i{n}", counters={"credits_used": 0.1})
    assert story.session.totals == {"credits_used": 3_000_000}


def test_two_hundred_full_instances_fit_into_64_bits() -> None:
    """The largest counter of the largest session is kept without overflow."""
    story = Story()
    for n in range(200):
        story.hears(f"i{n}", counters={"credits_used": 10**10})
    assert story.session.totals["credits_used"] == 200 * 10**16 < 2**63


def test_a_session_holds_32_names() -> None:
    """The 33rd name is refused, and what was known stays as it was."""
    story = Story()
    story.hears("a", counters={f"n{n}": 1 for n in range(20)})
    story.hears("b", counters={f"n{n}": 1 for n in range(12, 32)})
    before = story.state
    with pytest.raises(Invalid, match="at most 32 names") as refused:
        story.hears("b", counters={"one_more": 1})
    assert refused.value.errors[0][0] == "/counters"
    assert story.state is before
    story.hears("c", counters={"n31": 5})
    assert story.totals["n31"] == 6


def test_a_full_session_goes_on_when_noughts_were_not_kept() -> None:
    """A store may leave out totals of nought; the names of the instances decide, so nobody is locked out."""
    story = Story()
    story.hears("a", counters={f"n{n}": 0 for n in range(32)})
    assert story.state is not None
    story.state = structs.replace(story.state, session=structs.replace(story.session, totals={}))
    with pytest.raises(Invalid):
        story.hears("b", counters={"one_more": 1})
    story.hears("a", counters={"n0": 2})
    assert story.totals["n0"] == 2
