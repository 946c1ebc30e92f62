"""Trouble on the job board: it comes from the seed, is frequent, and yields to persistence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pytest

from examples.job_board.form import EVERYBODY, fields_of
from examples.job_board.trouble import Trouble, TroubleSource
from tests.examples.board_process import RunningBoard, posting_row, running_board, write_postings
from tests.examples.test_job_board import COMPLETE, asked, keys

SEED = 11
USER = "ada"


@pytest.fixture(scope="module")
def troubled_board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBoard]:
    """A board with trouble from SEED and 200 open postings; a lost answer takes 5 s."""
    folder = tmp_path_factory.mktemp("troubled")
    with _troubled(folder, SEED) as board:
        yield board


def _troubled(folder: Path, seed: int) -> AbstractContextManager[RunningBoard]:
    postings = write_postings(folder, [posting_row(number) for number in range(200)])
    return running_board(folder, "--seed", str(seed), "--late", "5", "--postings", str(postings))


@pytest.fixture
def person(troubled_board: RunningBoard) -> Iterator[httpx.Client]:
    """USER, signed in, who waits one second for an answer."""
    with httpx.Client(base_url=troubled_board.url, follow_redirects=True, timeout=1) as client:
        sign_in(client)
        yield client


def sign_in(client: httpx.Client) -> None:
    """Signs USER in, however often it takes."""
    for _ in range(3):
        answer = client.post("/sign-in", data={"user": USER, "password": "x"}, follow_redirects=False)
        if answer.status_code == 303:
            return
    raise AssertionError("no way in")


def persist(client: httpx.Client, address: str) -> httpx.Response:
    """Opens a page; the third try is free of trouble."""
    for _ in range(3):
        answer = client.get(address)
        if not answer.is_server_error:
            return answer
    raise AssertionError(f"three failures in a row at {address}")


def job_in_for(trouble: Trouble) -> str:
    """A posting whose first application meets `trouble`, by the same reckoning as on the board, and is answerable."""
    source = TroubleSource(SEED, is_on=True)
    for number in range(200):
        job = f"job-{number}"
        drawn = source.draw(USER, "POST", f"/jobs/{job}/apply?", is_application=True)
        if drawn is trouble and fields_of(job) == EVERYBODY:
            return job
    raise AssertionError(f"no posting is in for {trouble}")


@pytest.mark.parametrize("is_application", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_at_least_15_percent_of_requests_meet_trouble(seed: int, is_application: bool) -> None:
    """Over many first attempts the share of trouble is between 15 and 25 percent, with every kind in it."""
    source = TroubleSource(seed, is_on=True)
    drawn = [source.draw("ada", "GET", f"/jobs/{number}", is_application=is_application) for number in range(5_000)]
    assert 0.15 <= sum(trouble is not None for trouble in drawn) / len(drawn) <= 0.25
    assert set(drawn) == ({None, *Trouble} if is_application else {None, Trouble.SLOW, Trouble.ERROR})


def test_third_attempt_is_free_of_trouble() -> None:
    """Whoever tries three times gets through once, whatever the seed."""
    for seed in range(300):
        source = TroubleSource(seed, is_on=True)
        assert None in [source.draw("ada", "POST", "/jobs/1/apply", is_application=True) for _ in range(3)]


def test_no_trouble_when_it_is_off() -> None:
    """Nothing goes wrong on a board without trouble."""
    source = TroubleSource(1, is_on=False)
    assert not any(source.draw("ada", "POST", f"/jobs/{n}/apply", is_application=True) for n in range(1_000))


def test_same_seed_same_trouble(tmp_path: Path) -> None:
    """Two boards with one seed treat the same requests alike; another seed treats them otherwise."""
    days = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        folder = tmp_path / name
        folder.mkdir()
        with _troubled(folder, seed) as board, httpx.Client(base_url=board.url) as client:
            sign_in(client)
            statuses = [client.get(f"/jobs/job-{number % 25}").status_code for number in range(50)]
            days.append((statuses, [line["trouble"] for line in board.journal("request", USER)]))
    assert days[0] == days[1]
    assert days[0] != days[2]


def test_lost_answer_was_processed(troubled_board: RunningBoard, person: httpx.Client) -> None:
    """An application whose answer does not come in time is under My applications all the same."""
    job = job_in_for(Trouble.LOST)
    with pytest.raises(httpx.ReadTimeout):
        person.post(f"/jobs/{job}/apply", data=COMPLETE)
    assert job in keys(persist(person, "/applications"))
    assert job in [line["id"] for line in troubled_board.journal("accepted", USER)]


def test_failed_application_was_not_processed(troubled_board: RunningBoard, person: httpx.Client) -> None:
    """An application that meets a failing server has not arrived; it is noted as submitted and refused."""
    job = job_in_for(Trouble.ERROR)
    assert person.post(f"/jobs/{job}/apply", data=COMPLETE).status_code in (500, 503)
    assert job not in keys(persist(person, "/applications"))
    assert job in [line["id"] for line in troubled_board.journal("submitted", USER)]
    assert job in [line["id"] for line in troubled_board.journal("refused", USER)]


def test_unforeseen_question_stays(person: httpx.Client) -> None:
    """The form asks one thing more than it did before, goes on to ask it, and an answer is enough."""
    job = job_in_for(Trouble.QUESTION)
    before = asked(persist(person, f"/jobs/{job}/apply"))
    page = person.post(f"/jobs/{job}/apply", data=COMPLETE)
    assert page.status_code == 422
    (question,) = set(asked(page)) - set(before)
    assert asked(persist(person, f"/jobs/{job}/apply")) == [*before, question]
    answers = COMPLETE | {question: "Yes" if question == "relocation" else "Other"}
    for _ in range(3):
        person.post(f"/jobs/{job}/apply", data=answers)
    assert job in keys(persist(person, "/applications"))
