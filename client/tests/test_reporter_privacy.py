"""What a bot says may hold its person's secrets by accident: they stay on the machine, and the token in its header."""

from __future__ import annotations

import http.client
import json
import logging
import random
import string
import time
from typing import TYPE_CHECKING, Any

import pytest
from fake_service import TOKEN, FakeService, Reply

from status_reporter import StatusReporter, _Address, _Mask

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import MakeReporter, RunBot

SECRET = "hunter2-Zq9"
WEB_TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.dBjftJeZ4CVPmB92K27uhbUJU1p1r"

HIDDEN_BY_NAME = [
    "password", "Passwd", "db_password", "PWD", "token", "accessToken", "csrf-token", "client_secret", "cookie",
    "Set-Cookie", "cookies", "Authorization", "proxy_authorization", "api_key", "apiKey", "API key", "otp", "otp_code",
    "loginOtp", "OTP", "passphrase", "credentials",
]  # fmt: skip
SHOWN_BY_NAME = ["footprint", "hotplate", "title", "company", "compass", "otpimism", "authority", "keyword", "monkey"]


@pytest.mark.parametrize("name", HIDDEN_BY_NAME)
def test_what_a_name_calls_a_secret_is_hidden(name: str) -> None:
    """Text, number, list or dict under it, at any depth; whether there is one at all may be said."""
    mask = _Mask("")
    for value in (SECRET, 123456, [SECRET], {"a": SECRET}):
        assert mask.details({"deep": [{name: value}]}) == {"deep": [{name: "***"}]}
    assert mask.details({name: True, "x": None}) == {name: True, "x": None}


@pytest.mark.parametrize("name", SHOWN_BY_NAME)
def test_other_names_are_shown(name: str) -> None:
    """A word that only contains the letters is none."""
    assert _Mask("").details({name: "plain", "tokens_used": 1532}) == {name: "plain", "tokens_used": 1532}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"Authorization: Bearer {SECRET}", "Authorization: ***"),
        (f"sent 'bearer {SECRET}' to it", "sent 'bearer ***' to it"),
        (f"Cookie: a={SECRET}; b=2", "Cookie: ***"),
        (f"got {WEB_TOKEN}!", "got ***!"),
        (f"cut {WEB_TOKEN[:18]}", "cut ***"),
        (f"https://ada:{SECRET}@jobs.example/a", "https://***@jobs.example/a"),
        (f"proxy socks5://ada:{SECRET}@10.0.0.1:1080 refused", "proxy socks5://***@10.0.0.1:1080 refused"),
        (f"https://ada:{SECRET}", "https://ada:***"),
        (f"https://jobs.example/a?id=5&access_token={SECRET}&page=2", "https://jobs.example/a?id=5&access_token=***&page=2"),
        (f"https://jobs.example/a?sig={SECRET}#top", "https://jobs.example/a?sig=***#top"),
        (f"password={SECRET}", "password=***"),
        (f'{{"password": "{SECRET} {SECRET}", "user": "ada"}}', '{"password": ***, "user": "ada"}'),
        (f"login with otp: {SECRET}", "login with otp: ***"),
        (f'{{"password": "{SECRET}', '{"password": ***'),
        (f"cut password='my {SECRET}", "cut password=***"),
        (rf'{{\"password\": \"{SECRET}\"}}', r'{\"password\": ***}'),
        (f"'password' => '{SECRET}'", "'password' => ***"),
        ("https://jobs.example:8080/viewjob?jk=abc123&author=ada", None),
        ("https://jobs.example:8080", None),
        ("element not found: #token", None),
        ("A basic understanding of tokens", None),
        ("ada@example.org wrote: hello", None),
    ],
)  # fmt: skip
def test_what_looks_like_a_secret_is_hidden_in_any_text(text: str, shown: str | None) -> None:
    """The rest of it stays readable, and ordinary text stays as it is."""
    assert _Mask("").text(text, 500) == (text if shown is None else shown)


def test_a_home_is_a_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of a person is in it."""
    monkeypatch.setenv("HOME", "/people/ada")
    assert _Mask("").text("no such file: '/people/ada/cv.pdf'") == "no such file: '~/cv.pdf'"
    assert _Mask("").text("/people/adalbert /people/ada") == "/people/adalbert ~"
    monkeypatch.delenv("HOME")
    monkeypatch.setenv("USERPROFILE", "C:\\People\\Ada")
    text = "C:\\People\\Ada\\cv.pdf 'C:\\\\People\\\\Ada\\\\cv.pdf' C:/People/Ada/cv.pdf"
    assert _Mask("").text(text) == "~\\cv.pdf '~\\\\cv.pdf' ~/cv.pdf"


def test_a_mask_takes_no_long_time() -> None:
    """Text of any kind, as long as details may be: a bot's own words cannot keep the keeper busy."""
    mask, letters = _Mask("x" * 40), random.Random(7)
    hostile = [
        "a" * 500,
        "eyJ" * 166,
        "token" * 100,
        "a://" * 125,
        "password = " * 45,
        "bearer " * 70,
        "?sig" * 125,
        ":" * 500,
    ]
    hostile += ["".join(letters.choices(string.printable, k=500)) for _ in range(50)]
    for text in hostile:
        began = time.process_time()
        mask.text(text, 500)
        assert time.process_time() - began < 0.05, text


def everything(service: FakeService, spool: Path) -> str:
    """All that left the bot's memory."""
    pages = [page.read_text() for page in spool.rglob("*.json")]
    return "".join([*(json.dumps(one.document) for one in service.posts()), *pages])


def test_no_secret_leaves_the_machine_in_any_field(service: FakeService, make: MakeReporter, spool: Path) -> None:
    """Details, activity, reason, link, key, pause, error: on the wire and on the disk; counts stay exact."""
    service.always = Reply(503, "unavailable")
    reporter = make(exit_timeout=0.3)
    reporter.start_session("1.0")
    reporter.send_heartbeat(f"log in with token={SECRET}", {"password": SECRET, "url": f"https://a:{SECRET}@b.example"})
    for number in range(2):
        job = reporter.job(
            f"https://b.example/?token={SECRET}{number}",
            title=f"pwd={SECRET}",
            url=f"https://b.example/?api_key={SECRET}",
        )
        job.failed(ValueError(f"Bearer {SECRET}"))
    reporter.send_heartbeat("config", {"anything": [f"my {TOKEN} here"], TOKEN: 1, "cut": ("x" * 200 + TOKEN)[21:]})
    assert not reporter.complete_session(error=RuntimeError(f"cookie: {SECRET} {TOKEN}" + "x" * 600))
    while not list(spool.glob("*.json")):
        time.sleep(0.001)
    first = everything(service, spool)
    service.always = None
    reporter.flush(20)
    for text in (first, everything(service, spool)):
        assert "***" in text
        assert SECRET not in text
        assert TOKEN[:8] not in text  # nor the beginning of it, where a text was cut
    assert service.totals["jobs_failed"] == 2
    assert len(service.session.jobs) == 2  # two jobs, although what tells them apart is hidden
    assert len(service.last["result"]["error"]["message"]) <= 500


def test_the_token_is_in_no_exception_repr_pickle_or_log(caplog: pytest.LogCaptureFixture) -> None:
    """Also one that is refused because of its form: a line break or typographic quotes."""
    caplog.set_level(logging.DEBUG)
    ways: dict[str, Any] = {"allow_insecure": False, "proxy": None, "ca_file": None}
    for bad in (f"{TOKEN}\nx", f"“{TOKEN}”", f"{TOKEN} {TOKEN}", TOKEN * 300):
        with pytest.raises(ValueError, match="token: expected") as caught:
            StatusReporter(bad, strict=True)
        assert TOKEN not in str(caught.value) + repr(caught.value.__cause__) + repr(caught.value.__context__)
        reporter = StatusReporter(bad)
        assert TOKEN not in repr(reporter) + str(reporter.status)
    for url in (f"http://{TOKEN}@localhost", f"http://localhost/?token={TOKEN}", f"{TOKEN}://localhost"):
        assert TOKEN not in StatusReporter(TOKEN, url).disabled_reason
    address = _Address("http://localhost", TOKEN, **ways)
    assert TOKEN not in repr(address) + repr(vars(StatusReporter(TOKEN)))
    assert TOKEN not in caplog.text


def test_a_bot_that_debugs_its_own_http_does_not_print_our_token(service: FakeService, run_bot: RunBot) -> None:
    """`http.client` prints every header where a bot's author switched that on for all connections."""
    done = run_bot("""
        import http.client
        http.client.HTTPConnection.debuglevel = 1
        from status_reporter import get_reporter
        with get_reporter().session("1.0") as reporter:
            while reporter.status["stream"] != "open": reporter.wait(0.01)
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert http.client.HTTPConnection.debuglevel == 0
    assert service.session.status == "completed"
