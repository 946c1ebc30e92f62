"""The whole comparison: `python -m bench.comparison [ROW …]`, rows by a part of their name.

REPEAT=1 repeats nothing, for a quick look; AT_ONCE says how many bots live at the same time.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from bench.comparison import venvs
from bench.comparison.candidates import Candidate, candidates
from bench.comparison.cells import SCENARIOS, cells, costs
from bench.comparison.tables import cost_table, errors, outage_tables

REPEAT = int(os.environ.get("REPEAT", "3"))
AT_ONCE = int(os.environ.get("AT_ONCE", "6"))
CALLS = 500


def say(text: str) -> None:
    """Tells whoever waits what is being done."""
    print(text, file=sys.stderr, flush=True)


def failures(rows: list[Candidate]) -> dict[str, str]:
    """Installs what every row needs; the installer's error for those that have one."""
    failed = {}
    for row in rows:
        say(f"installing {', '.join(row.requirements) or row.name} …")
        if error := venvs.install(row.venv, list(row.requirements)):
            failed[row.name] = error
    return failed


def main() -> None:
    """Installs, measures, prints."""
    with tempfile.TemporaryDirectory(prefix="comparison-") as place, ExitStack() as stack:
        folder = Path(place)
        wanted = sys.argv[1:]
        rows = [row for row in candidates(folder, stack) if not wanted or any(word in row.name for word in wanted)]
        failed = failures(rows)
        able = [row for row in rows if row.name not in failed]
        say(f"letting {len(able) * len(SCENARIOS)} kinds of bots live, {AT_ONCE} at once, {REPEAT} times …")
        began = time.monotonic()
        found = cells(able, SCENARIOS, folder, repeat=REPEAT, at_once=AT_ONCE)
        say(f"that took {time.monotonic() - began:.0f} s")
        say("measuring one call …")
        prices = costs(able, folder, repeat=REPEAT, calls=CALLS)
    print(f"Python {venvs.python()}; each library in a virtual environment of its own\n")
    print(outage_tables(rows, failed, found, REPEAT), end="\n\n")
    print(cost_table(rows, failed, prices, REPEAT), end="\n\n")
    print(errors(able, found))


if __name__ == "__main__":
    main()
