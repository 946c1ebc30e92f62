"""T34 to T45: whatever is wrong with the way to the service, the bot goes on, the token stays safe, and the counts wait."""

from __future__ import annotations

import heapq
import json
import random
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_service import FakeService, Reply
from torture.bot import Bot, StartBot, do, status
from torture.connect_proxy import ConnectProxy
from torture.dns_hole import DnsHole
from torture.fault_proxy import Exchange, Fault
from torture.journal import wait_for
from torture.leak_probe import LeakProbe
from torture.oracle import assert_exact
from torture.services import ReferenceService
from torture.strangers import FullHost, LingeringHost, OtherHost

from status_reporter import _back_off, _Pace
from tests.support.certificates import HOST, Authority
from tests.support.figures import Figures
from tests.support.pythons import Python

WELL = Fault()


def finish(bot: Bot) -> None:
    """Lets a puppet end its session, which has to arrive, and itself."""
    assert do(bot, "complete_session", timeout=30) is True
    bot.say(exit=0)
    bot.wait()


def warnings(bot: Bot) -> list[str]:
    """What the reporter warned of."""
    return [one["text"] for one in bot.said if one["word"] == "log" and one["level"] == "WARNING"]


def spooled(home: Path) -> list[Path]:
    """The files that hold what no service has yet."""
    return sorted((home / "state" / "status_reporter" / "spool").glob("*.json"))


def answer(code: int, headers: dict[str, str] | None = None, body: bytes = b"{}", *, ours: bool = True) -> bytes:
    """An answer; from something on the way when it is not `ours`."""
    fields = {"Content-Length": str(len(body)), "Connection": "close"}
    fields |= {"X-Status-Api": "1", "Content-Type": "application/json"} if ours else {}
    head = "".join(f"{name}: {value}\r\n" for name, value in {**fields, **(headers or {})}.items())
    return f"HTTP/1.1 {code} x\r\n{head}\r\n".encode("latin-1") + body


def problem(code: int, name: str) -> bytes:
    """A problem as the service answers it."""
    return answer(
        code, body=json.dumps({"type": f"urn:botlight:problem:{name}", "status": code, "code": name}).encode()
    )


def first_of_each(answers: list[bytes], *, streams: bool = False) -> Callable[[Exchange], Fault]:
    """Spoils the first report of each session by the answer that its bot's version is the number of; its stream too."""
    spoilt: set[str] = set()
    numbers: dict[str, int] = {}

    def plan(exchange: Exchange) -> Fault:
        request = exchange.request
        if request.method == "POST":
            session_id = str(request.document["session_id"])
            numbers[session_id] = number = int(request.document["bot"]["version"])
            if number in spoilt_numbers:
                return WELL
            spoilt_numbers.add(number)
            return Fault(answer=answers[number])
        session_id = request.query["session_id"]
        if not streams or session_id in spoilt:
            return WELL
        spoilt.add(session_id)
        return Fault(answer=answers[numbers[session_id]])

    spoilt_numbers: set[int] = set()
    return plan


@pytest.mark.long
@pytest.mark.root
@pytest.mark.timeout(400)
def test_name_server_is_silent(
    reference: ReferenceService, start_bot: StartBot, python: Python, *, tmp_path: Path, figures: Figures
) -> None:
    """T34: lookups that never end hold up nothing but themselves, at most three are left behind, and all comes right again."""
    with DnsHole(tmp_path, "timeout:30 attempts:5") as hole:
        url = f"http://botlight.test:{reference.proxy.port}"
        bot = start_bot(reference, python, "puppet", url=url, prefix=hole.prefix, limit_s=350)
        began = time.monotonic()
        do(bot, "start_session", "1.0")
        most, restarts = 0, 0
        while time.monotonic() < began + 135:
            do(bot, "increment_jobs_found")
            most = max(most, len(list(Path(f"/proc/{bot.pid}/task").iterdir())))
            restarts = status(bot)["restarts"]
            time.sleep(0.5)
        figures.add("T34", "threads after 135 s of a silent name server, two of them the bot's", most, "", python)
        assert hole.questions > 0
        assert not status(bot)["connected"]
        assert restarts == 3
        assert most <= 2 + 4 + 3  # the bot's own and its time limit's, the reporter's, and those that hang
        hole.answers = True
        back = time.monotonic()
        reference.journal.wait_for(lambda posts: posts, 60)
        figures.add("T34", "first report after the name server came back", time.monotonic() - back, "s", python)
        truth = sum(one["word"] == "did" for one in bot.said) - 1
        finish(bot)
    assert_exact(reference, {"jobs_found": truth})


@pytest.mark.root
@pytest.mark.long
def test_end_with_a_silent_name_server(
    reference: ReferenceService, start_bot: StartBot, python: Python, *, tmp_path: Path, home: Path, figures: Figures
) -> None:
    """T34: a bot that is done does not wait for a name server; what it said is on disk."""
    with DnsHole(tmp_path, "timeout:30 attempts:5") as hole:
        bot = start_bot(
            reference, python, "seed", url=f"http://botlight.test:{reference.proxy.port}", prefix=hole.prefix
        )
        took = bot.heard("took")["seconds"]
        ended = bot.wait() - bot.heard("took")["at"]
    figures.add("T34", "the seed's script with a silent name server", took + ended, "s", python)
    assert took <= 3
    assert ended <= 1
    assert len(spooled(home)) == 1


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority as it should be, which no system knows."""
    return Authority(tmp_path_factory.mktemp("authority") / "files")


@pytest.fixture(scope="session")
def company(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A company's authority, without what Python 3.13 wants of one."""
    return Authority(tmp_path_factory.mktemp("company") / "files", of_a_company=True)


@pytest.mark.long
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_drip(
    reference: ReferenceService,
    start_bot: StartBot,
    python: Python,
    *,
    authority: Authority,
    tls: bool,
    figures: Figures,
) -> None:
    """T35: an answer that comes byte by byte, each in time, is given up after ten seconds as a whole."""
    context = authority.signed("drip").context if tls else None
    with FakeService(token=reference.token, tls=context) as dripping:
        dripping.always = Reply(drip_s=1)
        settings = {"ca_file": str(authority.file)}
        bot = start_bot(reference, python, "puppet", url=dripping.url, settings=settings)
        do(bot, "start_session", "1.0")
        do(bot, "increment_jobs_found", 3)
        dripping.wait_for(dripping.posts)
        began = dripping.posts()[0].at
        wait_for(lambda: status(bot)["fails"], 15)
        took = time.monotonic() - began
        figures.add(
            "T35", f"request that is answered one byte a second, {'tls' if tls else 'plain'}", took, "s", python
        )
        assert 9 <= took <= 11
        assert status(bot)["last_error"] == "took too long"
        dripping.always = None
        finish(bot)
        assert dripping.totals["jobs_found"] == 3


def deliver_later(reference: ReferenceService, start_bot: StartBot, python: Python, home: Path) -> None:
    """The next bot delivers what the seed's script left on disk, once."""
    assert len(spooled(home)) == 1
    start_bot(reference, python, "worker", jobs=1).wait()
    assert_exact(reference, {"jobs_found": 7, "jobs_applied": 1, "credits_used": 0.25})


def test_nobody_answers(
    reference: ReferenceService, start_bot: StartBot, python: Python, home: Path, figures: Figures
) -> None:
    """T36: where a connection is taken and nothing ever comes back, a bot ends in its two seconds, and nothing is lost."""
    reference.proxy.plan = lambda _: Fault(silent=True)
    bot = start_bot(reference, python, "seed")
    took = bot.heard("took")["seconds"]
    ended = bot.wait() - bot.heard("took")["at"]
    figures.add("T36", "the seed's script where nobody answers", took + ended, "s", python)
    assert took <= 3
    assert ended <= 1
    reference.proxy.plan = lambda _: WELL
    reference.proxy.cut()
    deliver_later(reference, start_bot, python, home)


def test_connections_are_swallowed(
    reference: ReferenceService, start_bot: StartBot, python: Python, home: Path, figures: Figures
) -> None:
    """T36: where not even a connection comes about and none is refused, likewise; an attempt takes four seconds."""
    with FullHost() as full:
        quick = start_bot(reference, python, "seed", url=f"http://127.0.0.1:{full.port}")
        bot = start_bot(reference, python, "puppet", url=f"http://127.0.0.1:{full.port}")
        do(bot, "start_session", "1.0")
        began = time.monotonic()
        took = quick.heard("took")["seconds"]
        quick.wait()
        wait_for(lambda: status(bot)["fails"], 10)
        attempt = time.monotonic() - began
        bot.kill()
    figures.add("T36", "the seed's script where connections are swallowed", took, "s", python)
    assert took <= 3  # the two of `exit_timeout`, two tenths for the disk at either end, and the machine's own
    assert 3 <= attempt <= 6
    assert len(spooled(home)) == 2


@pytest.mark.root
def test_no_route(reference: ReferenceService, start_bot: StartBot, python: Python, home: Path) -> None:
    """T36: in a network without any route the bot ends at once, and the next one delivers."""
    bot = start_bot(reference, python, "seed", prefix=("unshare", "--net"))
    assert bot.heard("took")["seconds"] < 1
    bot.wait()
    deliver_later(reference, start_bot, python, home)


def test_redirects(reference: ReferenceService, start_bot: StartBot, python: Python) -> None:
    """T37: whatever redirects a report or a stream, and however, the host that it names is never asked for anything."""
    with OtherHost() as other:
        places = [f"http://127.0.0.1:{other.port}/x", f"//127.0.0.1:{other.port}/x", f"http://localhost:{other.port}/"]
        answers = [
            answer(code, {"Location": place}, ours=ours)
            for code, place, ours in (
                (301, places[0], True),
                (302, places[1], True),
                (303, places[2], False),
                (307, places[0], False),
                (308, places[0], True),
            )
        ]
        answers.append(answer(200, {"Refresh": f"0; url={places[0]}", "Location": places[0]}, ours=False))
        reference.proxy.plan = first_of_each(answers, streams=True)
        bot = start_bot(reference, python, "refused", many=len(answers), stream=True)
        bot.wait()
        assert other.connections == 0
    redirected = [one["status"]["last_error"] for one in bot.said if one["word"] == "refused"]
    assert redirected[:5] == ["redirected; redirects are not followed"] * 5
    assert all(one["ended"] for one in bot.said if one["word"] == "ended")
    assert len({one.query["session_id"] for one in reference.journal if one.method == "GET"}) == len(answers)
    assert_exact(reference, bot.truth)


FINE = b'{"ok": true, "applied": true, "session": {"status": "running"}, "commands": [], "config": {}}'
PORTALS = {
    "a portal's page": answer(200, {"Content-Type": "text/html"}, b"<html><form>Log in to our Wi-Fi", ours=False),
    "a proxy's page": answer(403, {"Content-Type": "text/html"}, b"<html>This site is blocked", ours=False),
    "log in first": answer(511, {"Content-Type": "text/html"}, b"<html>", ours=False),
    "nothing at all": answer(204, ours=False, body=b""),
    "JSON of somebody else": answer(200, body=FINE, ours=False),
    "our mark on a page": answer(200, {"Content-Type": "text/html"}, b"<html>"),
    "our mark without ok": answer(200, body=FINE.replace(b"true", b"false")),
    "a list": answer(200, body=b"[" + FINE + b"]"),
    "too deep": answer(200, body=b"[" * 30_000),
    "too long": answer(200, body=FINE[:-1] + b', "x": "' + b"y" * 70_000 + b'"}'),
    "no HTTP": b"220 mail.example ESMTP\r\n",
    "a head without end": b"HTTP/1.1 200 OK\r\n" + b"X-Padding: " + b"x" * 70_000 + b"\r\n\r\n",
    "a stop of somebody else": answer(200, body=b'{"commands": [{"id": "x", "type": "stop"}]}', ours=False),
}


def test_portals(reference: ReferenceService, start_bot: StartBot, python: Python) -> None:
    """T38: an answer that is not the service's is no success, whatever it looks like, and no stop; the counts come again."""
    reference.proxy.plan = first_of_each(list(PORTALS.values()))
    bot = start_bot(reference, python, "refused", many=len(PORTALS))
    bot.wait()
    for name, one in zip(PORTALS, [one for one in bot.said if one["word"] == "refused"], strict=True):
        assert (one["status"]["connected"], one["status"]["stop_requested"]) == (False, False), name
        assert one["status"]["counters"]["jobs_applied"] == 3, name
    assert all(one["ended"] for one in bot.said if one["word"] == "ended")
    assert_exact(reference, bot.truth)
    assert {one["status"] for one in reference.sessions()} == {"completed"}


PROXY_NAMES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


@pytest.fixture
def behind_tls(reference: ReferenceService, authority: Authority) -> Iterator[FakeService]:
    """A service that speaks https."""
    with FakeService(token=reference.token, tls=authority.signed("behind").context) as service:
        yield service


def test_no_proxy_for_this_machine(
    reference: ReferenceService, behind_tls: FakeService, start_bot: StartBot, python: Python, authority: Authority
) -> None:
    """T39: neither plain http nor this machine goes through a proxy of the environment, which is for the bot's browser."""
    with ConnectProxy(reference.proxy.port) as proxy:
        env = dict.fromkeys(PROXY_NAMES, proxy.url)
        start_bot(reference, python, "seed", env=env).wait()
        start_bot(reference, python, "seed", env=env, url=reference.url.replace("127.0.0.1", "localhost")).wait()
        settings = {"ca_file": str(authority.file)}
        bot = start_bot(reference, python, "puppet", env=env, url=behind_tls.url, settings=settings)
        do(bot, "start_session", "1.0")
        finish(bot)
        assert proxy.asked == []
    assert_exact(reference, {"jobs_found": 10})
    assert behind_tls.session.status == "completed"


def test_tunnel(
    reference: ReferenceService, behind_tls: FakeService, start_bot: StartBot, python: Python, authority: Authority
) -> None:
    """T39: https elsewhere goes through a tunnel, the stop too, and the proxy sees the token neither before nor inside."""
    with ConnectProxy(behind_tls.port) as proxy:
        env = {"HTTPS_PROXY": proxy.url.replace("//", "//me:pass%20word@"), "HTTP_PROXY": "http://127.0.0.1:9"}
        url, settings = f"https://{HOST}:{behind_tls.port}", {"ca_file": str(authority.file)}
        bot = start_bot(reference, python, "stops", many=1, stream="open", env=env, url=url, settings=settings)
        session_id = bot.heard("listening")["session_id"]
        behind_tls.press_stop(session_id)
        bot.heard("seen")
        bot.wait()
        assert behind_tls.session.status == "stopped"
        assert {one.split(b"\r\n")[0] for one in proxy.asked} == {f"CONNECT {HOST}:{behind_tls.port} HTTP/1.1".encode()}
        assert all(b"Proxy-Authorization: Basic bWU6cGFzcyB3b3Jk\r\n" in one for one in proxy.asked)
        leaks = LeakProbe(reference.token)
        leaks.check("what a proxy was asked", b"".join(proxy.asked))
        leaks.check("what a proxy carried", proxy.carried)
        assert b"Bearer" not in proxy.carried
        assert len(proxy.carried) > 1_000


def test_proxy_changes(
    reference: ReferenceService, behind_tls: FakeService, start_bot: StartBot, python: Python, authority: Authority
) -> None:
    """T39: a session goes the way that it found at its start; the next one looks again; exceptions and refusals count."""
    with ConnectProxy(behind_tls.port) as home, ConnectProxy(behind_tls.port) as office, OtherHost() as other:
        office.refuses = False
        stations: list[dict[str, Any]] = [
            {"before": {"HTTPS_PROXY": home.url}, "during": {"HTTPS_PROXY": f"http://127.0.0.1:{other.port}"}},
            {"before": {"HTTPS_PROXY": None, "all_proxy": office.url}},
            {"before": {"NO_PROXY": f"other.example, .{HOST.partition('.')[2]}"}, "timeout": 1},
            {"before": {"NO_PROXY": "other.example", "all_proxy": f"socks5://127.0.0.1:{other.port}"}, "timeout": 1},
        ]
        url, settings = f"https://{HOST}:{behind_tls.port}", {"ca_file": str(authority.file), "stream": False}
        bot = start_bot(reference, python, "travels", stations=stations, url=url, settings=settings)
        bot.wait()
        ends = [one for one in bot.said if one["word"] == "ended"]
        assert [(one["arrived"], one["ended"]) for one in ends] == [(True, True)] * 2 + [(False, False)] * 2
        assert (len(home.asked) >= 2, len(office.asked) >= 2) == (True, True)
        assert other.connections == 0
        assert len(behind_tls.sessions) == 2
        office.refuses = True
        refused = start_bot(reference, python, "puppet", url=url, env={"https_proxy": office.url}, settings=settings)
        do(refused, "start_session", "1.0")
        wait_for(lambda: status(refused)["last_error"] == "the proxy refused")
        office.refuses = False
        finish(refused)
    assert behind_tls.totals["jobs_found"] == 4  # what two sessions could not tell was told by the next bot


def test_certificates(
    reference: ReferenceService, start_bot: StartBot, python: Python, *, authority: Authority, company: Authority
) -> None:
    """T40: no certificate is taken that nobody known vouches for: the token stays here, and one warning says what is wrong."""
    nothing = {"SSL_CERT_FILE": "/nonexistent", "SSL_CERT_DIR": "/nonexistent"}
    known = {"ca_file": str(authority.file)}
    zoo = [
        (authority.self_signed("self"), known, {}, "not trusted"),
        (authority.signed("expired", until="20210101000000Z"), known, {}, "has expired"),
        (authority.signed("wrong", host="other.example"), known, {}, "another host's"),
        (company.signed("strange"), known, {}, "not trusted"),
        (authority.signed("unknown"), {}, {}, "not trusted"),
        (authority.signed("nobody"), {}, nothing, "not trusted"),
    ]
    for certificate, settings, env, words in zoo:
        with FakeService(token=reference.token, tls=certificate.context) as service:
            bot = start_bot(reference, python, "puppet", url=service.url, settings=settings, env=env, log=True)
            do(bot, "start_session", "1.0")
            do(bot, "increment_jobs_found")
            wait_for(lambda bot=bot: status(bot)["fails"])  # type: ignore[misc]  # bound at once
            assert words in status(bot)["last_error"], certificate.file.name
            bot.say(exit=0)
            bot.wait()
            assert len(warnings(bot)) == 1
            assert words in warnings(bot)[0]
            assert service.journal == []


def test_authority_of_a_company(
    reference: ReferenceService, start_bot: StartBot, python: Python, company: Authority, authority: Authority
) -> None:
    """T40: an authority that is named is trusted, one without the newest identifiers too, for reports and stream."""
    for own in (company, authority):
        with FakeService(token=reference.token, tls=own.signed(f"good-{python.version}").context) as service:
            settings = {"ca_file": str(own.file)}
            bot = start_bot(reference, python, "stops", many=1, stream="open", url=service.url, settings=settings)
            service.press_stop(bot.heard("listening")["session_id"])
            bot.heard("seen")
            bot.wait()
            assert service.session.status == "stopped"


DATE = "Tue, 24 Nov 2026 10:00:00 GMT"
NEVER = 1.0  # seconds that the first failure takes by itself, at most
AFTER: list[tuple[str, dict[str, str], float, float]] = [
    ("-1", {}, 0, NEVER),
    ("0", {}, 0, NEVER),
    ("120", {}, 119, 120),
    ("300", {}, 299, 300),
    ("9999999999", {}, 299, 300),
    ("9" * 10_000, {}, 0, NEVER),
    ("\u00b2", {}, 0, NEVER),
    ("1e3", {}, 0, NEVER),
    ("0x10", {}, 0, NEVER),
    ("1.5", {}, 0, NEVER),
    ("60, 90", {}, 0, NEVER),
    ("", {}, 0, NEVER),
    ("soon", {}, 0, NEVER),
    ("Tue, 24 Nov 2026 09:00:00 GMT", {"Date": DATE}, 0, NEVER),
    ("Tue, 24 Nov 2026 10:02:00 GMT", {"Date": DATE}, 119, 120),
    ("Fri, 31 Dec 9999 23:59:59 GMT", {"Date": DATE}, 299, 300),
    ("Tue, 24 Nov 2026 10:02:00 GMT", {}, 0, NEVER),
    ("Tue, 24 Nov 2026 10:02:00 GMT", {"Date": "yesterday"}, 0, NEVER),
    ("Tue, 99 Nov 2026 99:99:99 GMT", {"Date": DATE}, 0, NEVER),
]


@pytest.mark.parametrize("code", [429, 503])
def test_retry_after(reference: ReferenceService, start_bot: StartBot, python: Python, code: int) -> None:
    """T41: no `Retry-After` in the world makes a bot wait for more than five minutes, or less than by itself."""
    answers = [answer(code, {"Retry-After": value, **more}) for value, more, _, _ in AFTER]
    reference.proxy.plan = first_of_each(answers)
    bot = start_bot(reference, python, "refused", many=len(AFTER), end=False, settings={"spool_dir": None})
    bot.wait()
    waits = [one["status"]["next_try_s"] for one in bot.said if one["word"] == "refused"]
    for (value, _, least, most), wait in zip(AFTER, waits, strict=True):
        assert least <= wait <= most, f"{value[:40]!r}: {wait}"


REFUSALS = {
    "token": problem(401, "token"),
    "scope": problem(403, "scope"),
    "old": problem(426, "old"),
    "invalid": problem(400, "invalid"),
    "unprocessable": problem(422, "invalid"),
    "too large": problem(413, "too_large"),
    "ended": problem(409, "ended"),
    "instances": problem(409, "instances"),
    "deleted": problem(410, "deleted"),
    "unknown": problem(404, "unknown"),
    "rate": problem(429, "rate"),
    "early": problem(425, "early"),
    "slow": problem(408, "slow"),
    "broken": problem(500, "internal"),
    "store": problem(503, "unavailable"),
    "gateway": answer(502, ours=False, body=b"<html>"),
    "timeout": answer(504, ours=False, body=b"<html>"),
}


def test_refusals(reference: ReferenceService, start_bot: StartBot, python: Python) -> None:
    """T42: each refusal is met as the table says, nothing is dropped, and the bot goes on."""
    reference.proxy.plan = first_of_each(list(REFUSALS.values()))
    bot = start_bot(reference, python, "refused", many=len(REFUSALS), log=True)
    bot.wait()
    said = {word: [one for one in bot.said if one["word"] == word] for word in ("refused", "ended")}
    assert [one["ended"] for one in said["ended"]] == [True] * len(REFUSALS)
    assert_exact(reference, bot.truth)
    assert len(warnings(bot)) <= len(REFUSALS)
    for name, before, after in zip(REFUSALS, said["refused"], said["ended"], strict=True):
        posts = [one for one in reference.journal.posts() if one.document["bot"]["version"] == str(before["n"])]
        moved = name in {"ended", "instances", "deleted", "unknown"}
        assert (before["session_id"] != after["session_id"]) is moved, name
        assert (posts[0].document["session_id"] != posts[1].document["session_id"]) is moved, name
        if name in {"token", "scope", "old"}:
            assert 250 <= before["status"]["next_try_s"] <= 3_600, name
        elif before["status"]["next_try_s"] is not None:
            assert before["status"]["next_try_s"] <= 2, name
        details = [(one.document["activity"] or {}).get("details") for one in posts]
        assert details[0], name
        assert bool(details[1]) is (name not in {"invalid", "unprocessable", "too large"}), name
        assert posts[1].document["counters"]["jobs_applied"] == 3, name


@pytest.mark.long
@pytest.mark.timeout(500)
def test_refused_for_a_while(
    reference: ReferenceService, start_bot: StartBot, python: Python, home: Path, figures: Figures
) -> None:
    """T42: a token that is refused is tried again after five minutes, without a word from the bot; meanwhile all is on disk."""
    codes = [401, 403, 426]
    until = time.monotonic() + 200
    begun: dict[str, float] = {}

    def plan(exchange: Exchange) -> Fault:
        if exchange.request.method == "GET" or time.monotonic() > until:
            return WELL
        version = exchange.request.document["bot"]["version"]
        begun.setdefault(version, time.monotonic())
        return Fault(answer=problem(int(version), "token"))

    reference.proxy.plan = plan
    bots = [start_bot(reference, python, "puppet", log=True, limit_s=450) for _ in codes]
    for bot, code in zip(bots, codes, strict=True):
        do(bot, "start_session", str(code))
        do(bot, "increment_jobs_found", 3)
    wait_for(lambda: len(begun) == len(codes) and len(spooled(home)) == len(codes))
    reference.arrived.wait_for(lambda posts: len({one.document["bot"]["version"] for one in posts}) == len(codes), 320)
    for code in codes:
        first = next(one for one in reference.arrived.posts() if one.document["bot"]["version"] == str(code))
        took = first.at - begun[str(code)]
        figures.add("T42", f"from a {code} to the next report", took, "s", python)
        assert 299 <= took <= 310
        assert first.document["counters"]["jobs_found"] == 3
    for bot in bots:
        finish(bot)
        assert len(warnings(bot)) == 1
    assert_exact(reference, {"jobs_found": 9})


def rush(seed: int, outage_s: float, *, streams: bool) -> Counter[int]:
    """Of 1,000 bots that lost their service for so long: how many reported in each second after it was back.

    The reporter's own timers, led by a clock of this function. With `streams` each of them tries its stream as well, and
    the reporter comes back with it.
    """
    random.seed(seed)
    bots = [_Pace(45.0) for _ in range(1_000)]
    due: list[tuple[float, str, int, int]] = []
    for n in range(len(bots)):
        heapq.heappush(due, (random.uniform(0, 45), "report", n, 0))
        if streams:
            heapq.heappush(due, (random.uniform(0, 1), "stream", n, 1))
    seconds: Counter[int] = Counter()
    heard: set[int] = set()
    while due:
        now, what, n, fails = heapq.heappop(due)
        if n in heard:
            continue
        if what == "stream" and now < outage_s:
            heapq.heappush(due, (now + _back_off(fails, 30.0), "stream", n, fails + 1))
        elif what == "stream":
            bots[n].network_is_back(now)
            heapq.heappush(due, (bots[n].when(wanted=True, urgent=False), "report", n, 0))
        elif now < outage_s:
            bots[n].left(now)
            bots[n].failed(now)
            heapq.heappush(due, (bots[n].when(wanted=True, urgent=False), "report", n, 0))
        else:
            heard.add(n)
            seconds[int(now - outage_s)] += 1
    return seconds


@pytest.mark.parametrize(("outage_s", "most"), [(60, 80), (300, 50), (900, 50)])
def test_herd(outage_s: int, most: int, figures: Figures) -> None:
    """T43: when a service is back, its bots come back within a minute, and not more than one in twenty in any second.

    After an outage of a minute, in which none of them has learnt yet to wait for as long, one in twelve.
    """
    for streams in (False, True):
        runs = [rush(seed, outage_s, streams=streams) for seed in range(4)]
        worst, last = max(max(one.values()) for one in runs), max(max(one) for one in runs)
        shown = f"1,000 bots after {outage_s} s{' with streams' if streams else ''}: in the worst second / all within"
        figures.add("T43", shown, f"{worst} / {last + 1} s")
        assert [sum(one.values()) for one in runs] == [1_000] * 4
        assert worst <= most
        assert last < 60


@pytest.mark.long
def test_real_herd(reference: ReferenceService, start_bot: StartBot, python: Python, figures: Figures) -> None:
    """T43: twelve real reporters lose their service and find it again, each by itself, and nothing is lost."""
    reference.proxy.down()
    bot = start_bot(reference, python, "herd", many=12)
    bot.heard("ready", 40)
    reference.proxy.up()
    back = time.monotonic()
    reference.journal.wait_for(lambda posts: len({one.document["instance_id"] for one in posts}) == 12, 70)
    arrivals: dict[str, float] = {}
    for one in reference.journal.posts():
        arrivals.setdefault(one.document["instance_id"], one.at - back)
    shown = f"{min(arrivals.values()):.2f} to {max(arrivals.values()):.2f}"
    figures.add("T43", "first reports of 12 real reporters after an outage", shown, "s", python)
    bot.say(end=True)
    bot.wait()
    assert bot.report["ended"] == [True] * 12
    assert_exact(reference, bot.truth)


def test_server_that_keeps_connections(
    reference: ReferenceService, start_bot: StartBot, python: Python, figures: Figures
) -> None:
    """T44: a server that keeps connections and closes them when they idle is no trouble: the reporter leaves first."""
    with LingeringHost(reference.proxy.port, 1.0) as host:
        settings = {"heartbeat_interval": 1, "stream": False}
        bot = start_bot(reference, python, "puppet", url=f"http://127.0.0.1:{host.port}", settings=settings, log=True)
        do(bot, "start_session", "1.0")
        reference.journal.wait_for(lambda posts: len(posts) >= 5)
        assert status(bot)["fails"] == 0
        finish(bot)
        assert host.requests == [1] * len(host.requests)
        figures.add("T44", "longest stay on a connection after its answer", 1000 * max(host.waits), "ms", python)
        assert max(host.waits) < 1  # whoever does not leave is shown the door then
    assert {one.document["diag"]["fails"] for one in reference.journal.posts()} == {0}
    assert [one for one in bot.said if one["word"] == "log"] == []


def times_at_localhost(bot: Bot, many: int) -> list[float]:
    """Seconds that each of so many sessions takes, from its start to its acknowledged end: one or two requests each."""
    times = []
    for _ in range(many):
        began = time.monotonic()
        do(bot, "start_session", "1.0")
        assert do(bot, "complete_session", timeout=10) is True
        times.append(time.monotonic() - began)
    bot.say(exit=0)
    bot.wait()
    return times


def test_localhost(reference: ReferenceService, start_bot: StartBot, python: Python, figures: Figures) -> None:
    """T45: `localhost` is found where one address of it is deaf, at once."""
    bot = start_bot(reference, python, "puppet", url=reference.url.replace("127.0.0.1", "localhost"))
    times = times_at_localhost(bot, 9)
    shown = f"{1000 * times[0]:.0f} / {1000 * sorted(times[1:])[4]:.0f}"
    figures.add("T45", "a whole session at localhost, the first / the others", shown, "ms", python)
    assert times[0] <= 2.5
    assert sorted(times[1:])[4] <= 0.1


@pytest.mark.root
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_localhost_of_two_families(
    reference: ReferenceService, start_bot: StartBot, python: Python, *, host: str, tmp_path: Path, figures: Figures
) -> None:
    """T45: likewise where `localhost` has both addresses, the deaf one first, as Windows has it."""
    hosts = tmp_path / "hosts"
    deaf = "::1" if host == "127.0.0.1" else "127.0.0.1"
    hosts.write_text(f"{deaf} localhost\n{host} localhost\n")
    prefix = ("unshare", "--mount", "sh", "-c", f'mount --bind {hosts} /etc/hosts && exec "$@"', "sh")
    with FakeService(token=reference.token, host=host) as service:
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((deaf, service.port), timeout=1)
        bot = start_bot(reference, python, "puppet", url=f"http://localhost:{service.port}", prefix=prefix)
        times = times_at_localhost(bot, 9)
        figures.add("T45", f"a whole session at localhost, {host} only, the first", 1000 * times[0], "ms", python)
        assert times[0] <= 2.5
        assert sorted(times[1:])[4] <= 0.1
        assert {one.status for one in service.sessions.values()} == {"completed"}
