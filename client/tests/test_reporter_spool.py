"""What the service has not acknowledged survives the bot's process, and arrives once."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import json
import os
import random
import re
import signal
import stat
import subprocess
import sys
import threading
import time
import uuid
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from fake_service import TOKEN, FakeService, Reply

import status_reporter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import MakeReporter, RunBot

CLIENT = Path(__file__).parents[1]

SCRIPT = """
import time
began = time.monotonic()
from status_reporter import StatusReporter
reporter = StatusReporter()
reporter.start_session("1.0.0-test", "win32")
reporter.send_heartbeat("browser_opening")
reporter.increment_jobs_found(5)
reporter.send_heartbeat("jobs_found", {"count": 5})
reporter.complete_session(success=True)
print(time.monotonic() - began)
"""
BEGIN = """
import os, signal, sys, time
from status_reporter import StatusReporter
reporter = StatusReporter()
reporter.start_session("1.0")
reporter.job("a", title="Analyst").applied(credits=0.1)
reporter.increment_jobs_found(2)
reporter.send_heartbeat("applying", {"title": "Analyst"})
"""
KILL = """
time.sleep(0.3)
os.kill(os.getpid(), signal.SIGKILL)
"""


class Address(NamedTuple):
    """Where a service will be, and nobody is yet."""

    port: int
    url: str


@pytest.fixture
def empty() -> Address:
    """An address at which nobody listens."""
    with FakeService() as gone:
        return Address(gone.port, gone.url)


def pages(spool: Path) -> dict[str, dict[str, Any]]:
    """What is on disk, by instance."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(spool.glob("*.json")):
        with contextlib.suppress(FileNotFoundError):  # delivered, and removed, since it was listed
            found[path.stem] = json.loads(path.read_bytes())
    return found


def put(spool: Path, page: dict[str, Any], name: str = "") -> Path:
    """Puts a page on disk with the checksum that it has to have."""
    text = json.dumps({key: value for key, value in page.items() if key != "crc32"}, separators=(",", ":"))
    path = spool / f"{name or uuid.uuid4()}.json"
    path.write_text(f'{{"crc32":{zlib.crc32(text.encode())},{text[1:]}')
    return path


def until(fact: Callable[[], Any], seconds: float = 15.0) -> None:
    """Waits for a fact about the disk."""
    ends = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < ends, "never"
        time.sleep(0.005)


@pytest.fixture
def orphan(run_bot: RunBot, empty: Address, spool: Path) -> dict[str, Any]:
    """The page of a bot that was killed before any of it was delivered, to the address `empty`."""
    assert run_bot(BEGIN + KILL, url=empty.url).returncode == -signal.SIGKILL
    (page,) = pages(spool).values()
    return page


@pytest.fixture
def back(empty: Address) -> Iterator[FakeService]:
    """A service where there was none."""
    with FakeService(port=empty.port) as service:
        yield service


def test_a_script_that_nobody_hears_is_heard_when_it_runs_again(run_bot: RunBot, empty: Address, spool: Path) -> None:
    """Under a second, one file that only its owner can read and that holds no token; next time its counts arrive, once."""
    first = run_bot(SCRIPT, url=empty.url)
    assert float(first.stdout) < 1
    ((name, page),) = pages(spool).items()
    (file,) = spool.glob("*.json")
    assert page["instance_id"] == name
    assert stat.S_IMODE(spool.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert TOKEN not in file.read_text()
    with FakeService(port=empty.port) as service:
        assert run_bot(SCRIPT, url=empty.url).returncode == 0
        assert service.totals["jobs_found"] == 10
        assert [session.status for session in service.sessions.values()] == ["completed", "completed"]
        (replayed,) = [one for one in service.documents() if one["replay"]]
        assert replayed["session_id"] == page["session_id"]
        assert replayed["seq"] == page["seq"]
        assert replayed["result"]["inferred"] is False
        assert list(spool.iterdir()) == []
        assert run_bot(SCRIPT, url=empty.url).returncode == 0
        assert service.totals["jobs_found"] == 15


ENDS = {
    "returns": ("", "interrupted"),
    "exception": ("{}['door']", "failed"),
    "exit": ("sys.exit(1)", "interrupted"),
    "leaves at once": ("time.sleep(0.3); os._exit(7)", None),
    "killed": (KILL, None),
}


@pytest.mark.parametrize("end", ENDS)
def test_every_end_of_a_process_leaves_the_truth_on_disk(
    run_bot: RunBot, empty: Address, spool: Path, end: str
) -> None:
    """Every count, the outcomes and how it ended as far as the process knew; of a killed one nothing is claimed."""
    code, outcome = ENDS[end]
    run_bot(BEGIN + code, url=empty.url)
    (page,) = pages(spool).values()
    assert (page["result"] and page["result"]["outcome"]) == outcome
    assert page["counters_millionths"] == {
        "jobs_found": 3_000_000,
        "jobs_applied": 1_000_000,
        "jobs_failed": 0,
        "credits_used": 100_000,
    }
    assert page["activity"]["details"] == {"title": "Analyst"}
    assert [job["key"] for job in page["jobs"]] == ["a"]


COUNTING = """
import sys, time
from status_reporter import StatusReporter
reporter = StatusReporter()
reporter.start_session("1.0")
count = 0
while True:
    count += 10
    sys.stdout.write("%d %f\\n" % (count, time.monotonic()))  # said before it is done: never less than the truth
    sys.stdout.flush()
    for _ in range(10):
        reporter.increment_jobs_found()
    time.sleep(0.005)
"""


def test_a_kill_loses_a_quarter_of_a_second_at_most(empty: Address, spool: Path) -> None:
    """Whenever it comes, the page is whole, says never more than the truth, and misses only the last moment of it."""
    environment = {**os.environ, "PYTHONPATH": str(CLIENT), "STATUS_REPORTER_TOKEN": TOKEN}
    environment["STATUS_REPORTER_URL"] = empty.url
    chance = random.Random(4)
    for _ in range(8):
        with subprocess.Popen(
            [sys.executable, "-c", COUNTING], env=environment, stdout=subprocess.PIPE, text=True
        ) as bot:
            assert bot.stdout
            said = [bot.stdout.readline()]
            time.sleep(chance.uniform(0.3, 0.8))
            bot.kill()
            said += [line for line in bot.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
        counted = [(int(count), float(at)) for count, at in (line.split() for line in said)]
        truth, ended_at = counted[-1]
        sure = max((count - 10 for count, at in counted if at < ended_at - 0.25), default=0)
        (page,) = pages(spool).values()
        assert sure <= page["counters_millionths"]["jobs_found"] / 1e6 <= truth
        for path in spool.iterdir():
            path.unlink()


def test_what_a_dead_process_left_is_told_as_interrupted(
    orphan: dict[str, Any], back: FakeService, make: MakeReporter
) -> None:
    """In its own session, with its outcomes, and with the age of its end; nothing of it is taken as a sign of life."""
    reporter = make(base_url=back.url, resume="never")
    assert reporter.start_session("1.0") != orphan["session_id"]
    replayed = back.wait_for(lambda: [one for one in back.documents() if one["replay"]])[0]
    age_ms = (time.time() - orphan["wall_at_write"]) * 1000
    assert replayed["result"] == {
        "outcome": "interrupted",
        "inferred": True,
        "error": None,
        "ended_age_ms": pytest.approx(age_ms, abs=2_000),
    }
    assert replayed["session_id"] == orphan["session_id"]
    session = back.sessions[orphan["session_id"]]
    assert session.status == "interrupted"
    assert session.totals == {"jobs_found": 3, "jobs_applied": 1, "jobs_failed": 0, "credits_used": 0.1}
    assert session.jobs["a", "applied"]["title"] == "Analyst"
    assert replayed["attach"] is False
    until(lambda: reporter.status["pending_replays"] == 0)


def test_a_restart_goes_on_in_the_session_of_the_killed_process(
    orphan: dict[str, Any], back: FakeService, make: MakeReporter, spool: Path
) -> None:
    """The same session, another instance that counts from 0; the counts of both add up, and it is running."""
    reporter = make(base_url=back.url)
    assert reporter.start_session("1.0") == orphan["session_id"]
    reporter.increment_jobs_found(4)
    back.wait_for(lambda: any(one["replay"] for one in back.documents()))
    assert reporter.flush()
    first = back.documents()[0]
    assert first["attach"] is True
    assert first["replay"] is False
    assert first["instance_id"] != orphan["instance_id"]
    assert back.session.status == "running"
    assert back.session.totals["jobs_found"] == 3 + 4
    until(lambda: orphan["instance_id"] not in pages(spool))


NEWCOMERS: dict[str, dict[str, Any]] = {
    "a result": {"result": {"outcome": "failed", "inferred": True, "error": None}},
    "a stop that it heard of": {"stop": True},
    "too long ago": {"wall_at_write": -601},
    "in the future": {"wall_at_write": 60},
    "another platform": {"bot": {"name": "", "version": "1.0", "platform": "win32"}},
    "another bot": {"bot": {"name": "Other", "version": "1.0", "platform": sys.platform}},
    "a worker": {"role": "worker"},
    "another token": {"fingerprint": "0123456789abcdef"},
    "another format": {"v": 2},
}


@pytest.mark.parametrize("case", NEWCOMERS)
def test_a_restart_begins_a_session_of_its_own_after(
    orphan: dict[str, Any], back: FakeService, make: MakeReporter, spool: Path, case: str
) -> None:
    """Each condition alone forbids going on in the session of a dead process."""
    change = dict(NEWCOMERS[case])
    if "wall_at_write" in change:
        change["wall_at_write"] = time.time() + change["wall_at_write"]
    put(spool, {**orphan, **change}, orphan["instance_id"])
    reporter = make(base_url=back.url)
    assert reporter.start_session("1.0") != orphan["session_id"]
    assert reporter.flush()
    if case in ("another token", "another format"):
        assert reporter.status["pending_replays"] == 0
        assert orphan["instance_id"] in pages(spool)
    else:
        back.wait_for(lambda: orphan["session_id"] in back.sessions)


def test_a_version_of_its_own_is_no_reason_for_another_session(
    orphan: dict[str, Any], back: FakeService, make: MakeReporter, spool: Path
) -> None:
    """A bot that was mended and started again goes on; so does one that was last heard of just within the window."""
    put(spool, {**orphan, "wall_at_write": time.time() - 590}, orphan["instance_id"])
    assert make(base_url=back.url).start_session("2.0") == orphan["session_id"]


def test_a_living_process_is_not_followed(back: FakeService, make: MakeReporter, run_bot: RunBot, spool: Path) -> None:
    """Two bots at once have a session each, and neither touches the other's file."""
    other = make(base_url=back.url)
    other.start_session("1.0")
    assert other.flush()
    until(lambda: pages(spool))
    page = next(iter(pages(spool)))
    done = run_bot(BEGIN + "print(reporter.session_id); reporter.complete_session()", url=back.url)
    assert done.stdout.strip() not in ("", other.session_id)
    assert list(pages(spool)) == [page]
    assert not any(one["replay"] for one in back.documents())


def test_two_reporters_of_one_process_leave_each_other_alone(
    service: FakeService, make: MakeReporter, spool: Path
) -> None:
    """The lock of the system does not tell them apart; they know of each other."""
    first, second = make(), make()
    sessions = {first.start_session("1.0"), second.start_session("1.0")}
    assert len(sessions) == 2
    until(lambda: len(pages(spool)) == 2)
    first.increment_jobs_found()
    assert first.complete_session()
    assert len(pages(spool)) == 1
    assert second.flush()
    assert second.status["pending_replays"] == 0
    assert not any(one["replay"] for one in service.documents())
    second.close()
    assert list(spool.iterdir()) == []


def test_two_copies_of_the_file_in_one_process_leave_each_other_alone(
    service: FakeService, make: MakeReporter, spool: Path
) -> None:
    """A bot has one beside it, a library of its own another one: they have a session and a page each."""
    place = importlib.util.spec_from_file_location("another_copy", status_reporter.__file__)
    assert place
    assert place.loader
    copy = importlib.util.module_from_spec(place)
    place.loader.exec_module(copy)
    first, second = make(), copy.StatusReporter(TOKEN, service.url)
    first.start_session("1.0")
    until(lambda: pages(spool))
    assert second.start_session("1.0") not in ("", first.session_id)
    assert first.flush()
    assert second.flush()
    assert second.status["pending_replays"] == 0
    until(lambda: len(pages(spool)) == 2)
    second.close()
    assert not any(one["replay"] for one in service.documents())


@pytest.mark.parametrize("kept", [False, True])
def test_a_closed_reporter_leaves_its_page_to_the_next(
    empty: Address, make: MakeReporter, spool: Path, kept: bool
) -> None:
    """In the same process too: closing lets go of the page, also of one that was written long before."""
    first = make(base_url=empty.url)
    first.start_session("1.0")
    first.increment_jobs_found(3)
    if kept:
        until(lambda: pages(spool) and first.status["spool_ok"])
    first.close(0)
    until(lambda: len(pages(spool)) == 1)  # a slow disk is not waited for
    with FakeService(port=empty.port) as back:
        second = make(base_url=back.url)
        second.start_session("1.0")
        back.wait_for(lambda: back.totals["jobs_found"] == 3)
        until(lambda: len(pages(spool)) == 1)
        second.close()


def test_the_lock_goes_with_its_process_and_not_with_a_forked_child(run_bot: RunBot, empty: Address) -> None:
    """A child that lives on does not keep the page from being replayed, nor does one that ends free it."""
    code = """
import fcntl
(lock,) = __import__("pathlib").Path(reporter.status["spool_path"]).glob("*.lock")
def is_free():
    child = os.fork()
    if child == 0:
        try:
            fcntl.lockf(os.open(lock, os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0
print(is_free(), flush=True)
parent = os.getpid()
if os.fork() == 0:  # lives on, and watches its parent die
    while os.getppid() == parent:
        time.sleep(0.01)
    print(is_free(), flush=True)
    os._exit(0)
sys.stdout.flush()
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = run_bot(BEGIN + "time.sleep(0.3)\n" + code, url=empty.url)
    assert done.stdout.split() == ["False", "True"]


def test_a_page_is_removed_only_when_all_of_it_is_acknowledged(
    service: FakeService, make: MakeReporter, spool: Path
) -> None:
    """While answers are lost it stays, with the end in it; afterwards nothing is left behind."""
    reporter = make()
    reporter.start_session("1.0")
    assert reporter.flush()
    service.always = Reply(hang_up=True, merge=True)
    reporter.increment_jobs_found(5)
    assert not reporter.complete_session(timeout=0.1)
    (page,) = pages(spool).values()
    assert page["result"]["outcome"] == "success"
    assert page["counters_millionths"]["jobs_found"] == 5_000_000
    assert page["acked_millionths"]["jobs_found"] == 0
    service.always = None
    until(lambda: list(spool.iterdir()) == [])
    assert service.totals["jobs_found"] == 5


def test_a_death_between_the_answer_and_the_removal_counts_nothing_twice(
    run_bot: RunBot, service: FakeService, make: MakeReporter, spool: Path
) -> None:
    """A page that the service has already is replayed to no effect."""
    run_bot(BEGIN + KILL)
    (page,) = pages(spool).values()
    before = service.totals
    assert before["jobs_found"] == 3
    for _ in range(2):
        put(spool, page, page["instance_id"])
        reporter = make(resume="never")
        reporter.start_session("1.0")
        until(lambda: page["instance_id"] not in pages(spool))
        reporter.close()
    assert service.totals == before


def test_orphans_are_delivered_oldest_first_one_a_second(
    orphan: dict[str, Any], back: FakeService, make: MakeReporter, spool: Path
) -> None:
    """A crowd of them does not become a crowd of requests, and holds up no report of the living."""
    for age in (40, 30, 20):
        page = {**orphan, "instance_id": str(uuid.uuid4()), "session_id": str(uuid.uuid4())}
        path = put(spool, {**page, "wall_at_write": time.time() - age, "seq": age}, page["instance_id"])
        os.utime(path, (time.time() - age,) * 2)
    reporter = make(base_url=back.url, resume="never")
    reporter.start_session("1.0")
    back.wait_for(lambda: len([one for one in back.documents() if one["replay"]]) == 4)
    replays = [one for one in back.posts() if one.document["replay"]]
    assert [one.document["seq"] for one in replays[:3]] == [40, 30, 20]
    assert all(later.at - earlier.at > 0.9 for earlier, later in itertools.pairwise(replays))
    assert back.posts()[0].document["replay"] is False


def test_an_exit_delivers_what_others_left_without_a_pause(
    orphan: dict[str, Any], back: FakeService, run_bot: RunBot, spool: Path
) -> None:
    """A bot that never lives for a second gets through with all that such bots have left."""
    for _ in range(5):
        page = {**orphan, "instance_id": str(uuid.uuid4()), "session_id": str(uuid.uuid4())}
        put(spool, page, page["instance_id"])
    assert run_bot(SCRIPT, url=back.url).returncode == 0
    assert list(spool.iterdir()) == []
    assert back.totals["jobs_found"] == 6 * 3 + 5


def test_no_byte_of_a_page_can_change_unnoticed(orphan: dict[str, Any], spool: Path) -> None:
    """Flipped in any bit, or cut off anywhere, it is not taken for a page; whole it is."""
    raw = (spool / f"{orphan['instance_id']}.json").read_bytes()
    for place in range(len(raw)):
        assert status_reporter._unsealed(raw[:place]) is None
        for bit in range(8):
            assert status_reporter._unsealed(raw[:place] + bytes([raw[place] ^ 1 << bit]) + raw[place + 1 :]) is None
    page = status_reporter._unsealed(raw)
    assert page
    assert page["counters_millionths"]["jobs_found"] == 3_000_000


def test_damaged_pages_are_put_aside_and_the_others_delivered(
    orphan: dict[str, Any], back: FakeService, make: MakeReporter, spool: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever stands there: cut, empty, huge, deep, a folder, a link, a pipe. Names that are not ours are left alone."""
    raw = (spool / f"{orphan['instance_id']}.json").read_bytes()
    damaged = [spool / f"{number:08x}-0000-4000-8000-000000000000.json" for number in range(9)]
    contents = [raw[:-1], b"", raw.replace(b"3000000", b"9000000"), b"[" * 100_000, b"[]", b"null", b"\xff\xfe{}"]
    for path, content in zip(damaged, contents, strict=False):
        path.write_bytes(content)
    os.truncate(damaged[1], 2**30)
    damaged[7].mkdir()
    os.mkfifo(damaged[8])
    alien = [spool / "notes.txt", spool / os.fsdecode(b"\xff\xfe.json")]
    for path in alien:
        path.write_text("mine")
    unreadable = put(spool, {**orphan, "jobs": 5})  # sealed, and yet no page
    reporter = make(base_url=back.url, resume="never")
    reporter.start_session("1.0")
    back.wait_for(lambda: orphan["session_id"] in back.sessions)
    until(lambda: reporter.status["pending_replays"] == 0)
    assert {path.name for path in (spool / "corrupt").iterdir()} == {path.name for path in [*damaged, unreadable]}
    assert all(path.read_text() == "mine" for path in alien)
    assert len(list(spool.glob("*-*.json"))) == 1  # our own
    assert "put aside" in caplog.text


def test_a_page_that_the_service_refuses_three_times_is_put_aside(
    orphan: dict[str, Any], back: FakeService, make: MakeReporter, spool: Path
) -> None:
    """It is tried with less in it first, keeps nobody from reporting, and the next page follows."""
    os.utime(spool / f"{orphan['instance_id']}.json", (1, 1))
    other = str(uuid.uuid4())
    put(spool, {**orphan, "instance_id": other, "session_id": other}, other)
    os.utime(spool / f"{orphan['instance_id']}.json", (time.time() - 60,) * 2)
    back.script.extend([Reply(), *[Reply(422, "invalid")] * 3])
    reporter = make(base_url=back.url, resume="never")
    reporter.start_session("1.0")
    back.wait_for(lambda: other in back.sessions)
    assert orphan["session_id"] not in back.sessions
    assert list(pages(spool / "rejected")) == [orphan["instance_id"]]
    assert reporter.flush()


@pytest.mark.parametrize("reply", [Reply(409, "instances"), Reply(410, "deleted")])
def test_a_page_that_its_session_has_no_room_for_is_delivered_in_another(
    orphan: dict[str, Any], back: FakeService, make: MakeReporter, spool: Path, reply: Reply
) -> None:
    """With what was not acknowledged, as a living bot would have done; and once."""
    put(spool, {**orphan, "acked_millionths": {"jobs_found": 1_000_000}}, orphan["instance_id"])
    back.script.extend([Reply(), reply])
    reporter = make(base_url=back.url, resume="never")
    reporter.start_session("1.0")
    back.wait_for(lambda: len(back.sessions) == 2)
    assert orphan["session_id"] not in back.sessions
    assert back.totals["jobs_found"] == 2
    until(lambda: reporter.status["pending_replays"] == 0)
    assert len(pages(spool)) == 1


def test_a_bot_that_had_to_change_its_session_leaves_the_rest_in_one_page(
    run_bot: RunBot, empty: Address, spool: Path
) -> None:
    """Killed afterwards it leaves what the new session is to have; the old one keeps what it had; nothing is there twice."""
    code = """
reporter.flush(10)
before = reporter.session_id
reporter.increment_jobs_found(4)
while reporter.session_id == before:
    time.sleep(0.01)
"""
    with FakeService(port=empty.port) as service:
        service.script.extend([Reply(), Reply(410, "deleted"), *[Reply(503, "unavailable", merge=False)] * 50])
        run_bot(BEGIN + code + KILL, url=service.url)
        ((old, session),) = service.sessions.items()
        assert session.totals["jobs_found"] == 3
    (page,) = pages(spool).values()
    assert page["session_id"] != old
    assert page["counters_millionths"]["jobs_found"] == 4_000_000
    with FakeService(port=empty.port) as service:
        run_bot(SCRIPT, url=service.url)
        assert service.sessions[page["session_id"]].totals["jobs_found"] == 4


def test_too_many_pages_and_too_old_ones_are_dropped(
    orphan: dict[str, Any], back: FakeService, make: MakeReporter, spool: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Fifty are kept, for 14 days; that is the only loss there is by intent, and it is said."""
    now = time.time()
    for number in range(60):
        page = {**orphan, "instance_id": str(uuid.uuid4()), "fingerprint": "another bot's"}
        os.utime(put(spool, page, page["instance_id"]), (now - 1_000 - number,) * 2)
    ancient = put(spool, orphan)
    os.utime(ancient, (now - 15 * 86_400,) * 2)
    reporter = make(base_url=back.url, resume="never")
    reporter.start_session("1.0")
    until(lambda: len(list(spool.glob("*.json"))) <= 51)
    assert not ancient.exists()
    back.wait_for(lambda: orphan["session_id"] in back.sessions)
    until(lambda: "dropped" in caplog.text)


def test_pages_of_living_processes_crowd_no_orphan_out(
    orphan: dict[str, Any], back: FakeService, make: MakeReporter, spool: Path
) -> None:
    """Sixty bots at work, each with its page: what a dead one left is still delivered."""
    living = [str(uuid.uuid4()) for _ in range(60)]
    for one in living:
        put(spool, {**orphan, "instance_id": one, "session_id": one}, one)
    os.utime(spool / f"{orphan['instance_id']}.json", (time.time() - 60,) * 2)
    code = "import fcntl, sys\nheld = [open(name, 'w') for name in sys.argv[1:]]\n"
    code += "for one in held:\n    fcntl.lockf(one, fcntl.LOCK_EX)\nprint(flush=True)\nsys.stdin.read()"
    locks = [str(spool / f"{one}.lock") for one in living]
    with subprocess.Popen(
        [sys.executable, "-c", code, *locks], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as owners:
        assert owners.stdout
        owners.stdout.readline()
        reporter = make(base_url=back.url, resume="never")
        reporter.start_session("1.0")
        back.wait_for(lambda: orphan["session_id"] in back.sessions)
        owners.communicate()
    assert not any(one in back.sessions for one in living)
    assert len(pages(spool)) >= 60


def test_a_page_that_never_gets_through_keeps_nobody_from_reporting(
    orphan: dict[str, Any], empty: Address, make: MakeReporter, caplog: pytest.LogCaptureFixture
) -> None:
    """Something on the way dislikes that one: it is tried ever more rarely, and is no outage."""

    class Particular(FakeService):
        def refusal(self, document: dict[str, Any]) -> Reply | None:
            return Reply(500, "disliked") if document["replay"] else super().refusal(document)

    with Particular(port=empty.port) as service:
        reporter = make(base_url=service.url, resume="never")
        reporter.start_session("1.0")

        def replays() -> list[float]:
            return [one.at for one in service.posts() if one.document["replay"]]

        service.wait_for(lambda: len(replays()) == 4)
        tries = replays()
        assert tries[3] - tries[2] >= 2
        reporter.increment_jobs_found()
        assert reporter.flush()
        reporter.close()
    assert orphan["session_id"] not in service.sessions
    assert "get through" not in caplog.text


def test_200_outcomes_fit_into_a_page_and_all_arrive(
    run_bot: RunBot, empty: Address, spool: Path, make: MakeReporter
) -> None:
    """A page has a bound; the outcomes come with it in as many requests as it takes."""
    code = """
for number in range(300):
    reporter.job(number, title="T" * 200, company="C" * 100, url="https://jobs.example/" + "u" * 400).applied()
"""
    run_bot(BEGIN + code + KILL, url=empty.url)
    (file,) = spool.glob("*.json")
    assert 100_000 < file.stat().st_size <= 262_144
    with FakeService(port=empty.port) as service:
        reporter = make(base_url=service.url, resume="never")
        reporter.start_session("1.0")
        until(lambda: not file.exists())
        assert service.totals["jobs_applied"] == 301
        assert sum(len(session.jobs) for session in service.sessions.values()) == 200


FULL = """
import resource
before = resource.getrlimit(resource.RLIMIT_FSIZE)
time.sleep(0.3)
resource.setrlimit(resource.RLIMIT_FSIZE, (200, before[1]))
reporter.increment_jobs_found(4)
while reporter.status["spool_ok"]:
    time.sleep(0.01)
print(reporter.status["spool_error"], flush=True)
reporter.flush(10)
if sys.argv[1:] == []:
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    while not reporter.status["spool_ok"]:
        time.sleep(0.01)
"""


def test_a_full_disk_keeps_the_old_page_and_heals(run_bot: RunBot, service: FakeService, spool: Path) -> None:
    """The network delivers meanwhile, and when there is room again the page is the newest again."""
    done = run_bot(BEGIN + FULL + KILL)
    assert done.stdout == "File too large\n"
    assert service.totals["jobs_found"] == 7
    (page,) = pages(spool).values()
    assert page["counters_millionths"]["jobs_found"] == 7_000_000


def test_a_disk_that_is_full_to_the_end_harms_neither_page_nor_bot(
    run_bot: RunBot, empty: Address, spool: Path
) -> None:
    """What was written before stays whole, and the end is told no later than otherwise."""
    code = FULL.replace("reporter.flush(10)", "").replace("sys.argv[1:] == []", "False")
    began = time.monotonic()
    done = run_bot(BEGIN + code, url=empty.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert time.monotonic() - began < 5
    (page,) = pages(spool).values()
    assert page["counters_millionths"]["jobs_found"] == 3_000_000
    assert not list(spool.glob("*.tmp"))


def spoil_file(place: Path) -> None:
    """Something else is there."""
    place.write_text("mine")


def spoil_link(place: Path) -> None:
    """It leads elsewhere."""
    elsewhere = place.with_name("elsewhere")
    elsewhere.mkdir()
    place.symlink_to(elsewhere)


def spoil_open(place: Path) -> None:
    """Others may write into it."""
    place.mkdir()
    place.chmod(0o777)


def spoil_owner(place: Path) -> None:
    """It is somebody else's."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    place.mkdir()
    os.chown(place, 1, 1)


@pytest.mark.parametrize("spoil", [spoil_file, spoil_link, spoil_open, spoil_owner])
def test_a_place_that_is_not_ours_is_not_used(
    service: FakeService, make: MakeReporter, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    """Memory only, which `status` says and why; everything else works, and nothing is put there."""
    place = tmp_path / "place"
    spoil(place)
    reporter = make(spool_dir=place)
    reporter.start_session("1.0")
    reporter.increment_jobs_found(3)
    assert reporter.flush()
    assert reporter.status["spool_path"] is None
    assert reporter.status["spool_ok"] is False
    assert re.search("folder|exists", reporter.status["spool_error"])
    assert reporter.complete_session()
    assert service.totals["jobs_found"] == 3
    assert place.is_file() or list(place.iterdir()) == []


def test_without_a_home_the_temporary_folder_serves(run_bot: RunBot, empty: Address, tmp_path: Path) -> None:
    """A folder of this user's own in it; and where even that cannot be, the memory."""
    settings = {"XDG_STATE_HOME": "", "HOME": str(tmp_path / "nowhere"), "TMPDIR": str(tmp_path)}
    code = BEGIN + "time.sleep(0.3); print(reporter.status['spool_path'])"
    done = run_bot(code, url=empty.url, env=settings)
    assert Path(done.stdout.strip()) == tmp_path / f"status_reporter-{os.getuid()}"
    assert len(pages(tmp_path / f"status_reporter-{os.getuid()}")) == 1
    assert not (tmp_path / "nowhere").exists()
    done = run_bot(code, url=empty.url, env={**settings, "TMPDIR": str(tmp_path / "nowhere" / "either")})
    assert done.returncode == 0


def test_memory_only_leaves_nothing(service: FakeService, make: MakeReporter, spool: Path) -> None:
    """Who does not want files gets none."""
    reporter = make(spool_dir=None)
    reporter.start_session("1.0")
    assert reporter.complete_session()
    assert service.session.status == "completed"
    assert reporter.status["spool_error"] == "memory only"
    assert not spool.parent.exists()


def test_a_closed_reporter_that_found_no_folder_leaves_no_thread(make: MakeReporter, tmp_path: Path) -> None:
    """Nor is the end of a spool waited for that has nothing to do."""
    (tmp_path / "file").touch()
    before = set(threading.enumerate())
    reporter = make(spool_dir=tmp_path / "file" / "spool")
    reporter.start_session("1.0")
    assert reporter.complete_session()
    mine = set(threading.enumerate()) - before
    assert mine
    reporter.close()
    until(lambda: not any(thread.is_alive() for thread in mine if thread.name.startswith("status-reporter")))


def test_a_folder_that_vanishes_is_made_again(service: FakeService, make: MakeReporter, spool: Path) -> None:
    """Somebody tidies up while the bot runs; the next page is there again."""
    reporter = make()
    reporter.start_session("1.0")
    until(lambda: len(pages(spool)) == 1)
    spool.rename(spool.with_name("away"))
    reporter.increment_jobs_found()
    until(lambda: len(pages(spool)) == 1 and reporter.status["spool_ok"])
    assert reporter.complete_session()
    assert list(spool.iterdir()) == []
    assert service.totals["jobs_found"] == 1


def test_a_named_session_is_gone_on_with(service: FakeService, make: MakeReporter) -> None:
    """`resume` names it; the one after it is new."""
    given = "5e0c8a52-6d1b-4f0e-9a37-2b64c1f8d9e0"
    reporter = make(resume=given.upper())
    assert reporter.start_session("1.0") == given
    assert reporter.complete_session()
    assert service.last["attach"] is True
    assert reporter.start_session("1.0") != given


@pytest.mark.parametrize("setting", [{"resume": "yes"}, {"resume": 5}, {"spool_dir": 5}, {"spool_dir": ""}])
def test_a_wrong_setting_is_named(make: MakeReporter, setting: dict[str, Any]) -> None:
    """In development it raises; else the reporter is off and says why."""
    (name,) = setting
    with pytest.raises(ValueError, match=name):
        make(strict=True, **setting)
    assert make(**setting).disabled_reason.startswith(name)


def test_crashes_one_after_another_are_one_session(run_bot: RunBot, service: FakeService, spool: Path) -> None:
    """A supervisor starts a bot again and again; one card, an instance for each start, and the exact sum."""
    for _ in range(6):
        run_bot(BEGIN + "reporter.flush(10)\n" + KILL)
    reporter_left = pages(spool)
    assert len(reporter_left) == 1
    assert len(service.session.instances) == 6
    assert service.session.totals["jobs_found"] == 6 * 3
    assert service.session.status == "running"
