"""What a bot counted is what the service has, whatever happens on the way."""

from __future__ import annotations

import random
import sys
import threading
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from fake_service import FakeService, Reply

if TYPE_CHECKING:
    from conftest import MakeReporter
    from status_reporter import StatusReporter


def test_seed_counters_and_any_other_arrive_with_the_end(service: FakeService, reporter: StatusReporter) -> None:
    """Counters are absolute numbers in the last snapshot."""
    reporter.increment_jobs_found(5)
    reporter.increment_jobs_applied()
    reporter.increment_jobs_failed(2)
    reporter.increment_credits_used(Decimal("0.25"))
    reporter.increment("pages_read", 9)
    assert reporter.complete_session()
    expected = {"jobs_found": 5, "jobs_applied": 1, "jobs_failed": 2, "credits_used": 0.25, "pages_read": 9}
    assert service.last["counters"] == expected
    assert service.session.status == "completed"


def test_fractions_of_credits_add_up_exactly(service: FakeService, reporter: StatusReporter) -> None:
    """A tenth counted a thousand times is a hundred, and a millionth is not lost beside it."""
    for _ in range(1000):
        reporter.increment_credits_used(0.1)
    reporter.increment_credits_used(Decimal("0.000001"))
    assert reporter.complete_session()
    assert service.posts()[-1].raw.count(b'"credits_used":100.000001}') == 1


def test_large_numbers_are_written_exactly(service: FakeService, reporter: StatusReporter) -> None:
    """A JSON number has all its digits where a float would round."""
    for _ in range(9):
        reporter.increment_credits_used(10**9)
    reporter.increment_credits_used(Decimal("999999999.999999"))
    assert reporter.complete_session()
    assert b'"credits_used":9999999999.999999}' in service.posts()[-1].raw


@pytest.mark.parametrize("seed", range(3))
def test_totals_are_exact_when_requests_and_answers_get_lost(
    service: FakeService, make: MakeReporter, seed: int
) -> None:
    """Lost before it arrived, processed with the answer lost, answered with an error: the totals are the truth."""
    disorder = random.Random(seed)
    kinds = [Reply(hang_up=True, merge=False), Reply(hang_up=True, merge=True), Reply(503, "overloaded"), Reply()]
    service.script.extend(disorder.choices(kinds, k=3))
    reporter = make()
    reporter.start_session("1.0")
    truth: dict[str, int] = dict.fromkeys(("jobs_found", "jobs_applied", "jobs_failed"), 0)

    def work() -> None:
        mine = random.Random(disorder.random())
        for _ in range(500):
            name = mine.choice(list(truth))
            with lock:
                truth[name] += 1
            getattr(reporter, "increment_" + name)()

    lock = threading.Lock()
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert reporter.complete_session(timeout=60)
    assert service.totals == {**truth, "credits_used": 0}
    assert len(service.sessions) == 1


def test_an_outage_costs_nothing(make: MakeReporter, caplog: pytest.LogCaptureFixture) -> None:
    """The service comes up late; what was counted before it did is there, and one warning and one note told of it."""
    caplog.set_level("INFO", "status_reporter")
    with FakeService() as gone:
        port = gone.port
    reporter = make(base_url=f"http://127.0.0.1:{port}")
    reporter.start_session("1.0")
    for _ in range(100):
        reporter.increment_jobs_found()
    while reporter.status["fails"] < 2:
        reporter.wait(0.02)
    assert not reporter.status["connected"]
    reporter.increment_jobs_found()
    with FakeService(port=port) as back:
        assert reporter.complete_session(timeout=30)
        assert back.totals["jobs_found"] == 101
        assert [record.levelname for record in caplog.records] in (["WARNING"], ["WARNING", "INFO"])


def test_a_burst_makes_few_requests_and_its_last_word_arrives(service: FakeService, reporter: StatusReporter) -> None:
    """Ten thousand calls: the first change at once, then at most one request a second, and the newest always."""
    service.wait_for(lambda: service.posts("/start"))
    for number in range(10_000):
        reporter.send_heartbeat("step", {"number": number})
        reporter.increment("steps")
    service.wait_for(lambda: service.last.get("activity", {}).get("details") == {"number": 9999})
    assert service.last["counters"]["steps"] == 10_000
    beats = service.posts("/heartbeat")
    assert len(beats) <= 1 + (beats[-1].at - service.posts("/start")[0].at)


def test_calls_before_the_session_belong_to_it(service: FakeService, make: MakeReporter) -> None:
    """A bot opens its browser first; five thousand early counts are summed, and the newest activity is the current one."""
    reporter = make()
    for number in range(5000):
        reporter.increment_jobs_found()
        reporter.send_heartbeat("early", {"number": number})
    reporter.send_heartbeat("browser_opening")
    assert service.journal == []
    reporter.start_session("1.0")
    assert reporter.complete_session()
    assert service.totals["jobs_found"] == 5000
    assert service.last["activity"]["name"] == "browser_opening"


def test_a_job_counts_once_per_key_and_outcome(service: FakeService, reporter: StatusReporter) -> None:
    """Looking twice at a page counts nothing twice; a stronger outcome still counts, a weaker one does not."""
    for _ in range(3):
        job = reporter.job("a", title="Analyst", company="Acme", url="https://jobs.example/a")
        job.failed("the form was closed")
        job.applied(credits=0.5)
        job.failed("again")
        job.skipped()
    reporter.job("b").skipped("too far")
    reporter.job("c")
    assert reporter.complete_session()
    assert service.totals == {"jobs_found": 3, "jobs_applied": 1, "jobs_failed": 1, "credits_used": 0.5}
    assert set(service.session.jobs) == {("a", "failed"), ("a", "applied"), ("b", "skipped")}
    applied = service.session.jobs["a", "applied"]
    assert (applied["title"], applied["company"], applied["credits"]) == ("Analyst", "Acme", 0.5)
    assert applied["url"] == "https://jobs.example/a"
    assert service.session.jobs["b", "skipped"]["reason"] == "too far"


@pytest.mark.parametrize(
    ("key", "shown"),
    [(7, "7"), ("x", "x"), (b"\x01\xff", "01ff"), (("acme", 7), '["acme", "7"]'), ("k" * 500, "k" * 95 + "…")],
)
def test_keys_of_plain_types_tell_jobs_apart(
    service: FakeService, reporter: StatusReporter, key: object, shown: str
) -> None:
    """A key is a text, a number, bytes or a tuple of them, and what is too long for the wire is shortened."""
    reporter.job(key).applied()
    reporter.job(key).applied()
    assert reporter.complete_session()
    assert service.totals["jobs_applied"] == 1
    ((sent, _),) = service.session.jobs
    assert sent.startswith(shown)


def test_a_foreign_key_is_counted_without_being_asked(service: FakeService, reporter: StatusReporter) -> None:
    """An object of the bot's is never hashed or printed: its jobs count each time, and the status says so."""

    class Element:
        def __hash__(self) -> int:
            raise AssertionError

        def __str__(self) -> str:
            raise AssertionError

        def __eq__(self, other: object) -> bool:
            raise AssertionError

    element = Element()
    reporter.job(element).applied()
    reporter.job(element).applied()
    assert reporter.complete_session()
    assert (service.totals["jobs_found"], service.totals["jobs_applied"]) == (2, 2)
    assert len(service.session.jobs) == 2
    assert reporter.status["jobs_without_key"] == 2


def test_an_exception_in_a_job_is_its_failure(service: FakeService, reporter: StatusReporter) -> None:
    """The exception goes on; a Ctrl-C is nobody's failure; a block without outcome counts nothing."""
    with pytest.raises(LookupError), reporter.job("a"):
        raise LookupError("no button")
    with pytest.raises(KeyboardInterrupt), reporter.job("b"):
        raise KeyboardInterrupt
    with reporter.job("c"):
        pass
    assert reporter.complete_session()
    assert service.totals == {"jobs_found": 3, "jobs_applied": 0, "jobs_failed": 1, "credits_used": 0}
    assert service.session.jobs["a", "failed"]["reason"] == "LookupError: no button"


def test_many_outcomes_go_out_twenty_at_a_time_and_oldest_first(service: FakeService, reporter: StatusReporter) -> None:
    """A request has room for 12 KB and 20 jobs; the end is not acknowledged before all of them are."""
    for number in range(150):
        reporter.job(number, title="T" * 200, company="C" * 100, url="https://jobs.example/" + "u" * 400).applied()
    assert reporter.complete_session(timeout=10)
    assert service.totals["jobs_applied"] == 150
    rows = [job["n"] for document in service.documents() for job in document["jobs"]]
    assert rows == list(range(1, 151))
    assert max(len(document["jobs"]) for document in service.documents()) <= 20
    assert max(len(request.raw) for request in service.posts()) <= 12_288


def test_more_outcomes_than_can_be_held_are_still_counted(service: FakeService, make: MakeReporter) -> None:
    """While the service is away 200 are held for the list; all are counted."""
    reporter = make()
    for number in range(300):
        reporter.job(number).applied()
    reporter.start_session("1.0")
    assert reporter.complete_session(timeout=10)
    assert service.totals["jobs_applied"] == 300
    assert len(service.session.jobs) == 200


@pytest.mark.parametrize(
    "reply", [Reply(410, "deleted"), Reply(409, "instances"), Reply(409, "ended"), Reply(404, "unknown")]
)
def test_a_session_that_takes_no_more_is_followed_by_a_new_one_with_the_rest(
    service: FakeService, reporter: StatusReporter, reply: Reply
) -> None:
    """Over both sessions the totals are the truth: only what was not acknowledged moves on."""
    first = reporter.session_id
    reporter.increment_jobs_found(3)
    reporter.job("a").applied(credits=2)
    assert reporter.flush(5)
    service.script.append(reply)
    reporter.increment_jobs_found(4)
    reporter.job("b").failed("closed")
    assert reporter.flush(5)
    assert reporter.session_id not in (None, first)
    reporter.increment_jobs_found(1)
    assert reporter.complete_session()
    assert service.totals == {"jobs_found": 10, "jobs_applied": 1, "jobs_failed": 1, "credits_used": 2}
    old, new = service.sessions.values()
    assert set(old.jobs) == {("a", "applied")}
    assert set(new.jobs) == {("b", "failed")}
    assert reporter.status["counters"]["jobs_found"] == 10


def test_a_service_that_knows_no_session_is_not_hammered(service: FakeService, make: MakeReporter) -> None:
    """A new session at once the first time; when that is refused too, ever more slowly."""
    service.always = Reply(410, "deleted")
    reporter = make()
    reporter.start_session("1.0")
    service.wait_for(lambda: len(service.posts()) == 3)
    assert reporter.status["fails"] >= 1
    assert service.posts()[2].at - service.posts()[1].at >= 0.5
    service.always = None
    reporter.increment_jobs_found(3)
    assert reporter.complete_session(timeout=10)
    assert service.totals["jobs_found"] == 3


def test_a_deleted_session_is_not_replaced_for_nothing(service: FakeService, reporter: StatusReporter) -> None:
    """When a bot ends that has told everything, no new card appears just to hold its end."""
    reporter.increment_jobs_found(3)
    assert reporter.flush(5)
    service.script.append(Reply(410, "deleted"))
    assert not reporter.complete_session()
    assert len(service.sessions) == 1


def test_an_end_that_others_gave_is_believed_only_where_it_was_applied(
    service: FakeService, reporter: StatusReporter
) -> None:
    """`applied: false` beside an ended status is about somebody else; with `applied: true` the bot goes on elsewhere."""
    service.wait_for(lambda: service.posts("/start"))
    first = reporter.session_id
    session: dict[str, Any] = {"id": first, "status": "completed", "created": False}
    service.script.append(Reply(fields={"applied": False, "session": session}))
    reporter.increment_jobs_found(2)
    assert reporter.flush(5)
    assert reporter.session_id == first
    service.script.append(Reply(fields={"applied": True, "session": session}))
    reporter.increment_jobs_found(3)
    assert reporter.flush(5)
    service.wait_for(lambda: len(service.sessions) == 2)
    assert reporter.session_id != first
    assert reporter.complete_session()
    assert service.totals["jobs_found"] == 5


@pytest.mark.parametrize("reply", [Reply(422, "invalid"), Reply(400, "invalid"), Reply(413, "too_large")])
def test_a_refused_detail_never_costs_the_counters(
    service: FakeService, reporter: StatusReporter, reply: Reply
) -> None:
    """After a refusal the same counters come without what they may have been refused for."""
    assert reporter.flush(5)
    service.script.append(reply)
    reporter.send_heartbeat("applying", {"title": "Analyst"})
    reporter.job("a").applied()
    assert reporter.flush(8)
    assert service.totals["jobs_applied"] == 1
    assert service.last["activity"]["name"] == "applying"
    assert service.last["activity"].get("details") is None
    assert service.last["jobs"] == []


def test_names_beyond_the_thirty_second_are_dropped_and_said(service: FakeService, reporter: StatusReporter) -> None:
    """The wire has room for 32 counters; the seed's four are always among them."""
    for number in range(40):
        reporter.increment(f"extra_{number}")
    assert reporter.complete_session()
    assert len(service.last["counters"]) == 32
    assert reporter.status["dropped"] == 12


def test_a_second_session_counts_from_zero_and_loses_nothing_of_the_first(
    service: FakeService, reporter: StatusReporter
) -> None:
    """The end of the first is delivered although the second has begun meanwhile."""
    reporter.job("a").applied()
    service.always = Reply(hang_up=True, merge=False)
    assert not reporter.complete_session(timeout=0)
    service.always = None
    first = reporter.session_id
    second = reporter.start_session("2.0")
    assert second != first
    reporter.job("a").applied()
    assert reporter.complete_session(timeout=10)
    service.wait_for(lambda: [one.status for one in service.sessions.values()] == ["completed", "completed"])
    assert [one.totals["jobs_applied"] for one in service.sessions.values()] == [1, 1]


def test_the_session_of_the_launcher_is_joined_once(
    service: FakeService, make: MakeReporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`botlight run` names the session; the reporter joins it with an instance of its own."""
    given = "5e0c8a52-6d1b-4f0e-9a37-2b64c1f8d9e0"
    monkeypatch.setenv("STATUS_REPORTER_SESSION", given)
    monkeypatch.setenv("STATUS_REPORTER_NAME", "Job hunter")
    reporter = make()
    assert reporter.start_session("1.0") == given
    assert reporter.complete_session()
    assert service.last["attach"] is True
    assert service.last["session_id"] == given
    assert service.last["instance_id"] != given
    assert service.last["bot"]["name"] == "Job hunter"
    assert reporter.start_session("1.0") != given


def test_progress_and_recent_activities_are_told(service: FakeService, reporter: StatusReporter) -> None:
    """Activities since the last acknowledged report come as a list, each once; progress is two whole numbers."""
    assert reporter.flush(5)
    for name in ("searching", "jobs_found", "applying", "applying"):
        reporter.send_heartbeat(name)
    reporter.progress(3, 60)
    reporter.progress(4)
    with reporter.activity("filling_form", field="salary"):
        pass
    assert reporter.complete_session()
    names = [name for _, name in sorted((n, name) for (_, n), name in service.session.activities.items())]
    assert names == ["searching", "jobs_found", "applying", "filling_form", "applying"]
    assert service.last["progress"] == {"done": 4, "total": None}
    assert service.last["activity"]["n"] == 5


def test_what_other_threads_fold_at_the_end_is_counted(service: FakeService, make: MakeReporter) -> None:
    """Threads that flood the reporter fold what waits; what one says before the end counts, in whose hands it may be."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    try:
        for _ in range(6):
            reporter = make(spool_dir=None, stream=False)
            session_id = reporter.start_session()
            over = threading.Event()

            def flood(reporter: StatusReporter = reporter, over: threading.Event = over) -> None:
                while not over.is_set():
                    reporter.increment("other")

            threads = [threading.Thread(target=flood) for _ in range(3)]
            for thread in threads:
                thread.start()
            for _ in range(20_000):
                reporter.increment_jobs_applied()
            reporter.complete_session()
            over.set()
            for thread in threads:
                thread.join()
            reporter.close()
            assert service.sessions[session_id].totals["jobs_applied"] == 20_000
    finally:
        sys.setswitchinterval(interval)
