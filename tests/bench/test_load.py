"""What the load says a server used of the CPU is what all of its processes used."""

from __future__ import annotations

import subprocess
import sys

import psutil

from bench.load import cpu_us

BURN = "import time\nwhile time.process_time() < 0.3: pass\n"
PARENT = f"""
import subprocess, sys
subprocess.run([sys.executable, "-c", {BURN!r}], check=True)
child = subprocess.Popen([sys.executable, "-c", {BURN!r} + "print(flush=True)\\ninput()"], stdin=subprocess.PIPE)
child.wait()
"""


def test_the_processes_of_a_server_are_counted_together() -> None:
    """One child has ended, one still runs, the parent itself has done nothing: a fleet is no cheaper than its workers."""
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        whole = psutil.Process(parent.pid)
        own = sum(whole.cpu_times()[:2])
        assert cpu_us(whole) >= (own + 0.5) * 1e6
        for child in whole.children():
            child.kill()
    assert cpu_us(None) == 0
