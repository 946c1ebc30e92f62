"""The auto-apply bot on the job board, watched: what the service counts is what the board's journal has."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import httpx
import pytest

from tests.examples.board_process import REPOSITORY, RunningBoard, Truth, posting_row, running_board, write_postings
from tests.examples.bot_process import good_end, run_bot, running_bot, write_preferences
from tests.examples.service_process import RunningService, Watch, running_service

USER = "robin"  # who the preferences sign in as
SEED = 3
STEPS = ["logging_in", "searching", "jobs_found", "opening_job", "filling_form", "applying", "applied"]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A real service, under another host name than the board."""
    with running_service(tmp_path_factory.mktemp("service")) as running:
        yield running


@pytest.fixture
def watch(service: RunningService) -> Watch:
    """A session of its own for each test."""
    return Watch(service=service)


@pytest.fixture(scope="module")
def postings() -> list[dict[str, object]]:
    """The real postings; a machine for continuous integration has to have them."""
    path = Path(os.environ.get("BOTLIGHT_POSTINGS") or REPOSITORY / "../shared/data/new-grad-listings.json")
    if not path.exists():
        complaint = "BOTLIGHT_POSTINGS names no file of real postings"
        if os.environ.get("CI"):
            pytest.fail(complaint)
        pytest.skip(complaint)
    rows: list[dict[str, object]] = json.loads(path.read_text(encoding="utf-8"))
    return rows


def counted(watch: Watch) -> Truth:
    """What the service counted."""
    document = watch.document()
    return Truth(found=document["jobs_found"], applied=document["jobs_applied"], failed=document["jobs_failed"])


def wait_until(fact: Callable[[], bool], seconds: float = 60) -> None:
    """Waits for a fact; fails when it does not come true in time."""
    deadline = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < deadline, "the fact did not come true in time"
        time.sleep(0.05)


def is_open(row: dict[str, object]) -> bool:
    """Whether a posting takes applications."""
    return bool(row["active"] and row["is_visible"])


def test_every_real_posting_over_http(tmp_path: Path, watch: Watch, postings: list[dict[str, object]]) -> None:
    """With trouble on, no cap and no pause, every posting is found, 60 or more take us, and the counters are the truth."""
    file = str(write_postings(tmp_path, postings))
    with running_board(tmp_path, "--seed", str(SEED), "--postings", file) as board:
        run_bot(board.url, write_preferences(tmp_path), "--no-browser", environment=watch.environment)
        truth = board.truth(USER)
        assert truth.found == len(postings)
        assert truth.applied >= 60
        assert truth.applied + truth.failed == sum(map(is_open, postings))
        assert counted(watch) == truth
        assert watch.document()["credits_used"] == 1.5 * truth.applied
        # The proof may lack rows, since the bot is faster than 20 jobs a second, but shows none that is not true.
        assert {job["key"] for job in watch.jobs("applied")} <= {line["id"] for line in board.journal("accepted")}
        assert watch.document()["status"] == "completed"
        troubles = [line["trouble"] for line in board.journal("request")]
        assert sum(trouble is not None for trouble in troubles) >= 0.15 * len(troubles)
        assert {"slow", "error", "lost", "question"} <= set(troubles)


def test_every_open_posting_in_chromium(tmp_path: Path, watch: Watch, postings: list[dict[str, object]]) -> None:
    """The same bot in a real Chromium, over all open postings and some closed ones: the counters are the truth."""
    some = [row for row in postings if is_open(row)]
    some += [row for row in postings if not is_open(row)][: max(12, 100 - len(some))]
    file = str(write_postings(tmp_path, some))
    with running_board(tmp_path, "--seed", str(SEED), "--postings", file) as board:
        run_bot(board.url, write_preferences(tmp_path), "--browser", environment=watch.environment)
        truth = board.truth(USER)
        assert truth.found == len(some) >= 100
        assert truth.applied >= 60
        assert truth.applied + truth.failed == sum(map(is_open, some))
        assert counted(watch) == truth
        assert watch.document()["status"] == "completed"


def test_stop_ends_the_bot_between_two_jobs(tmp_path: Path, watch: Watch, postings: list[dict[str, object]]) -> None:
    """After Stop the bot finishes the job at hand: one submission at most once it saw the stop, and the counters are the truth."""
    file = str(write_postings(tmp_path, postings))
    with running_board(tmp_path, "--seed", str(SEED), "--postings", file) as board:
        preferences = write_preferences(tmp_path, pause_s=0.3)
        with running_bot(board.url, preferences, "--no-browser", environment=watch.environment) as bot:
            wait_until(lambda: len(board.journal("accepted")) >= 5)
            watch.press_stop()
            good_end(bot)
        truth = board.truth(USER)
        assert 5 <= truth.applied < 40
        assert counted(watch) == truth
        document = watch.document()
        assert document["status"] == "stopped"
        seen_at = datetime.fromisoformat(document["stop_seen_at"])
        submitted_at = [datetime.fromisoformat(line["time"]) for line in board.journal("submitted")]
        assert sum(moment > seen_at for moment in submitted_at) <= 1


def test_the_bot_as_it_ships_on_the_board_as_it_ships(tmp_path: Path, watch: Watch) -> None:
    """Invented postings, our preferences without the pauses, trouble on: most open postings take us."""
    text = (REPOSITORY / "examples/auto_apply_bot/preferences.toml").read_text(encoding="utf-8")
    preferences = tmp_path / "hasty.toml"
    for setting, hasty in {"pause_s = 6": "pause_s = 0", "timeout_s = 4": "timeout_s = 1"}.items():
        assert setting in text
        text = text.replace(setting, hasty)
    preferences.write_text(text, encoding="utf-8")
    with running_board(tmp_path) as board:
        run_bot(board.url, preferences, "--no-browser", environment=watch.environment)
        truth = board.truth(USER)
        assert truth.found == 60
        assert truth.applied >= 40
        assert counted(watch) == truth


@pytest.fixture
def small_board(tmp_path: Path) -> Iterator[RunningBoard]:
    """A board with 30 open postings and no trouble."""
    rows = [posting_row(number) for number in range(30)]
    with running_board(tmp_path, "--trouble", "off", "--postings", str(write_postings(tmp_path, rows))) as board:
        yield board


@pytest.mark.parametrize("how", ["--browser", "--no-browser"])
def test_stop_cuts_a_long_pause_short(tmp_path: Path, watch: Watch, small_board: RunningBoard, how: str) -> None:
    """A bot that pauses for an hour between two applications ends at once when it is stopped."""
    preferences = write_preferences(tmp_path, pause_s=3600)
    with running_bot(small_board.url, preferences, how, environment=watch.environment) as bot:
        wait_until(lambda: watch.document().get("state") == "waiting")
        watch.press_stop()
        good_end(bot)
    assert watch.document()["status"] == "stopped"
    assert len(small_board.journal("submitted")) == 1


def test_preferences_are_kept(tmp_path: Path, watch: Watch, small_board: RunningBoard) -> None:
    """Keywords and locations choose the postings, each once however many searches find it; the cap ends the work."""
    preferences = write_preferences(tmp_path, keywords='["engineer", "company 3"]', locations='["leeds"]', cap=3)
    options = ("--no-browser", "--user", "kim")
    run_bot(small_board.url, preferences, *options, environment=watch.environment)
    truth = small_board.truth("kim")
    assert (truth.found, truth.applied) == (15, 3)
    assert counted(watch) == truth
    rows = watch.jobs("applied")
    assert {job["key"] for job in rows} == {line["id"] for line in small_board.journal("accepted", "kim")}
    assert [name for name in watch.activities() if name in STEPS][: len(STEPS)] == STEPS
    assert all(job["url"] == f"{small_board.url}/jobs/{job['key']}" and job["credits"] == 1.5 for job in rows)


def test_limit_ends_the_search(tmp_path: Path, small_board: RunningBoard) -> None:
    """With a limit the bot looks at no more jobs than that, and turns no more pages than it needs."""
    run_bot(small_board.url, write_preferences(tmp_path, limit=4), "--no-browser")
    assert len(small_board.journal("opened")) == 4
    assert small_board.truth(USER).found == 20


def test_second_run_skips_what_was_applied_for(tmp_path: Path, small_board: RunningBoard) -> None:
    """A bot that is started again applies for nothing twice."""
    preferences = write_preferences(tmp_path, limit=3)
    run_bot(small_board.url, preferences, "--no-browser")
    output = run_bot(small_board.url, preferences, "--no-browser")
    assert output.count("skipped") == small_board.truth(USER).applied
    assert len(small_board.journal("accepted")) == small_board.truth(USER).applied


def test_bot_that_is_not_let_in_says_so(tmp_path: Path, watch: Watch, small_board: RunningBoard) -> None:
    """A wrong password ends bot and session as failed, with the board's own words."""
    httpx.post(f"{small_board.url}/sign-in", data={"user": USER, "password": "another"})
    preferences = write_preferences(tmp_path)
    with running_bot(small_board.url, preferences, "--no-browser", environment=watch.environment) as bot:
        _, complaints = bot.communicate(timeout=60)
    assert bot.returncode == 1
    assert complaints.startswith("auto-apply bot: This name is taken")
    document = watch.document()
    assert (document["status"], document["error_type"]) == ("failed", "SignInError")


@pytest.mark.parametrize("how", ["--browser", "--no-browser"])
def test_bot_without_a_board_says_so(tmp_path: Path, watch: Watch, how: str) -> None:
    """A board that is not there ends bot and session as failed, without a traceback."""
    preferences = write_preferences(tmp_path)
    with running_bot("http://localhost:9", preferences, how, environment=watch.environment) as bot:
        _, complaints = bot.communicate(timeout=60)
    assert (bot.returncode, complaints) == (1, "auto-apply bot: The board cannot be reached.\n")
    document = watch.document()
    assert (document["status"], document["error_type"]) == ("failed", "BoardTroubleError")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"cap": '"many"'}, "[apply] cap: expected a number from 0 to 1,000,000"),
        ({"pause_s": -1}, "[apply] pause_s: expected a number from 0 to 1,000,000"),
        ({"keywords": '"engineer"'}, "[search] keywords: expected a list of texts"),
        ({"locations": "[1]"}, "[search] locations: expected a list of texts"),
    ],
)
def test_bad_preferences_are_refused_by_name(tmp_path: Path, change: dict[str, object], complaint: str) -> None:
    """The complaint names the setting and what was expected."""
    path = write_preferences(tmp_path, **change)
    with running_bot("http://localhost:9", path, "--no-browser") as bot:
        _, complaints = bot.communicate(timeout=60)
    assert (bot.returncode, complaints) == (2, f"auto-apply bot: {path}: {complaint}\n")


def test_bot_works_on_its_own(tmp_path: Path, small_board: RunningBoard) -> None:
    """Copied to another folder, away from the board's code and from the service's, the bot does its work."""
    shutil.copytree(REPOSITORY / "examples/auto_apply_bot", tmp_path / "my_bot")
    command = [sys.executable, "-m", "my_bot", "--board", small_board.url, "--no-browser"]
    command += ["--preferences", str(write_preferences(tmp_path, cap=2))]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=60)
    assert small_board.truth(USER).applied == 2


@pytest.mark.parametrize(("one", "other"), [("job_board", "auto_apply_bot"), ("auto_apply_bot", "job_board")])
def test_bot_and_board_know_nothing_of_each_other(one: str, other: str) -> None:
    """Neither example imports the other, or the service."""
    files = list((REPOSITORY / "examples" / one).glob("*.py"))
    assert files
    for file in files:
        imports = [line for line in file.read_text(encoding="utf-8").splitlines() if "import" in line]
        assert not [line for line in imports if other in line or "botlight" in line]
