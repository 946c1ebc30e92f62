"""The repeated trials of one row in one scenario, made one."""

from __future__ import annotations

import math
import statistics
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from bench.comparison.candidates import Candidate
from bench.comparison.door import Down
from bench.comparison.trial import Leg, Outcome, Scenario, trial

__all__ = ["SCENARIOS", "Cell", "cells"]

TEN, OUTAGE, TWENTY = Leg(10, 0.1, down=False), Leg(10, 1.0, down=True), Leg(20, 0.1, down=False)
NEVER = Scenario("never", None, (TEN, TWENTY))
OUTAGES = (
    ("at the start", (OUTAGE, TWENTY), 0),
    ("in the middle", (TEN, OUTAGE, TEN), 0),
    ("at the end", (TWENTY, OUTAGE), 3),
)
SCENARIOS = (NEVER, *(Scenario(when, down, legs, second) for when, legs, second in OUTAGES for down in Down))


class Cell(NamedTuple):
    """What the tables show of a row in a scenario."""

    blocked_s: float  # the median; inf when a bot was killed
    raised: float  # the median
    calls: int
    lost: int | None  # of the total, the most of all repetitions; None: not judged
    missing: int | None  # of the single reports, the most; None: they are not kept one by one, or not judged
    errors: tuple[str, ...]

    @classmethod
    def of(cls, outcomes: list[Outcome], reports: int) -> Cell:
        """From the outcomes of all repetitions."""
        known = [one.known for one in outcomes if one.known]
        points = [one.points for one in known if one.points is not None]
        return cls(
            statistics.median(one.blocked_s for one in outcomes),
            statistics.median(one.raised for one in outcomes),
            max(one.calls for one in outcomes),
            max((reports - one.total for one in known), default=None),
            max((reports - one for one in points), default=None),
            tuple(dict.fromkeys(error for one in outcomes for error in one.errors)),
        )


def cells(
    rows: list[Candidate], scenarios: tuple[Scenario, ...], folder: Path, *, repeat: int, at_once: int
) -> dict[tuple[str, Scenario], Cell]:
    """Every row in every scenario, some at once, since they mostly wait."""

    def cell(row: Candidate, scenario: Scenario, number: int) -> Cell:
        outcomes: list[Outcome] = []
        for repetition in range(repeat):
            name = f"bot-{number}-{repetition}"
            outcomes.append(trial(row, scenario, Path(tempfile.mkdtemp(prefix=f"{name}-", dir=folder)), name))
            if outcomes[-1].blocked_s == math.inf:  # once more would be killed again
                break
        return Cell.of(outcomes, scenario.reports)

    with ThreadPoolExecutor(at_once) as pool:
        tasks = {
            (row.name, scenario): pool.submit(cell, row, scenario, number)
            for number, (scenario, row) in enumerate((scenario, row) for scenario in scenarios for row in rows)
        }
        return {key: task.result() for key, task in tasks.items()}
