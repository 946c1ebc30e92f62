"""Both distributions, built once for all tests of this folder as `make wheels` builds them."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

__all__ = ["REPOSITORY", "Wheels"]

REPOSITORY: Final = Path(__file__).parents[2]
BUILD_S: Final = 120


@dataclass(frozen=True, kw_only=True, slots=True)
class Wheels:
    """The two wheels, in one folder."""

    service: Path
    reporter: Path


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Wheels:
    """Each wheel is made from its source distribution, so that what the latter lacks is missed."""
    dist = tmp_path_factory.mktemp("dist")
    for source in (REPOSITORY, REPOSITORY / "client"):
        command = [sys.executable, "-m", "build", "-q", "--no-isolation", "--outdir", str(dist), str(source)]
        subprocess.run(command, check=True, timeout=BUILD_S)
    [service] = dist.glob("botlight-*.whl")
    [reporter] = dist.glob("botlight_reporter-*.whl")
    return Wheels(service=service, reporter=reporter)
