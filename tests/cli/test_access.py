"""`botlight user`, `token`, `link`, `backup`: beside a running service, and what they hand out works there."""

from __future__ import annotations

import re
import sqlite3
import time
from pathlib import Path
from uuid import uuid4

import httpx

from tests.cli.command_line import Said, botlight
from tests.cli.terminal import terminal
from tests.support.service import API, RunningService


def me(service: RunningService, said: Said) -> httpx.Response:
    """Who the service says that the printed token is."""
    return httpx.get(service.api + "/me", headers={"Authorization": f"Bearer {said.out.strip()}"}, trust_env=False)


def test_a_person_who_was_added_can_sign_in(running: RunningService, tmp_path: Path) -> None:
    """The password comes by stdin and counts at once; setting another one ends it."""
    password = "a long enough password"
    said = botlight("user", "add", "ada", "--password-stdin", stdin=f"{password}\n", service=running, folder=tmp_path)
    assert said.code == 0, said.err
    with running.client() as client:
        assert client.post(f"{API}/sign-in", json={"name": "ada", "password": password}).status_code == 200
        changed = botlight(
            "user", "passwd", "ada", "--password-stdin", stdin="another password\n", service=running, folder=tmp_path
        )
        assert changed.code == 0, changed.err
        assert client.post(f"{API}/sign-in", json={"name": "ada", "password": password}).status_code == 401
        assert client.post(f"{API}/sign-in", json={"name": "ada", "password": "another password"}).status_code == 200
    listed = botlight("user", "list", service=running, folder=tmp_path).out
    assert re.search(r"ada\s+\S+ \S+\s+by password or link", listed)


def test_at_a_terminal_it_asks_for_the_password_without_showing_it(running: RunningService, tmp_path: Path) -> None:
    """Twice, so that a slip of the finger locks nobody out."""
    with terminal("user", "add", "ada", service=running, folder=tmp_path) as screen:
        screen.wait_for("Password: ")  # the space comes when typing shows no more
        screen.press("a long enough password\n")
        screen.wait_for("The same again: ")
        screen.press("a long enough password\n")
        screen.wait_for("Added ada.")
        assert screen.end() == 0
        assert "long enough" not in screen.seen
    with running.client() as client:
        body = {"name": "ada", "password": "a long enough password"}
        assert client.post(f"{API}/sign-in", json=body).status_code == 200


def test_what_a_person_types_wrong_is_one_line(running: RunningService, tmp_path: Path) -> None:
    """Taken, too short, unknown, no terminal to ask at."""
    for call, stdin, words in (
        (["user", "add", "Local", "--no-password"], "", "taken"),
        (["user", "add", "bob", "--password-stdin"], "short\n", "password: expected 8"),
        (["user", "add", "bob"], "", "--password-stdin"),
        (["user", "passwd", "nobody"], "", "no user 'nobody'"),
        (["token", "create", "--scope", "view", "--user", "nobody"], "", "no user 'nobody'"),
        (["token", "create", "--scope", "embed"], "", "one bot or one session"),
        (["token", "revoke", str(uuid4())], "", "no such token"),
        (["link", "--user", "nobody"], "", "no user 'nobody'"),
    ):
        said = botlight(*call, stdin=stdin, service=running, folder=tmp_path)
        assert said.code in (1, 2), call
        assert words in said.err, call
        assert len(said.err.splitlines()) == 1, said.err


def test_a_token_works_until_it_is_revoked(running: RunningService, tmp_path: Path) -> None:
    """The secret alone is on stdout, so that a script can take it; the list never has it."""
    said = botlight("token", "create", "--scope", "report", "--name", "Laptop", service=running, folder=tmp_path)
    assert said.code == 0, said.err
    assert re.fullmatch(r"\S+\n", said.out)
    assert me(running, said).json()["scopes"] == ["report"]
    listed = botlight("token", "list", service=running, folder=tmp_path).out
    assert "Laptop" in listed
    assert said.out.strip() not in listed
    found = re.search(r"[0-9a-f-]{36}", listed)
    assert found
    assert botlight("token", "revoke", found[0], service=running, folder=tmp_path).code == 0
    until = time.monotonic() + 10
    while me(running, said).status_code != 401:  # a server remembers a token for 2 s
        assert time.monotonic() < until
        time.sleep(0.1)


def test_a_token_says_until_when_it_is_good(running: RunningService, tmp_path: Path) -> None:
    """An expiry is shown in the list; without one it says so."""
    botlight("token", "create", "--scope", "view", "--expires", "30d", service=running, folder=tmp_path)
    botlight("token", "create", "--scope", "view", service=running, folder=tmp_path)
    lines = botlight("token", "list", service=running, folder=tmp_path).out.splitlines()[1:]
    assert ["for ever" in line for line in lines] == [True, False]


def test_an_embed_token_is_said_to_be_public(running: RunningService, tmp_path: Path) -> None:
    """Whoever makes one is told what strangers will see."""
    said = botlight(
        *("token", "create", "--scope", "embed", "--bot", "Job hunter", "--origin", "https://blog.example"),
        *("--expires", "30d"),
        service=running,
        folder=tmp_path,
    )
    assert said.code == 0, said.err
    assert "public" in said.err


def test_with_several_people_it_asks_whose(running: RunningService, tmp_path: Path) -> None:
    """Nobody's token is made by guess."""
    assert botlight("user", "add", "bob", "--no-password", service=running, folder=tmp_path).code == 0
    said = botlight("token", "create", "--scope", "view", service=running, folder=tmp_path)
    assert said.code == 1
    assert "--user" in said.err
    mine = botlight("token", "create", "--scope", "view", "--user", "bob", service=running, folder=tmp_path)
    assert me(running, mine).json()["user"]["name"] == "bob"


def test_a_link_signs_in_once(running: RunningService, tmp_path: Path) -> None:
    """It leads to this service, and its secret is good for one sign-in."""
    said = botlight("link", service=running, folder=tmp_path)
    address, _, secret = said.out.strip().partition("/link#")
    assert address == running.address
    with running.client() as client:
        assert client.post(f"{API}/link", json={"secret": secret}).json()["user"]["name"] == "local"
        assert client.post(f"{API}/link", json={"secret": secret}).status_code == 401


def test_a_backup_holds_what_was_acknowledged(running: RunningService, tmp_path: Path) -> None:
    """Made while the service runs, whole, and never over another file."""
    ada = running.person("ada")
    session_id = str(uuid4())
    with running.client(ada.token("report").headers) as client:
        client.post(f"{API}/heartbeat", json={"session_id": session_id, "activity": "applying"}).raise_for_status()
    target = tmp_path / "copy.db"
    said = botlight("backup", str(target), service=running, folder=tmp_path)
    assert said.code == 0, said.err
    assert str(target) in said.out
    with sqlite3.connect(target) as copy:
        assert copy.execute("select count(*) from bot_sessions").fetchone() == (1,)
    copy.close()
    again = botlight("backup", str(target), service=running, folder=tmp_path)
    assert again.code == 1
    assert "never overwrites" in again.err


def test_a_backup_names_its_own_file(running: RunningService, tmp_path: Path) -> None:
    """Without a name it is dated, here."""
    assert botlight("backup", service=running, folder=tmp_path).code == 0
    assert [file for file in tmp_path.iterdir() if re.fullmatch(r"botlight-\d{8}-\d{6}\.db", file.name)]


def test_a_backup_of_nothing_is_refused(tmp_path: Path) -> None:
    """It makes no empty store and no empty copy."""
    said = botlight("backup", folder=tmp_path)
    assert said.code == 1
    assert "There is no store at" in said.err
    assert not (tmp_path / "data").exists()


def test_a_store_of_ones_own_begins_with_the_first_link(tmp_path: Path) -> None:
    """No service has to have run: the store is made, and the first person in it."""
    assert "http://127.0.0.1:3000/link#" in botlight("link", folder=tmp_path).out
    assert "local" in botlight("user", "list", folder=tmp_path).out
