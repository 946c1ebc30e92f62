"""Bots of the shapes that people write, on a real job board with bad days: what is reported is what they really did.

The board's journal is the truth: what it listed, opened, got and took. It has trouble, always the same for the same case.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import httpx
import pytest
from torture.bot import Bot, StartBot
from torture.journal import wait_for
from torture.oracle import assert_exact, assert_within
from torture.services import MakeService, Service

from tests.examples.board_process import RunningBoard, posting_row, running_board, write_postings
from tests.support.pythons import Python

SEED = 7
JOBS = 24  # on two pages
OPEN = 20
PAUSED = 30.0  # s, far longer than any case
K = 4  # jobs sent before somebody presses Stop
BROKEN = "Submit now"  # a button that no form has
FOUND = {"choke_point": "listed", "nested_loops": "opened", "many_workers": "listed", "worker_processes": "opened"}
CREDITS = {"choke_point": 0.25}
SIDE_BY_SIDE = {"many_workers": 3, "worker_processes": 3}
EVERY = list(FOUND)


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBoard]:
    """A board with trouble and 24 jobs, every sixth of them closed."""
    folder = tmp_path_factory.mktemp("board")
    postings = write_postings(folder, [posting_row(number, active=number % 6 != 5) for number in range(JOBS)])
    with running_board(folder, "--seed", str(SEED), "--late", "4", "--postings", str(postings)) as running:
        yield running


class Trial:
    """One bot of a shape, under a name of its own on the board, reporting to the real service."""

    def __init__(
        self, shape: str, board: RunningBoard, make_service: Callable[[], Service], start: Callable[..., Bot], user: str
    ) -> None:
        self.shape = shape
        self.board = board
        self.service = make_service()
        self.user = user[-64:]
        self._make_service = make_service
        self._start = start

    def another(self, name: str) -> Trial:
        """Another bot of this shape, reporting for another person, under another name on the board."""
        return Trial(self.shape, self.board, self._make_service, self._start, f"{self.user}-{name}")

    def start(self, **settings: Any) -> Bot:
        """Lets it loose."""
        return self._start(self.service, script=self.shape, board=self.board.url, user=self.user, **settings)

    def keys(self, event: str) -> list[str]:
        """The jobs to which something happened on the board so far, each once."""
        return list(dict.fromkeys(line["id"] for line in self.board.journal(event, self.user)))

    @property
    def truth(self) -> dict[str, float]:
        """What it really did, in the counters' names."""
        done = self.board.truth(self.user)
        found = done.found if FOUND[self.shape] == "listed" else len(self.keys("opened"))
        credits_used = done.applied * CREDITS.get(self.shape, 0)
        counters = {"jobs_found": found, "jobs_applied": done.applied, "jobs_failed": done.failed}
        return counters | {"credits_used": credits_used}

    def sent_after(self, moment: str) -> list[str]:
        """The jobs that were sent, for the first time, after a moment of the service's."""
        sent = {line["id"]: line["time"] for line in reversed(self.board.journal("submitted", self.user))}
        return [key for key, at in sent.items() if _when(at) > _when(moment)]

    def outcomes(self) -> int:
        """How many jobs have been reported with what became of them."""
        return len({job["key"] for one in self.service.journal.posts() for job in one.document.get("jobs", [])})

    @property
    def session_id(self) -> str:
        """Of the first session, once there is one."""
        return self.service.journal.wait_for(lambda _: self.service.journal.sessions())[0]

    def session_at_end(self, session_id: str = "") -> dict[str, Any]:
        """The session once it has ended."""
        key = session_id or self.session_id
        return wait_for(lambda: (one := self.service.session(key))["ended_at"] and one, what=key)


def _when(moment: str) -> datetime:
    return datetime.fromisoformat(moment).astimezone(UTC)


@pytest.fixture
def trial(  # noqa: PLR0917 -- fixtures, by their names
    shape: str,
    board: RunningBoard,
    services: MakeService,
    start_bot: StartBot,
    python: Python,
    request: pytest.FixtureRequest,
) -> Trial:
    """A bot of a shape, on a Python, for this case."""
    user = f"{request.function.__name__}-{shape}-{python.version}"
    return Trial(shape, board, partial(services, "real"), partial(start_bot, python=python), user)


def ended(bot: Bot, *, well: bool, seconds: float = 40.0) -> None:
    """Waits until a bot has ended, well or not."""
    bot.wait(seconds, code=None)
    assert (bot.process.returncode == 0) == well, bot.err
    assert (bot.err == "") == well, bot.err


@pytest.mark.parametrize("shape", EVERY)
def test_what_is_reported_is_what_was_done(trial: Trial) -> None:
    """T66: in a normal run every count is the board's, whatever the bot itself believes, and each has its proof."""
    bot = trial.start()
    ended(bot, well=True)

    assert_exact(trial.service, trial.truth)
    assert trial.truth["jobs_applied"] > K
    assert trial.truth["jobs_failed"] > 0
    session = trial.session_at_end()
    assert (session["status"], session["inferred"], len(trial.service.sessions())) == ("completed", False, 1)
    proof = trial.service.jobs(session["id"])
    assert {key for key, outcome in proof if outcome == "applied"} == set(trial.keys("accepted"))
    if trial.shape == "nested_loops":
        assert f"applied {session['jobs_applied']}," not in bot.out, "this bot was meant to count wrongly"


@pytest.mark.parametrize("shape", EVERY)
def test_a_stop_is_obeyed_after_the_present_job(trial: Trial) -> None:
    """T66: when Stop is pressed after a few jobs, at most one more is sent after the bot has seen it, and none is lost."""
    bot = trial.start(pause=0.2)
    wait_for(lambda: len(trial.keys("submitted")) >= K)
    trial.service.stop(trial.session_id)
    ended(bot, well=True)

    session = trial.session_at_end()
    assert (session["status"], session["inferred"]) == ("stopped", False)
    assert (
        session["stop_requested_at"] <= session["stop_delivered_at"] <= session["stop_seen_at"] <= session["ended_at"]
    )
    assert len(trial.sent_after(session["stop_seen_at"])) <= 1
    if trial.shape != "worker_processes":  # there the main process sees it, and tells the workers a moment later
        assert len(trial.sent_after(session["stop_delivered_at"])) <= 1
    assert len(trial.keys("submitted")) < OPEN
    assert_exact(trial.service, trial.truth)


@pytest.mark.pythons("oldest")
@pytest.mark.parametrize("shape", EVERY)
def test_a_bot_that_cannot_sign_in_has_failed(trial: Trial) -> None:
    """T66: an exception before the first job, outside of every `try`, is the session's end, also when nobody says so."""
    with httpx.Client(base_url=trial.board.url, trust_env=False) as person:
        form = {"user": trial.user, "password": "of somebody else"}
        wait_for(lambda: person.post("/sign-in", data=form).status_code == 303)
    bot = trial.start()
    ended(bot, well=False)

    assert "SignInError" in bot.err
    session = trial.session_at_end()
    assert (session["status"], session["error_type"]) == ("failed", "SignInError")
    assert session["inferred"] == (trial.shape == "nested_loops")  # which has nothing for this way out
    assert_exact(trial.service, {})


@pytest.mark.pythons("newest")
@pytest.mark.parametrize("shape", EVERY)
def test_ctrl_c_in_a_pause_is_an_interruption(trial: Trial) -> None:
    """T66: Ctrl-C while the bot pauses, workers and all, ends it at once, as interrupted, with every count."""
    bot = trial.start(pause=PAUSED, prefix=("setsid",))
    trial.service.journal.wait_for(lambda posts: any(one.document["waiting"] for one in posts))
    wait_for(lambda: trial.outcomes() >= SIDE_BY_SIDE.get(trial.shape, 1))  # after it each worker pauses
    os.killpg(bot.pid, signal.SIGINT)
    ended(bot, well=False, seconds=10)

    session = trial.session_at_end()
    assert (session["status"], session["inferred"]) == ("interrupted", trial.shape == "nested_loops")
    assert_exact(trial.service, trial.truth)


@pytest.mark.pythons("newest")
@pytest.mark.parametrize("shape", ["choke_point", "worker_processes"])
def test_a_form_that_is_broken_fails_job_after_job(trial: Trial) -> None:
    """T66: a button that is not there is a failure of each job, and the bot gets to its end."""
    bot = trial.start(button=BROKEN)
    ended(bot, well=True)

    taking = [key for key in trial.keys("opened") if int(key.removeprefix("job-")) % 6 != 5]
    assert trial.keys("submitted") == []
    assert_exact(trial.service, {"jobs_found": JOBS, "jobs_failed": len(taking)})
    assert len(taking) == OPEN
    assert trial.session_at_end()["status"] == "completed"


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.pythons("all")
@pytest.mark.parametrize("shape", EVERY)
def test_ctrl_c_at_any_moment_loses_at_most_the_present_job(trial: Trial, start_bot: StartBot, python: Python) -> None:
    """T66: Ctrl-C in the middle of whatever it does: always a result, never too much, and only what was under way is missing."""
    disorder = random.Random(trial.user)
    for n in range(6):
        one = trial.another(str(n))
        bot = one.start(prefix=("setsid",))
        assert one.session_id
        time.sleep(disorder.uniform(0, 2.5))  # the moment is what the case is about
        os.killpg(bot.pid, signal.SIGINT)
        bot.wait(20, code=None)

        session = one.session_at_end()
        assert session["status"] in ("interrupted", "completed"), session
        workers = SIDE_BY_SIDE.get(one.shape, 1)
        lost = {"jobs_applied": workers, "jobs_failed": workers, "jobs_found": 20, "credits_used": 1}
        most = one.truth
        if FOUND[one.shape] == "opened":
            most["jobs_found"] += workers  # found by the bot, and not yet opened on the board
        start_bot(one.service, python, "puppet").say(do="start_session")  # a worker that was cut off has it on disk
        assert_within(one.service, most, lost)


@pytest.mark.pythons("newest")
@pytest.mark.parametrize("shape", ["choke_point", "worker_processes"])
def test_what_could_not_be_told_is_told_by_the_next_bot(trial: Trial, start_bot: StartBot, python: Python) -> None:
    """T66: the service goes away while a bot works and is back only after its end; the next bot delivers every count."""
    bot = trial.start()
    wait_for(lambda: len(trial.keys("submitted")) >= K)
    first = trial.session_id
    trial.service.proxy.down()
    ended(bot, well=True)
    assert trial.service.session(first)["ended_at"] is None
    trial.service.proxy.up()

    start_bot(trial.service, python, "puppet").say(do="start_session")
    session = trial.session_at_end(first)
    assert (session["status"], session["inferred"]) == ("completed", False)
    assert_exact(trial.service, trial.truth)


def hangs(trial: Trial) -> None:
    """Waits until a bot has been alive and without progress for some seconds."""

    def without_progress() -> bool:
        return any(one.document["progress_age_ms"] > 2_500 for one in trial.service.journal.posts())

    wait_for(without_progress)
    ages = [one.document["progress_age_ms"] for one in trial.service.journal.posts()]
    assert ages[-1] > ages[-2] > 1_000, "the heartbeats go on, and say that nothing moves"


@pytest.mark.pythons("oldest")
@pytest.mark.parametrize("shape", ["nested_loops"])
def test_a_bot_that_hangs_tells_no_progress_and_its_next_life_tells_its_end(trial: Trial) -> None:
    """T66: it hangs with heartbeats but without progress, hears Stop and never looks, is killed; the next one goes on well."""
    bot = trial.start(button=BROKEN, heartbeat=1)
    hangs(trial)
    first = trial.session_id
    trial.service.stop(first)
    wait_for(lambda: trial.service.session(first)["stop_delivered_at"])
    assert trial.service.session(first)["stop_seen_at"] is None
    bot.kill()

    found = len(trial.keys("opened"))
    ended(trial.start(), well=True)
    second = trial.session_at_end(trial.service.journal.sessions()[-1])
    assert (second["status"], second["id"] == first) == ("completed", False)
    told = trial.service.journal.wait_for(
        lambda posts: [one.document for one in posts if one.document["replay"] and one.document["session_id"] == first]
    )
    assert (told[-1]["result"]["outcome"], told[-1]["result"]["inferred"]) == ("interrupted", True)
    again = len(trial.keys("opened"))  # the second life meets the job of the first one again
    assert_exact(trial.service, trial.truth | {"jobs_found": found + again})


@pytest.mark.pythons("newest")
@pytest.mark.parametrize("shape", ["many_workers"])
def test_workers_that_wait_for_ever_are_interrupted_by_ctrl_c(trial: Trial) -> None:
    """T66: workers that wait for a form that never comes are alive without progress, until Ctrl-C ends them."""
    bot = trial.start(button=BROKEN, heartbeat=1)
    hangs(trial)
    os.kill(bot.pid, signal.SIGINT)
    ended(bot, well=False, seconds=10)

    session = trial.session_at_end()
    assert (session["status"], session["inferred"]) == ("interrupted", False)
    assert_exact(trial.service, trial.truth)
