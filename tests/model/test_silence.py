"""Silence: it makes a session lost after its lease, counts only while the service could hear, and is never final."""

from __future__ import annotations

from typing import Any

import pytest

from botlight.model.event import FactKind
from tests.model.story import DAY, HOUR, LEASE, MINUTE, SECOND, START, Story


@pytest.mark.parametrize(("heartbeat_s", "lease_s"), [(None, 135), (15, 60), (45, 135), (600, 1800)])
def test_lost_after_the_lease_and_not_before(heartbeat_s: int | None, lease_s: int) -> None:
    """A bot is lost after three of its own intervals, a minute at least."""
    story = Story()
    said: dict[str, Any] = {} if heartbeat_s is None else {"heartbeat_s": heartbeat_s}
    story.hears(**said)
    story.later(lease_s * SECOND - 1)
    assert not story.reaper().changed
    story.later(1).reaper()
    assert story.session.status == "lost"
    assert [fact.at for fact in story.told(FactKind.LOST)] == [START + lease_s * SECOND]
    assert not story.reaper().changed


def test_a_heartbeat_brings_a_lost_session_back() -> None:
    """Silence is never final."""
    story = Story()
    story.hears(seq=1)
    story.later(HOUR).reaper()
    story.hears(seq=2)
    assert story.session.status == "running"
    assert len(story.told(FactKind.RECOVERED)) == 1


def test_a_late_report_does_not_bring_a_lost_session_back() -> None:
    """A doubled or older report that comes out of some queue proves nothing."""
    story = Story()
    story.hears(seq=2)
    story.later(HOUR).reaper()
    story.hears(seq=2)
    story.hears(seq=1, counters={"jobs_found": 1})
    assert story.session.status == "lost"


def test_a_heartbeat_never_shortens_a_lease() -> None:
    """A bot that goes over to a shorter interval keeps what it was granted."""
    story = Story()
    story.hears(heartbeat_s=600)
    story.later(SECOND).hears(heartbeat_s=15)
    assert story.session.lease_expires_at == story.instance("a").lease_expires_at == START + 1800 * SECOND


def test_any_instance_keeps_the_session() -> None:
    """A worker's heartbeats hold the session while the main instance is silent."""
    story = Story()
    story.hears("a")
    for _ in range(10):
        story.later(MINUTE).hears("w", role="worker")
        assert not story.reaper().changed
    story.later(LEASE).reaper()
    assert story.session.status == "lost"


def test_after_a_deaf_time_one_full_lease_passes() -> None:
    """A service that was down, or whose machine slept, calls nobody lost before it could have heard them."""
    story = Story()
    story.hears()
    story.later(3 * HOUR)
    assert not story.reaper(hearing_since=story.at).changed
    story.later(LEASE - 1)
    assert not story.reaper(hearing_since=3 * HOUR).changed
    story.later(1).reaper(hearing_since=3 * HOUR)
    assert story.session.status == "lost"


def test_after_a_deaf_time_everybody_gets_a_lease_of_their_own() -> None:
    """A main instance that speaks once an hour is not judged by its worker's last heartbeat."""
    story = Story()
    story.hears("a", heartbeat_s=3600)
    story.later(170 * MINUTE).hears("w", role="worker")
    woke = 5 * HOUR
    story.later(woke + HOUR - story.at)
    assert not story.reaper(hearing_since=woke).changed
    story.later(2 * HOUR).reaper(hearing_since=woke)
    assert story.session.status == "lost"


def test_a_guess_that_waits_gets_the_same_grace() -> None:
    """The worker that holds back the end may have spoken while nobody could hear."""
    story = Story()
    story.hears("a", seq=1)
    story.hears("w", role="worker")
    story.replays("a", seq=1)
    story.later(HOUR)
    assert not story.reaper(hearing_since=HOUR - SECOND).changed
    story.later(LEASE).reaper(hearing_since=HOUR - SECOND)
    assert story.session.status == "interrupted"


def test_a_day_after_it_was_lost_a_session_is_closed() -> None:
    """Interrupted, inferred, as of the last heartbeat."""
    story = Story()
    story.hears()
    story.later(LEASE).reaper()
    story.later(DAY - 1)
    assert not story.reaper().changed
    story.later(1).reaper()
    session = story.session
    assert (session.status, session.inferred, session.ended_at) == ("interrupted", True, START)
    assert not story.later(DAY).reaper().changed


def test_a_week_of_deafness_is_no_day_of_being_lost() -> None:
    """After a long stop of the service a session is lost first, and closed a day later."""
    story = Story()
    story.hears()
    woke = 7 * DAY
    story.later(woke + LEASE).reaper(hearing_since=woke)
    assert story.session.status == "lost"
    story.later(SECOND)
    assert not story.reaper(hearing_since=woke).changed
    story.later(DAY - SECOND).reaper(hearing_since=woke)
    assert story.session.status == "interrupted"


def test_a_service_that_sleeps_every_night_still_closes_lost_sessions() -> None:
    """The day goes on while the service is down; only the next full lease is waited for."""
    story = Story()
    story.hears()
    story.later(LEASE).reaper()
    woke = 2 * DAY
    story.later(woke - story.at)
    assert not story.reaper(hearing_since=woke).changed
    story.later(LEASE).reaper(hearing_since=woke)
    assert story.session.status == "interrupted"


def test_a_spool_alone_is_lost_at_once_where_it_tells_no_end() -> None:
    """Nobody was heard live, so nobody is waited for."""
    story = Story()
    story.replays(result=None)
    story.reaper()
    assert story.session.status == "lost"
