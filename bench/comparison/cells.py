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
from bench.comparison.trial import Leg, Outcome, Scenario, price, trial

__all__ = ["SCENARIOS", "Cell", "Cost", "cells", "costs"]

BEFORE, OUTAGE, AFTER = Leg(10, 0.1, down=False), Leg(10, 1.0, down=True), Leg(10, 1.0, down=False)
NEVER = Scenario("never", None, (BEFORE, BEFORE, AFTER))
OUTAGES = (
    ("at the start", (OUTAGE, BEFORE, AFTER)),
    ("in the middle", (BEFORE, OUTAGE, AFTER)),
    ("at the end", (BEFORE, BEFORE, OUTAGE)),
)
SCENARIOS = (NEVER, *(Scenario(when, down, legs, second=3) for when, legs in OUTAGES for down in Down))


class Cell(NamedTuple):
    """What the tables show of a row in a scenario."""

    blocked_s: float  # the median; inf when a bot was killed, nan when one died
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
            next(
                (one.blocked_s for one in outcomes if not math.isfinite(one.blocked_s)),
                statistics.median(one.blocked_s for one in outcomes),
            ),
            statistics.median(one.raised for one in outcomes),
            max(one.calls for one in outcomes),
            max((reports - one.total for one in known), default=None),
            max((reports - one for one in points), default=None),
            tuple(dict.fromkeys(error for one in outcomes for error in one.errors)),
        )


class Cost(NamedTuple):
    """Of one call with the backend up, in microseconds; and of the import, in seconds; medians of all repetitions."""

    p50_us: float
    p99_us: float
    imported_s: float


def costs(rows: list[Candidate], folder: Path, *, repeat: int, calls: int) -> dict[str, Cost]:
    """Every row's, one after the other with nothing else at work."""

    def cost(row: Candidate, number: int) -> Cost:
        found = [price(row, folder / f"cost-{number}-{one}", f"cost-{number}-{one}", calls) for one in range(repeat)]
        times = [sorted(one.times_us) for one in found]
        return Cost(
            statistics.median(one[len(one) // 2] for one in times),
            statistics.median(one[int(len(one) * 0.99)] for one in times),
            statistics.median(one.imported_s for one in found),
        )

    return {row.name: cost(row, number) for number, row in enumerate(rows)}


def cells(
    rows: list[Candidate], scenarios: tuple[Scenario, ...], folder: Path, *, repeat: int, at_once: int
) -> dict[tuple[str, Scenario], Cell]:
    """Every row in every scenario, some at once, since they mostly wait."""

    def cell(row: Candidate, scenario: Scenario, number: int) -> Cell:
        outcomes: list[Outcome] = []
        for repetition in range(repeat):
            name = f"bot-{number}-{repetition}"
            outcomes.append(trial(row, scenario, Path(tempfile.mkdtemp(prefix=f"{name}-", dir=folder)), name))
            if not math.isfinite(outcomes[-1].blocked_s):  # it would come to the same end again
                break
        return Cell.of(outcomes, scenario.reports)

    with ThreadPoolExecutor(at_once) as pool:
        tasks = {
            (row.name, scenario): pool.submit(cell, row, scenario, number)
            for number, (scenario, row) in enumerate((scenario, row) for scenario in scenarios for row in rows)
        }
        return {key: task.result() for key, task in tasks.items()}
