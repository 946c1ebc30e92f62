"""A bot may fork, spawn, daemonize and be signalled: one session stays one session, and every count is its own process's."""

from __future__ import annotations

import contextlib
import copy
import os
import pickle
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from fake_service import TOKEN, FakeService, Reply

from status_reporter import StatusReporter, _socket_of_our_own

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import RunBot

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")

CLIENT = Path(__file__).parents[1]

FORKS = """
import os, sys, threading, time
from status_reporter import StatusReporter, get_reporter
reporter = get_reporter()
reporter.start_session("1.0")
reporter.increment_jobs_found(3)
assert reporter.flush(10)
mine = os.getpid()
"""

EVERY_CALL = """
def call_everything():
    reporter.send_heartbeat("child", {"a": 1})
    reporter.increment_jobs_found(100)
    reporter.increment_jobs_applied(100)
    reporter.job("child").applied()
    reporter.progress(1, 2)
    reporter.checkpoint("child")
    assert list(reporter.track([1, 2], found=True)) == [1, 2]
    assert not reporter.wait(0.01) and not reporter.should_stop and not reporter.stop_event.is_set()
    reporter.stop_event.set(); assert reporter.stop_event.wait(5); reporter.stop_event.clear()
    reporter.on_stop(print)
    assert reporter.start_session("2.0") == reporter.session_id
    with reporter.session(), reporter.activity("child"):
        pass
    assert not reporter.flush(30) and not reporter.complete_session(error="no")
    assert reporter.status["runtime"] == "inert-child" and not reporter.status["enabled"]
    assert "for_worker" in reporter.status["disabled_reason"]
    reporter.close()
"""


def test_a_forked_child_says_nothing_and_harms_nothing(service: FakeService, run_bot: RunBot) -> None:
    """Forked while four threads count: children call everything and leave in both ways; the parent's sums are exact."""
    done = run_bot(
        FORKS
        + EVERY_CALL
        + """
counting = True
counted = [0] * 4
def count(number):
    while counting:
        reporter.increment_jobs_applied()
        counted[number] += 1
        time.sleep(0.0002)
threads = [threading.Thread(target=count, args=(number,)) for number in range(4)]
for thread in threads: thread.start()
for number in range(20):
    child = os.fork()
    if child == 0:
        call_everything()
        if number % 2:
            os._exit(0)
        sys.exit(0)
    assert os.waitpid(child, 0)[1] == 0
counting = False
for thread in threads: thread.join()
assert reporter.complete_session(timeout=10)
print(sum(counted))
"""
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert service.session.totals["jobs_found"] == 3
    assert service.session.totals["jobs_applied"] == int(done.stdout)
    assert len(service.session.instances) == 1
    assert service.session.status == "completed"


class StartBot(Protocol):
    """Starts a bot in a process of its own, with which the test talks while it runs."""

    def __call__(self, code: str, **options: Any) -> subprocess.Popen[str]:
        """Options are those of `Popen`."""
        ...


@pytest.fixture
def start(service: FakeService, tmp_path: Path) -> Iterator[StartBot]:
    """Bots as scripts, since `multiprocessing` imports these again; none outlives the test."""
    with contextlib.ExitStack() as stack:

        def run(code: str, **options: Any) -> subprocess.Popen[str]:
            environment = {**os.environ, "PYTHONPATH": str(CLIENT), "STATUS_REPORTER_TOKEN": TOKEN}
            environment["STATUS_REPORTER_URL"] = service.url
            script = tmp_path / "bot.py"
            script.write_text(textwrap.dedent(code))
            ways: dict[str, Any] = {"stdout": subprocess.PIPE, "text": True, **options}
            bot = stack.enter_context(subprocess.Popen([sys.executable, script], env=environment, **ways))
            stack.callback(bot.kill)
            return bot

        yield run


def test_a_stop_is_still_pushed_to_a_parent_whose_child_came_and_went(service: FakeService, start: StartBot) -> None:
    """The child has closed its copies of the socket and of the lock, and the parent's work on."""
    bot = start(
        FORKS
        + """
while reporter.status["stream"] != "open": time.sleep(0.001)
def held():
    links = []
    for name in os.listdir("/proc/self/fd"):
        try: links.append(os.readlink("/proc/self/fd/" + name))
        except OSError: pass
    return [link for link in links if link.startswith("socket:") or link.endswith(".lock")]
before = held()
assert len(before) == 2, before
child = os.fork()
if child == 0:
    os._exit(len(held()))
assert os.waitpid(child, 0)[1] == 0
assert held() == before
print("forked", flush=True)
assert reporter.wait(10) and reporter.complete_session()
""",
    )
    assert bot.stdout is not None
    assert bot.stdout.readline() == "forked\n"
    service.press_stop(next(iter(service.sessions)))
    assert bot.wait(20) == 0
    assert service.session.status == "stopped"
    assert len(next(iter(service.streams.values()))) <= 1


def test_a_forked_child_knows_what_its_parent_knew(service: FakeService, run_bot: RunBot) -> None:
    """`should_stop` keeps the value that it had at the fork."""
    service.script.append(Reply(fields={"commands": [{"id": "x", "type": "stop", "reason": "enough"}]}))
    done = run_bot(
        FORKS
        + """
while not reporter.should_stop: time.sleep(0.001)
child = os.fork()
if child == 0:
    ok = reporter.should_stop and reporter.stop_reason == "enough" and reporter.wait(60) and reporter.stop_event.is_set()
    os._exit(0 if ok else 1)
assert os.waitpid(child, 0)[1] == 0
"""
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_fork_that_python_does_not_know_of_is_noticed(service: FakeService, run_bot: RunBot) -> None:
    """A library that forks by itself runs no hook: the number of the process tells, and nothing is waited for or sent."""
    done = run_bot(
        FORKS
        + EVERY_CALL.replace(
            "assert reporter.start_session", "assert not reporter.flush(9); assert reporter.start_session"
        )
        + """
import ctypes
began = time.monotonic()
child = ctypes.PyDLL(None).fork()
if child == 0:
    call_everything()
    os._exit(0 if time.monotonic() - began < 2 else 1)
assert os.waitpid(child, 0)[1] == 0
assert reporter.complete_session()
"""
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert service.session.totals["jobs_found"] == 3
    assert len(service.session.instances) == 1


def test_a_bot_that_daemonizes_before_it_starts_reports(service: FakeService, run_bot: RunBot) -> None:
    """A reporter without a session has nothing that could be the parent's: it works where its session begins."""
    done = run_bot("""
        import os
        from status_reporter import get_reporter
        reporter = get_reporter()
        reporter.increment_jobs_found(100)     # the parent's, which never starts
        child = os.fork()
        if child:
            assert os.waitpid(child, 0)[1] == 0
            os._exit(0)
        with reporter.session("1.0"):
            reporter.increment_jobs_found(2)
            assert reporter.status["runtime"] == "threads"
    """)
    assert (done.returncode, done.stderr) == (0, "")
    assert service.session.totals["jobs_found"] == 2
    assert service.session.status == "completed"


UNGUARDED = """
import multiprocessing, sys
from status_reporter import get_reporter
reporter = get_reporter()
session = reporter.start_session("1.0")    # runs again wherever this script is imported

def work(number):
    reporter.increment_jobs_applied(number)
    reporter.start_session("1.0")
    reporter.complete_session(error="not the worker's to end")
    return reporter.status["runtime"]

if __name__ == "__main__":
    reporter.increment_jobs_found(2)
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
        assert set(pool.map(work, range(4))) == {"inert-child"}
    assert reporter.complete_session(timeout=10)
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_child_that_imports_the_script_again_starts_no_second_session(
    service: FakeService, start: StartBot, method: str
) -> None:
    """Not even where the call stands unguarded at the top of the bot's script."""
    bot = start(UNGUARDED.replace("sys.argv[1]", repr(method)))
    assert bot.wait(30) == 0
    assert len(service.session.instances) == 1
    assert service.session.totals["jobs_found"] == 2
    assert service.session.totals["jobs_applied"] == 0
    assert service.session.status == "completed"


WINDOW = """
import multiprocessing, sys
from status_reporter import StatusReporter, get_reporter

reporter = get_reporter()

def bot():
    reporter.start_session("1.0")
    reporter.increment_jobs_found(2)       # and not a word of its end

if __name__ == "__main__":
    child = multiprocessing.get_context(METHOD).Process(target=bot)
    child.start()
    child.join()
    sys.exit(child.exitcode)
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_bot_may_run_in_a_child_of_its_window(service: FakeService, start: StartBot, method: str) -> None:
    """The session begins in the child, and its end is told, although no exit hook of Python's runs there."""
    window = start(WINDOW.replace("METHOD", repr(method)))
    assert window.wait(30) == 0
    assert service.session.totals["jobs_found"] == 2
    assert service.session.status == "interrupted"


WORKERS = """
import multiprocessing, os
from status_reporter import get_reporter

def work(task):
    reporter, number = task
    with reporter.session():               # neither begins nor ends anything
        reporter.increment_jobs_applied(number)
        reporter.job(number).applied(credits=0.5)
    return reporter.status["instance_id"], os.getpid()

def late(reporter):
    reporter.send_heartbeat("working")     # the end of the process delivers it
    reporter.increment_jobs_failed(7)

if __name__ == "__main__":
    reporter = get_reporter()
    reporter.start_session("1.0")
    reporter.send_heartbeat("leading")
    worker = reporter.for_worker()
    context = multiprocessing.get_context(METHOD)
    with context.Pool(4) as pool:
        who = pool.map(work, [(worker, number) for number in range(16)], chunksize=1)
    child = context.Process(target=late, args=(worker,))
    child.start()
    child.join()
    assert child.exitcode == 0
    instances, processes = map(set, zip(*who))
    assert len(instances) == len(processes), who
    assert reporter.complete_session(timeout=10)
    print(len(instances))
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_what_workers_count_adds_up(service: FakeService, start: StartBot, method: str) -> None:
    """One instance for each process however many tasks it gets; the session's end and activity are the main process's."""
    bot = start(WORKERS.replace("METHOD", repr(method)))
    out, _ = bot.communicate(timeout=40)
    assert bot.returncode == 0
    assert service.session.totals == {
        "jobs_found": 16,
        "jobs_applied": sum(range(16)) + 16,
        "jobs_failed": 7,
        "credits_used": 8,
    }
    roles = [one["role"] for one in service.session.instances.values()]
    assert roles.count("main") == 1
    assert roles.count("worker") == int(out) + 1
    assert {one["heartbeat_s"] for one in service.session.instances.values()} == {45}
    assert service.session.status == "completed"


def test_a_worker_hears_of_a_stop_by_asking_every_15_seconds(service: FakeService, reporter: StatusReporter) -> None:
    """It keeps no stream; whatever it says is answered with the stop, and silence is broken in time."""
    worker = reporter.for_worker()
    assert not worker.should_stop
    assert worker.flush(10)
    assert worker._keeper is not None
    assert worker._keeper.pace.period <= 16.5
    assert worker.session_id == reporter.session_id
    assert worker.status["instance_id"] != reporter.status["instance_id"]
    service.wait_for(lambda: service.streams)
    assert list(service.streams) == [reporter.status["instance_id"]]
    service.press_stop(reporter.session_id or "", push=False)
    worker.increment_jobs_found()
    assert worker.wait(15)
    assert worker.flush(10)
    (own,) = (one for one in service.session.instances.values() if one["role"] == "worker")
    assert own["commands"][0]["received"]
    worker.close(0)


def test_a_worker_goes_quiet_after_the_sessions_end_but_still_counts(
    service: FakeService, reporter: StatusReporter
) -> None:
    """A pool that outlives its session must not look like a bot that reports after its end; a late count is still one."""
    worker = reporter.for_worker()
    worker.increment_jobs_found()
    assert worker.flush(10)
    assert reporter.complete_session(timeout=10)
    worker.increment_jobs_found()
    assert worker.flush(10)
    assert worker._keeper is not None
    assert worker._keeper._next_up(time.monotonic())[1] is None  # no heartbeat is due, ever
    worker.increment_jobs_found()
    assert worker.flush(10)
    assert service.session.totals["jobs_found"] == 3
    assert service.session.status == "completed"
    worker.close(0)


def test_a_worker_without_room_in_the_session_goes_on_in_one_of_its_own(
    service: FakeService, reporter: StatusReporter
) -> None:
    """Two hundred processes are enough for one session; no count is lost by being the next."""
    assert reporter.flush(10)
    service.script.append(Reply(409, "instances"))
    worker = reporter.for_worker()
    worker.increment_jobs_found(4)
    assert worker.flush(10)
    other = service.sessions[worker.session_id or ""]
    assert worker.session_id != reporter.session_id
    assert [(one["role"], one["counters"]["jobs_found"]) for one in other.instances.values()] == [("main", 4)]
    worker.close()
    assert other.status == "interrupted"


def test_a_pickled_reporter_is_inert_and_holds_no_token(service: FakeService, reporter: StatusReporter) -> None:
    """A bot's object may be sent to a pool with the reporter in it; a copy within the process is the reporter itself."""
    raw = pickle.dumps(reporter)
    assert TOKEN.encode() not in raw
    assert service.url.encode() not in raw
    other = pickle.loads(raw)  # noqa: S301 -- of our own
    other.increment_jobs_found(100)
    assert other.status["runtime"] == "inert-child"
    assert (other.session_id, other.should_stop) == (reporter.session_id, False)
    assert not other.complete_session()
    assert copy.copy(reporter) is copy.deepcopy(reporter) is reporter
    worker = reporter.for_worker()
    assert pickle.loads(pickle.dumps(worker)) is worker is reporter.for_worker() is worker.for_worker()  # noqa: S301 -- likewise
    assert TOKEN not in repr(worker)
    assert reporter.complete_session()
    assert reporter.for_worker() is reporter  # nothing runs that a worker could join
    end = time.monotonic() + 10
    while reporter.status["ignored"] != 1:
        assert time.monotonic() < end
        time.sleep(0.001)


SIGNALS = FORKS + "reporter.install_signal_handlers()\n"


def test_sigterm_is_told_and_then_ends_the_process_as_ever(service: FakeService, run_bot: RunBot) -> None:
    """Opted in; its children die of it at once and say nothing."""
    done = run_bot(
        SIGNALS
        + """
import signal
child = os.fork()
if child == 0:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)
assert os.waitpid(child, 0)[1] == signal.SIGTERM
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(60)
"""
    )
    assert (done.returncode, done.stderr) == (-signal.SIGTERM, "")
    assert service.last["result"]["error"]["message"] == "ended by SIGTERM"
    assert service.session.status == "interrupted"


def test_a_bots_own_handler_is_called_and_decides(service: FakeService, run_bot: RunBot) -> None:
    """What is ignored stays ignored, another thread installs nothing, and an exit out of a handler is no success."""
    done = run_bot("""
        import os, signal, sys, threading
        from status_reporter import get_reporter
        heard = []
        def end(number, frame):
            heard.append(number)
            if len(heard) == 2:
                sys.exit(0)
        signal.signal(signal.SIGTERM, end)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with get_reporter().session("1.0") as reporter:
            thread = threading.Thread(target=reporter.install_signal_handlers)
            thread.start()
            thread.join()
            assert signal.getsignal(signal.SIGTERM) is end
            reporter.install_signal_handlers()
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
            os.kill(os.getpid(), signal.SIGTERM)
            assert heard == [signal.SIGTERM]
            os.kill(os.getpid(), signal.SIGTERM)
    """)
    assert (done.returncode, done.stderr) == (0, "")
    assert service.last["result"]["outcome"] == "interrupted"
    assert service.last["result"]["error"]["message"] == "ended by SIGTERM"


def test_what_a_bot_prints_without_streams_does_not_reach_the_service(service: FakeService, start: StartBot) -> None:
    """With the standard descriptors closed, the next socket or file would be number 2, and take what is printed."""
    bot = start(
        """
        import os
        for number in range(3):
            os.close(number)
        from status_reporter import get_reporter
        with get_reporter().session("1.0") as reporter:
            for number in range(3):
                reporter.increment_jobs_found()
                assert reporter.flush(10)
                for descriptor in range(3):
                    try: os.write(descriptor, b"noise of a driver")
                    except OSError: pass
            while reporter.status["stream"] != "open": reporter.wait(0.01)
            links = {name: os.readlink("/proc/self/fd/" + name) for name in "012" if os.path.exists("/proc/self/fd/" + name)}
            assert not links, links
        """,
        stdout=None,
    )
    assert bot.wait(30) == 0
    assert service.session.totals["jobs_found"] == 3
    assert service.session.status == "completed"
    assert b"noise" not in b"".join(one.raw for one in service.journal)


def test_a_socket_of_ours_is_never_a_standard_stream() -> None:
    """The lowest number is what the system gives."""
    one = _socket_of_our_own(socket.AF_INET, socket.SOCK_STREAM, 0)
    assert one.fileno() > 2
    one.close()


def test_a_bot_whose_threads_become_greenlets_late_is_not_hung(service: FakeService, run_bot: RunBot) -> None:
    """What gevent's and eventlet's patching does to `queue`, after the reporter was made: it takes the new kind, and all."""
    done = run_bot("""
        import queue
        from status_reporter import get_reporter
        reporter = get_reporter()
        reporter.increment_jobs_found(2)
        heard = reporter.on_stop(print)
        class Green(queue.Queue):
            pass
        queue.SimpleQueue = Green
        with reporter.session("1.0"):
            reporter.increment_jobs_found(3)
            assert type(reporter._keeper.inbox) is type(reporter._keeper.sender.orders) is Green
            assert len(reporter._keeper.on_stop) == 1
    """)
    assert (done.returncode, done.stderr) == (0, "")
    assert service.session.totals["jobs_found"] == 5
    assert service.session.status == "completed"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--multiprocessing-fork", "tracker_fd=5", "pipe_handle=7"],
        ["-c", "from multiprocessing.resource_tracker import main;main(5)"],
        ["-B", "-c", "from multiprocessing.forkserver import main; main(3, 4, ['__main__'], **{})"],
    ],
)
def test_a_frozen_bots_helper_processes_start_no_session(
    service: FakeService, run_bot: RunBot, arguments: list[str]
) -> None:
    """A frozen program is started again for each of them, and runs its script from the top before it knows what it is."""
    done = run_bot(f"""
        import sys
        sys.frozen = True                       # as PyInstaller's bootloader leaves it
        sys.argv[1:] = {arguments!r}
        from status_reporter import get_reporter
        reporter = get_reporter()
        reporter.start_session("1.0")
        reporter.increment_jobs_found()
        assert reporter.status["runtime"] == "inert-child"
        assert not reporter.complete_session()
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert service.journal == []


def test_a_process_of_a_pool_outlives_many_sessions_with_the_threads_of_one(
    service: FakeService, run_bot: RunBot
) -> None:
    """Each session's part of it ends its threads once that session is over and all of it is delivered."""
    done = run_bot("""
        import multiprocessing, threading, time
        import status_reporter

        def until(fact):
            ends = time.monotonic() + 10
            while not fact() and time.monotonic() < ends:
                time.sleep(0.01)

        def threads():
            return sum(thread.name.startswith("status-reporter") for thread in threading.enumerate())

        def count(worker):
            worker.increment_jobs_applied()
            assert worker.flush(10)
            until(lambda: threads() == 4)
            return threads()

        def hear_of_the_end(worker):
            until(lambda: worker._keeper.has_no_more_to_do)

        with multiprocessing.get_context("fork").Pool(1) as pool:
            reporter = status_reporter.StatusReporter(heartbeat_interval=1)
            for _ in range(3):
                reporter.start_session()
                worker = reporter.for_worker()
                print(pool.apply(count, (worker,)))
                reporter.complete_session()
                pool.apply(hear_of_the_end, (worker,))
    """)
    assert (done.stdout.split(), done.stderr) == (["4", "4", "4"], "")
    assert service.totals["jobs_applied"] == 3
