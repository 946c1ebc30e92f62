"""`python status_reporter.py`: a person who sees nothing on the board learns what is wrong, and what to do next."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from fake_service import TOKEN, FakeService, Reply

from tests.support.certificates import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator

CLIENT = Path(__file__).parents[1]


class Ask(Protocol):
    """Runs the self-test; answers its exit code and what it said, which is never the token."""

    def __call__(self, *options: object, **environment: str) -> tuple[int, str]:
        """Options of the command, and variables over those of a bot that is set up well."""
        ...


@pytest.fixture
def ask(service: FakeService, tmp_path: Path) -> Ask:
    """The file alone in an empty folder, as a person has it."""

    def run(*options: object, **environment: str) -> tuple[int, str]:
        around = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        around |= {"STATUS_REPORTER_TOKEN": TOKEN, "STATUS_REPORTER_URL": service.url, **environment}
        command = [sys.executable, "-X", "dev", "-W", "error", CLIENT / "status_reporter.py", *options]
        done = subprocess.run(
            [str(part) for part in command],
            env=around,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.stderr == ""
        assert TOKEN not in done.stdout
        return done.returncode, done.stdout

    return run


def test_a_report_that_gets_through(service: FakeService, ask: Ask, spool: Path) -> None:
    """One request that is a whole session; it says where the service is and where the disk would help."""
    code, said = ask()
    assert code == 0
    assert said.splitlines() == [
        f"service: {service.url}",
        f"spool: {spool}",
        "a report got through; the board shows it as self-test",
    ]
    assert service.paths() == ["/complete"]
    assert service.last["bot"]["name"] == "self-test"
    assert service.session.status == "completed"
    assert list(spool.iterdir()) == []


def test_options_beat_the_environment(service: FakeService, ask: Ask) -> None:
    """So that a person can try an address or a token without changing anything; and `--help` names all."""
    code, _ = ask(
        "--url", service.url, "--token", TOKEN, STATUS_REPORTER_URL="http://127.0.0.1:9", STATUS_REPORTER_TOKEN="x"
    )
    assert code == 0
    code, said = ask("--help")
    assert code == 0
    for word in ("--url", "--token", "--ca-file", "--proxy", "STATUS_REPORTER_URL", "Exit code 0"):
        assert word in said


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"STATUS_REPORTER_TOKEN": ""}, "no token"),
        ({"STATUS_REPORTER_DISABLED": "1"}, "STATUS_REPORTER_DISABLED is set"),
        ({"STATUS_REPORTER_TOKEN": '"quoted"'}, "quotation marks around the token"),
        ({"STATUS_REPORTER_TOKEN": "“quoted”"}, "quotation marks around the token"),
        ({"STATUS_REPORTER_TOKEN": "half\nhalf"}, "a space or a line break is in the token"),
        ({"STATUS_REPORTER_TOKEN": "Bearer something"}, "the token begins with Bearer"),
        ({"STATUS_REPORTER_TOKEN": "schlüssel"}, "token: expected"),
        ({"STATUS_REPORTER_URL": "localhost:3000"}, "base_url: expected http:// or https://"),
        ({"STATUS_REPORTER_URL": "http://localhost:port"}, "base_url: expected"),
        ({"STATUS_REPORTER_URL": "http://8.8.8.8"}, "allow_insecure=True"),
    ],
)
def test_settings_at_fault(service: FakeService, ask: Ask, environment: dict[str, str], expected: str) -> None:
    """Exit code 2, nothing is sent, and there is something to do."""
    code, said = ask(**environment)
    assert code == 2
    assert expected in said
    assert "what to do: " in said
    assert "schl" not in said
    assert service.journal == []


def test_a_token_with_a_line_break_at_its_end_is_taken_without(ask: Ask) -> None:
    """As it comes out of `$(cat token)` under Windows, or out of a file."""
    assert ask(STATUS_REPORTER_TOKEN=f"  {TOKEN}\r\n")[0] == 0


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply(401, "token"), "the token was refused"),
        (Reply(403, "scope"), "it may not report"),
        (Reply(426, "upgrade"), "newer reporter"),
        (Reply(429, "rate"), "asked too often"),
        (Reply(503, "unavailable"), "cannot reach or write its store"),
        (Reply(421, "host"), "BOTLIGHT_ALLOWED_HOSTS"),
        (Reply(422, "invalid"), "the service refused the report (422): invalid"),
        (Reply(200, body=b"<html>Welcome", marker=False), "something answers there, but it is not the service"),
        (Reply(404, body=b"no such page", marker=False), "(HTTP 404 from something that is not the service)"),
        (Reply(302, headers={"Location": "http://127.0.0.1:9/"}), "leads on to another one"),
        (Reply(hang_up=True), "no report gets through"),
    ],
)
def test_what_the_service_or_a_stranger_says_is_explained(
    service: FakeService, ask: Ask, reply: Reply, expected: str
) -> None:
    """Exit code 1, one request, a plain reason and a next step."""
    service.always = reply
    code, said = ask()
    assert code == 1
    assert expected in said
    assert "what to do: " in said
    assert len(service.posts()) == 1


def test_nobody_listens(ask: Ask) -> None:
    """The usual one: the service is not running, or on another port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    code, said = ask("--url", f"http://127.0.0.1:{port}")
    assert code == 1
    assert "nothing listens there" in said
    assert "botlight serve" in said


def test_a_name_that_nobody_knows(ask: Ask) -> None:
    """DNS fails: the name is mistyped, or the computer is offline."""
    code, said = ask("--url", "http://botlight.invalid:3000")
    assert code == 1
    assert "(DNS)" in said


def test_somebody_who_never_answers(ask: Ask) -> None:
    """It ends by itself after ten seconds."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        code, said = ask("--url", f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert code == 1
    assert "no answer within ten seconds" in said
    assert time.monotonic() - began < 25


class Page(BaseHTTPRequestHandler):
    """Another program's server, as a person may have on port 3000 already."""

    def do_POST(self) -> None:
        """Has no such page."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_error(404)

    def log_message(self, *_: Any) -> None:
        """Silent."""


@pytest.fixture
def page() -> Iterator[str]:
    """Its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_another_program_on_that_port(ask: Ask, page: str) -> None:
    """It answers, but carries no mark of the service."""
    code, said = ask("--url", f"http://{page}")
    assert code == 1
    assert "it is not the service" in said
    assert "HTTP 404" in said


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """One that nobody but whoever names it trusts."""
    return Authority(tmp_path_factory.mktemp("authorities") / "own")


KINDS: dict[str, dict[str, str]] = {"good": {}, "other": {"host": "other.example"}, "old": {"until": "20210101000000Z"}}


@pytest.mark.parametrize(
    ("name", "trusted", "expected"),
    [
        ("good", True, (0, "a report got through")),
        ("good", False, (1, "nobody whom this system trusts")),
        ("other", True, (1, "is another host's")),
        ("old", True, (1, "set this computer's clock")),
    ],
)
def test_certificates(ask: Ask, authority: Authority, name: str, trusted: bool, expected: tuple[int, str]) -> None:
    """Never without a check; what fails it is named, with the way out."""
    with FakeService(tls=authority.signed(name, **KINDS[name]).context) as service:
        code, said = ask("--url", service.url, *(["--ca-file", authority.file] if trusted else []))
    assert (code, expected[1] in said) == (expected[0], True), said


def test_https_and_http_mistaken_for_one_another(service: FakeService, ask: Ask, authority: Authority) -> None:
    """Both ways round; the second look carries no token."""
    code, said = ask("--url", service.url.replace("http://", "https://"))
    assert code == 1
    assert "begin the address with http://" in said
    with FakeService(tls=authority.signed("good").context) as secure:
        code, said = ask("--url", secure.url.replace("https://", "http://"))
    assert code == 1
    assert "begin the address with https://" in said
    assert service.posts() == secure.journal == []


def test_a_file_of_authorities_that_is_missing_or_none(ask: Ask, tmp_path: Path) -> None:
    """The first is a setting at fault; the second is seen when it is read."""
    assert ask("--ca-file", tmp_path / "nowhere.pem")[0] == 2
    (tmp_path / "text.pem").write_text("no certificate")
    code, said = ask("--url", "https://127.0.0.1:9", "--ca-file", tmp_path / "text.pem")
    assert code == 1
    assert "--ca-file" in said or "nothing listens" in said


def test_a_proxy_in_the_way(ask: Ask, page: str) -> None:
    """One that refuses, and one that is not there; what it is called, that is the person's business alone."""
    code, said = ask("--url", "https://botlight.example", HTTPS_PROXY=f"http://ada:hunter2@{page}")
    assert code == 1
    assert "the proxy on the way does not let us through" in said
    assert "NO_PROXY" in said
    code, more = ask("--url", "https://botlight.example", "--proxy", "http://127.0.0.1:9")
    assert code == 1
    assert "by way of the proxy" in more
    assert "hunter2" not in said + more


def test_a_clock_that_is_off_is_a_note(service: FakeService, ask: Ask) -> None:
    """Nothing of ours depends on it, but a person may want to know."""
    service.always = Reply(fields={"server_time": "2001-02-03T04:05:06Z"})
    code, said = ask()
    assert code == 0
    assert "minutes ahead of the service's" in said


@pytest.mark.skipif(
    hasattr(os, "geteuid") and os.geteuid() == 0 and not Path("/proc/version").exists(), reason="no /proc"
)
def test_a_spool_that_cannot_be_written(ask: Ask, tmp_path: Path) -> None:
    """The report gets through, but what a dying process leaves would be lost: exit code 1, and which folder."""
    file = tmp_path / "file"
    file.write_text("")
    code, said = ask(XDG_STATE_HOME=str(file), TMPDIR=str(file))
    assert code == 1
    assert "has no place on the disk" in said
    assert str(file) in said
    assert "a report got through" in said
    code, said = ask("--spool-dir", tmp_path / "given")
    assert (code, f"spool: {tmp_path / 'given'}" in said) == (0, True)


def test_without_streams_it_still_answers_by_its_exit_code(service: FakeService, tmp_path: Path) -> None:
    """A windowed build has no standard output."""
    environment = {**os.environ, "STATUS_REPORTER_TOKEN": TOKEN, "STATUS_REPORTER_URL": service.url}
    code = f"import sys; sys.path.insert(0, {str(CLIENT)!r}); sys.stdout = sys.stderr = None; import status_reporter as one; sys.exit(one._self_test([]))"
    done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, timeout=60, check=False)
    assert done.returncode == 0
