"""The table of the lifecycle: every cell, and that nothing else decides a status."""

from __future__ import annotations

import ast
import itertools
from pathlib import Path

import pytest

import botlight.model
from botlight.model.event import FactKind
from botlight.model.lifecycle import STATUS_OF, TRANSITIONS, Phase, Trigger, moved, next_phase, phase_of
from botlight.model.session import BotSession, Instant, Outcome, Result, Status

NOW = Instant(2_000)

# What the contract says (§ Merge 5, § Silence), cell by cell; the columns are the order of Trigger.
EXPECTED = {
    #                  a live snapshot, the bot's own end, a guess, a lease that ran out
    Phase.RUNNING: (Phase.RUNNING, Phase.ENDED, Phase.CONCLUDED, Phase.LOST),
    Phase.LOST: (Phase.RUNNING, Phase.ENDED, Phase.CONCLUDED, Phase.LOST),
    Phase.CONCLUDED: (Phase.RUNNING, Phase.ENDED, Phase.CONCLUDED, Phase.CONCLUDED),
    Phase.ENDED: (Phase.ENDED, Phase.ENDED, Phase.ENDED, Phase.ENDED),
}
CELLS = [(phase, trigger, row[column]) for phase, row in EXPECTED.items() for column, trigger in enumerate(Trigger)]


def session_in(phase: Phase) -> BotSession:
    """A session in a phase, failed where it has an end."""
    session = BotSession(id="s", user_id="u", created_at=Instant(0), started_at=Instant(0))
    if phase is Phase.LOST:
        return moved(session, Trigger.EXPIRE, Instant(500))[0]
    if phase is Phase.RUNNING:
        return session
    trigger = Trigger.INFERRED if phase is Phase.CONCLUDED else Trigger.EXPLICIT
    return moved(session, trigger, Instant(500), result(Outcome.FAILED, "boom"))[0]


def result(outcome: Outcome, message: str | None = None) -> Result:
    """A result; whether it counts as inferred is the trigger's word."""
    return Result(outcome=outcome, inferred=False, error_message=message, ended_at=Instant(1_500))


def test_table_has_every_cell() -> None:
    """No phase and no trigger is left to chance."""
    assert set(TRANSITIONS) == set(itertools.product(Phase, Trigger))


@pytest.mark.parametrize(("phase", "trigger", "expected"), CELLS)
def test_every_cell_is_as_the_contract_says(phase: Phase, trigger: Trigger, expected: Phase) -> None:
    """The table is the contract's, and `moved` follows it to the stored status and back."""
    session = session_in(phase)
    assert phase_of(session) is phase
    assert next_phase(session, trigger) is expected
    after, facts = moved(session, trigger, NOW, result(Outcome.STOPPED))
    assert phase_of(after) is expected
    assert len(facts) == (0 if expected is phase else 1)
    if expected is phase:
        assert after == session


@pytest.mark.parametrize(("phase", "trigger", "expected"), CELLS)
def test_fields_of_the_end_belong_to_an_end_alone(phase: Phase, trigger: Trigger, expected: Phase) -> None:
    """Outcome, error, ended_at and inferred say the same as the status, after every move."""
    after, _ = moved(session_in(phase), trigger, NOW, result(Outcome.STOPPED))
    over = expected in (Phase.CONCLUDED, Phase.ENDED)
    assert after.ended is over
    assert (after.outcome is not None) is over
    assert (after.ended_at is not None) is over
    assert after.inferred is (expected is Phase.CONCLUDED)
    assert after.ended_for_good is (expected is Phase.ENDED)
    assert over or after.error_message is None


@pytest.mark.parametrize(
    ("phase", "trigger", "kind"),
    [
        (Phase.RUNNING, Trigger.EXPIRE, FactKind.LOST),
        (Phase.LOST, Trigger.LIVE, FactKind.RECOVERED),
        (Phase.CONCLUDED, Trigger.LIVE, FactKind.RECOVERED),
        (Phase.LOST, Trigger.INFERRED, FactKind.ENDED),
        (Phase.CONCLUDED, Trigger.EXPLICIT, FactKind.ENDED),
    ],
)
def test_a_move_is_told_in_the_timeline(phase: Phase, trigger: Trigger, kind: FactKind) -> None:
    """Each move leaves its own entry; an end is dated by the end, all else by the clock."""
    _, (fact,) = moved(session_in(phase), trigger, NOW, result(Outcome.STOPPED))
    assert fact.kind is kind
    assert fact.at == (1_500 if kind is FactKind.ENDED else NOW)


@pytest.mark.parametrize(
    ("outcome", "status"), list(zip(Outcome, ("completed", "failed", "stopped", "interrupted"), strict=True))
)
def test_outcome_gives_the_status(outcome: Outcome, status: str) -> None:
    """Outcome success is status completed; the others share their word."""
    assert STATUS_OF[outcome] is Status(status)
    after, _ = moved(session_in(Phase.RUNNING), Trigger.EXPLICIT, NOW, result(outcome))
    assert after.status is Status(status)


def test_an_end_needs_a_result() -> None:
    """A move to an end without one is a mistake in our own code, said at once."""
    with pytest.raises(ValueError, match="explicit comes with a result"):
        moved(session_in(Phase.RUNNING), Trigger.EXPLICIT, NOW)


def test_only_the_table_writes_a_status() -> None:
    """No other module of the model gives a session its status."""
    folder = Path(botlight.model.__file__).parent
    writers = {
        file.name
        for file in folder.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and any(word.arg == "status" for word in node.keywords)
    }
    assert writers == {"lifecycle.py"}
