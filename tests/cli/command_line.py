"""The program as a person runs it: a process of its own, with the settings of a running service and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from tests.support.service import RunningService

__all__ = ["NOTHING", "Said", "botlight", "environment", "running_botlight"]

NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


def environment(service: RunningService | None, folder: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """A person's environment whose settings are those of a service, or of none, and whose home is `folder`."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("BOTLIGHT_", "STATUS_REPORTER_"))}
    own |= {"HOME": str(folder), "XDG_DATA_HOME": str(folder / "data"), "COLUMNS": "120", "TERM": "dumb"}
    if service is not None:
        own |= {"BOTLIGHT_DATABASE_URL": service.settings.database_url, "BOTLIGHT_PORT": str(service.port)}
    return own | dict(settings)


def botlight(
    *arguments: str,
    service: RunningService | None = None,
    folder: Path,
    stdin: str = "",
    settings: Mapping[str, str] = NOTHING,
) -> Said:
    """Run a command to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "botlight.cli.main", *arguments],
        env=environment(service, folder, settings),
        cwd=folder,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Said(code=done.returncode, out=done.stdout, err=done.stderr)


def running_botlight(
    *arguments: str, service: RunningService | None = None, folder: Path, settings: Mapping[str, str] = NOTHING
) -> subprocess.Popen[str]:
    """Start a command and leave it running; its output is on pipes, and the caller ends it."""
    return subprocess.Popen(
        [sys.executable, "-m", "botlight.cli.main", *arguments],
        env=environment(service, folder, settings),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
