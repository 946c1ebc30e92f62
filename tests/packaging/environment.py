"""An empty virtual environment, and what is installed into it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["Environment", "make_environment"]

MAKE_S: Final = 120
INSTALL_S: Final = 240
RUN_S: Final = 60
OURS: Final = ("BOTLIGHT_", "STATUS_REPORTER_", "PYTHON")


@dataclass(frozen=True, kw_only=True, slots=True)
class Environment:
    """A virtual environment; `folder` is its own, `home` the one in which its programs run, empty at first."""

    folder: Path
    home: Path

    @property
    def programs(self) -> Path:
        """Where its programs are."""
        return self.folder / ("Scripts" if sys.platform == "win32" else "bin")

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.programs / "python"

    def variables(self, settings: dict[str, str] | None = None) -> dict[str, str]:
        """What its programs find in their environment: nothing of the tests' own, and the settings."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        return kept | (settings or {})

    @property
    def packages(self) -> Path:
        """Where what is installed goes."""
        question = "import sysconfig; print(sysconfig.get_path('purelib'))"
        return Path(self.run(self.python, "-I", "-c", question).strip())

    def install(self, *arguments: str | Path) -> None:
        """Install with its own pip, else with the tests' one; what cannot be had fails the test."""
        if (self.packages / "pip").exists():
            pip: list[str | Path] = [self.python, "-m", "pip", "install"]
        else:
            version = self.run(self.python, "-I", "-c", "import sys; print('%d.%d' % sys.version_info[:2])").strip()
            into: list[str | Path] = ["--target", self.packages, "--python-version", version, "--only-binary", ":all:"]
            pip = [sys.executable, "-m", "pip", "install", *into]
        self.run(*pip, "-q", "--disable-pip-version-check", *arguments, within_s=INSTALL_S)

    def run(self, *command: str | Path, within_s: float = RUN_S, settings: dict[str, str] | None = None) -> str:
        """Run a program to its end, which has to be a good one; answers what it said on stdout."""
        done = subprocess.run(
            command,
            cwd=self.home,
            env=self.variables(settings),
            capture_output=True,
            text=True,
            timeout=within_s,
            check=False,
        )
        assert done.returncode == 0, f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout


def make_environment(python: Path, folder: Path, *, pip: bool = True) -> Environment:
    """Make an empty environment for an interpreter; `pip` gives it the pip that comes with it, which takes seconds."""
    environment = Environment(folder=folder / "environment", home=folder / "home")
    environment.home.mkdir(parents=True)
    bare = [] if pip else ["--without-pip"]
    subprocess.run([python, "-m", "venv", *bare, environment.folder], check=True, timeout=MAKE_S)
    return environment
