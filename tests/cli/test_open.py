"""`botlight open`: the page in a window of its own, signed in."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests.cli.command_line import botlight
from tests.support.service import API, RunningService


def test_it_opens_the_page_by_a_fresh_link_in_a_window_of_its_own(running: RunningService, tmp_path: Path) -> None:
    """The first browser on the PATH that knows `--app` gets an address that signs in once."""
    browser, opened = tmp_path / "bin" / "chromium", tmp_path / "opened"
    browser.parent.mkdir()
    browser.write_text(f'#!/bin/sh\necho "$@" > {opened}.part && mv {opened}.part {opened}\n')
    browser.chmod(0o755)
    path = f"{browser.parent}{os.pathsep}{os.environ['PATH']}"
    said = botlight("open", service=running, folder=tmp_path, settings={"PATH": path})
    assert said.code == 0, said.err
    until = time.monotonic() + 20
    while not opened.exists():
        assert time.monotonic() < until
        time.sleep(0.02)
    address, _, secret = opened.read_text().strip().partition("/link#")
    assert address == f"--app={running.address}"
    with running.client() as client:
        assert client.post(f"{API}/link", json={"secret": secret}).status_code == 200


def test_it_can_print_the_address_instead(running: RunningService, tmp_path: Path) -> None:
    """For a computer without a screen."""
    said = botlight("open", "--print", service=running, folder=tmp_path)
    assert said.out.startswith(f"{running.address}/link#")


def test_it_opens_nothing_where_no_service_answers(tmp_path: Path) -> None:
    """An empty window would be a riddle."""
    said = botlight("open", folder=tmp_path, settings={"BOTLIGHT_URL": "http://127.0.0.1:9"})
    assert said.code == 1
    assert "Nothing answers" in said.err


def test_of_a_service_elsewhere_it_opens_the_page_alone(running: RunningService, tmp_path: Path) -> None:
    """Without the store no link can be made; the page asks for a password then."""
    said = botlight("open", "--print", folder=tmp_path, settings={"BOTLIGHT_URL": running.address})
    assert said.out == f"{running.address}/\n"
