"""The job board as a process of its own, with its journal: what the tests of the examples start and read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True, kw_only=True, slots=True)
class Truth:
    """What a person did on the board, by distinct posting, as its journal has it."""

    found: int
    applied: int
    failed: int  # submitted at least once, and never accepted


@dataclass(frozen=True, kw_only=True, slots=True)
class RunningBoard:
    """A board that listens at `url`."""

    url: str
    journal_path: Path

    def journal(self, event: str, user: str | None = None) -> list[dict[str, Any]]:
        """The lines of one kind so far, in order; of one person, or of everybody."""
        lines = [json.loads(line) for line in self.journal_path.read_text(encoding="utf-8").splitlines()]
        return [line for line in lines if line["event"] == event and user in (None, line.get("user"))]

    def truth(self, user: str) -> Truth:
        """What `user` did so far."""
        found = {key for line in self.journal("listed", user) for key in line["ids"]}
        submitted = {line["id"] for line in self.journal("submitted", user)}
        accepted = [line["id"] for line in self.journal("accepted", user)]
        assert len(accepted) == len(set(accepted)), "the board accepted an application twice"
        return Truth(found=len(found), applied=len(accepted), failed=len(submitted - set(accepted)))


@contextmanager
def running_board(folder: Path, *options: str) -> Iterator[RunningBoard]:
    """Starts a board on a free port with a journal in `folder`, and ends it."""
    journal_path = folder / "journal.jsonl"
    command = [sys.executable, "-m", "examples.job_board", "--port", "0", "--journal", str(journal_path), *options]
    environment = {name: value for name, value in os.environ.items() if name != "BOTLIGHT_POSTINGS"}
    process = subprocess.Popen(
        command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        ready = process.stdout.readline().split()
        assert ready, process.communicate()[1]
        yield RunningBoard(url=ready[-1], journal_path=journal_path)
    finally:
        process.terminate()
        _, complaints = process.communicate(timeout=10)
    assert complaints == "", complaints


def posting_row(number: int, **changes: object) -> dict[str, object]:
    """A posting in the format of the file; `changes` replaces fields."""
    row: dict[str, object] = {
        "id": f"job-{number}",
        "title": f"Engineer {number}",
        "company_name": f"Company {number % 7}",
        "locations": ["Leeds, UK" if number % 2 else "Remote"],
        "date_posted": 1_760_000_000 + 86_400 * number,
        "date_updated": 1_760_000_000,
        "active": True,
        "is_visible": True,
        "sponsorship": "Other",
        "url": f"https://company{number % 7}.example/{number}",
        "company_url": f"https://company{number % 7}.example/",
    }
    return row | changes


def write_postings(folder: Path, rows: Sequence[dict[str, object]]) -> Path:
    """Writes a postings file and returns its path."""
    path = folder / "postings.json"
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path
