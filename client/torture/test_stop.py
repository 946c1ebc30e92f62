"""T17 to T27: a stop that a person pressed reaches the bot's own code, soon, once, and nothing else is taken for one."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from torture.bot import Bot, StartBot, do
from torture.fault_proxy import Exchange, Fault
from torture.journal import wait_for
from torture.oracle import assert_exact
from torture.services import ReferenceService, Service

from tests.support.figures import Figures
from tests.support.pythons import IN_CI, Python

WELL = Fault()
NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://127.0.0.1:{target}; proxy_buffering on; proxy_buffers 8 64k; proxy_buffer_size 64k;
      proxy_ignore_headers X-Accel-Buffering; proxy_hide_header X-Accel-Buffering;
    }}
  }}
}}
"""


def answer(code: int, body: dict[str, Any], *, ours: bool = True) -> bytes:
    """An answer with that code, from the service or (without the marker) from something on the way."""
    text = json.dumps(body)
    marker = "X-Status-Api: 1\r\n" if ours else ""
    head = f"HTTP/1.1 {code} x\r\n{marker}Content-Type: application/json\r\nConnection: close\r\n"
    return (head + f"Content-Length: {len(text)}\r\n\r\n{text}").encode()


def stop_each(service: Service, bot: Bot, many: int) -> list[float]:
    """Presses Stop for each session of the bot `stops`; answers the seconds until its code saw it."""
    latencies = []
    for n in range(1, many + 1):
        session_id = bot.heard("listening", 60, nth=n)["session_id"]
        pressed = time.monotonic()
        service.stop(session_id)
        latencies.append(bot.heard("seen", 60, nth=n)["at"] - pressed)
    return sorted(latencies)


@pytest.mark.parametrize("many", [15, pytest.param(500, marks=[pytest.mark.long, pytest.mark.timeout(900)])])
def test_latency_by_stream(service: Service, start_bot: StartBot, python: Python, many: int, figures: Figures) -> None:
    """T17: from the press to the bot's own code it takes a blink, over a stream that is open."""
    bot = start_bot(service, python, "stops", many=many, stream="open", limit_s=800)
    latencies = stop_each(service, bot, many)
    bot.wait()
    p50, p99 = latencies[many // 2], latencies[min(many - 1, many * 99 // 100)]
    shown = f"{p50 * 1000:.1f} / {p99 * 1000:.1f} / {latencies[-1] * 1000:.1f}"
    figures.add("T17", f"stop latency of {many}, p50 / p99 / max ({service.name})", shown, "ms", python)
    assert latencies[-1] < 1
    assert many < 500 or p99 < 0.25
    assert [one["status"] for one in service.sessions()] == ["stopped"] * min(many, len(service.sessions()))
    assert_exact(service, bot.truth)


@pytest.mark.parametrize("interval", [1, pytest.param(45, marks=pytest.mark.long)])
def test_latency_without_stream(
    service: Service, start_bot: StartBot, python: Python, interval: int, figures: Figures
) -> None:
    """T18: where the stream cannot be had, a heartbeat brings the stop: every 15 s, or as often as the bot beats."""
    refused = Fault(answer=answer(404, {"code": "unknown"}))
    service.proxy.plan = lambda exchange: refused if exchange.request.method == "GET" else WELL
    settings = {"heartbeat_interval": interval}
    bot = start_bot(service, python, "stops", many=2, stream="degraded", settings=settings, limit_s=120)
    latencies = stop_each(service, bot, 2)
    bot.wait()
    figures.add("T18", f"stop latency without a stream ({service.name})", latencies[-1], "s", python)
    assert latencies[-1] <= 1.1 * min(15, interval) + 2
    assert len([one for one in service.journal if one.method == "GET"]) == 2


@pytest.mark.parametrize("interval", [2, pytest.param(3600, marks=pytest.mark.long)])
def test_push_lost(service: Service, start_bot: StartBot, python: Python, interval: int, figures: Figures) -> None:
    """T19: on a stream that is dead at one end the push is lost; the next heartbeat brings it, or a new stream after 40 s."""
    bot = start_bot(service, python, "stops", many=1, stream="open", settings={"heartbeat_interval": interval})
    session_id = bot.heard("listening")["session_id"]
    assert service.proxy.freeze()
    pressed = time.monotonic()
    service.stop(session_id)
    took = bot.heard("seen", 55)["at"] - pressed
    bot.wait()
    figures.add("T19", f"stop latency over a half-open stream, beat of {interval} s", took, "s", python)
    assert took <= min(1.1 * interval, 40) + 4


@pytest.fixture
def nginx(service: Service, tmp_path: Path) -> Iterator[str]:
    """The address of an nginx before the service that buffers what it passes on."""
    path = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if not path:
        assert not IN_CI, "there is no nginx, and in CI there must be (Debian: nginx)"
        pytest.skip("needs nginx (Debian: apt-get install nginx)")
    from tests.support.service import free_port

    port = free_port()
    settings = tmp_path / "nginx.conf"
    settings.write_text(NGINX.format(folder=tmp_path, port=port, target=service.proxy.port))
    with subprocess.Popen([path, "-c", str(settings), "-p", str(tmp_path)], stderr=subprocess.DEVNULL) as process:
        yield f"http://127.0.0.1:{port}"
        process.terminate()
        process.wait(10)


@pytest.mark.long
def test_buffering_proxy(service: Service, nginx: str, start_bot: StartBot, python: Python, figures: Figures) -> None:
    """T20: behind a proxy that holds events back, the reporter notices, says `degraded`, and asks every 15 s.

    The real service sends its stream in chunks, and those nginx passes on as they come, whatever it was told.
    """
    bot = start_bot(service, python, "stops", many=1, stream="open|degraded", url=nginx, limit_s=120)
    (took,) = stop_each(service, bot, 1)
    state = bot.heard("listening")["stream"]
    bot.wait()
    figures.add("T20", f"stop latency behind a buffering proxy ({service.name}, {state})", took, "s", python)
    assert state == "degraded" or service.name == "real"
    assert took <= 1.1 * 15 + 2


@pytest.mark.pythons("all")
def test_stop_during_a_pause(service: Service, start_bot: StartBot, python: Python, figures: Figures) -> None:
    """T21: a stop ends a pause of a quarter of an hour as soon as it is delivered."""
    bot = start_bot(service, python, "pause")
    session_id = bot.heard("waiting")["session_id"]
    wait_for(lambda: service.session(session_id).get("waiting_until") or service.name == "reference")
    service.stop(session_id)
    delivered, returned = bot.heard("delivered"), bot.heard("returned")
    bot.wait()
    assert returned["answer"] is True
    figures.add("T21", "from delivery to the end of wait(900)", 1000 * (returned["at"] - delivered["at"]), "ms", python)
    assert returned["at"] - delivered["at"] < 0.5
    assert service.session(session_id)["status"] == "stopped"


def test_interrupt_during_a_pause(reference: ReferenceService, start_bot: StartBot, python: Python) -> None:
    """T21: Ctrl-C ends a pause at once, and comes out of it as what it is."""
    bot = start_bot(reference, python, "pause")
    bot.heard("waiting")
    reference.arrived.wait_for(lambda posts: any(one.document["waiting"] for one in posts))
    sent = time.monotonic()
    bot.kill(signal.SIGINT)
    assert bot.heard("interrupted")["at"] - sent < 0.5
    bot.wait()


def test_stop_during_an_outage(service: Service, start_bot: StartBot, python: Python) -> None:
    """T22: pressed twice while the bot cannot be reached, it is one command, delivered afterwards, each step in its time."""
    bot = start_bot(service, python, "stops", many=1, stream="open")
    session_id = bot.heard("listening")["session_id"]
    service.proxy.down()
    commands = {service.stop(session_id), service.stop(session_id)}
    service.proxy.up()
    bot.heard("seen", 30)
    bot.wait()
    assert len(commands) == 1
    (said,) = {one["id"] for post in service.journal.posts() for one in post.document["commands"] if one["received"]}
    assert {said} == commands
    document = wait_for(lambda: one if (one := service.session(session_id))["status"] == "stopped" else None)
    names = ("stop_requested_at", "stop_delivered_at", "stop_seen_at", "ended_at")
    steps = [document[name] for name in names]
    assert None not in steps
    assert steps[:3] == sorted(steps[:3])
    assert steps[3] >= steps[0]  # `ended` is when it ended, the two before when a report told of them


def test_stop_of_an_older_session(service: Service, start_bot: StartBot, python: Python) -> None:
    """T23: a stop is for one session; the bot of today works on when yesterday's session, never ended, is stopped."""
    old = start_bot(service, python, "puppet")
    session_id = do(old, "start_session", "1.0", "yesterday")
    assert do(old, "flush", 10)
    old.kill()
    bot = start_bot(service, python, "worker", jobs=0, pause_s=0.01, settings={"resume": "never"})
    bot.heard("ready")
    service.stop(session_id)
    seen = len(service.journal.posts())
    service.journal.wait_for(lambda posts: len(posts) >= seen + 2)
    assert bot.process.poll() is None
    bot.say(end=True)
    bot.wait()
    own = service.session(bot.report["session_id"])
    assert (own["status"], own["stop_requested_at"]) == ("completed", None)
    assert own["id"] != session_id


CODES = [*range(300, 309), *range(400, 419), *range(421, 427), 428, 429, 431, 451, *range(500, 509), 510, 511, 599]
WORDS = ["invalid", "token", "scope", "unknown", "ended", "deleted", "instances", "sessions", "rate", "overloaded"]


def test_errors_are_no_stops(service: Service, start_bot: StartBot, python: Python) -> None:
    """T24: whatever the service or something on the way answers, only a command is a stop: every loop runs to its end."""
    answers = [answer(code, {"code": WORDS[code % len(WORDS)], "status": code}) for code in CODES]
    answers += [answer(code, {"stop": True}, ours=False) for code in (200, 204, 401, 403, 410, 503)]
    answers += [answer(409, {"code": word}) for word in ("ended", "instances", "live")]
    answers += [
        answer(200, {"ok": True, "session": {"status": "stopped"}, "applied": True}),
        answer(200, {"ok": False}),
    ]

    def plan(exchange: Exchange) -> Fault:
        if exchange.request.method == "GET":
            return Fault(answer=answers[exchange.n % len(answers)])
        return Fault(answer=answers[int(exchange.request.document["bot"]["version"]) % len(answers)])

    service.proxy.plan = plan
    settings = {"spool_dir": None, "heartbeat_interval": 1}
    bot = start_bot(service, python, "errors", many=len(answers), settings=settings, limit_s=100)
    bot.wait(100)
    assert bot.report["done"] == [20] * len(answers)
    assert not service.sessions()


def test_revoked_token_is_no_stop(service: Service, start_bot: StartBot, python: Python) -> None:
    """T24: a bot whose token is revoked while it works does its work to the end."""
    bot = start_bot(service, python, "worker", jobs=0, pause_s=0.01, timeout=0.3)
    bot.heard("ready")
    service.journal.wait_for(lambda posts: posts)
    service.revoke()
    wait_for(lambda: any(b" 401 " in one[:20] for one in service.proxy.answers), 15)
    assert bot.process.poll() is None
    bot.say(end=True)
    bot.wait()
    assert bot.report["ended"] is False


def test_swallowed_exceptions(reference: ReferenceService, start_bot: StartBot, python: Python) -> None:
    """T25: `except Exception` swallows no stop, a bare one meets it at each checkpoint, `should_stop` ends every loop."""
    bot = start_bot(reference, python, "swallow", limit_s=100)
    for n in range(1, 13):
        session_id = bot.heard("working", 60, nth=n)["session_id"]
        reference.journal.wait_for(lambda _: len(reference.fake.sessions) == n)  # noqa: B023 -- asked in this round only
        reference.stop(session_id)
        loop = bot.heard("loop", 60, nth=n)
        if not loop["raising"]:
            assert (loop["by_itself"], loop["out"], loop["late"]) == (True, "end", 0), loop
        elif loop["shape"] == "bare":
            assert (loop["out"], loop["raised"]) == ("end", 25), loop
        else:
            assert (loop["out"], loop["raised"], loop["late"]) == ("StopRequested", 1, 0), loop
    bot.wait()


def test_crash_after_a_stop(service: Service, start_bot: StartBot, python: Python) -> None:
    """T26: a bot that was killed on its way to a stop starts afresh, in a session of its own that nobody has stopped."""
    old = start_bot(service, python, "puppet")
    session_id = do(old, "start_session", "1.0")
    do(old, "increment_jobs_found", 3)
    assert do(old, "flush", 10)
    service.stop(session_id)
    service.journal.wait_for(lambda posts: any(one["received"] for one in posts[-1].document["commands"]))
    time.sleep(0.3)  # the spool is written at most 0.1 s after what it holds
    old.kill()
    bot = start_bot(service, python, "worker", jobs=20, pause_s=0.05)
    bot.wait()
    own = service.session(bot.report["session_id"])
    assert own["id"] != session_id
    assert (own["status"], own["stop_requested_at"], own["jobs_found"]) == ("completed", None, 40)
    assert service.session(session_id)["jobs_found"] == 3
    assert service.session(session_id)["status"] != "completed"


@pytest.mark.long
@pytest.mark.timeout(400)
def test_crash_after_a_stop_is_told(service: Service, start_bot: StartBot, python: Python) -> None:
    """T26: the session that was killed on its way to a stop ends as interrupted, once its silence is long enough."""
    old = start_bot(service, python, "puppet", settings={"heartbeat_interval": 15})
    session_id = do(old, "start_session", "1.0")
    assert do(old, "flush", 10)
    service.stop(session_id)
    service.journal.wait_for(lambda posts: any(one["received"] for one in posts[-1].document["commands"]))
    time.sleep(0.3)
    old.kill()
    start_bot(service, python, "worker", jobs=1).wait()
    wait_for(lambda: service.session(session_id)["status"] in ("interrupted", "stopped"), 120)


def test_callbacks_misbehave(service: Service, start_bot: StartBot, python: Python) -> None:
    """T27: callbacks that raise, block for ever, report or end the session change nothing for anybody else."""
    bot = start_bot(service, python, "callbacks")
    for n in (1, 2):
        session_id = bot.heard("working", nth=n)["session_id"]
        wait_for(lambda: len(service.sessions()) == n)  # noqa: B023 -- asked in this round only
        service.stop(session_id)
    bot.wait()
    assert bot.report["ran"] == sorted(
        ["raises", "leaves", "blocks", "calls", "registers", "registered late", "completesTrue"]
    )
    assert bot.report["ended"] == [True, True]
    assert_exact(service, bot.truth)
    assert [one["status"] for one in service.sessions()] == ["stopped", "stopped"]
