"""A stop is a level: told in every answer until the instance itself has said how it ended."""

from __future__ import annotations

import pytest

from botlight.model.command import commands_for, stop_command
from botlight.model.errors import Ended
from botlight.model.event import FactKind
from tests.model.story import DAY, HOUR, LEASE, SECOND, START, Story


def listed(story: Story, instance: str = "a") -> list[str]:
    """The ids of the commands that an answer to the instance lists."""
    assert story.state is not None
    return [command.id for command in commands_for(story.state, instance)]


def receipt(story: Story, **how: bool) -> list[dict[str, object]]:
    """An acknowledgement of the session's stop."""
    return [{"id": story.stop_id, **how}]


def steps(story: Story) -> tuple[int | None, int | None]:
    """When the stop was delivered and seen, as the document shows it."""
    return story.session.stop_delivered_at, story.session.stop_seen_at


def test_nothing_is_listed_before_a_stop() -> None:
    """A bot that nobody asked to stop is told nothing."""
    story = Story()
    story.hears()
    assert listed(story) == []
    assert stop_command(story.session) is None


def test_pressing_twice_is_one_command() -> None:
    """The first time and reason stand, and nothing is written the second time."""
    story = Story()
    story.hears()
    story.stop(reason="enough")
    first = stop_command(story.session)
    again = story.later(SECOND).stop(reason="really")
    assert not again.changed
    assert stop_command(story.session) == first
    assert first is not None
    assert (first.type, first.reason, first.issued_at) == ("stop", "enough", START)
    assert len(story.told(FactKind.STOP_REQUESTED)) == 1


def test_a_stop_changes_no_status() -> None:
    """Pressing is a request; only the end is an end."""
    story = Story()
    story.hears()
    story.stop()
    assert story.session.status == "running"
    assert story.session.stop_requested_at == START


def test_a_stop_is_listed_through_everything_but_the_instances_own_end() -> None:
    """Acknowledged, seen, silent, lost, concluded, closed, back again: it is still listed."""
    story = Story()
    story.hears(seq=1)
    story.stop()
    command = story.stop_id
    story.hears(seq=2, commands=receipt(story, received=True))
    assert listed(story) == [command]
    story.hears(seq=3, commands=receipt(story, received=True, seen_by_bot=True))
    assert listed(story) == [command]
    story.later(HOUR).reaper()
    assert listed(story) == [command]
    story.close()
    assert listed(story) == [command]
    story.replays(seq=3)
    assert listed(story) == [command]
    story.hears(seq=4)
    assert listed(story) == [command]
    story.hears(seq=5, result={"outcome": "stopped"})
    assert listed(story) == []


def test_a_restarted_bot_is_told_the_stop_of_its_session() -> None:
    """A stop that the crashed process acknowledged reaches the one that re-attaches, and every worker."""
    story = Story()
    story.hears("a", seq=1)
    story.stop()
    story.hears("a", seq=2, commands=receipt(story, received=True, seen_by_bot=True))
    story.replays("a", seq=2)
    story.hears("b", attach=True)
    story.hears("w", role="worker")
    assert listed(story, "b") == listed(story, "w") == [story.stop_id]
    assert listed(story, "never heard of") == [story.stop_id]


def test_who_attaches_after_a_stop_is_shown_as_what_it_is() -> None:
    """The dead process had seen the stop; the new one has not until it says so, and its end is the session's."""
    story = Story()
    story.hears("a", seq=1)
    story.stop()
    story.later(SECOND).hears("a", seq=2, commands=receipt(story, received=True, seen_by_bot=True))
    story.later(SECOND).replays("a", seq=2, commands=receipt(story, received=True, seen_by_bot=True))
    assert (story.session.status, story.session.inferred) == ("interrupted", True)
    assert story.session.stop_seen_at == START + SECOND
    story.later(SECOND).hears("b", seq=1, attach=True)
    assert story.session.status == "running"
    assert steps(story) == (None, None)
    story.later(SECOND).hears("b", seq=2, commands=receipt(story, received=True))
    assert steps(story) == (START + 4 * SECOND, None)
    story.later(SECOND).hears("b", seq=3, commands=receipt(story, seen_by_bot=True), result={"outcome": "stopped"})
    assert (story.session.status, story.session.inferred) == ("stopped", False)
    assert listed(story, "b") == []
    assert [fact.instance_id for fact in story.told(FactKind.STOP_SEEN)] == ["a", "b"]


def test_a_stop_pressed_between_two_lives_reaches_the_second_one() -> None:
    """The computer was restarted meanwhile: the first answer lists it, and "delivered" is the second one's."""
    story = Story()
    story.hears("a", seq=1)
    story.later(HOUR).reaper()
    story.stop()
    story.replays("a", seq=1)
    assert listed(story, "a") == [story.stop_id]  # what ended it was a guess
    story.hears("b", seq=1, attach=True)
    assert listed(story, "b") == [story.stop_id]
    assert story.session.stop_delivered_at is None


def test_each_instance_has_its_own_end() -> None:
    """A worker that has ended is asked no more; the others are."""
    story = Story()
    story.hears("a")
    story.hears("w", role="worker")
    story.stop()
    story.hears("w", role="worker", result={"outcome": "stopped"})
    assert listed(story, "w") == []
    assert listed(story, "a") == [story.stop_id]


def test_the_earliest_acknowledgement_wins() -> None:
    """Delivered and seen keep their first time, each its own; a repetition is no news."""
    story = Story()
    story.hears(seq=1)
    story.stop()
    story.later(SECOND).hears(seq=2, commands=receipt(story, received=True))
    story.later(SECOND).hears(seq=3, commands=receipt(story, received=True, seen_by_bot=True))
    story.later(SECOND).hears(seq=4, commands=receipt(story, received=True, seen_by_bot=True))
    assert story.session.stop_delivered_at == START + SECOND
    assert story.session.stop_seen_at == START + 2 * SECOND
    assert [len(story.told(kind)) for kind in (FactKind.STOP_DELIVERED, FactKind.STOP_SEEN)] == [1, 1]


def test_a_late_acknowledgement_is_taken() -> None:
    """An older `seq` holds back no acknowledgement."""
    story = Story()
    story.hears(seq=1)
    story.stop()
    story.hears(seq=3)
    story.later(SECOND).hears(seq=2, commands=receipt(story, received=True))
    assert story.session.stop_delivered_at == START + SECOND


def test_seen_implies_delivered() -> None:
    """What the bot's code saw, its reporter had."""
    story = Story()
    story.hears(seq=1)
    story.stop()
    story.later(SECOND).hears(seq=2, commands=receipt(story, seen_by_bot=True))
    assert story.session.stop_delivered_at == story.session.stop_seen_at == START + SECOND


def test_acknowledgements_of_another_command_mean_nothing() -> None:
    """A receipt for yesterday's stop, or before any was asked, is ignored."""
    story = Story()
    story.hears(seq=1, commands=[{"id": f"stop-{START}", "received": True, "seen_by_bot": True}])
    story.later(SECOND).stop()
    story.hears(seq=2, commands=[{"id": f"stop-{START}", "received": True, "seen_by_bot": True}])
    assert story.session.stop_delivered_at is None


def test_the_document_shows_the_newest_main_instances_steps() -> None:
    """Workers and the crashed process have their own; the restarted one begins at "not delivered"."""
    story = Story()
    story.hears("a")
    story.hears("w", role="worker")
    story.stop()
    story.hears("w", role="worker", commands=receipt(story, received=True, seen_by_bot=True))
    assert story.session.stop_delivered_at is None
    story.later(SECOND).hears("a", commands=receipt(story, received=True))
    assert story.session.stop_delivered_at == START + SECOND
    story.hears("b", attach=True)
    assert (story.session.stop_delivered_at, story.session.stop_seen_at) == (None, None)
    story.hears("a", commands=receipt(story, received=True, seen_by_bot=True))
    assert story.session.stop_seen_at is None
    story.later(SECOND).hears("b", commands=receipt(story, received=True, seen_by_bot=True))
    assert story.session.stop_seen_at == START + 2 * SECOND


def test_who_comes_only_to_say_the_end_leaves_what_the_bot_saw() -> None:
    """A launcher that reports its child's end by an instance of its own does not blot out the steps, told twice or not."""
    story = Story()
    story.hears("a", seq=1)
    story.stop()
    story.later(SECOND).hears("a", seq=2, commands=receipt(story, received=True, seen_by_bot=True))
    for seq in (1, 2):
        story.later(SECOND).hears("launcher", seq=seq, result={"outcome": "stopped", "ended_age_ms": 0})
        session = story.session
        assert session.status == "stopped"
        assert session.stop_delivered_at == session.stop_seen_at == START + SECOND


def test_a_newcomer_whose_end_was_only_guessed_has_to_hear_of_the_stop_itself() -> None:
    """What the process before it saw is not shown as its own once it turns out to live."""
    story = Story()
    story.hears("a", seq=1)
    story.stop()
    story.hears("a", seq=2, commands=receipt(story, received=True, seen_by_bot=True))
    story.hears("b", seq=1, result={"outcome": "interrupted", "inferred": True})
    story.hears("b", seq=2)
    assert story.session.instance_id == "b"
    assert story.session.stop_delivered_at is None


def test_no_end_is_before_a_step_that_a_straggler_brought() -> None:
    """Not even the end that somebody else says: the bot had the stop, so it was not over yet."""
    story = Story()
    story.hears("a", seq=1)
    story.stop()
    story.hears("a", seq=3)
    story.later(20 * SECOND).hears("a", seq=2, commands=receipt(story, received=True))
    story.later(SECOND).hears("launcher", result={"outcome": "stopped", "ended_age_ms": 5 * SECOND})
    assert story.session.stop_delivered_at == story.session.ended_at == START + 20 * SECOND


def test_the_four_times_are_in_order_though_one_report_brings_three() -> None:
    """What a bot saw, it saw before its end: the last word does not date the steps after it."""
    story = Story()
    story.hears(seq=1)
    story.stop()
    story.later(20 * SECOND).hears(
        seq=2,
        commands=receipt(story, received=True, seen_by_bot=True),
        result={"outcome": "stopped", "ended_age_ms": 8 * SECOND},
    )
    session = story.session
    assert session.stop_requested_at == START
    assert session.stop_delivered_at == session.stop_seen_at == session.ended_at == START + 12 * SECOND


def test_the_end_is_not_before_an_acknowledgement_that_a_straggler_brought() -> None:
    """A late report proves no life, and yet the bot had the stop before it ended."""
    story = Story()
    story.hears(seq=1)
    story.stop()
    story.hears(seq=3)
    story.later(20 * SECOND).hears(seq=2, commands=receipt(story, received=True))
    story.later(SECOND).hears(seq=4, result={"outcome": "stopped", "ended_age_ms": 5 * SECOND})
    assert story.session.stop_delivered_at == story.session.ended_at == START + 20 * SECOND


def test_a_spool_dates_what_was_seen_by_its_end_too() -> None:
    """Found a day later, the acknowledgement is not of today."""
    story = Story()
    story.hears(seq=1)
    story.stop()
    story.later(DAY).replays(
        seq=2,
        commands=receipt(story, received=True, seen_by_bot=True),
        result={"outcome": "stopped", "ended_age_ms": DAY - 5 * SECOND},
    )
    assert story.session.stop_seen_at == story.session.ended_at == START + 5 * SECOND


def test_a_lost_session_can_be_asked_to_stop() -> None:
    """The request waits for the day the computer wakes."""
    story = Story()
    story.hears()
    story.later(LEASE).reaper()
    story.stop()
    story.later(DAY).reaper()
    assert story.session.status == "interrupted"
    story.hears()
    assert listed(story) == [story.stop_id]


def test_a_concluded_session_can_be_asked_to_stop() -> None:
    """Nobody said that it ended; should it live, it is to stop."""
    story = Story()
    story.hears(seq=1)
    story.replays(seq=1)
    assert story.stop().changed


def test_nobody_is_left_to_stop_after_an_explicit_end() -> None:
    """409 ended, and nothing is recorded."""
    story = Story()
    story.hears(result={"outcome": "success"})
    with pytest.raises(Ended):
        story.stop()
    assert story.session.stop_requested_at is None


def test_a_worker_that_outlives_the_end_can_still_be_stopped() -> None:
    """409 only when no instance is alive either."""
    story = Story()
    story.hears("a")
    story.hears("w", role="worker")
    story.hears("a", result={"outcome": "success"})
    story.stop()
    assert listed(story, "w") == [story.stop_id]
    other = Story()
    other.hears("a")
    other.hears("w", role="worker")
    other.hears("a", result={"outcome": "success"})
    with pytest.raises(Ended):
        other.later(LEASE).stop()
