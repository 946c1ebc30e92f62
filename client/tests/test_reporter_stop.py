"""A stop arrives at once, is seen when the bot looks, and nothing else is ever taken for one."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from fake_service import FakeService, Reply

from status_reporter import StatusReporter, StopRequested

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from conftest import MakeReporter, RunBot


def until(fact: Callable[[], Any], seconds: float = 10.0) -> None:
    """Waits for a fact about the reporter."""
    end = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < end
        time.sleep(0.001)


@pytest.fixture
def running(service: FakeService, reporter: StatusReporter) -> StatusReporter:
    """A reporter whose command stream is open."""
    service.wait_for(lambda: service.streams)
    return reporter


def test_a_stop_arrives_on_the_stream_and_each_step_is_told(service: FakeService, running: StatusReporter) -> None:
    """Received without the bot's help, seen when its code looks, stopped when it has ended: three facts in this order."""
    command = service.press_stop(running.session_id or "", "enough for today")
    service.wait_for(lambda: service.last["commands"] == [{"id": command, "received": True, "seen_by_bot": False}])
    assert running.should_stop
    assert running.stop_reason == "enough for today"
    service.wait_for(lambda: service.last["commands"] == [{"id": command, "received": True, "seen_by_bot": True}])
    assert running.complete_session()
    assert service.session.status == "stopped"
    assert service.last["result"]["inferred"] is False


def test_a_stop_whose_push_is_lost_comes_with_the_next_answer(service: FakeService, running: StatusReporter) -> None:
    """Every answer lists the commands that stand."""
    service.press_stop(running.session_id or "", push=False)
    assert not running.should_stop
    running.increment_jobs_found()
    until(lambda: running.should_stop)


def test_a_stop_comes_without_a_stream(service: FakeService, make: MakeReporter) -> None:
    """`stream=False` opens none; the stop comes with the next report."""
    reporter = make(stream=False, heartbeat_interval=1)
    reporter.start_session("1.0")
    service.wait_for(lambda: service.sessions)
    service.press_stop(reporter.session_id or "")
    until(lambda: reporter.should_stop)
    assert "/commands" not in service.paths()


@pytest.mark.parametrize("answer", ["404", "405", "501"])
def test_a_stream_that_cannot_work_here_is_not_insisted_on(
    service: FakeService, make: MakeReporter, answer: str
) -> None:
    """Where the stream is no route, or a wrong one, it is tried again only much later, and heartbeats come more often."""
    service.stream = answer
    reporter = make()
    reporter.start_session("1.0")
    until(lambda: reporter.status["stream"] == "degraded")
    assert reporter._keeper is not None  # what is asked is when the next heartbeat is due
    assert reporter._keeper.pace.period <= 15 * 1.1
    assert service.paths().count("/commands") == 1


def test_a_stream_that_a_proxy_holds_back_is_given_up_after_five_seconds(
    service: FakeService, make: MakeReporter
) -> None:
    """Headers without the first event mean that something buffers."""
    service.stream = "silent"
    reporter = make()
    reporter.start_session("1.0")
    until(lambda: reporter.status["stream"] == "degraded", 8)


def test_a_stream_that_breaks_is_opened_again(service: FakeService, running: StatusReporter) -> None:
    """Also after a `bye`, and a stop that came meanwhile is in the first event of the next one."""
    service.push("bye", {"reconnect_after_ms": 20})
    service.wait_for(lambda: service.paths().count("/commands") == 2)
    service.wait_for(lambda: any(service.streams.values()))
    service.press_stop(running.session_id or "", push=False)
    for queues in service.streams.values():
        for one in queues:
            one.put(None)
    until(lambda: running.should_stop)


def test_a_command_counts_once_and_an_unknown_one_harms_nothing(service: FakeService, running: StatusReporter) -> None:
    """A command of tomorrow is acknowledged and means nothing today; a config event slows the heartbeat down."""
    service.push("command", {"id": "p1", "type": "pause", "reason": None, "issued_at": "x"})
    service.push("command", "nonsense")
    service.wait_for(lambda: service.last["commands"] == [{"id": "p1", "received": True, "seen_by_bot": False}])
    assert not running.should_stop
    assert running.flush(5)
    service.push("config", {"heartbeat_s": 120, "min_interval_s": 1, "stream": True})
    until(lambda: running._keeper and running._keeper.pace.period > 100)  # when the next heartbeat is due
    command = service.press_stop(running.session_id or "")
    until(lambda: running.should_stop)
    service.push("command", {"id": command, "type": "stop", "reason": "again", "issued_at": "x"})
    assert running.flush(5)
    assert running.stop_reason is None


def test_no_crowd_and_no_damage_of_other_commands_hides_a_stop(service: FakeService, running: StatusReporter) -> None:
    """More commands than a report acknowledges, and one whose name is no text: the stop is heard, and reports go on."""
    service.push("command", {"id": "\ud800", "type": "pause", "reason": None, "issued_at": "x"})
    for number in range(25):
        service.push("command", {"id": f"p{number}", "type": "pause", "reason": None, "issued_at": "x"})
    stop = service.press_stop(running.session_id or "")
    until(lambda: running.should_stop)
    until(lambda: running.flush(5) and len(service.last["commands"]) == 20)
    assert {"id": stop, "received": True, "seen_by_bot": True} in service.last["commands"]


def test_a_callback_that_gets_no_thread_is_called_later(
    service: FakeService, running: StatusReporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A system that has no thread left just then loses no stop."""
    start, refused, called = threading.Thread.start, threading.Event(), threading.Event()

    def refuse_once(thread: threading.Thread) -> None:
        if thread.name == "status-reporter-on-stop" and not refused.is_set():
            refused.set()
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse_once)
    running.on_stop(called.set)
    service.press_stop(running.session_id or "")
    assert called.wait(10)
    assert refused.is_set()


def test_waits_end_at_once_and_are_announced(service: FakeService, running: StatusReporter) -> None:
    """`wait` shows how long and why, and returns True as soon as the stop is there."""
    assert running.flush(5)

    def person() -> None:
        service.wait_for(lambda: service.last["waiting"])
        service.press_stop(running.session_id or "")

    threading.Thread(target=person).start()
    began = time.monotonic()
    assert running.wait(900, reason="pause between two jobs") is True
    assert time.monotonic() - began < 30
    waits = [one["waiting"] for one in service.documents() if one["waiting"]]
    assert waits[0]["reason"] == "pause between two jobs"
    assert 880 < waits[0]["seconds_left"] <= 900
    assert running.complete_session()
    assert service.last["waiting"] is None


def test_a_wait_without_a_stop_takes_its_time(running: StatusReporter) -> None:
    """False after the time; a tick of the bot's own is called instead of sleeping, and its exception goes through."""
    began = time.monotonic()
    assert running.wait(0.15) is False
    assert time.monotonic() - began >= 0.15
    assert running.wait(-1) is False
    assert running.wait(float("nan")) is False
    with pytest.raises(ZeroDivisionError):
        running.wait(5, tick=lambda seconds: seconds / 0)


def test_wait_async_leaves_the_loop_to_others(service: FakeService, running: StatusReporter) -> None:
    """Other tasks go on meanwhile, and the stop ends it."""

    async def bot() -> tuple[bool, bool]:
        ticks = 0

        async def other() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.01)

        task = asyncio.create_task(other())
        first = await running.wait_async(0.2)
        service.press_stop(running.session_id or "")
        second = await running.wait_async(900, reason="pause")
        task.cancel()
        assert ticks > 3
        return first, second

    assert asyncio.run(bot()) == (False, True)


def test_track_ends_quietly(service: FakeService, running: StatusReporter) -> None:
    """The item at work is finished, no other is fetched, and the code after the loop runs."""
    fetched: list[int] = []

    def postings() -> Any:
        for number in range(10):
            fetched.append(number)
            yield number

    done = []
    for number in running.track(postings(), found=True, activity="applying"):
        if number == 3:
            service.press_stop(running.session_id or "")
            until(lambda: running._run.stop)  # delivered, and the bot has not looked yet
        done.append(number)
    assert done == fetched == [0, 1, 2, 3]
    assert running.complete_session()
    assert service.totals["jobs_found"] == 4
    assert service.session.status == "stopped"
    assert list(running.track([1])) == []


def test_track_takes_async_iterables(service: FakeService, running: StatusReporter) -> None:
    """The same for `async for`."""

    async def postings() -> AsyncIterator[int]:
        for number in range(10):
            yield number

    async def bot() -> list[int]:
        done = []
        async for number in running.track(postings(), found=True):
            if number == 2:
                service.press_stop(running.session_id or "")
                until(lambda: running._run.stop)
            done.append(number)
        return done

    assert asyncio.run(bot()) == [0, 1, 2]


def one_job(reporter: StatusReporter) -> None:
    """What bots do round one job."""
    try:
        reporter.checkpoint()
    except Exception:  # noqa: BLE001 -- as bots do
        pytest.fail("swallowed")


def test_checkpoint_raises_each_time_and_passes_except_exception(service: FakeService, running: StatusReporter) -> None:
    """`except Exception` round one job does not swallow a stop, and one that is swallowed comes again."""
    running.checkpoint("searching")
    service.press_stop(running.session_id or "", "enough")
    until(lambda: running._run.stop)
    for _ in range(3):
        with pytest.raises(StopRequested) as caught:
            one_job(running)
        assert caught.value.reason == "enough"


def test_stop_event_is_an_event_that_tells_when_it_was_looked_at(service: FakeService, running: StatusReporter) -> None:
    """Code that has an Event of its own takes this one instead; a wait on it is a look at it."""
    event = running.stop_event
    assert isinstance(event, threading.Event)
    assert not event.is_set()
    assert not event.wait(0.01)
    service.press_stop(running.session_id or "")
    assert event.wait(10)
    service.wait_for(lambda: service.last["commands"] and service.last["commands"][0]["seen_by_bot"])


def test_callbacks_run_once_per_stop_on_threads_of_their_own(service: FakeService, running: StatusReporter) -> None:
    """One that hangs, one that raises and one that calls the reporter keep nobody from the stop; a removed one is not run."""
    ran: list[str] = []
    forever = threading.Event()

    def ends_the_session() -> None:
        ran.append("ends")
        running.checkpoint()

    running.on_stop(lambda: ran.append(threading.current_thread().name))
    running.on_stop(forever.wait)
    running.on_stop(lambda: 1 / 0)
    running.on_stop(ends_the_session)
    running.on_stop(lambda: ran.append("removed"))()
    service.press_stop(running.session_id or "")
    until(lambda: len(ran) == 2)
    running.on_stop(lambda: ran.append("late"))
    until(lambda: "late" in ran)
    assert running.complete_session()
    assert sorted(ran) == ["ends", "late", "status-reporter-on-stop"]
    forever.set()


def test_a_bot_that_a_callback_ends_was_stopped(service: FakeService, running: StatusReporter) -> None:
    """Being called is being told, so the bot has seen the stop; one that comes after the end is told nothing of it."""
    flag = threading.Event()
    running.on_stop(flag.set)
    service.press_stop(running.session_id or "")
    assert flag.wait(20)
    assert running.complete_session()
    assert service.session.status == "stopped"
    late: list[str] = []
    running.on_stop(lambda: late.append("late"))
    second = running.start_session("2")
    assert running.flush(20)
    assert running.complete_session()
    assert (late, service.sessions[second].status) == ([], "completed")


def test_a_stop_of_yesterdays_session_does_not_hit_todays(service: FakeService, reporter: StatusReporter) -> None:
    """A stop belongs to a session; the next one of the same bot starts without it."""
    service.wait_for(lambda: service.streams)
    service.press_stop(reporter.session_id or "")
    until(lambda: reporter.should_stop)
    first = reporter.session_id or ""
    assert reporter.complete_session()
    reporter.start_session("1.0")
    assert not reporter.should_stop
    assert not reporter.stop_event.is_set()
    service.press_stop(first)
    assert reporter.flush(5)
    assert not reporter.should_stop


@pytest.mark.parametrize(
    "reply",
    [
        Reply(code, problem)
        for code, problem in [
            (401, "token"),
            (403, "scope"),
            (404, "unknown"),
            (409, "ended"),
            (410, "deleted"),
            (429, "rate"),
            (500, "x"),
            (503, "unavailable"),
        ]
    ],
    ids=lambda reply: str(reply.code),
)
def test_no_error_is_ever_a_stop(service: FakeService, running: StatusReporter, reply: Reply) -> None:
    """The service may refuse, forget and fail as it likes: the bot is not told to stop."""
    service.always = reply
    sent = len(service.posts())
    running.increment_jobs_found()
    service.wait_for(lambda: len(service.posts()) > sent)
    until(lambda: running.status["fails"] or len(service.posts()) > sent + 1)
    assert not running.should_stop
    assert list(running.track([1, 2])) == [1, 2]


def test_a_stop_that_nobody_looked_at_does_not_call_a_success_stopped(
    service: FakeService, running: StatusReporter
) -> None:
    """The bot was done before it looked: it completed. With an error it failed, looked or not."""
    service.press_stop(running.session_id or "")
    until(lambda: running._run.stop)
    assert running.complete_session()
    assert service.session.status == "completed"


def test_an_error_after_a_stop_is_a_failure(service: FakeService, running: StatusReporter) -> None:
    """Stopping is no excuse."""
    service.press_stop(running.session_id or "")
    until(lambda: running.should_stop)
    assert running.complete_session(error=RuntimeError("could not sign out"))
    assert service.session.status == "failed"
    assert service.last["result"]["error"] == {"type": "RuntimeError", "message": "could not sign out"}


def test_ctrl_c_ends_a_wait_and_is_told_as_an_interruption(service: FakeService, run_bot: RunBot) -> None:
    """Ctrl-C in a wait of 900 s ends the bot like anywhere else."""
    done = run_bot("""
        import os, signal, threading
        from status_reporter import get_reporter
        with get_reporter().session("1.0") as reporter:
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
            reporter.wait(900)
    """)
    assert done.returncode == -signal.SIGINT
    assert done.stderr.rstrip().endswith("KeyboardInterrupt")
    assert service.session.status == "interrupted"
    assert service.last["result"]["inferred"] is False
