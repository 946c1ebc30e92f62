"""The script that this product began with runs unchanged, with and without a service on port 3000."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

CLIENT = Path(__file__).parents[1]

SEED = """\
from status_reporter import StatusReporter
import time

reporter = StatusReporter("your_token", "http://localhost:3000")
reporter.start_session("1.0.0-test", "win32")
time.sleep(2)
reporter.send_heartbeat('browser_opening')
time.sleep(2)
reporter.increment_jobs_found(5)
reporter.send_heartbeat('jobs_found', {'count': 5})
time.sleep(2)
reporter.complete_session(success=True)
"""

# Runs the seed's script in a network of its own, where port 3000 is certain to be free; says what came of it.
HARNESS = """\
import contextlib, fcntl, json, socket, struct, subprocess, sys, time
from fake_service import FakeService

if sys.argv[2] == "own network":
    with socket.socket() as one:
        fcntl.ioctl(one, 0x8914, struct.pack("16sh", b"lo", 0x41))  # SIOCSIFFLAGS: up and running

def script(service):
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-X", "dev", sys.argv[1]], capture_output=True, text=True)
    found = {"code": done.returncode, "out": done.stdout + done.stderr, "seconds": time.monotonic() - began}
    if service:
        found["totals"] = service.totals
        found["activities"] = list(service.session.activities.values())
        found["status"] = service.session.status
        found["last"] = service.last
    return found

with FakeService(port=3000, token="your_token") if sys.argv[3] == "up" else contextlib.nullcontext() as service:
    print(json.dumps(script(service)))
"""


def run_seed(folder: Path, how: list[str]) -> dict[str, Any]:
    """What comes of the script in a folder that is called `up` or `down`, as the service is."""
    if not how:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", 3000)) == 0:
                pytest.skip("port 3000 is taken, and no network of our own can be had")
    script = folder / "test_status.py"
    script.write_text(SEED, "utf-8")
    environment = {**os.environ, "PYTHONPATH": str(CLIENT)}
    where = "own network" if how else "this network"
    command = [*how, sys.executable, "-c", HARNESS, str(script), where, folder.name]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, timeout=60, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_seeds_script_runs_unchanged(tmp_path: Path, own_network: list[str]) -> None:
    """With a service: five found, both activities, completed. With nothing listening: silent, exit 0, under a second more."""
    folders = [tmp_path / "up", tmp_path / "down"]
    for folder in folders:
        folder.mkdir()
    with ThreadPoolExecutor() as pool:  # both at once: each sleeps for six seconds
        up, down = pool.map(run_seed, folders, [own_network] * 2)
    assert (up["code"], up["out"]) == (0, "")
    assert up["totals"]["jobs_found"] == 5
    assert up["activities"] == ["browser_opening", "jobs_found"]
    assert up["last"]["activity"]["details"] == {"count": 5}
    assert up["last"]["bot"] == {"version": "1.0.0-test", "platform": "win32"}
    assert up["status"] == "completed"
    assert (down["code"], down["out"]) == (0, "")
    assert down["seconds"] < 7 + 1  # six of sleep, one that is allowed, and one for a busy machine to start Python
