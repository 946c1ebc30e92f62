"""The commands beside a service on PostgreSQL, and with a Supabase project, where people are not Botlight's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command_line import Said, botlight
from tests.postgres.cluster import Cluster
from tests.postgres.conftest import PLAIN, SUPABASE, Blank
from tests.postgres.pooler import running_pooler
from tests.postgres.psql import Database
from tests.postgres.test_opening import made
from tests.support.keeping import Keeping
from tests.support.postgres import EDITIONS, Servers, url
from tests.support.service import API, PASSWORD, RunningService, running_service


@pytest.fixture(scope="module")
def service(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service on PostgreSQL."""
    folder = tmp_path_factory.mktemp("service")
    with Keeping(servers, EDITIONS[0]) as keeping, running_service(folder, keeping.settings(folder)) as running:
        yield running


@pytest.fixture(scope="module")
def database(blank: Blank) -> Database:
    """A Supabase project's, migrated."""
    return made(blank, SUPABASE)


@pytest.fixture(scope="module")
def project(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service on a Supabase project, whose login is its role `postgres`."""
    settings = {"BOTLIGHT_DATABASE_URL": url(database)}
    with running_service(tmp_path_factory.mktemp("project"), settings) as running:
        yield running


def test_people_and_tokens_are_made_beside_the_service(service: RunningService, tmp_path: Path) -> None:
    """As with SQLite: a person, a token that lets in at once, a link, a list; revoked, it lets nobody in."""
    said = botlight("user", "add", "Ada", "--password-stdin", service=service, folder=tmp_path, stdin=f"{PASSWORD}\n")
    assert (said.code, said.out) == (0, "Added Ada.\n")
    taken = botlight("user", "add", "ADA", "--no-password", service=service, folder=tmp_path)
    assert (taken.code, "is taken" in taken.err) == (1, True)
    made = botlight("token", "create", "--user", "ada", "--scope", "view", service=service, folder=tmp_path)
    assert made.code == 0, made.err
    with service.client({"Authorization": f"Bearer {made.out.strip()}"}) as client:
        assert client.get(f"{API}/me").json()["user"]["name"] == "Ada"
    token_id = made.err.split()[1]
    assert token_id in botlight("token", "list", "--user", "ada", service=service, folder=tmp_path).out
    revoked = botlight("token", "revoke", token_id, "--user", "ada", service=service, folder=tmp_path)
    assert revoked.code == 0, revoked.err
    assert "/link#bl_" in botlight("link", "--user", "ada", service=service, folder=tmp_path).out


def test_doctor_looks_at_the_database(service: RunningService, tmp_path: Path) -> None:
    """Its version, the login, and that the schema fits; a heartbeat is tried."""
    said = botlight("doctor", service=service, folder=tmp_path)
    assert said.code == 0, said.out
    assert "takes the login botlight, and its schema fits." in said.out
    assert "A test heartbeat was taken." in said.out


def test_doctor_says_what_is_wrong_with_the_database(service: RunningService, tmp_path: Path) -> None:
    """Without the password of the address."""
    elsewhere = {"BOTLIGHT_DATABASE_URL": "postgresql://me:hunter2@127.0.0.1:1/bots"}
    said = botlight("doctor", service=service, folder=tmp_path, settings=elsewhere)
    assert said.code == 1
    assert "WRONG  database   PostgreSQL cannot be reached" in said.out
    assert "hunter2" not in said.out + said.err


def test_doctor_looks_at_the_database_where_no_service_answers(service: RunningService, tmp_path: Path) -> None:
    """It may be why: both faults are said."""
    nowhere = {"BOTLIGHT_DATABASE_URL": "postgresql://me:hunter2@127.0.0.1:1/bots"}
    said = botlight("doctor", "--url", "http://127.0.0.1:9", service=service, folder=tmp_path, settings=nowhere)
    assert said.code == 1
    assert "WRONG  address" in said.out
    assert "WRONG  database   PostgreSQL cannot be reached" in said.out


def test_doctor_says_what_could_be_better(
    service: RunningService, plain_cluster: Cluster, blank: Blank, tmp_path: Path
) -> None:
    """Neither is a fault of Botlight's: a pooler, beside which there is a better port, and a server that waits for no disk."""
    database = made(blank, PLAIN)
    with running_pooler(plain_cluster, database.owner, "transaction") as port:
        settings = {"BOTLIGHT_DATABASE_URL": f"{url(database)}&port={port}"}
        said = botlight("doctor", service=service, folder=tmp_path, settings=settings)
    assert "note   database   PostgreSQL runs with fsync off, so a power cut may lose" in said.out
    assert "note   database   The address of the database leads to a pooler in transaction mode" in said.out


def test_a_back_up_is_made_with_other_tools(service: RunningService, tmp_path: Path) -> None:
    """And they are named."""
    said = botlight("backup", service=service, folder=tmp_path)
    assert (said.code, "pg_dump" in said.err) == (1, True)


@pytest.mark.parametrize(
    "words",
    [("user", "add", "ada"), ("user", "add", "ada", "--no-password"), ("user", "passwd", "ada"), ("user", "list")],
)
def test_in_a_supabase_project_people_are_managed_there(
    project: RunningService, tmp_path: Path, words: tuple[str, ...]
) -> None:
    """Whoever wants to add somebody here is told so, before a password is typed."""
    said = botlight(*words, service=project, folder=tmp_path)
    assert (said.code, "People are managed in the Supabase project" in said.err) == (1, True), said


def create(project: RunningService, folder: Path, *words: str) -> Said:
    """Make a token to look with."""
    return botlight("token", "create", "--scope", "view", *words, service=project, folder=folder)


def test_in_a_supabase_project_a_token_names_one_of_its_people(
    project: RunningService, database: Database, tmp_path: Path
) -> None:
    """By id or by e-mail; the service invites nobody to sign in for the first time."""
    assert "Sign in once" not in project.said
    ada = database.value(
        "insert into auth.users (id, email) values (gen_random_uuid(), 'Ada@example.org') returning id"
    )
    for who in (ada, ada.upper(), "ada@EXAMPLE.org"):
        made = create(project, tmp_path, "--user", who)
        assert made.code == 0, made.err
        with project.client({"Authorization": f"Bearer {made.out.strip()}"}) as client:
            assert client.get(f"{API}/me").json()["user"]["id"] == ada
    for who in ("bob@example.org", "00000000-0000-4000-8000-000000000000"):
        assert "no person with this id or e-mail" in create(project, tmp_path, "--user", who).err
    assert "--user: expected the id or e-mail" in create(project, tmp_path).err
    assert "/link#bl_" in botlight("link", "--user", ada, service=project, folder=tmp_path).out


def test_a_login_that_may_not_look_takes_ids_alone(database: Database, tmp_path: Path) -> None:
    """A login of its own for Botlight cannot read who the people are; an id that is nobody's is refused by the database."""
    ada = database.value(
        "insert into auth.users (id, email) values (gen_random_uuid(), 'eve@example.org') returning id"
    )
    database.run("create role own login; grant botlight_service, authenticated to own", user=database.superuser)
    try:
        settings = {"BOTLIGHT_DATABASE_URL": url(database, "own")}
        asked = {
            who: botlight("token", "create", "--scope", "view", "--user", who, folder=tmp_path, settings=settings)
            for who in (ada, "eve@example.org", "00000000-0000-4000-8000-000000000000")
        }
    finally:
        database.run("drop role own", user=database.superuser)
    assert [said.code for said in asked.values()] == [0, 1, 1]
    assert all("Traceback" not in said.err for said in asked.values())
