"""`botlight copy`: what a SQLite store holds is in PostgreSQL afterwards, however often it was interrupted."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest

from botlight.store.copying import Copied, copy
from botlight.store.errors import AlreadyServed, CannotOpen
from botlight.store.sqlite import SqliteDatabase
from tests.cli.command_line import botlight
from tests.postgres.conftest import SUPABASE, Blank
from tests.postgres.psql import Database
from tests.postgres.test_opening import made
from tests.support.postgres import EDITIONS, Servers, url
from tests.support.service import API, Person, RunningService, running_service

SESSIONS: Final = 75


@pytest.fixture
def target(servers: Servers) -> Iterator[Database]:
    """An empty database after the migrations."""
    with servers.database(EDITIONS[0]) as database:
        yield database


def nothing(_done: int, _of: int) -> None:
    """Do without a progress bar."""


def populate(service: RunningService) -> tuple[Person, list[str]]:
    """Alice with sessions in every state, one of which was deleted; answers her, and the ids that are left."""
    alice = service.person("Alice")
    ids = [str(uuid4()) for _ in range(SESSIONS)]
    with service.client(alice.token("report", name="bots").headers) as bot:
        for n, session_id in enumerate(ids):
            body: dict[str, Any] = {"session_id": session_id, "instance_id": str(uuid4()), "seq": 1}
            body |= {"bot": {"name": f"bot {n % 3}", "version": "1"}, "progress": {"done": n}}
            body |= {"counters": {"jobs_found": n, "credits_used": 0.000001 * n, "pages": n / 8}}
            body |= {"activity": {"name": "applying", "details": {"tiny": 5e-324, "n": n, "text": "é✓"}}}
            body["jobs"] = [
                {"key": f"j{k}", "outcome": "applied", "credits": 0.5, "url": "https://x.example"} for k in range(3)
            ]
            bot.post(f"{API}/heartbeat", json=body).raise_for_status()
            worker = {"session_id": session_id, "instance_id": str(uuid4()), "role": "worker", "counters": {"pages": 1}}
            bot.post(f"{API}/heartbeat", json=worker).raise_for_status()
            if n % 4 == 0:
                ended = body | {"seq": 2, "result": {"outcome": "success"}}
                bot.post(f"{API}/complete", json=ended).raise_for_status()
    with service.client(alice.sign_in().headers) as page:
        page.post(f"{API}/stop", json={"session_id": ids[1], "reason": "enough"}).raise_for_status()
        page.delete(f"{API}/sessions/{ids[0]}").raise_for_status()
    return alice, ids[1:]


def shown(service: RunningService, headers: dict[str, str], ids: list[str]) -> list[Any]:
    """Everything that is shown of sessions, but for what each store counts by itself."""
    found = []
    with service.client(headers) as page:
        for session_id in ids:
            whole = page.get(f"{API}/sessions/{session_id}").raise_for_status().json()
            del whole["server_time"]
            for name in ("revision", "state"):
                del whole["session"][name]
            whole["instances"].sort(key=lambda one: one["id"])
            for part in ("timeline", "jobs"):
                whole[part] = page.get(f"{API}/sessions/{session_id}/{part}?limit=200").raise_for_status().json()
            found.append(whole)
    return found


def test_everything_arrives_and_lets_the_same_in(tmp_path: Path, target: Database) -> None:
    """Sessions with all that hangs on them, people, tokens, tombstones: a service on the copy shows what the old one did."""
    with running_service(tmp_path / "old") as old:
        alice, ids = populate(old)
        view, report = alice.token("view"), alice.token("report")
        sign_in = alice.sign_in()
        before = shown(old, view.headers, ids[:20])
        with pytest.raises(AlreadyServed):
            asyncio.run(copy(old.database, url(target), nothing))
        assert old.stop() == 0
    progress: list[tuple[int, int]] = []
    copied = asyncio.run(copy(old.database, url(target), lambda done, of: progress.append((done, of))))
    assert (copied.sessions, copied.new, copied.facts) == (SESSIONS - 1, SESSIONS - 1, copied.facts)
    assert (copied.instances, copied.jobs) == ((SESSIONS - 1) * 2, (SESSIONS - 1) * 3)
    assert progress[-1] == (SESSIONS - 1, SESSIONS - 1)
    again = asyncio.run(copy(old.database, url(target), nothing))
    assert (again.new, again.known, again.deleted) == (0, SESSIONS - 1, 0)
    with running_service(tmp_path / "new", {"BOTLIGHT_DATABASE_URL": url(target)}) as new:
        assert "Sign in once" not in new.said
        for now, then in zip(shown(new, view.headers, ids[:20]), before, strict=True):
            assert now == then
        with new.client(report.headers) as bot:
            late = bot.post(f"{API}/heartbeat", json={"session_id": "00000000-0000-4000-8000-00000000dead", "seq": 1})
            assert late.status_code == 200
        cookie = {"Cookie": f"{new.settings.doors().cookie}={sign_in.secret}"}
        with new.client(cookie) as page:
            assert page.get(f"{API}/me").json()["user"]["name"] == "Alice"


def test_what_went_on_after_a_copy_is_brought_again(tmp_path: Path, target: Database) -> None:
    """After a copy on trial the last one brings what was reported since; what went on in both is left alone and named."""
    one, ended, both = (str(uuid4()) for _ in range(3))

    def beat(service: RunningService, session_id: str, path: str, n: int, **more: Any) -> None:
        body = {"session_id": session_id, "instance_id": session_id, "seq": n, "counters": {"jobs_applied": n}} | more
        with service.client(report.headers) as bot:
            bot.post(f"{API}/{path}", json=body).raise_for_status()

    def bring() -> Copied:
        return asyncio.run(copy(old.database, url(target), nothing))

    with running_service(tmp_path / "old") as old:
        report = old.person("Alice").token("report")
        for session_id in (one, ended, both):
            beat(old, session_id, "heartbeat", 1)
    assert bring().new == 3
    with running_service(tmp_path / "new", {"BOTLIGHT_DATABASE_URL": url(target)}) as new:
        beat(new, both, "heartbeat", 2, activity={"name": "searching"})
    with running_service(tmp_path / "old") as old:
        beat(old, one, "heartbeat", 5)
        beat(old, ended, "complete", 7, result={"outcome": "success"})
        beat(old, both, "heartbeat", 9)
    again = bring()
    assert (again.new, again.known, again.renewed, again.deleted, again.parted) == (0, 1, 2, 0, (both,))
    found = target.run("select id, status, jobs_applied from bot_sessions")
    rows = {session_id: (status, applied) for session_id, status, applied in found}
    assert rows == {one: ("running", "5"), ended: ("completed", "7"), both: ("running", "2")}
    last = bring()
    assert (last.new, last.known, last.renewed, last.deleted, last.parted) == (0, 3, 0, 0, (both,))
    with running_service(tmp_path / "new", {"BOTLIGHT_DATABASE_URL": url(target)}) as new:
        beat(new, one, "heartbeat", 6)
        beat(new, both, "heartbeat", 10)
    assert target.value(f"select jobs_applied from bot_sessions where id = '{one}'") == "6"


def test_what_was_deleted_stays_deleted(tmp_path: Path, target: Database) -> None:
    """Here before the copy, and there after an earlier one."""
    with running_service(tmp_path / "old") as old:
        alice, ids = populate(old)
        report = alice.token("report")
        gone = old.database
    assert asyncio.run(copy(gone, url(target), nothing)).deleted == 0
    target.run(f"delete from bot_sessions where id = '{ids[7]}'")
    again = asyncio.run(copy(gone, url(target), nothing))
    assert (again.new, again.known, again.deleted) == (0, SESSIONS - 2, 1)
    assert target.value("select count(*) from botlight.tombstones") == "2"
    with (
        running_service(tmp_path / "new", {"BOTLIGHT_DATABASE_URL": url(target)}) as new,
        new.client(report.headers) as bot,
    ):
        assert bot.post(f"{API}/heartbeat", json={"session_id": ids[7], "seq": 9}).status_code == 410


def test_a_copy_that_was_killed_goes_on(tmp_path: Path, target: Database) -> None:
    """At any moment: each session is there with all of it, or not at all."""
    with running_service(tmp_path / "old") as old:
        populate(old)
    command = [sys.executable, "-m", "botlight.cli.main", "copy", "--from", old.settings.database_url]
    command += ["--to", url(target)]
    half = "select count(*) from bot_sessions s where (select count(*) from botlight.jobs j where j.session_id = s.id) <> 3"
    there = 0
    target.run(
        "create function wait() returns trigger language plpgsql as $$ begin perform pg_sleep(0.02); return new; end $$"
    )
    target.run("create trigger wait after insert on botlight.bot_instances for each row execute function wait()")
    for _ in range(2):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 30
        while there == (there := int(target.value("select count(*) from bot_sessions"))):
            assert process.poll() is None
            assert time.monotonic() < until
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
        assert target.value(half) == "0"
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert f"{SESSIONS - 1} sessions: {SESSIONS - 1 - there} copied now, {there} were there already" in done.stdout
    assert target.value(half) == "0"


def test_who_has_an_account_there_gets_what_is_theirs(tmp_path: Path, target: Database) -> None:
    """The same name is the same person, and is said to be."""
    with running_service(tmp_path / "new", {"BOTLIGHT_DATABASE_URL": url(target)}) as new:
        known = new.person("alice")
    with running_service(tmp_path / "old") as old:
        populate(old)
    copied = asyncio.run(copy(old.database, url(target), nothing))
    assert sorted(copied.joined) == ["Alice", "local"]
    assert target.run("select distinct user_id from bot_sessions") == [(known.id,)]


def test_in_a_supabase_project_people_are_the_projects(tmp_path: Path, blank: Blank) -> None:
    """Each has to be named; nothing arrives before all are."""
    project = made(blank, SUPABASE)
    ada = project.value("insert into auth.users (id, email) values (gen_random_uuid(), 'Ada@example.org') returning id")
    with running_service(tmp_path / "old") as old:
        populate(old)

    def bring(**people: str) -> Copied:
        return asyncio.run(copy(old.database, url(project), nothing, people))

    with pytest.raises(CannotOpen, match="--person local=ID"):
        bring(Alice="ada@example.org")
    with pytest.raises(CannotOpen, match="no such person"):
        bring(Alice="ada@example.org", local="nobody@example.org")
    assert project.value("select count(*) from botlight.tokens") == "0"
    assert bring(Alice="ada@example.org", local=ada).new == SESSIONS - 1
    assert project.run("select distinct user_id from bot_sessions") == [(ada,)]


def test_only_the_owner_can(tmp_path: Path, target: Database) -> None:
    """A login that may do what the service does may not write tombstones."""
    target.run("create role hand login; grant botlight_service, authenticated to hand", user=target.superuser)
    SqliteDatabase.open(tmp_path / "empty.db", serve=True).close()
    try:
        with pytest.raises(CannotOpen, match="Log in as the owner"):
            asyncio.run(copy(tmp_path / "empty.db", url(target, "hand"), nothing))
    finally:
        target.run("drop role hand", user=target.superuser)


def test_what_cannot_begin_is_one_line(tmp_path: Path) -> None:
    """No bar is drawn above it; whoever wants to go back to SQLite is told that there is no such way."""
    old = tmp_path / "old.db"
    SqliteDatabase.open(old, serve=True).close()
    nowhere = botlight("copy", "--from", f"sqlite://{old}", "--to", "postgresql://me@127.0.0.1:1/bots", folder=tmp_path)
    assert nowhere.code == 1
    assert nowhere.err.startswith("botlight: PostgreSQL cannot be reached")
    assert len(nowhere.err.splitlines()) == 1
    back = botlight("copy", "--from", "postgresql://me@127.0.0.1:1/bots", "--to", f"sqlite://{old}", folder=tmp_path)
    assert (back.code, "from SQLite to PostgreSQL only" in back.err) == (2, True)
