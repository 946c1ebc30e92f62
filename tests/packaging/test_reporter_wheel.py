"""The reporter on every interpreter of this machine: its wheel alone in an empty environment, and its file alone."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from tests.packaging.conftest import REPOSITORY, Wheels
from tests.packaging.environment import make_environment
from tests.packaging.interpreters import INTERPRETERS
from tests.support.service import API, Person, RunningService

ON_EACH: Final = pytest.mark.parametrize("python", INTERPRETERS.values(), ids=INTERPRETERS.keys())

BOT: Final = """
from status_reporter import StatusReporter

with StatusReporter(name="packaged").session("1.0") as reporter:
    reporter.job("1", title="Data analyst").applied(credits=0.5)
"""

ALONE: Final = "import runpy, sys; sys.path.insert(0, '.'); runpy.run_path('bot.py')"
"""Runs the bot where -I and -S have left nothing but the standard library."""

TYPED: Final = """
from status_reporter import StatusReporter

reporter = StatusReporter(name="typed")
asked: bool = reporter.should_stop
reporter.increment_jobs_found("three")
"""


def watched(person: Person, folder: Path) -> dict[str, str]:
    """A bot in a folder of its own, and the settings with which it reports as a person's."""
    (folder / "bot.py").write_text(BOT)
    return {
        "STATUS_REPORTER_URL": person.service.address,
        "STATUS_REPORTER_TOKEN": person.token("report").secret,
    }


def reported(person: Person) -> Any:
    """What the service has of the one session of a person."""
    with person.service.client(person.token("view").headers) as client:
        [session] = client.get(f"{API}/sessions").json()["sessions"]
    return {name: session[name] for name in ("bot_name", "status", "inferred", "jobs_applied", "credits_used")}


EXPECTED: Final = {
    "bot_name": "packaged",
    "status": "completed",
    "inferred": False,
    "jobs_applied": 1,
    "credits_used": 0.5,
}


@ON_EACH
def test_the_wheel_works_alone_in_an_empty_environment(
    python: Path, wheels: Wheels, shared: RunningService, tmp_path: Path
) -> None:
    """Installed without anything else, it reports to a real service; on the oldest by the pip that came with it."""
    environment = make_environment(python, tmp_path, pip=python == next(iter(INTERPRETERS.values())))
    environment.install("--no-index", "--no-deps", wheels.reporter)
    person = shared.person()
    settings = watched(person, environment.home)

    question = (
        "import status_reporter as r; from importlib import metadata as m;"
        "print(r.__file__, r.__version__, m.version('botlight-reporter'), m.requires('botlight-reporter'))"
    )
    file, *words = environment.run(environment.python, "-I", "-W", "error", "-c", question).split()
    environment.run(environment.python, "-W", "error", "bot.py", settings=settings)

    assert Path(file).is_relative_to(environment.folder)
    version = wheels.reporter.name.split("-")[1]
    assert words == [version, version, "None"]
    assert reported(person) == EXPECTED


@ON_EACH
def test_the_file_works_alone_beside_a_bot(python: Path, shared: RunningService, tmp_path: Path) -> None:
    """Copied into an otherwise empty folder, with neither site-packages nor the environment's paths, it reports."""
    shutil.copy(REPOSITORY / "client/status_reporter.py", tmp_path)
    person = shared.person()
    settings = watched(person, tmp_path)

    done = subprocess.run(
        [python, "-I", "-S", "-W", "error", "-c", ALONE],
        cwd=tmp_path,
        env=settings,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert reported(person) == EXPECTED


def test_a_type_checker_finds_the_types_of_the_installed_reporter(wheels: Wheels, tmp_path: Path) -> None:
    """Someone else's bot is checked against the reporter's annotations, not against Any."""
    environment = make_environment(Path(sys.executable), tmp_path, pip=False)
    environment.install("--no-index", "--no-deps", wheels.reporter)
    (environment.home / "bot.py").write_text(TYPED)

    mypy = [sys.executable, "-m", "mypy", "--strict", "--python-executable", str(environment.python), "bot.py"]
    done = subprocess.run(
        mypy,
        cwd=environment.home,
        env=environment.variables(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    [error, _] = done.stdout.splitlines()
    assert error.startswith("bot.py:6: error: ")
    assert error.endswith("[arg-type]")


def test_the_interpreter_of_these_tests_is_among_those_that_were_found() -> None:
    """The list that the other tests go through is not empty by mistake."""
    assert f"3.{sys.version_info.minor}" in INTERPRETERS
