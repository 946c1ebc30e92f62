"""What is in the wheels: everything that the programs read, and nothing of the workshop."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Final
from zipfile import ZipFile

from tests.packaging.conftest import REPOSITORY, Wheels

SOURCE: Final = REPOSITORY / "src" / "botlight"
READ_BY_THE_SERVICE: Final = (
    "py.typed",
    "edge/openapi.yaml",
    "store/sqlite/queries.sql",
    "store/sqlite/migrations/0001_sessions.sql",
    "store/postgres/migrations/20260121000001_bot_sessions.sql",
    "store/postgres/plain_postgres.sql",
    "web/templates/board.html",
    "web/static/bot-status-card.js",
    "web/static/page.css",
    "web/static/botlight.webmanifest",
)


def names(wheel: Path) -> set[str]:
    """The files of a wheel that are not about the wheel."""
    with ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def text(wheel: Path, name: str) -> str:
    """A file of a wheel; of the wheel's own files the name suffices."""
    with ZipFile(wheel) as archive:
        [found] = [each for each in archive.namelist() if each == name or each.endswith(f".dist-info/{name}")]
        return archive.read(found).decode()


def test_the_service_carries_all_its_files_and_no_others(wheels: Wheels) -> None:
    """Each file of the source tree is in the wheel, with the contract beside the code that serves it."""
    kept = {
        path.relative_to(SOURCE) for path in SOURCE.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    }
    expected = {f"botlight/{path.as_posix()}" for path in kept} | {"botlight/edge/openapi.yaml"}
    expected.add("botlight/store/postgres/plain_postgres.sql")
    migrations = (REPOSITORY / "supabase/migrations").glob("*.sql")
    expected |= {f"botlight/store/postgres/migrations/{file.name}" for file in migrations}

    assert names(wheels.service) == expected


def test_the_service_carries_what_it_reads_at_run_time(wheels: Wheels) -> None:
    """Contract, statements, schema, pages and the marker of its types: by name, lest a folder is renamed unnoticed."""
    assert {f"botlight/{name}" for name in READ_BY_THE_SERVICE} <= names(wheels.service)


def test_the_contract_in_the_wheel_is_the_one_of_the_repository(wheels: Wheels) -> None:
    """The contract is written once, also where it is shipped."""
    assert text(wheels.service, "botlight/edge/openapi.yaml") == (REPOSITORY / "contract/openapi.yaml").read_text()


def test_the_reporter_is_one_file_and_its_own_types(wheels: Wheels) -> None:
    """The stub package that type checkers read is the very same file."""
    assert names(wheels.reporter) == {"status_reporter.py", "status_reporter-stubs/__init__.pyi"}
    source = (REPOSITORY / "client/status_reporter.py").read_text()
    assert text(wheels.reporter, "status_reporter.py") == source
    assert text(wheels.reporter, "status_reporter-stubs/__init__.pyi") == source


def test_both_carry_the_licence(wheels: Wheels) -> None:
    """The licence asks that it goes along."""
    licence = (REPOSITORY / "LICENSE").read_text()
    assert text(wheels.service, "licenses/LICENSE") == licence
    assert text(wheels.reporter, "licenses/LICENSE") == licence


def test_both_have_the_same_version_and_the_service_asks_for_its_reporter(wheels: Wheels) -> None:
    """They speak one contract and are released together."""
    version = PurePosixPath(wheels.service.name).name.split("-")[1]
    assert wheels.reporter.name.split("-")[1] == version
    assert f"Requires-Dist: botlight-reporter=={version}" in text(wheels.service, "METADATA")
    assert "Requires-Dist" not in text(wheels.reporter, "METADATA")
