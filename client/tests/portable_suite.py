# A program, not a module of tests: it runs on every Python that the reporter supports, where no pytest is installed.
"""The behaviours that matter most, each as a function of its own, on whatever Python this is started with."""

from __future__ import annotations

import asyncio
import faulthandler
import multiprocessing
import os
import subprocess
import sys
import time
import warnings
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from fake_service import TOKEN, FakeService, Reply

from status_reporter import StatusReporter, StopRequested

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


def until(fact: Callable[[], Any], seconds: float = 20.0) -> None:
    """Waits for a fact about the reporter."""
    end = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < end, "never"
        time.sleep(0.001)


def counts_exactly(service: FakeService) -> None:
    """Fractions, jobs once per key, lost requests and lost answers."""
    service.script.extend([Reply(hang_up=True, merge=True), Reply(503, "unavailable")])
    reporter = StatusReporter(TOKEN, service.url)
    with reporter.session("1.0", "here"):
        for number in range(1000):
            reporter.increment_jobs_found()
            reporter.increment_credits_used(0.1)
            reporter.send_heartbeat("step", {"number": number, "thing": object()})
        reporter.increment_credits_used(Decimal("0.000001"))
        for key in ("a", 7, b"x", ("a", 7)):
            for _ in range(2):
                with reporter.job(key, title="T") as job:
                    job.applied(credits=1)
        assert reporter.flush(20)
    assert service.totals == {"jobs_found": 1004, "jobs_applied": 4, "jobs_failed": 0, "credits_used": 104.000001}
    assert service.last["activity"]["details"] == {"number": 999, "thing": "object"}
    assert service.session.status == "completed"
    reporter.close()


def goes_on_in_a_new_session(service: FakeService) -> None:
    """After a 410 with exactly what was not acknowledged."""
    reporter = StatusReporter(TOKEN, service.url)
    first = reporter.start_session()
    reporter.increment_jobs_found(3)
    assert reporter.flush(20)
    service.script.append(Reply(410, "deleted"))
    reporter.increment_jobs_found(4)
    assert reporter.complete_session(timeout=20)
    assert reporter.session_id != first
    assert [one.totals["jobs_found"] for one in service.sessions.values()] == [3, 4]
    reporter.close()


def stops_by_stream(service: FakeService) -> None:
    """Pushed, received, seen, stopped; `wait`, `track`, `checkpoint` and `stop_event` all say so."""
    reporter = StatusReporter(TOKEN, service.url)
    reporter.start_session()
    service.wait_for(lambda: service.streams)
    ran = []
    reporter.on_stop(lambda: ran.append(1))
    command = service.press_stop(reporter.session_id or "", "enough")
    assert reporter.wait(900, reason="pause")
    assert list(reporter.track([1, 2])) == []
    assert reporter.stop_event.wait(1)
    caught = []
    try:
        reporter.checkpoint()
    except StopRequested as stop:
        caught.append((stop.reason, stop.command_id))
    assert caught == [("enough", command)]
    until(lambda: ran == [1])
    assert reporter.complete_session(timeout=20)
    assert service.last["commands"] == [{"id": command, "received": True, "seen_by_bot": True}]
    assert service.session.status == "stopped"
    reporter.close()


def stops_by_answer(service: FakeService) -> None:
    """Without a stream, in async code."""

    async def postings() -> AsyncIterator[int]:
        for number in range(1000):
            yield number

    async def bot() -> int:
        done = 0
        async with StatusReporter(TOKEN, service.url, stream=False).session() as reporter:
            async for _ in reporter.track(postings(), found=True):
                done += 1
                if done == 3:
                    service.wait_for(lambda: service.sessions)
                    service.press_stop(reporter.session_id or "", push=False)
                await reporter.wait_async(0.05)
        return done

    assert 3 <= asyncio.run(bot()) < 1000
    assert service.session.status == "stopped"


def survives_an_outage(service: FakeService) -> None:
    """Nobody there at first; then everything arrives."""
    with FakeService() as gone:
        port = gone.port
    reporter = StatusReporter(TOKEN, f"http://127.0.0.1:{port}")
    reporter.start_session()
    reporter.increment_jobs_found(3)
    until(lambda: reporter.status["fails"] >= 1)
    with FakeService(port=port) as back:
        assert reporter.complete_session(timeout=30)
        assert back.totals["jobs_found"] == 3
    reporter.close()
    assert service.journal == []


EXITS = {
    "reporter.complete_session()": ("success", False),
    "pass": ("interrupted", True),
    "sys.exit(0)": ("interrupted", True),
    "raise KeyError('x')": ("failed", True),
    "raise KeyboardInterrupt": ("interrupted", True),
}


def tells_how_the_process_ended(service: FakeService) -> None:
    """Real processes of this Python: return, exit, exception, Ctrl-C."""
    environment = {**os.environ, "STATUS_REPORTER_TOKEN": TOKEN, "STATUS_REPORTER_URL": service.url}
    for code, expected in EXITS.items():
        text = f"import sys\nfrom status_reporter import get_reporter\nreporter = get_reporter()\nreporter.start_session()\n{code}"
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", text], env=environment, capture_output=True, timeout=60, check=False
        )
        result = service.last["result"]
        assert (result["outcome"], result["inferred"]) == expected, (code, result, done.stderr)
        assert TOKEN.encode() not in done.stderr


def works(worker: StatusReporter) -> None:
    """What a worker process does: counts, and ends."""
    worker.increment_jobs_applied(4)


def stays_one_session_in_many_processes(service: FakeService) -> None:
    """A forked child is inert, worker processes add up, however they are started."""
    reporter = StatusReporter(TOKEN, service.url)
    reporter.start_session()
    reporter.increment_jobs_found(3)
    assert reporter.flush(20)
    methods = ["spawn"]
    if hasattr(os, "fork"):
        methods.append("fork")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of every fork beside threads, since Python 3.12
            child = os.fork()
        if child == 0:
            reporter.increment_jobs_found(100)
            silent = not reporter.flush(20) and not reporter.complete_session()
            os._exit(0 if silent and reporter.status["runtime"] == "inert-child" else 1)
        assert os.waitpid(child, 0)[1] == 0
    for method in methods:
        context: Any = multiprocessing.get_context(method)
        process = context.Process(target=works, args=(reporter.for_worker(),))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # likewise
            process.start()
        process.join()
        assert process.exitcode == 0
    assert reporter.complete_session(timeout=20)
    assert service.session.totals["jobs_found"] == 3
    assert service.session.totals["jobs_applied"] == 4 * len(methods)
    assert len(service.session.instances) == 1 + len(methods)
    assert service.session.status == "completed"
    reporter.close()


KILLED = """
import os, signal, time
from status_reporter import get_reporter
print(get_reporter().start_session(), flush=True)
get_reporter().increment_jobs_found(3)
time.sleep(0.4)
os.kill(os.getpid(), signal.SIGTERM)
"""


def goes_on_where_a_killed_process_was(service: FakeService) -> None:
    """What it could not deliver comes from the disk, once, and the counts of both processes add up in one session."""
    with FakeService() as gone:
        port = gone.port
    url = f"http://127.0.0.1:{port}"
    environment = {**os.environ, "STATUS_REPORTER_TOKEN": TOKEN, "STATUS_REPORTER_URL": url}
    killed = subprocess.run(
        [sys.executable, "-W", "error", "-c", KILLED], env=environment, capture_output=True, timeout=60, check=False
    )
    assert killed.stderr == b"", killed.stderr
    with FakeService(port=port) as back:
        reporter = StatusReporter(TOKEN, url)
        assert reporter.start_session() == killed.stdout.decode().strip()
        reporter.increment_jobs_found(4)
        back.wait_for(lambda: back.totals["jobs_found"] == 3 + 4, 20)
        assert reporter.complete_session(timeout=20)
        until(lambda: reporter.status["pending_replays"] == 0)
        assert back.session.status == "completed"
        assert len(back.session.instances) == 2
    reporter.close()
    assert service.journal == []


CASES = [
    counts_exactly,
    goes_on_in_a_new_session,
    stops_by_stream,
    stops_by_answer,
    survives_an_outage,
    tells_how_the_process_ended,
    stays_one_session_in_many_processes,
    goes_on_where_a_killed_process_was,
]

if __name__ == "__main__":
    faulthandler.dump_traceback_later(100, exit=True)
    for case in CASES:
        with FakeService() as fresh:
            case(fresh)
    sys.stdout.write(f"{len(CASES)} cases\n")
