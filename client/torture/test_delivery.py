"""T1 to T16: what the bot counted is what the service shows, whatever happens on the way."""

from __future__ import annotations

import itertools
import json
import threading
import time
from decimal import Decimal
from pathlib import Path

import pytest
from torture.bot import Bot, StartBot, do
from torture.fault_proxy import Exchange, Fault
from torture.journal import wait_for
from torture.oracle import assert_exact, exactly
from torture.services import ReferenceService, Service

from tests.support.figures import Figures
from tests.support.pythons import Python

WELL = Fault()
PROBLEM = "HTTP/1.1 {code} x\r\nX-Status-Api: 1\r\nContent-Type: application/problem+json\r\nConnection: close\r\n"


def problem(code: int, name: str) -> bytes:
    """A problem as the service would answer it."""
    body = json.dumps({"type": f"urn:botlight:problem:{name}", "status": code, "code": name})
    return (PROBLEM.format(code=code) + f"Content-Length: {len(body)}\r\n\r\n{body}").encode()


def spooled(home: Path) -> list[Path]:
    """The files that hold what no service has yet."""
    return sorted((home / "state" / "status_reporter" / "spool").glob("*.json"))


def logged(bot: Bot, level: str) -> int:
    """How many lines of that level the reporter logged."""
    return sum(one["word"] == "log" and one["level"] == level for one in bot.said)


@pytest.mark.pythons("all")
def test_seed_script(service: Service, start_bot: StartBot, python: Python) -> None:
    """T1: the seed's script runs to its end, says nothing, and all it reported is there."""
    start_bot(service, python, "seed").wait()
    assert_exact(service, {"jobs_found": 5})
    (session,) = service.sessions()
    assert (session["status"], session["activity"]) == ("completed", "jobs_found")


def test_nothing_listening(own_service: Service, start_bot: StartBot, python: Python, home: Path) -> None:
    """T2: without a service the seed's script takes under a second and leaves one file; the next run delivers that, once."""
    own_service.down()
    bot = start_bot(own_service, python, "seed")
    bot.wait()
    assert bot.heard("took")["seconds"] < 1
    assert len(spooled(home)) == 1
    own_service.up()
    start_bot(own_service, python, "worker", jobs=1).wait()
    assert_exact(own_service, {"jobs_found": 7, "jobs_applied": 1, "credits_used": 0.25})
    assert sorted((one["status"], int(one["jobs_found"])) for one in own_service.sessions()) == [
        ("completed", 2),
        ("completed", 5),
    ]
    assert not spooled(home)


@pytest.mark.parametrize("lost", [2, pytest.param(30, marks=[pytest.mark.long, pytest.mark.timeout(900)])])
def test_reply_lost(service: Service, start_bot: StartBot, python: Python, lost: int) -> None:
    """T3: what the service took counts once, though its answers are lost."""
    until = time.monotonic() + (60 if lost > 2 else 600)

    def plan(exchange: Exchange) -> Fault:
        spoilt = exchange.request.method == "POST" and exchange.n <= lost and time.monotonic() < until
        return Fault(reset="after") if spoilt else WELL

    service.proxy.plan = plan
    bot = start_bot(service, python, "worker", jobs=0, pause_s=0.01, limit_s=240, timeout=60)
    service.journal.wait_for(lambda posts: len(posts) > lost or time.monotonic() > until, 200)
    bot.say(end=True)
    bot.wait(90)
    assert_exact(service, bot.truth)
    assert bot.report["ended"] is True


def test_requests_doubled(service: Service, start_bot: StartBot, python: Python) -> None:
    """T4: a request that comes three times counts once, and only the first of them moves the live fields."""
    service.proxy.plan = lambda exchange: Fault(copies=3) if exchange.request.method == "POST" else WELL
    bot = start_bot(service, python, "worker", jobs=30, pause_s=0.05)
    bot.wait()
    assert_exact(service, bot.truth)
    answers = [json.loads(one.partition(b"\r\n\r\n")[2]) for one in service.proxy.answers]
    assert [one["applied"] for one in answers] == [True, False, False] * len(service.journal.posts())


@pytest.mark.parametrize("every", [2, pytest.param(3, marks=[pytest.mark.long, pytest.mark.timeout(600)])])
def test_requests_out_of_order(service: Service, start_bot: StartBot, python: Python, every: int) -> None:
    """T5: requests that come after later ones still count, and the activity never goes backwards."""
    held: list[threading.Event] = []

    def plan(exchange: Exchange) -> Fault:
        if exchange.request.method != "POST" or exchange.n % every:
            for one in held:
                threading.Timer(0.2, one.set).start()  # after the answer to the later one
            return WELL
        held.append(threading.Event())
        return Fault(late=held[-1])

    service.proxy.plan = plan
    bot = start_bot(service, python, "worker", jobs=0, pause_s=0.02, limit_s=200, timeout=60)
    seen: list[int] = []
    until, ended = time.monotonic() + (3.5 if every == 2 else 60), False
    while not ended or bot.process.poll() is None:
        documents = service.sessions()
        seen += [one["activity_details"]["n"] for one in documents if one["activity_details"]]
        if not ended and time.monotonic() > until:
            ended = True
            bot.say(end=True)
        time.sleep(0.02)
    bot.wait()
    service.proxy.plan = lambda _: WELL
    for one in held:
        one.set()
    assert len(held) >= 2
    assert seen == sorted(seen)
    assert_exact(service, bot.truth)


@pytest.mark.parametrize("step", [61, pytest.param(1, marks=[pytest.mark.long, pytest.mark.timeout(1800)])])
def test_cut_at_every_byte(service: Service, start_bot: StartBot, python: Python, step: int) -> None:
    """T6: wherever a request or an answer is cut off, it counts once, nothing raises, and no thread is lost."""
    if service.name == "real" and step == 1:
        step = 4  # its limit of requests per token makes more of them a matter of waiting
    cuts = [Fault(cut_request_at=k) for k in range(0, 1_450, step)]
    cuts += [Fault(cut_answer_at=k) for k in range(0, 800, step)]
    chosen: dict[str, int] = {}
    lock = threading.Lock()

    def plan(exchange: Exchange) -> Fault:
        session_id = str(exchange.request.document.get("session_id"))
        if exchange.request.method != "POST" or session_id in chosen:
            return WELL
        with lock:
            chosen[session_id] = len(chosen)
        return cuts[chosen[session_id]]

    service.proxy.plan = plan
    settings = {"stream": False, "spool_dir": None}
    bot = start_bot(
        service, python, "cuts", many=len(cuts), at_once=13 if step > 1 else 26, settings=settings, limit_s=1500
    )
    bot.wait(1500)
    assert (bot.report["unacknowledged"], bot.report["threads_missing"]) == ([], 0)
    assert len(chosen) == len(cuts)
    assert_exact(service, bot.truth, seconds=60)


@pytest.mark.parametrize("times", [3, pytest.param(200, marks=[pytest.mark.long, pytest.mark.timeout(1200)])])
def test_service_restarts(own_service: Service, start_bot: StartBot, python: Python, times: int) -> None:
    """T8: a service that is killed over and over loses nothing and doubles nothing; each outage is logged once."""
    if own_service.name == "real":
        times = min(times, 30)  # each start takes it a second or two
    bot = start_bot(own_service, python, "worker", jobs=0, pause_s=0.01, log=True, limit_s=900, timeout=90)
    bot.heard("ready")
    for _ in range(times):
        own_service.journal.wait_for(lambda posts: posts, 20)
        time.sleep(0.15)
        own_service.down()
        time.sleep(0.15)
        own_service.up()
    bot.say(end=True)
    bot.wait(120)
    assert_exact(own_service, bot.truth)
    assert logged(bot, "WARNING") <= times
    assert logged(bot, "INFO") <= logged(bot, "WARNING")
    assert len(own_service.sessions()) == 1


def test_restored_from_a_backup(own_service: Service, start_bot: StartBot, python: Python) -> None:
    """T9: after a service was set back to an old backup, the next heartbeat makes its totals right again."""
    bot = start_bot(own_service, python, "puppet")
    do(bot, "start_session", "1.0")
    do(bot, "increment_jobs_found", 5)
    assert do(bot, "flush", 10)
    own_service.backup()
    do(bot, "increment_jobs_found", 7)
    assert do(bot, "flush", 10)
    assert_exact(own_service, {"jobs_found": 12})
    own_service.restore()
    assert exactly(own_service.totals()) == exactly({"jobs_found": 5})
    do(bot, "send_heartbeat", "searching")
    assert do(bot, "flush", 20)
    assert_exact(own_service, {"jobs_found": 12})
    do(bot, "complete_session")
    bot.say(exit=0)
    bot.wait()


def test_session_forgotten(own_service: Service, start_bot: StartBot, python: Python) -> None:
    """T10: a session that the service has lost comes back with its next report, exact; the bot goes on."""
    bot = start_bot(own_service, python, "puppet")
    session_id = do(bot, "start_session", "1.0")
    do(bot, "increment_jobs_found", 5)
    assert do(bot, "flush", 10)
    own_service.forget(session_id)
    assert not own_service.sessions()
    do(bot, "increment_jobs_found", 2)
    assert do(bot, "flush", 20)
    assert_exact(own_service, {"jobs_found": 7}, session_id)
    assert do(bot, "complete_session") is True
    bot.say(exit=0)
    bot.wait()


def test_session_deleted(own_service: Service, start_bot: StartBot, python: Python) -> None:
    """T10: a session that a person has deleted stays so; the bot goes on in a new one with what was not acknowledged."""
    bot = start_bot(own_service, python, "puppet")
    session_id = do(bot, "start_session", "1.0")
    do(bot, "increment_jobs_found", 5)
    assert do(bot, "flush", 10)
    own_service.delete(session_id)
    do(bot, "increment_jobs_found", 2)
    assert do(bot, "flush", 20)
    assert_exact(own_service, {"jobs_found": 2})
    (session,) = own_service.sessions()
    assert session["id"] != session_id
    assert do(bot, "complete_session") is True
    bot.say(exit=0)
    bot.wait()


def test_session_closed_while_the_bot_runs(reference: ReferenceService, start_bot: StartBot, python: Python) -> None:
    """T11: a session that is ended for good under a working bot is followed by one with the rest; together the truth."""
    bot = start_bot(reference, python, "worker", jobs=0, pause_s=0.01)
    first = bot.heard("ready")["session_id"]
    wait_for(lambda: reference.fake.sessions)
    reference.fake.sessions[first].closed = "completed"
    wait_for(lambda: len(reference.fake.sessions) == 2)
    bot.say(end=True)
    bot.wait()
    assert_exact(reference, bot.truth)
    assert bot.report["session_id"] != first


@pytest.mark.long
@pytest.mark.timeout(900)
def test_backend_down_for_long(
    reference: ReferenceService, start_bot: StartBot, python: Python, home: Path, figures: Figures
) -> None:
    """T12: however much is said while nobody listens, memory and spool stay small; all is there soon after.

    What could grow grows with what is said, not with the hours: this bot says in three minutes what others say in days.
    """
    reference.down()
    bot = start_bot(reference, python, "worker", jobs=0, pause_s=0.002, limit_s=600, timeout=120)
    bot.heard("ready")
    memory, files = [], []
    for _ in range(180):
        time.sleep(1)
        memory.append(resident_mb(bot.pid))
        files += [(len(spooled(home)), path.stat().st_size) for path in spooled(home)]
    reference.up()
    began = time.monotonic()
    reference.arrived.wait_for(lambda posts: posts, 70)
    figures.add("T12", "until the first report after an outage of 3 min", time.monotonic() - began, "s", python)
    figures.add("T12", "RSS drift in the last two of them", memory[-1] - memory[60], "MB", python)
    bot.say(end=True)
    bot.wait(90)
    assert_exact(reference, bot.truth)
    assert abs(memory[-1] - memory[60]) < 1
    assert {many for many, _ in files} == {1}
    assert max(size for _, size in files) <= 262_144


def resident_mb(pid: int) -> float:
    """What a process holds in memory now."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 1e6


@pytest.mark.parametrize("seconds", [3, pytest.param(60, marks=[pytest.mark.long, pytest.mark.timeout(300)])])
def test_ten_thousand_a_second(
    reference: ReferenceService, start_bot: StartBot, python: Python, seconds: int, figures: Figures
) -> None:
    """T13: 10,000 increments a second from 8 threads are all counted, in one request a second, for little of a core."""
    bot = start_bot(reference, python, "flood", rate=10_000, threads_n=8, seconds=seconds, limit_s=seconds + 60)
    bot.wait(seconds + 60)
    assert_exact(reference, bot.truth)
    assert Decimal(bot.truth["jobs_found"]) > 8_000 * seconds
    assert len(reference.journal.posts()) <= bot.report["took_s"] + 3
    share = bot.report["used_s"] / bot.report["took_s"]
    figures.latency("T13", bot.report["latency"], python)
    figures.add("T13", "processor time of the reporter's threads at 10 k/s", 100 * share, "% of a core", python)
    assert share < 0.06


@pytest.mark.parametrize("n", [100_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_fractions_of_credits(reference: ReferenceService, start_bot: StartBot, python: Python, n: int) -> None:
    """T14: credits in fractions add up to the last decimal."""
    bot = start_bot(reference, python, "credits", n=n)
    bot.wait(60)
    assert_exact(reference, bot.truth)


def test_bad_arguments(service: Service, start_bot: StartBot, python: Python) -> None:
    """T15: nothing that a bot may hand over makes a call raise or a report unreadable; what is no number is ignored."""
    bot = start_bot(service, python, "bad_arguments")
    bot.wait()
    assert bot.report["raised"] == []
    assert bot.report["ignored"] >= 40
    assert_exact(service, bot.truth)
    for one in service.journal.posts():
        assert len(one.raw) <= 16_384
        assert "�" not in one.raw.decode("utf-8")
    assert service.sessions()[0]["status"] == "failed"


def test_details_refused(service: Service, start_bot: StartBot, python: Python) -> None:
    """T16: when the service refuses a report for its details, the counters come without them."""

    def plan(exchange: Exchange) -> Fault:
        activity = exchange.request.document.get("activity") or {}
        return Fault(answer=problem(422, "invalid")) if activity.get("details") else WELL

    service.proxy.plan = plan
    bot = start_bot(service, python, "puppet", log=True)
    do(bot, "start_session", "1.0")
    for n, _ in itertools.product(range(3), range(2)):
        do(bot, "send_heartbeat", "applying", {"title": str(n)})
        do(bot, "increment_jobs_found", 1)
    assert do(bot, "flush", 20)
    assert_exact(service, {"jobs_found": 6})
    assert service.sessions()[0]["activity"] == "applying"
    assert logged(bot, "WARNING") <= 1
    assert do(bot, "complete_session") is True
    bot.say(exit=0)
    bot.wait()
