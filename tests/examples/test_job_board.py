"""The job board: what a visitor finds on it, and what it takes to have an application accepted."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from selectolax.lexbor import LexborHTMLParser

from examples.job_board.form import EVERYBODY, fields_of
from tests.examples.board_process import REPOSITORY, RunningBoard, posting_row, running_board, write_postings

COMPLETE = {
    "full_name": "Ada Example",
    "email": "ada@example.org",
    "motivation": "I have always wanted to work with you.",
    "years": "3",
    "permit": "Yes",
    "start": "tomorrow",
    "salary": "50000",
}
CLOSED, HIDDEN = "job-3", "job-4"


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBoard]:
    """A board without trouble, with 50 postings: number 3 is closed, number 4 no longer shown."""
    folder = tmp_path_factory.mktemp("board")
    rows = [posting_row(number, active=number != 3, is_visible=number != 4) for number in range(50)]
    with running_board(folder, "--trouble", "off", "--postings", str(write_postings(folder, rows))) as running:
        yield running


@pytest.fixture
def visitor(board: RunningBoard) -> Iterator[httpx.Client]:
    """Somebody who looks around without signing in."""
    with httpx.Client(base_url=board.url, follow_redirects=True) as client:
        yield client


@pytest.fixture
def person(visitor: httpx.Client, request: pytest.FixtureRequest) -> httpx.Client:
    """Somebody who has signed in under the name of the test."""
    visitor.post("/sign-in", data={"user": request.node.name, "password": "secret"})
    return visitor


def keys(page: httpx.Response) -> list[str]:
    """The postings listed on a page."""
    links = LexborHTMLParser(page.text).css("a.job")
    return [(link.attributes["href"] or "").rsplit("/", 1)[-1] for link in links]


def asked(page: httpx.Response) -> list[str]:
    """The names of the fields in the application form of a page."""
    return [control.attributes["name"] or "" for control in LexborHTMLParser(page.text).css("form.apply [name]")]


def open_job(*, question: bool) -> str:
    """An open posting whose form asks more, or no more, than every form; never one for a reference code."""
    for number in range(5, 50):
        extra = [field.name for field in fields_of(f"job-{number}") if field not in EVERYBODY]
        if bool(extra) == question and extra != ["reference"]:
            return f"job-{number}"
    raise AssertionError("no such posting")


def test_pages_of_a_search_hold_each_posting_once(visitor: httpx.Client) -> None:
    """Following `next` from the first page shows all postings, newest first, none twice."""
    seen: list[str] = []
    address: str | None = "/jobs"
    while address:
        page = visitor.get(address)
        seen += keys(page)
        link = LexborHTMLParser(page.text).css_first("a[rel=next]")
        address = link.attributes["href"] if link else None
    assert seen == [f"job-{number}" for number in reversed(range(50))]


@pytest.mark.parametrize("number", ["0", "-1", "99", "x", "²", "9" * 30])
def test_any_page_number_gets_a_page(visitor: httpx.Client, number: str) -> None:
    """A number beyond the ends, or none at all, is no error."""
    page = visitor.get("/jobs", params={"page": number})
    assert page.status_code == 200
    assert keys(page)


def test_search_by_keyword_and_location(visitor: httpx.Client) -> None:
    """All words must occur in title or company, in any case; the location may be a part."""
    page = visitor.get("/jobs", params={"keyword": "engineer COMPANY 3", "location": "leeds"})
    assert keys(page)
    numbers = [int(key.removeprefix("job-")) for key in keys(page)]
    assert all(number % 2 == 1 and (number % 7 == 3 or "3" in str(number)) for number in numbers)
    assert keys(visitor.get("/jobs", params={"keyword": "baker"})) == []


def test_text_of_a_search_is_not_html(visitor: httpx.Client) -> None:
    """What is typed comes back as text."""
    assert "<b>x" not in visitor.get("/jobs", params={"keyword": '"><b>x'}).text


def test_unknown_posting_is_not_found(person: httpx.Client) -> None:
    """A posting that does not exist has no page, no form, and takes no application."""
    assert person.get("/jobs/none").status_code == 404
    assert person.get("/jobs/none/apply").status_code == 404
    assert person.post("/jobs/none/apply", data=COMPLETE).status_code == 404


def test_only_who_is_signed_in_applies(board: RunningBoard, visitor: httpx.Client) -> None:
    """Without a sign-in form, application and own applications lead to the sign-in, and nothing is noted."""
    job = open_job(question=False)
    before = len(board.journal("submitted"))
    for answer in (
        visitor.get(f"/jobs/{job}/apply"),
        visitor.post(f"/jobs/{job}/apply", data=COMPLETE),
        visitor.get("/applications"),
    ):
        assert answer.url.path == "/sign-in"
    assert len(board.journal("submitted")) == before


def test_sign_in_registers_a_name_and_then_holds_to_its_password(visitor: httpx.Client) -> None:
    """The first password of a name is its password; another one, or none, is refused."""
    assert visitor.post("/sign-in", data={"user": "grace", "password": "one"}).status_code == 200
    assert visitor.get("/applications").url.path == "/applications"
    visitor.post("/sign-out")
    assert visitor.get("/applications").url.path == "/sign-in"
    assert visitor.post("/sign-in", data={"user": "grace", "password": "two"}).status_code == 422
    assert visitor.post("/sign-in", data={"user": "grace", "password": ""}).status_code == 422
    assert visitor.get("/applications").url.path == "/sign-in"
    assert visitor.post("/sign-in", data={"user": "grace", "password": "one"}).status_code == 200


@pytest.mark.parametrize(
    "elsewhere", ["//evil.example", "https://evil.example/", "/\\evil.example", "/\t/evil.example"]
)
def test_sign_in_leads_nowhere_else(visitor: httpx.Client, elsewhere: str) -> None:
    """The way back after a sign-in stays on the board."""
    form = {"user": "mallory", "password": "x", "next": elsewhere}
    answer = visitor.post("/sign-in", data=form, follow_redirects=False)
    assert answer.headers["location"] == "/jobs"


def test_complete_application_is_accepted_once(
    board: RunningBoard, person: httpx.Client, request: pytest.FixtureRequest
) -> None:
    """An accepted application is listed under My applications; sending it again changes nothing."""
    job = open_job(question=False)
    first = person.post(f"/jobs/{job}/apply", data=COMPLETE)
    assert first.url.path == "/applications"
    assert keys(first) == [job]
    again = person.post(f"/jobs/{job}/apply", data=COMPLETE)
    assert again.url.path == f"/jobs/{job}"
    assert keys(person.get("/applications")) == [job]
    user = request.node.name
    assert [line["id"] for line in board.journal("submitted", user)] == [job, job]
    assert [line["id"] for line in board.journal("accepted", user)] == [job]
    assert [line["reason"] for line in board.journal("refused", user)] == ["already applied"]


@pytest.mark.parametrize(
    ("name", "answer"),
    [("full_name", " "), ("email", "ada@nowhere"), ("email", ""), ("motivation", "Money."), ("motivation", "x" * 5000)],
)
def test_unfit_answer_is_refused(person: httpx.Client, name: str, answer: str) -> None:
    """The form comes back with the other answers kept and the unfit one marked; nothing is accepted."""
    job = open_job(question=False)
    page = person.post(f"/jobs/{job}/apply", data=COMPLETE | {name: answer})
    assert page.status_code == 422
    marked = LexborHTMLParser(page.text).css("[aria-invalid]")
    assert [control.attributes["name"] for control in marked] == [name]
    assert keys(person.get("/applications")) == []


def test_required_question_must_be_answered(person: httpx.Client) -> None:
    """A posting with a question always asks the same one, and takes no application without an answer."""
    job = open_job(question=True)
    names = asked(person.get(f"/jobs/{job}/apply"))
    assert names == asked(person.get(f"/jobs/{job}/apply"))
    (question,) = set(names) - {field.name for field in EVERYBODY}
    without = {name: answer for name, answer in COMPLETE.items() if name != question}
    assert person.post(f"/jobs/{job}/apply", data=without).status_code == 422
    assert person.post(f"/jobs/{job}/apply", data=COMPLETE).url.path == "/applications"


@pytest.mark.parametrize("job", [CLOSED, HIDDEN])
def test_closed_posting_takes_no_application(person: httpx.Client, job: str) -> None:
    """A posting that is not active, or not visible, says so, offers no form, and refuses what is sent all the same."""
    page = person.get(f"/jobs/{job}")
    assert page.status_code == 410
    assert "This position is closed" in page.text
    assert asked(person.get(f"/jobs/{job}/apply")) == []
    person.post(f"/jobs/{job}/apply", data=COMPLETE)
    assert keys(person.get("/applications")) == []


def test_journal_tells_sign_ins_apart(
    board: RunningBoard, person: httpx.Client, request: pytest.FixtureRequest
) -> None:
    """What was listed and opened is noted with person and sign-in; a visitor without a sign-in is nobody."""
    user = request.node.name
    listed = keys(person.get("/jobs"))
    person.get(f"/jobs/{CLOSED}")
    assert board.journal("listed", user)[-1]["ids"] == listed
    assert board.journal("opened", user)[-1]["id"] == CLOSED
    first = board.journal("opened", user)[-1]["sign_in"]
    person.post("/sign-in", data={"user": user, "password": "secret"})
    person.get(f"/jobs/{CLOSED}")
    assert board.journal("opened", user)[-1]["sign_in"] > first
    person.post("/sign-out")
    person.get(f"/jobs/{HIDDEN}")
    assert "user" not in board.journal("opened")[-1]


def start_in_vain(*options: str) -> str:
    """Starts a board that cannot start; returns its complaint."""
    command = [sys.executable, "-m", "examples.job_board", *options]
    outcome = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=30, check=False)
    assert outcome.returncode == 2
    return outcome.stderr


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"title": 5}, "posting 1: field 'title': expected str"),
        ({"active": "yes"}, "posting 1: field 'active': expected bool"),
        ({"date_posted": None}, "posting 1: field 'date_posted': expected int"),
        ({"date_posted": 10**20}, "posting 1: field 'date_posted': expected a Unix time in seconds"),
        ({"id": "job-0"}, "posting 1: field 'id': job-0 occurs twice"),
    ],
)
def test_bad_postings_file_is_refused_by_field(tmp_path: Path, change: dict[str, object], complaint: str) -> None:
    """The complaint names posting and field, and is no traceback."""
    path = write_postings(tmp_path, [posting_row(0), posting_row(1, **change)])
    assert start_in_vain("--port", "0", "--postings", str(path)) == f"job board: {path}: {complaint}\n"


def test_missing_postings_file_is_refused(tmp_path: Path) -> None:
    """A file that is not there is told by its path."""
    assert "none.json: expected a JSON file" in start_in_vain("--port", "0", "--postings", str(tmp_path / "none.json"))


def test_busy_port_is_refused(board: RunningBoard) -> None:
    """A port that is taken is a plain complaint."""
    assert start_in_vain("--port", board.url.rsplit(":", 1)[-1]).startswith("job board: [Errno")
