"""What the other pages list is what there is: states, files, metrics, paths."""

from __future__ import annotations

import re
from typing import Final

from botlight.model.liveness import MIN_LEASE_MS, SILENT_AFTER_INTERVALS, STUCK_AFTER_MS, WAIT_SLACK_MS, State, lease_ms
from tests.conftest import StartService
from tests.docs.tracked import Document
from tests.support.service import RunningService, free_port

OPERATING: Final = Document("docs/operating.md")
STATES: Final = Document("docs/explanation.md").table("States")


def test_every_state_is_explained() -> None:
    """Each state that a card can show, and no other."""
    assert set(STATES) == {state.value for state in State}


def test_the_rules_of_the_states_name_the_figures_that_hold() -> None:
    """The lengths stand in the code once, and here in words."""
    assert SILENT_AFTER_INTERVALS == 1.5
    assert "one and a half intervals" in STATES["silent"][0]
    assert f"nothing has moved for {STUCK_AFTER_MS // 60_000} minutes" in STATES["stuck"][0]
    assert f"{WAIT_SLACK_MS // 1000} s after its deadline" in STATES["waiting"][0]
    assert lease_ms(45) == 3 * 45_000
    assert f"three intervals, at least {MIN_LEASE_MS // 1000} s" in STATES["lost"][0]


def test_every_file_beside_the_store_is_explained(running: RunningService) -> None:
    """What a running service keeps in its data folder."""
    files = {file.name for file in running.folder.glob("botlight.db*")}
    documented = set(re.findall(r"`(botlight\.db[\w.-]*)`", OPERATING.text.partition("## The data folder")[2]))
    assert files == {"botlight.db", "botlight.db-wal", "botlight.db-shm", "botlight.db.lock"}
    assert files <= documented


def test_every_metric_is_explained(running: RunningService) -> None:
    """The names that a scraper gets, apart from the times of birth that come with each."""
    with running.client() as client:
        client.get("/healthz")
        text = client.get("/metrics").text
    names = {name for name in re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE) if not name.endswith("_created")}
    documented = set(re.findall(r"^\| `(botlight_\w+)` \|", OPERATING.text, re.MULTILINE))
    assert names == documented


def test_the_paths_of_health_answer_as_explained(running: RunningService) -> None:
    """Each is there, on this machine."""
    paths = list(OPERATING.table("Health and metrics"))
    with running.client() as client:
        assert {path: client.get(path).status_code for path in paths} == dict.fromkeys(paths, 200)


def test_the_settings_of_the_example_serve_behind_a_prefix(start_service: StartService) -> None:
    """With the public URL and the proxy of the example, a forwarded request under a path reaches the page."""
    service = start_service(
        port=free_port(), BOTLIGHT_PUBLIC_URL="https://example.org/bots", BOTLIGHT_TRUSTED_PROXIES="127.0.0.1"
    )
    forwarded = {"Host": "example.org", "X-Forwarded-For": "203.0.113.5", "X-Forwarded-Proto": "https"}
    with service.client(forwarded) as client:
        assert client.get("/bots/sign-in").status_code == 200
        assert client.get("/sign-in").status_code == 200
        assert client.get("/bots/metrics").status_code == 404
