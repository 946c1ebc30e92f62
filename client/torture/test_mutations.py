"""The suite against itself: each small breakage of the reporter turns its case red, by an assertion and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from torture.mutations import BREAKAGES, Breakage, copy_of_the_tree, run

from tests.support.figures import Figures


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("breakage", BREAKAGES, ids=[one.name.replace(" ", "-") for one in BREAKAGES])
def test_a_breakage_turns_its_case_red(breakage: Breakage, tmp_path: Path, figures: Figures) -> None:
    """With the breakage in the reporter the case fails in its own body, with an AssertionError."""
    verdicts = run(copy_of_the_tree(tmp_path, breakage), breakage.test, breakage.marks)
    red = [one for one in verdicts if one.exception]
    assert red, f"nobody notices: {breakage.name}"
    assert (red[0].phase, red[0].asserted) == ("call", True), red[0]
    figures.add(breakage.case, f"notices: {breakage.name}", 1, "red test")


@pytest.mark.long
@pytest.mark.timeout(900)
def test_without_a_breakage_the_same_cases_are_green(tmp_path: Path) -> None:
    """A copy of the tree is as good as the tree: what turns red above is the breakage's doing."""
    folder = copy_of_the_tree(tmp_path, None)
    verdicts = [
        verdict for test in sorted({(one.test, one.marks) for one in BREAKAGES}) for verdict in run(folder, *test)
    ]
    assert [one for one in verdicts if one.exception] == []
