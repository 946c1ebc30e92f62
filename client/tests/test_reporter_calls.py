"""A call costs the bot nothing: it takes what it is given, runs no code of the bot's objects, and never raises."""

from __future__ import annotations

import collections
import decimal
import enum
import json
import logging
import sys
import threading
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from fake_service import Reply

from status_reporter import StatusReporter, get_reporter

if TYPE_CHECKING:
    from fake_service import FakeService

    from conftest import MakeReporter, RunBot


class Touchy:
    """An object of the bot's that must not be asked anything: a browser's element, say."""

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(name)

    def __str__(self) -> str:
        raise AssertionError

    __repr__ = __str__
    __hash__ = __str__  # type: ignore[assignment]
    __iter__ = __str__
    __len__ = __str__
    __bool__ = __str__


class Colour(str, enum.Enum):  # noqa: UP042 -- as bots write them
    """A text of a class of its own."""

    RED = "red"

    def __str__(self) -> str:
        raise AssertionError


class Sly(dict):  # type: ignore[type-arg]
    """A dict that looks different when it is asked."""

    def __iter__(self) -> Any:
        raise AssertionError

    items = keys = __len__ = __getitem__ = __iter__  # type: ignore[assignment]  # sly on purpose


def sent_details(service: FakeService, reporter: StatusReporter, details: Any) -> Any:
    """What arrives of details."""
    reporter.send_heartbeat("looking", details)
    assert reporter.complete_session()
    return service.last["activity"]["details"]


def test_details_become_plain_values_without_running_their_code(service: FakeService, reporter: StatusReporter) -> None:
    """Builtin values stay, subclasses give their builtin part, and everything else is named by its type."""
    pair = collections.namedtuple("pair", "a b")  # noqa: PYI024 -- as bots write them
    details = {
        "element": Touchy(),
        "colour": Colour.RED,
        "sly": Sly(a=1),
        "ordered": collections.OrderedDict(a=1),
        "pair": pair(1, 2),
        "amount": decimal.Decimal("1.50"),
        "id": uuid.UUID(int=7),
        "big": 2**70,
        "nan": float("nan"),
        "bytes": b"x",
        "set": {1},
        "none": None,
        "yes": True,
        Touchy: 1,
        7: "number",
    }
    assert sent_details(service, reporter, details) == {
        "element": "Touchy",
        "colour": "red",
        "sly": {"a": 1},
        "ordered": {"a": 1},
        "pair": [1, 2],
        "amount": "1.50",
        "id": "00000000-0000-0000-0000-000000000007",
        "big": str(2**70),
        "nan": "nan",
        "bytes": "bytes",
        "set": "set",
        "none": None,
        "yes": True,
        "type": 1,
        "7": "number",
    }


def test_details_are_those_of_the_moment_of_the_call(service: FakeService, reporter: StatusReporter) -> None:
    """What the bot does with its dict afterwards changes nothing."""
    details = {"list": [1]}
    reporter.send_heartbeat("looking", details)
    details["list"].append(2)
    assert reporter.complete_session()
    assert service.last["activity"]["details"] == {"list": [1]}


def test_details_without_end_are_cut(service: FakeService, reporter: StatusReporter) -> None:
    """A dict that holds itself, ten megabytes of text, a thousand keys: two kilobytes at most arrive."""
    details: dict[str, Any] = {
        "text": "x" * 10_000_000,
        "bad": "a\x00b\ud800\x1bc",
        "wide": dict.fromkeys(range(1000), "y" * 90),
    }
    details["self"] = details
    got = sent_details(service, reporter, details)
    assert len(json.dumps(got, ensure_ascii=False, separators=(",", ":")).encode()) <= 2048
    assert got["text"] == "x" * 200
    assert got["bad"] == "a b? c"


def test_details_may_change_while_they_are_read(service: FakeService, reporter: StatusReporter) -> None:
    """Another thread of the bot may write to the very dict that is being reported."""
    details: dict[int, int] = {}
    over = threading.Event()

    def write() -> None:
        number = 0
        while not over.is_set():
            details[number % 50] = number
            details.pop((number * 7) % 50, None)
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    for _ in range(2000):
        reporter.send_heartbeat("looking", details)  # type: ignore[arg-type]  # a bot's keys are what they are
    over.set()
    writer.join()
    assert reporter.complete_session()
    assert reporter.status["ignored"] == 0
    assert service.last["activity"]["name"] == "looking"


def test_wrong_amounts_are_ignored_and_counted(service: FakeService, reporter: StatusReporter) -> None:
    """A wrong number changes no counter, and the status says how many there were."""
    unreal = [decimal.Decimal("NaN"), decimal.Decimal("sNaN"), decimal.Decimal("-0.1"), float("nan"), float("inf")]
    wrong: list[Any] = [-1, True, 10**30, 10**400, "5", None, Touchy(), *unreal]
    for amount in wrong:
        reporter.increment_jobs_found(amount)
        reporter.increment_credits_used(amount)
        reporter.increment("pages", amount)
    assert reporter.complete_session()
    assert service.totals == {"jobs_found": 0, "jobs_applied": 0, "jobs_failed": 0, "credits_used": 0}
    assert reporter.status["ignored"] == 3 * len(wrong)


def test_no_call_raises_whatever_it_is_given(service: FakeService, make: MakeReporter) -> None:
    """Every public call with every wrong argument, before, in and after a session."""
    wrong: list[Any] = [Touchy(), None, -1, "", "\x00", b"x", [], object, float("nan"), "\ud800"]
    reporter = make()
    tower: Any = ()
    for _ in range(5000):
        tower = (tower,)
    for stage in ("before", "in", "after"):
        for value in wrong:
            reporter.send_heartbeat(value, value)
            reporter.increment(value, value)
            reporter.increment_jobs_found(value)
            reporter.progress(value, value)
            job = reporter.job(value, title=value, company=value, url=value)
            job.applied(credits=value)
            job.failed(value)
            job.skipped(value)
            reporter.on_stop(value)()
            reporter.flush(value if stage == "before" else 0)
            reporter.wait(value, reason=value)
            reporter.checkpoint(value, value)
            with reporter.activity(value):
                pass
            assert isinstance(reporter.status, dict)
        reporter.increment("huge", 10**400)
        reporter.increment_jobs_found(1, 2, 3)  # type: ignore[call-arg]  # a wrong call is a wrong argument
        reporter.wait(decimal.Decimal("sNaN"))
        reporter.complete_session(timeout="soon") if stage == "after" else None  # type: ignore[arg-type]  # likewise
        reporter.job(tower).failed(ValueError(10**5000))
        with reporter.activity("named", name="x", self="y"):
            pass
        if stage == "before":
            for value in wrong:
                reporter.start_session(value, value)
        elif stage == "in":
            assert reporter.complete_session(timeout=5), reporter.status
    reporter.send_heartbeat()  # type: ignore[call-arg]  # a wrong call is a wrong argument
    assert service.session.status == "completed"


def test_strict_raises_where_the_bot_is_wrong(make: MakeReporter) -> None:
    """In development wrong arguments raise, naming what was expected; the token is not in the text."""
    reporter = make(strict=True)
    with pytest.raises(ValueError, match="expected a number from 0"):
        reporter.increment_jobs_found(-1)
    with pytest.raises(ValueError, match="expected a text"):
        reporter.send_heartbeat("")
    with pytest.raises(ValueError, match="expected a dict"):
        reporter.send_heartbeat("x", ["y"])  # type: ignore[arg-type]  # what is tested
    with pytest.raises(ValueError, match="expected a number"):
        reporter.wait("5")  # type: ignore[arg-type]  # what is tested
    with pytest.raises(TypeError):
        reporter.send_heartbeat()  # type: ignore[call-arg]  # what is tested
    with pytest.raises(ValueError, match="base_url: expected http") as caught:
        StatusReporter("secret\N{BULLET}token", "ftp://x", strict=True)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"token": ""}, "no token"),
        ({"token": None}, "no token"),
        ({"token": "a\nb"}, "token: expected"),
        ({"token": "smart\N{RIGHT DOUBLE QUOTATION MARK}"}, "token: expected"),
        ({"token": 5}, "expected texts"),
        ({"base_url": "localhost:3000"}, "base_url: expected http"),
        ({"base_url": "http://user:secret@localhost"}, "base_url: expected no user name"),
        ({"base_url": "http://localhost:99999"}, "base_url: expected a host"),
        ({"base_url": "http://8.8.8.8"}, "allow_insecure"),
        ({"proxy": "socks5://localhost:1"}, "proxy: expected"),
        ({"proxy": "http://localhost:1"}, "proxy: expected an https"),
    ],
)
def test_wrong_settings_turn_the_reporter_off_and_say_why(
    make: MakeReporter, caplog: pytest.LogCaptureFixture, settings: dict[str, Any], reason: str
) -> None:
    """The bot runs on: every call does nothing, `should_stop` is False, and the reason names the setting, not its value."""
    before = set(threading.enumerate())
    reporter = make(**settings)
    assert reporter.status["enabled"] is False
    assert reason in reporter.status["disabled_reason"]
    assert "secret" not in caplog.text
    assert len(caplog.records) == (0 if reason == "no token" else 1)
    with reporter.session("1.0"):
        reporter.send_heartbeat("x")
        reporter.job("a").applied()
        assert not reporter.wait(0.01)
        assert list(reporter.track([1, 2])) == [1, 2]
    assert not reporter.should_stop
    assert not reporter.complete_session()
    assert not [one for one in set(threading.enumerate()) - before if one.name.startswith("status-reporter")]


def test_the_environment_can_turn_it_off(make: MakeReporter, monkeypatch: pytest.MonkeyPatch) -> None:
    """`STATUS_REPORTER_DISABLED=1` beats a good token."""
    monkeypatch.setenv("STATUS_REPORTER_DISABLED", "1")
    assert make().status["enabled"] is False
    monkeypatch.setenv("STATUS_REPORTER_DISABLED", "0")
    assert make().status["enabled"] is True


def test_a_wait_of_a_reporter_that_is_off_takes_its_time(make: MakeReporter) -> None:
    """The bot relies on its pauses, with and without a service."""
    reporter = make(token="")
    asked: list[float] = []
    assert reporter.wait(0.2, tick=asked.append) is False
    assert sum(asked) >= 0.2


def test_making_a_reporter_does_nothing_yet(service: FakeService, run_bot: RunBot) -> None:
    """No thread, no request before the session begins, and no trace of the token in how it looks."""
    done = run_bot("""
        import gc, threading
        from status_reporter import StatusReporter, get_reporter
        reporter = get_reporter()
        assert reporter is get_reporter()
        assert threading.active_count() == 1, threading.enumerate()
        print(repr(reporter), reporter.session_id, sorted(reporter.status)[0])
    """)
    assert done.stdout.strip() == "<StatusReporter session_id=None> None clock_offset_s"
    assert done.stderr == ""
    assert service.journal == []


def test_one_reporter_for_many_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """`get_reporter` answers the same one each time; without a token in the environment it does nothing."""
    monkeypatch.delenv("STATUS_REPORTER_TOKEN", raising=False)
    assert get_reporter() is get_reporter()
    assert get_reporter().status["disabled_reason"] == "no token"


def test_only_one_session_begins_however_many_threads_ask(service: FakeService, make: MakeReporter) -> None:
    """Twenty threads that start at once all get the id of the one session."""
    reporter = make()
    gate = threading.Barrier(20)
    ids: list[str] = []

    def start() -> None:
        gate.wait()
        ids.append(reporter.start_session("1.0"))

    threads = [threading.Thread(target=start) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(ids)) == 1
    assert reporter.complete_session()
    assert list(service.sessions) == [ids[0]]
    assert len([t for t in threading.enumerate() if t.name == "status-reporter-keeper"]) == 1


def test_a_second_end_changes_nothing(service: FakeService, reporter: StatusReporter) -> None:
    """The first end counts; what is counted after it is ignored, and the status says so."""
    assert reporter.complete_session(success=False, error="the site was closed")
    assert reporter.complete_session(success=True)
    reporter.increment_jobs_found()
    assert reporter.flush(2)
    assert service.session.status == "failed"
    assert service.last["result"]["error"] == {"type": None, "message": "the site was closed"}
    assert reporter.status["ignored"] == 1


def test_a_system_without_threads_is_survived(run_bot: RunBot) -> None:
    """Where no thread can be started nothing is reported, memory stays small, and a later start delivers everything."""
    done = run_bot("""
        import threading
        from status_reporter import StatusReporter
        start = threading.Thread.start
        def refuse(self):
            raise RuntimeError("can't start new thread")
        threading.Thread.start = refuse
        reporter = StatusReporter()
        reporter.start_session("1.0")
        for number in range(50_000):
            reporter.increment_jobs_found()
            reporter.send_heartbeat("step", {"number": number})
            reporter.increment_jobs_found(-1)
            if number % 10 == 0:
                reporter.job(number).applied()
        assert reporter.status["runtime"] == "no-threads"
        assert reporter._keeper.inbox.qsize() <= 2001
        assert not reporter.complete_session(timeout=0)
        threading.Thread.start = start
        assert reporter.flush(5)
        assert reporter.status["ignored"] == 50_000
        print(reporter.status["counters"])
    """)
    assert done.stderr == ""
    assert "'jobs_found': 55000, 'jobs_applied': 5000" in done.stdout


def test_a_log_handler_that_reports_makes_no_circle(
    service: FakeService, make: MakeReporter, caplog: pytest.LogCaptureFixture
) -> None:
    """A bot may send its log records as heartbeats; the reporter's own warning does not become one."""
    service.script.append(Reply(503, "unavailable"))
    reporter = make()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            reporter.send_heartbeat(record.getMessage())

    handler = Handler()
    logging.getLogger().addHandler(handler)
    try:
        reporter.start_session("1.0")
        while not caplog.records:
            reporter.wait(0.01)
        logging.getLogger("bot").warning("low on credits")
        assert reporter.complete_session(timeout=10)
    finally:
        logging.getLogger().removeHandler(handler)
    assert caplog.records[0].getMessage() == "status reports do not get through: HTTP 503"
    assert set(service.session.activities.values()) == {"low on credits"}


def test_a_session_begins_whatever_it_is_called(service: FakeService, make: MakeReporter) -> None:
    """A version may be a number or nonsense."""
    assert make().start_session(Touchy(), Touchy())
    service.wait_for(lambda: service.sessions)
    assert service.last["bot"] == {"version": "Touchy", "platform": "Touchy"}
    second = make()
    second.start_session(1.5)
    assert second.complete_session()
    assert service.last["bot"] == {"version": "1.5", "platform": sys.platform}
