"""Timeline and proof list: what a session's history gets from each snapshot, once."""

from __future__ import annotations

from typing import Any

from botlight.model.event import FactKind
from tests.model.story import MINUTE, SECOND, START, Story


def activities(story: Story) -> list[tuple[str | None, Any, str]]:
    """The activities in the timeline as (instance, n, name)."""
    return [(fact.instance_id, fact.data.get("n"), fact.data["name"]) for fact in story.told(FactKind.ACTIVITY)]


def test_a_recent_activity_is_kept_once() -> None:
    """Unacknowledged activities come again with each snapshot, and the current one too."""
    story = Story()
    said = [{"n": 1, "name": "searching", "age_ms": 900}, {"n": 2, "name": "opening_job", "age_ms": 500}]
    story.hears(seq=1, recent=said, activity={"name": "applying", "n": 3, "age_ms": 100, "details": {"title": "A"}})
    story.hears(seq=2, recent=said, activity={"name": "applying", "n": 3, "age_ms": 200, "details": {"title": "A"}})
    story.hears(seq=2, recent=said)
    assert activities(story) == [("a", 1, "searching"), ("a", 2, "opening_job"), ("a", 3, "applying")]
    first, _, third = story.told(FactKind.ACTIVITY)
    assert (first.at, third.at) == (START - 900, START - 100)
    assert third.data["details"] == {"title": "A"}


def test_numbers_count_within_an_instance() -> None:
    """Two processes may both have a first activity, workers and spools included."""
    story = Story()
    story.hears("a", activity={"name": "x", "n": 1})
    story.hears("w", role="worker", activity={"name": "y", "n": 1})
    story.replays("b", recent=[{"n": 1, "name": "z"}])
    assert activities(story) == [("a", 1, "x"), ("w", 1, "y"), ("b", 1, "z")]


def test_an_unnumbered_activity_is_kept_when_it_changes() -> None:
    """A line of curl leaves a timeline as well, without repetitions."""
    story = Story()
    for name in ("searching", "searching", "applying", "searching"):
        story.hears(activity=name)
    assert [name for *_, name in activities(story)] == ["searching", "applying", "searching"]


def test_who_came_is_told() -> None:
    """The first instance starts the session, later ones join it, each once."""
    story = Story()
    story.hears("a")
    story.hears("a")
    story.later(SECOND).hears("b")
    story.replays("c")
    assert [fact.instance_id for fact in story.told(FactKind.STARTED)] == ["a"]
    assert [fact.instance_id for fact in story.told(FactKind.ATTACHED)] == ["b", "c"]
    assert story.facts[0].kind is FactKind.STARTED


def test_sleep_of_the_computer_is_told() -> None:
    """A gap is a fact of the timeline, from the newest main instance only."""
    story = Story()
    story.hears("a", gap_ms=5 * MINUTE)
    story.hears("w", role="worker", gap_ms=5 * MINUTE)
    assert [fact.data for fact in story.told(FactKind.SLEPT)] == [{"gap_ms": 5 * MINUTE}]


def test_sleep_that_is_told_again_after_a_lost_answer_is_told_once() -> None:
    """A reporter tells its sleep until it is acknowledged; what it slept since comes on top."""
    story = Story()
    story.hears(seq=1)
    story.later(6 * MINUTE).hears(seq=2, gap_ms=5 * MINUTE)
    story.later(10 * MINUTE).hears(seq=3, gap_ms=5 * MINUTE)
    story.later(2 * MINUTE).hears(seq=4, gap_ms=6 * MINUTE)
    assert [fact.data["gap_ms"] for fact in story.told(FactKind.SLEPT)] == [5 * MINUTE, MINUTE]


def test_each_sleep_is_told() -> None:
    """A second sleep of the same length, or one longer than the first, is news once the first was acknowledged."""
    story = Story()
    story.hears(seq=1)
    story.later(6 * MINUTE).hears(seq=2, gap_ms=5 * MINUTE)
    story.later(MINUTE).hears(seq=3)
    story.later(6 * MINUTE).hears(seq=4, gap_ms=5 * MINUTE)
    story.later(8 * MINUTE).hears(seq=5, gap_ms=7 * MINUTE)
    story.later(2 * MINUTE).hears(seq=6, gap_ms=MINUTE)
    slept = [fact.data["gap_ms"] / MINUTE for fact in story.told(FactKind.SLEPT)]
    assert slept == [5, 5, 7, 1]


def test_an_activity_that_was_held_up_is_kept_though_newer_ones_are() -> None:
    """A report comes late, after one that no longer told its activities: each is in the timeline, once."""
    story = Story()
    late = [{"n": n, "name": f"act {n}"} for n in (2, 3, 4)]
    story.hears(seq=1, recent=[{"n": 1, "name": "act 1"}])
    story.hears(seq=3, recent=[{"n": 40, "name": "act 40"}], activity={"n": 42, "name": "act 42"})
    for _ in range(2):
        story.hears(seq=2, recent=late)
    story.hears(seq=4, recent=[{"n": 41, "name": "act 41"}, {"n": 3, "name": "act 3"}])
    assert [n for _, n, _ in activities(story)] == [1, 40, 42, 2, 3, 4, 41]
    assert story.instance("a").activity_gaps == [(5, 39)]


def test_gaps_in_the_timeline_are_remembered_within_a_bound() -> None:
    """Of a bot whose reports get lost for days, only the last eight places are remembered."""
    story = Story()
    for n in range(1, 100, 5):
        story.hears(recent=[{"n": n, "name": "x"}])
    assert len(story.instance("a").activity_gaps) == 8
    story.hears(recent=[{"n": 2, "name": "too late"}, {"n": 94, "name": "in time"}])
    assert [name for *_, name in activities(story)][-1] == "in time"


def test_outcomes_are_handed_on_from_everybody() -> None:
    """Each row of proof comes with its own time and exact credits; the store keeps it once."""
    story = Story()
    story.hears(
        "a",
        jobs=[
            {
                "key": "1",
                "outcome": "applied",
                "title": "Analyst",
                "company": "Acme",
                "url": "https://example.org/1",
                "reason": None,
                "credits": 0.1,
                "age_ms": 700,
            }
        ],
    )
    story.hears("w", role="worker", jobs=[{"key": "2", "outcome": "failed", "reason": "closed"}])
    story.replays("b", jobs=[{"key": "3", "outcome": "skipped"}])
    first, second, third = story.jobs
    assert (first.key, first.outcome, first.title, first.company) == ("1", "applied", "Analyst", "Acme")
    assert (first.at, first.credits, first.url) == (START - 700, 100_000, "https://example.org/1")
    assert (second.outcome, second.reason, second.credits) == ("failed", "closed", None)
    assert third.outcome == "skipped"
