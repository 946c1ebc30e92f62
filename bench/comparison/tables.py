"""The tables of the comparison as text."""

from __future__ import annotations

import math
from collections.abc import Callable

from bench.comparison.candidates import Candidate
from bench.comparison.cells import Cell, Cost
from bench.comparison.trial import LIMIT_S, Scenario

__all__ = ["cost_table", "errors", "outage_tables"]

Cells = dict[tuple[str, Scenario], Cell]
WIDTH = 9


def seconds(value: float) -> str:
    """Of being blocked."""
    if math.isnan(value):
        return "died"
    if value > LIMIT_S:
        return f"> {LIMIT_S:.0f}"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def _lost(row: Candidate, cell: Cell) -> str:
    if row.by_hand:
        return "by hand"
    if cell.lost is None:
        return "died" if math.isnan(cell.blocked_s) else "killed"
    return f"{cell.lost}" if cell.missing is None else f"{cell.lost}/{cell.missing}"


def _table(title: str, rows: list[Candidate], failed: dict[str, str], found: Cells, show: Callable[..., str]) -> str:
    scenarios = list(dict.fromkeys(scenario for _, scenario in found))
    groups: dict[str, int] = {}
    for scenario in scenarios:
        groups[scenario.when] = groups.get(scenario.when, 0) + 1
    lines = [title, " " * 25 + "".join(f"{when:>{WIDTH * many}}" for when, many in groups.items())]
    lines.append(" " * 25 + "".join(f"{scenario.down or 'down':>{WIDTH}}" for scenario in scenarios))
    for row in rows:
        cells = [found.get((row.name, scenario)) for scenario in scenarios]
        said = "".join(f"{show(row, cell):>{WIDTH}}" for cell in cells if cell)
        lines.append(f"  {row.name:<23}{said or '  ' + failed[row.name]}")
    return "\n".join(lines)


def outage_tables(rows: list[Candidate], failed: dict[str, str], found: Cells, repeat: int) -> str:
    """Blocked, raised, lost: a column for each outage."""
    most = max((cell.calls for cell in found.values()), default=0)
    return "\n\n".join(
        (
            _table(
                f"Seconds that the bot's thread was blocked, in {most} calls and at its exit; median of {repeat}",
                rows,
                failed,
                found,
                lambda _, cell: seconds(cell.blocked_s),
            ),
            _table(
                f"Exceptions raised into the bot, in {most} calls; median of {repeat}",
                rows,
                failed,
                found,
                lambda _, cell: f"{cell.raised:.0f}" + ("" if math.isfinite(cell.blocked_s) else "+"),
            ),
            _table(
                f"Lost once the backend is back: of the total/of the single reports; the most of {repeat}",
                rows,
                failed,
                found,
                _lost,
            ),
        )
    )


def cost_table(rows: list[Candidate], failed: dict[str, str], costs: dict[str, Cost], repeat: int) -> str:
    """One call with the backend up, and what each row is."""
    lines = [
        f"One call, in µs, with the backend up; medians of {repeat}",
        f"{'':<25}{'p50':>10}{'p99':>11}{'import':>11}",
    ]
    for row in rows:
        cost = costs.get(row.name)
        said = f"{cost.p50_us:>10.1f}{cost.p99_us:>11.1f}{cost.imported_s:>9.2f} s" if cost else f"  {failed[row.name]}"
        lines.append(f"  {row.name:<23}{said}")
    lines += ["", "What each is, and what stood behind it"]
    for row in rows:
        version = ", ".join(row.requirements) or "this repository's"
        lines.append(f"  {row.name:<23}{version:<26}{row.made_for}; {row.behind}")
        lines += [f"  {'':<23}{row.manner}"] if row.manner else []
    return "\n".join(lines)


def errors(rows: list[Candidate], found: Cells) -> str:
    """The kinds of exceptions that came into the bot."""
    lines = ["What was raised"]
    for row in rows:
        raised = [error for (name, _), cell in found.items() if name == row.name for error in cell.errors]
        kinds = dict.fromkeys(error.partition(":")[0] for error in raised)
        if kinds:
            lines.append(f"  {row.name:<23}{', '.join(kinds)}")
    return "\n".join(lines)
