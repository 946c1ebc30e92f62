"""Lives of bots under disorder: what the reporter says and the merge makes of it is what the bots counted."""

from __future__ import annotations

import json
import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from tests.model.bot_lives import MILLION, Computer, Counts, Life, Service, Turn, added

HISTORIES = int(os.environ.get("HISTORIES", "2000"))

# How often each turn comes; the first is the one that a failing history is reduced to.
WEIGHTS = {
    Turn.COUNT: 8,
    Turn.BEAT: 6,
    Turn.SEND: 8,
    Turn.START: 1,
    Turn.WORKER: 1,
    Turn.JOB: 3,
    Turn.ACT: 1,
    Turn.LATE: 4,
    Turn.LOSE: 1,
    Turn.KILL: 2,
    Turn.AGAIN: 2,
    Turn.END: 1,
    Turn.LAG: 1,
    Turn.DISK: 1,
    Turn.LOOK: 1,
    Turn.STOP: 1,
    Turn.CLOSE: 1,
    Turn.CROWD: 1,
    Turn.DELETE: 1,
    Turn.BACKUP: 1,
    Turn.RESTORE: 2,
}
TURNS = [turn for turn, weight in WEIGHTS.items() for _ in range(weight)]
NUMBERS = st.integers(0, 255)
TURN = st.tuples(st.sampled_from(TURNS), NUMBERS, NUMBERS)
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108  a folder that is quick, in a folder of our own


@contextmanager
def quick_folder() -> Iterator[Path]:
    """A folder in memory, where there is one, gone afterwards."""
    folder = Path(tempfile.mkdtemp(dir=MEMORY))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


class Differences(Life):
    """A reporter that tells what it counted since the last acknowledgement, as metrics often are told."""

    def ask(self, now: float) -> Any:
        """The next request, with differences in the place of what it counted in all."""
        order = super().ask(now)
        if order is None:
            return None
        document, acked = json.loads(order.sent.body), order.sent.ledger.acked
        counters = {
            name: float(Decimal(str(value)) - Decimal(acked.get(name, 0)) / MILLION)
            for name, value in document["counters"].items()
        }
        body = json.dumps({**document, "counters": counters}).encode()
        order = self.keeper._flight = order._replace(sent=order.sent._replace(body=body))
        return order


class AddingUp(Service):
    """A service that adds up what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.sums: dict[str, Counts] = {}

    def hear(self, body: bytes, now: int) -> tuple[int, dict[str, Any]]:
        """A request arrives, and is added to what came before."""
        code, document = super().hear(body, now)
        if code == 200:
            said = json.loads(body, parse_float=Decimal)
            told = {name: int(Decimal(value) * MILLION) for name, value in said["counters"].items()}
            instance_id = said["instance_id"]
            self.sums[instance_id] = self.accepted[instance_id] = added(self.sums.get(instance_id, {}), told)
        return code, document

    def counted(self, instance_id: str) -> Counts:
        """What was added up for an instance."""
        return self.sums.get(instance_id, {})


class AddedUp(Computer):
    """The same histories with differences on the wire."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, AddingUp(), Differences)

    def check(self) -> None:
        """The bots' counts alone; how the service comes to its totals is another question."""
        for life in self.lives:
            assert self._arrived(life) == self._expected(life), "the totals are not what the bot counted"


def is_exact(kind: type[Computer], seed: int) -> bool:
    """Whether the totals are right after a history without kills, in which differences have their best chance."""
    dice = random.Random(seed)
    calm = [turn for turn in TURNS if turn in (Turn.COUNT, Turn.BEAT, Turn.SEND, Turn.JOB, Turn.LATE)]
    history = [(dice.choice(calm), dice.randrange(256), dice.randrange(256)) for _ in range(60)]
    with quick_folder() as folder:
        try:
            kind(folder).carry_out(history)
        except AssertionError as error:
            assert "the totals are not what the bot counted" in str(error)  # noqa: PT017  that it was for this
            return False
    return True


def histories(longest: int) -> st.SearchStrategy[list[tuple[Turn, int, int]]]:
    """Histories of any length up to the longest, each length as likely as another."""
    return st.integers(1, longest).flatmap(lambda length: st.lists(TURN, min_size=length, max_size=length))


@pytest.mark.timeout(max(300, HISTORIES // 5))
@given(history=histories(60))
@settings(
    max_examples=HISTORIES,
    deadline=None,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
def test_totals_are_what_the_bots_counted(history: list[tuple[Turn, int, int]]) -> None:
    """T7: exact each time, through loss, doubling, reordering, kills, restarts, replays, restorations and moves."""
    note("\n".join(f"{turn.value} {x} {y}" for turn, x, y in history))
    with quick_folder() as folder:
        Computer(folder).carry_out(history)


def test_differences_would_not_be() -> None:
    """T7: the same oracle finds out a reporter that tells differences, nearly every time."""
    assert [is_exact(Computer, seed) for seed in range(40)] == [True] * 40
    assert sum(is_exact(AddedUp, seed) for seed in range(40)) < 4
