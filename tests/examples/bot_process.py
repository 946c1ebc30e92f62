"""The auto-apply bot as a process of its own, with preferences for a test."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.examples.board_process import REPOSITORY

PREFERENCES = """
[board]
user = "robin"
password = "secret"
timeout_s = {timeout_s}
retry_s = 0.05

[search]
keywords = {keywords}
locations = {locations}
limit = {limit}

[apply]
cap = {cap}
pause_s = {pause_s}
otherwise = "I would be glad to tell you in a conversation."

[answers]
"full name" = "Robin Example"
"email" = "robin@example.org"
"years of experience" = "2"
"allowed to work" = "Yes"
"salary" = "52000"
"""


def write_preferences(folder: Path, **changes: object) -> Path:
    """Writes a preferences file (no keywords, no limit, no cap, no pause, unless changed) and returns its path."""
    values = {"timeout_s": 1, "keywords": [], "locations": [], "limit": 0, "cap": 0, "pause_s": 0}
    path = folder / "preferences.toml"
    path.write_text(PREFERENCES.format(**values | changes), encoding="utf-8")
    return path


@contextmanager
def running_bot(
    board_url: str, preferences: Path, *options: str, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Starts a bot; its output goes to pipes that `communicate()` reads. Kills it if it still runs at the end."""
    command = [sys.executable, "-m", "examples.auto_apply_bot", "--board", board_url]
    command += ["--preferences", str(preferences), *options]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("STATUS_REPORTER_")}
    process = subprocess.Popen(
        command,
        cwd=REPOSITORY,
        env=inherited | (environment or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def run_bot(board_url: str, preferences: Path, *options: str, environment: dict[str, str] | None = None) -> str:
    """Runs a bot until it has done its work without a complaint, and returns its output."""
    with running_bot(board_url, preferences, *options, environment=environment) as bot:
        return good_end(bot)


def good_end(bot: subprocess.Popen[str]) -> str:
    """Waits for a bot to end without a complaint, and returns its output."""
    output, complaints = bot.communicate(timeout=250)
    assert (bot.returncode, complaints) == (0, ""), output
    return output
