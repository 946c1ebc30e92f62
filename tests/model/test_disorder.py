"""Truth under disorder: reports are lost, doubled, late, reordered; processes die; a person presses Stop at any moment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from tests.model.disorder import InMemory, Move, World
from tests.model.stored import Stored

HISTORIES = int(os.environ.get("HISTORIES", "2000"))

# How often each move comes; the first is the one that a failing history is reduced to.
WEIGHTS = {
    Move.PASS: 4,
    Move.SPAWN: 2,
    Move.RESTART: 2,
    Move.WORK: 3,
    Move.SAY: 5,
    Move.DELIVER: 8,
    Move.LOSE: 1,
    Move.BEAT: 8,
    Move.KILL: 1,
    Move.REPLAY: 3,
    Move.END: 1,
    Move.LOOK: 2,
    Move.STOP: 3,
    Move.CLOSE: 1,
    Move.REAP: 3,
    Move.SERVICE: 1,
}
MOVES = [move for move, weight in WEIGHTS.items() for _ in range(weight)]
NUMBERS = st.integers(0, 255)


def histories(longest: int) -> st.SearchStrategy[list[tuple[Move, int, int]]]:
    """Histories of any length up to the longest, each length as likely as another."""
    move = st.tuples(st.sampled_from(MOVES), NUMBERS, NUMBERS)
    return st.integers(1, longest).flatmap(lambda length: st.lists(move, min_size=length, max_size=length))


def disorder(examples: int) -> settings:
    """How a property is tried: fresh histories each time, reduced to the shortest that fails."""
    return settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )


@pytest.mark.timeout(max(300, HISTORIES // 10))
@given(history=histories(80))
@disorder(HISTORIES)
def test_truth_under_disorder(history: list[tuple[Move, int, int]]) -> None:
    """Counters equal the truth, a stop reaches everybody who asks, a guess never outlives a sign of life."""
    note("\n".join(f"{move.value} {x} {y}" for move, x, y in history))
    World(InMemory()).carry_out(history)


@pytest.mark.timeout(max(300, HISTORIES // 10))
def test_truth_under_disorder_through_the_store(tmp_path: Path) -> None:
    """The same through batch and SQLite: nothing is lost between the lives of the service, `revision` never falls."""
    with Stored(tmp_path / "botlight.db") as stored:

        @given(history=histories(50))
        @disorder(max(20, HISTORIES // 40))
        def try_one(history: list[tuple[Move, int, int]]) -> None:
            note("\n".join(f"{move.value} {x} {y}" for move, x, y in history))
            world = World(stored.newcomer())
            world.carry_out(history)
            stored.compare(world)

        try_one()
