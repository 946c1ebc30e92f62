"""Live fields: only the newest main instance's newest live snapshot sets them, so the screen never goes backwards."""

from __future__ import annotations

from typing import Any

import pytest

from tests.model.story import HOUR, MINUTE, SECOND, START, Story


def test_the_first_snapshot_shows_at_once() -> None:
    """One heartbeat is a whole session: everything it says is there."""
    story = Story()
    step = story.hears(
        bot={"name": "Job hunter", "version": "1.2", "platform": "win32"},
        activity={"name": "applying", "details": {"title": "Analyst"}, "age_ms": 400},
        progress={"done": 3, "total": 9},
        heartbeat_s=20,
    )
    session = story.session
    assert (step.applied, step.created) == (True, True)
    assert (session.bot_name, session.bot_version, session.platform) == ("Job hunter", "1.2", "win32")
    assert (session.activity, session.activity_details) == ("applying", {"title": "Analyst"})
    assert session.activity_at == START - 400
    assert (session.progress_done, session.progress_total) == (3, 9)
    assert session.heartbeat_s == 20
    assert session.last_heartbeat_at == START
    assert session.lease_expires_at == START + 60 * SECOND


@pytest.mark.parametrize("late", [{"seq": 1}, {"seq": 2}], ids=["older", "doubled"])
def test_a_late_report_does_not_turn_the_screen_back(late: dict[str, Any]) -> None:
    """Not newer by `seq`: neither the live fields nor the last heartbeat move, and the answer says so."""
    story = Story()
    story.hears(seq=2, activity="applying")
    step = story.later(10 * SECOND).hears(
        activity="searching", waiting={"seconds_left": 9}, progress={"done": 1}, bot={"name": "old"}, **late
    )
    assert not step.applied
    session = story.session
    assert (session.activity, session.waiting_until, session.progress_done) == ("applying", None, None)
    assert session.last_heartbeat_at == START


def test_without_seq_every_report_is_the_newest() -> None:
    """A line of curl has no numbers; what came last is shown."""
    story = Story()
    story.hears(activity="searching")
    assert story.hears(activity="applying").applied
    assert story.session.activity == "applying"


def test_a_worker_shows_nothing_of_its_own() -> None:
    """A worker proves life and adds counters; activity, wait and progress stay the main instance's."""
    story = Story()
    story.hears("a", activity="supervising", progress={"done": 1, "total": 2})
    step = story.later(30 * SECOND).hears(
        "w", role="worker", activity="applying", waiting={"seconds_left": 60}, progress={"done": 9}, heartbeat_s=3600
    )
    session = story.session
    assert not step.applied
    assert (session.activity, session.waiting_until, session.progress_done) == ("supervising", None, 1)
    assert session.heartbeat_s == 45
    assert session.last_heartbeat_at == START + 30 * SECOND


def test_a_spool_shows_nothing() -> None:
    """A replay sets no live field and proves no life, though its `seq` is higher."""
    story = Story()
    story.hears("a", seq=3, activity="applying")
    step = story.later(10 * SECOND).replays("a", seq=9, activity="searching", result=None)
    assert not step.applied
    assert story.session.activity == "applying"
    assert story.session.last_heartbeat_at == START
    assert story.instance("a").last_heartbeat_at == START


def test_the_newest_main_instance_is_the_one_first_heard_live_last() -> None:
    """After a restart the new process is shown; the old one's late reports only count."""
    story = Story()
    story.hears("a", seq=1, activity="of a")
    story.hears("b", seq=1, activity="of b")
    step = story.hears("a", seq=2, activity="of a again", counters={"jobs_found": 4})
    assert not step.applied
    assert story.session.activity == "of b"
    assert story.session.instance_id == "b"
    assert story.totals == {"jobs_found": 4}


def test_a_spool_never_makes_an_instance_the_newest() -> None:
    """Replaying an older process's spool leaves the living one in charge."""
    story = Story()
    story.hears("a", activity="of a")
    story.replays("b", activity="of b")
    assert story.session.instance_id == "a"
    assert story.hears("a", activity="still of a").applied


def test_an_instance_known_from_its_spool_becomes_the_newest_when_heard_live() -> None:
    """What counts is when it was first heard live, not when it was first known."""
    story = Story()
    story.replays("b", result=None)
    story.hears("a")
    assert story.hears("b", activity="of b").applied
    assert story.session.instance_id == "b"


def test_an_instance_that_said_its_end_does_not_take_over() -> None:
    """A straggler of a process that ended by its own word does not push the living one aside, whose end would be lost."""
    story = Story()
    story.hears("a", activity="of a")
    story.replays("b", result={"outcome": "success"})
    assert not story.hears("b", activity="of b").applied
    assert story.session.instance_id == "a"
    story.hears("a", result={"outcome": "success"})
    assert story.session.status == "completed"


def test_the_name_is_the_newest_main_instances_and_anybodys_before() -> None:
    """A worker or a spool may introduce the bot, and never renames it."""
    story = Story()
    story.hears("w", role="worker", bot={"name": "from worker", "version": "1"})
    assert (story.session.bot_name, story.session.bot_version) == ("from worker", "1")
    story.hears("a", bot={"version": "2"})
    story.hears("w", role="worker", bot={"name": "again", "version": "1", "platform": "linux"})
    session = story.session
    assert (session.bot_name, session.bot_version, session.platform) == ("from worker", "2", "linux")
    story.hears("a", bot={"name": "from main"})
    assert (story.session.bot_name, story.session.bot_version) == ("from main", "2")


def test_activity_is_dated_by_its_age() -> None:
    """`activity_at` is the receipt less the age that the bot tells; the clock of its machine plays no part."""
    story = Story()
    story.hears(activity={"name": "applying", "n": 1, "age_ms": 5 * SECOND})
    assert story.session.activity_at == START - 5 * SECOND
    story.later(45 * SECOND).hears(activity={"name": "applying", "n": 1, "age_ms": 50 * SECOND})
    assert story.session.activity_at == START - 5 * SECOND
    story.hears(activity={"name": "applying", "n": 2, "age_ms": 10})
    assert story.session.activity_at == START + 45 * SECOND - 10


def test_a_repeated_unnumbered_activity_keeps_its_time() -> None:
    """A line of curl that says the same again does not restart "since"."""
    story = Story()
    story.hears(activity="applying")
    story.later(MINUTE).hears(activity="applying")
    assert story.session.activity_at == START
    story.hears(activity="searching")
    assert story.session.activity_at == START + MINUTE


def test_an_activity_left_out_stays() -> None:
    """A snapshot without an activity says nothing about it."""
    story = Story()
    story.hears(activity={"name": "applying", "details": {"title": "Analyst"}})
    story.hears(counters={"jobs_found": 1})
    assert (story.session.activity, story.session.activity_details) == ("applying", {"title": "Analyst"})


def test_waiting_ends_with_the_snapshot_that_has_none() -> None:
    """An announced pause is told anew in each snapshot; absent and null both say that it is over."""
    story = Story()
    story.hears(waiting={"seconds_left": 12.5, "reason": "rate limit"})
    assert (story.session.waiting_until, story.session.waiting_reason) == (START + 12_500, "rate limit")
    story.hears(waiting=None)
    assert (story.session.waiting_until, story.session.waiting_reason) == (None, None)
    story.hears(waiting={"seconds_left": 5})
    story.hears()
    assert story.session.waiting_until is None


def test_progress_is_dated_by_the_age_that_the_bot_tells() -> None:
    """`progress_age_ms` wins over what the service sees change."""
    story = Story()
    story.hears(activity="applying", progress_age_ms=4 * MINUTE, counters={"jobs_found": 1})
    assert story.session.progress_at == START - 4 * MINUTE


def test_without_an_age_progress_is_the_last_change_of_counters_or_activity() -> None:
    """A bot that only repeats itself makes no progress; a count, an activity, other details do."""
    story = Story()
    story.hears(activity={"name": "applying", "details": {"at": 0.1}}, counters={"jobs_found": 1})
    assert story.session.progress_at == START
    assert story.session.activity_details == {"at": 0.1}  # as a store will give it back
    story.later(MINUTE).hears(activity={"name": "applying", "details": {"at": 0.1}}, counters={"jobs_found": 1})
    assert story.session.progress_at == START
    story.later(MINUTE).hears(counters={"jobs_found": 2})
    assert story.session.progress_at == START + 2 * MINUTE
    story.later(MINUTE).hears(activity={"name": "applying", "details": {"at": 0.2}})
    assert story.session.progress_at == START + 3 * MINUTE
    story.later(MINUTE).hears(activity="searching")
    assert story.session.progress_at == START + 4 * MINUTE


def test_progress_bar_goes_when_the_bot_says_null_and_stays_when_it_says_nothing() -> None:
    """`progress` left out keeps the bar, null removes it."""
    story = Story()
    story.hears(progress={"done": 3, "total": 9})
    story.hears()
    assert (story.session.progress_done, story.session.progress_total) == (3, 9)
    story.hears(progress={"done": 4})
    assert (story.session.progress_done, story.session.progress_total) == (4, None)
    story.hears(progress=None)
    assert story.session.progress_done is None


def test_the_start_is_the_receipt_less_the_uptime() -> None:
    """A lost `start` moves no beginning; only the first snapshot dates it, 7 days back at most."""
    story = Story()
    story.hears(uptime_ms=3 * MINUTE)
    story.later(HOUR).hears("b", uptime_ms=5 * HOUR)
    assert story.session.started_at == START - 3 * MINUTE
    assert story.session.created_at == START
    old = Story()
    old.hears(uptime_ms=30 * 24 * HOUR)
    assert old.session.started_at == START - 7 * 24 * HOUR


def test_a_spool_dates_the_start_by_its_end() -> None:
    """A process that ran an hour and died five hours ago began six hours ago."""
    story = Story()
    story.replays(uptime_ms=HOUR, result={"outcome": "success", "ended_age_ms": 5 * HOUR})
    assert story.session.started_at == START - 6 * HOUR
    assert story.session.ended_at == START - 5 * HOUR


def test_a_bot_that_goes_on_after_its_end_is_still_heard() -> None:
    """The card can say that a process still reports: the last heartbeat moves on, the end does not."""
    story = Story()
    story.hears("a", seq=1)
    story.hears("a", seq=2, result={"outcome": "success"})
    story.later(MINUTE).hears("a", seq=3, activity="applying")
    assert story.session.status == "completed"
    assert story.session.ended_at == START
    assert story.session.last_heartbeat_at == START + MINUTE


def test_a_last_word_that_was_held_up_is_no_life_after_the_end() -> None:
    """After an outage `complete` comes late; the card must not say that a process still reports."""
    story = Story()
    story.hears(seq=1)
    story.later(10 * MINUTE).hears(seq=2, result={"outcome": "success", "ended_age_ms": 4 * MINUTE})
    assert story.session.ended_at == START + 6 * MINUTE
    assert story.session.last_heartbeat_at == START + 6 * MINUTE
