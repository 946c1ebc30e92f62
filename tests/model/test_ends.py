"""Ends: the bot's own word is final, what was concluded without it is taken back by its next sign of life."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from botlight.model.errors import Ended, Live, TooManyInstances, Unknown
from botlight.model.event import FactKind
from botlight.model.merge import Step
from botlight.model.session import Instant, Status
from tests.model.story import ALICE, BOB, DAY, HOUR, INTERRUPTED, LEASE, MINUTE, SECOND, START, Story

SUCCESS = {"outcome": "success"}


@pytest.mark.parametrize(
    ("outcome", "status"),
    [("success", "completed"), ("failed", "failed"), ("stopped", "stopped"), ("interrupted", "interrupted")],
)
@pytest.mark.parametrize("replay", [False, True])
def test_the_bots_own_word_ends_the_session(outcome: str, status: str, *, replay: bool) -> None:
    """An explicit result of the newest main instance ends the session, live or from its spool."""
    story = Story()
    story.hears(seq=1)
    story.hears(seq=2, replay=replay, result={"outcome": outcome, "error": {"type": "E", "message": "why"}})
    session = story.session
    assert (session.status, session.outcome, session.inferred) == (status, outcome, False)
    assert (session.error_type, session.error_message) == ("E", "why")
    assert session.ended_for_good


def test_the_first_explicit_end_is_final() -> None:
    """Neither a second word, nor a heartbeat, nor a guess changes it."""
    story = Story()
    story.hears(seq=1)
    story.hears(seq=2, result=SUCCESS)
    ended = story.session.ended_at
    story.later(MINUTE).hears(seq=3, result={"outcome": "failed"})
    story.hears(seq=4, activity="applying")
    story.replays(seq=2)
    story.later(3 * DAY).reaper()
    session = story.session
    assert (session.status, session.ended_at, session.inferred) == ("completed", ended, False)
    result = story.instance("a").result
    assert result is not None
    assert (result.outcome, result.inferred) == ("success", False)
    assert len(story.told(FactKind.ENDED)) == 1
    assert not story.told(FactKind.RECOVERED)


def test_an_explicit_end_wins_over_a_guess() -> None:
    """What silence concluded gives way to the bot's word, with its own error and time."""
    story = Story()
    story.hears(seq=1)
    story.later(LEASE).reaper()
    story.later(2 * DAY).reaper()
    assert (story.session.status, story.session.inferred) == ("interrupted", True)
    story.replays(seq=2, result={"outcome": "success", "ended_age_ms": 2 * DAY})
    session = story.session
    assert (session.status, session.inferred, session.outcome) == ("completed", False, "success")
    assert session.ended_at == START + LEASE


def test_an_older_main_instances_end_is_its_own() -> None:
    """After a restart the old process's late word does not end what the new one goes on with."""
    story = Story()
    story.hears("a")
    story.hears("b")
    story.hears("a", result={"outcome": "failed"})
    assert story.session.status == "running"
    story.hears("b", result=SUCCESS)
    assert story.session.status == "completed"


def test_a_workers_end_is_its_own() -> None:
    """A worker that is done, or that a spool calls dead, ends itself alone, even where the main one is silent."""
    story = Story()
    story.hears("a")
    story.hears("w", role="worker", result=SUCCESS)
    assert story.session.status == "running"
    story.later(LEASE + SECOND).reaper()
    story.replays("v", role="worker")
    assert story.session.status == "lost"
    story.hears("a")
    assert story.session.status == "running"


def test_a_worker_that_ends_first_does_not_shorten_the_lease() -> None:
    """A session whose main instance was not heard yet is not called lost because a worker is done."""
    story = Story()
    story.hears("w", role="worker", seq=1, result=SUCCESS)
    story.later(SECOND).reaper()
    assert story.session.status == "running"
    story.later(44 * SECOND).hears("a")
    assert not story.told(FactKind.LOST)


def test_a_spool_of_the_only_instance_concludes_at_once() -> None:
    """Nobody is alive: the guess holds, and the card says that nobody reported an end."""
    story = Story()
    story.hears(seq=4)
    story.later(10 * SECOND).replays(seq=4)
    session = story.session
    assert (session.status, session.inferred) == ("interrupted", True)
    assert [fact.data["inferred"] for fact in story.told(FactKind.ENDED)] == [True]


def test_a_guess_waits_while_a_worker_is_alive_and_the_reaper_applies_it() -> None:
    """A crashed main instance does not end what its worker goes on with; the last one's silence does."""
    story = Story()
    story.hears("a", seq=1)
    story.later(10 * SECOND).hears("w", role="worker")
    story.later(SECOND).replays("a", seq=1, result={"outcome": "interrupted", "inferred": True, "error": {"type": "E"}})
    story.later(9 * SECOND).hears("w", role="worker")
    assert story.session.status == "running"
    story.later(LEASE - SECOND)
    assert not story.reaper().changed
    story.later(SECOND).reaper()
    session = story.session
    assert (session.status, session.inferred, session.error_type) == ("interrupted", True, "E")
    assert session.ended_at == START + 20 * SECOND  # the worker was heard until then
    assert not story.told(FactKind.LOST)


def test_a_guess_is_applied_as_soon_as_the_last_living_one_ends() -> None:
    """The reaper need not wait for a lease that nobody holds."""
    story = Story()
    story.hears("a", seq=1)
    story.hears("w", role="worker")
    story.replays("a", seq=1)
    story.later(SECOND).hears("w", role="worker", result=SUCCESS)
    assert story.session.status == "running"
    story.later(SECOND).reaper()
    assert (story.session.status, story.session.inferred) == ("interrupted", True)


def test_a_living_main_instance_holds_back_the_guess_about_its_forerunner() -> None:
    """The spool of the crashed process says nothing about the session that the restarted one continues."""
    story = Story()
    story.hears("a", seq=1)
    story.hears("b", seq=1, attach=True)
    story.replays("a", seq=1)
    story.later(LEASE).reaper()
    assert story.session.status == "lost"


@pytest.mark.parametrize("instance", ["a", "b", "w"])
def test_any_later_live_snapshot_takes_a_guess_back(instance: str) -> None:
    """The same process, a new one, a worker: whoever is heard, the session is running again."""
    story = Story()
    story.hears("a", seq=1)
    story.replays("a", seq=1)
    assert story.session.status == "interrupted"
    story.later(SECOND).hears(instance, role="worker" if instance == "w" else "main", seq=2)
    session = story.session
    assert session.status == "running"
    assert (session.ended_at, session.outcome, session.inferred) == (None, None, False)
    assert len(story.told(FactKind.RECOVERED)) == 1


def test_a_guess_that_was_refuted_does_not_hold_when_it_comes_twice() -> None:
    """The doubled report of a spool does not end a bot that has been heard since."""
    story = Story()
    story.hears(seq=4)
    story.replays(seq=4)
    story.hears(seq=5)
    story.later(SECOND).replays(seq=4)
    assert story.session.status == "running"
    assert story.instance("a").alive(Instant(START + story.at))


def test_a_live_guess_that_was_refuted_does_not_hold_when_it_comes_twice() -> None:
    """The same for a guess that a living process sent about itself."""
    story = Story()
    story.hears(seq=1)
    story.hears(seq=2, result={"outcome": "interrupted", "inferred": True})
    assert story.session.status == "interrupted"
    story.hears(seq=3)
    story.hears(seq=2, result={"outcome": "interrupted", "inferred": True})
    assert story.session.status == "running"


def test_a_straggler_from_before_the_spool_is_no_sign_of_life() -> None:
    """A report that was under way when the process died does not bring the session back."""
    story = Story()
    story.hears(seq=1)
    story.replays(seq=3, counters={"jobs_found": 3})
    step = story.hears(seq=2, counters={"jobs_found": 2})
    assert not step.applied
    assert story.session.status == "interrupted"
    assert story.totals == {"jobs_found": 3}


def test_where_no_main_instance_was_heard_a_spool_may_speak() -> None:
    """A bot that never reached the service has its end from its spool, an explicit one before a guess."""
    story = Story()
    story.replays("a", seq=1)
    assert (story.session.status, story.session.last_heartbeat_at) == ("interrupted", None)
    story.replays("b", seq=1, result={"outcome": "failed"})
    assert (story.session.status, story.session.inferred) == ("failed", False)


def test_a_word_from_a_spool_of_a_later_life_outweighs_the_guess_about_the_one_before() -> None:
    """A bot that was restarted and did its work while the service was away: that it succeeded is what is shown."""
    story = Story()
    story.hears("a", seq=3)
    story.later(HOUR).replays("a", seq=3, result={**INTERRUPTED, "ended_age_ms": 59 * MINUTE})
    assert (story.session.status, story.session.inferred) == ("interrupted", True)
    story.replays("b", seq=9, attach=True, result={**SUCCESS, "ended_age_ms": MINUTE})
    session = story.session
    assert (session.status, session.inferred) == ("completed", False)
    assert session.ended_at == START + 59 * MINUTE
    assert session.instance_id == "a"  # the live fields stay those of the one that was heard live


def test_a_word_from_a_spool_of_a_later_life_holds_whichever_file_comes_first() -> None:
    """While the crashed one may still be alive it waits; the guess about that one, or its silence, lets it hold."""
    for guessed in (True, False):
        story = Story()
        story.hears("a", seq=3)
        story.later(MINUTE).replays("b", seq=9, attach=True, result={**SUCCESS, "ended_age_ms": SECOND})
        assert story.session.status == "running"
        if guessed:
            story.replays("a", seq=3, result={**INTERRUPTED, "ended_age_ms": 59 * SECOND})
        else:
            assert not story.reaper().changed
            story.later(LEASE - MINUTE).reaper()
        assert (story.session.status, story.session.inferred) == ("completed", False)
        assert story.session.ended_at == START + 59 * SECOND


def test_a_word_from_a_spool_waits_until_silence_counts() -> None:
    """After a long absence of the service, whoever still works must have had the time to be heard."""
    story = Story()
    story.hears("a", seq=1)
    story.later(HOUR).replays("b", seq=9, attach=True, result={**SUCCESS, "ended_age_ms": SECOND})
    story.later(MINUTE).reaper(hearing_since=HOUR)
    assert story.session.status == "running"
    story.later(MINUTE).hears("a", seq=2)
    story.later(LEASE).reaper(hearing_since=HOUR)
    assert story.session.status == "lost"


def test_a_guess_about_a_later_life_takes_the_place_of_the_one_before() -> None:
    """What the last life said at its exit is nearer to the truth than that the first one was interrupted."""
    story = Story()
    story.hears("a", seq=3)
    story.later(HOUR).replays("a", seq=3, result={**INTERRUPTED, "ended_age_ms": 59 * MINUTE})
    failed = {"outcome": "failed", "inferred": True, "error": {"type": "KeyError"}, "ended_age_ms": MINUTE}
    for _ in range(2):
        story.replays("b", seq=9, attach=True, result=failed)
    session = story.session
    assert (session.status, session.inferred, session.error_type) == ("failed", True, "KeyError")
    assert [fact.data["outcome"] for fact in story.told(FactKind.ENDED)] == ["interrupted", "failed"]


def test_a_word_from_a_spool_of_an_earlier_life_does_not_end_a_later_one() -> None:
    """It ended before the newest was heard: whoever is silent now is lost, and nothing more is known."""
    story = Story()
    story.later(MINUTE).hears("b", attach=True)
    story.later(SECOND).hears("w", role="worker")
    story.later(SECOND).replays("a", result={**INTERRUPTED, "ended_age_ms": 30 * SECOND})
    story.later(LEASE).reaper()
    assert story.session.status == "lost"
    story.replays("a2", result={**SUCCESS, "ended_age_ms": LEASE + 20 * SECOND})
    assert story.session.status == "lost"


def test_whoever_is_heard_after_a_later_life_outlives_its_word() -> None:
    """A process that was only away is not ended by another's spool."""
    story = Story()
    story.hears("a", seq=1)
    story.later(MINUTE).replays("b", attach=True, result=SUCCESS)
    story.later(SECOND).hears("a", seq=2)
    story.later(LEASE).reaper()
    assert story.session.status == "lost"


@pytest.mark.parametrize(("age", "expected"), [(0, 60), (20, 40), (120, 10)])
def test_the_end_is_dated_by_its_age_within_what_was_heard(age: int, expected: int) -> None:
    """Not before the last heartbeat, not after the receipt."""
    story = Story()
    story.later(10 * SECOND).hears(seq=1)
    story.later(50 * SECOND).hears(seq=2, result={"outcome": "success", "ended_age_ms": age * SECOND})
    assert story.session.ended_at == START + expected * SECOND


def test_only_an_unknown_instances_first_live_snapshot_meets_ended() -> None:
    """Known instances and spools still count after an explicit end; a stranger goes on in a session of its own."""
    story = Story()
    story.hears("a")
    story.hears("w", role="worker")
    story.hears("a", result=SUCCESS)
    story.replays("b", counters={"jobs_found": 1})
    story.hears("w", role="worker", counters={"jobs_found": 1})
    story.hears("a", counters={"jobs_found": 1})
    story.hears("b", counters={"jobs_found": 2})  # known from its spool
    before = story.state
    with pytest.raises(Ended):
        story.hears("c", counters={"jobs_found": 1})
    with pytest.raises(Ended):
        story.hears("c", role="worker", result=SUCCESS)
    assert story.state is before
    assert story.totals == {"jobs_found": 4}


def test_a_guessed_end_refuses_nobody() -> None:
    """A restarted bot re-attaches to a session that was only concluded."""
    story = Story()
    story.replays("a")
    assert story.hears("b", attach=True).applied
    assert story.session.status == "running"


def test_another_persons_session_does_not_exist() -> None:
    """Whoever it is and whatever they ask, before anything else is looked at."""
    story = Story()
    story.hears("a", result=SUCCESS)
    before = story.state
    asks: list[Callable[[], Step]] = [
        lambda: story.hears("a", user=BOB),
        lambda: story.hears("c", user=BOB),
        lambda: story.replays("c", user=BOB),
        lambda: story.stop(BOB),
        lambda: story.close(BOB),
    ]
    for ask in asks:
        with pytest.raises(Unknown):
            ask()
    assert story.state is before
    assert story.session.user_id == ALICE


def test_what_nobody_began_cannot_be_stopped_closed_or_expired() -> None:
    """Only a report makes a session."""
    asks: list[Callable[[], Step]] = [Story().stop, Story().close, Story().reaper]
    for ask in asks:
        with pytest.raises(Unknown):
            ask()


def test_a_session_holds_200_instances() -> None:
    """The 201st is refused, live or spool; the known ones go on."""
    story = Story()
    for n in range(200):
        story.hears(f"i{n}", counters={"jobs_found": 1})
    with pytest.raises(TooManyInstances):
        story.hears("one more")
    with pytest.raises(TooManyInstances):
        story.replays("one more")
    assert story.hears("i199", counters={"jobs_found": 2}).applied
    assert story.session.instances == 200
    assert story.totals == {"jobs_found": 201}


def test_a_person_closes_a_lost_session() -> None:
    """Interrupted, inferred, as of the last heartbeat; the next one takes it back."""
    story = Story()
    story.hears()
    story.later(HOUR).reaper()
    story.close()
    session = story.session
    assert (session.status, session.inferred, session.ended_at) == ("interrupted", True, START)
    story.hears()
    assert story.session.status == "running"


def test_a_session_that_is_not_lost_cannot_be_closed() -> None:
    """409 live while it is heard, 409 ended when it has an end of either kind."""
    story = Story()
    story.hears()
    with pytest.raises(Live):
        story.close()
    story.later(HOUR).reaper()
    story.close()
    with pytest.raises(Ended):
        story.close()
    story.hears(result=SUCCESS)
    with pytest.raises(Ended):
        story.close()
    assert story.session.status is Status.COMPLETED
