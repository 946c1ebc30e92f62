"""A real pgbouncer in front of a cluster."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.postgres.cluster import Cluster, as_account

__all__ = ["running_pooler"]

PATIENCE_S: Final = 10
PORT: Final = 6432  # of a socket in the cluster's own folder: nobody else has it


def _program() -> str:
    found = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        message = "pgbouncer is not installed: sudo apt-get install pgbouncer"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return found


@contextmanager
def running_pooler(cluster: Cluster, user: str, mode: str) -> Iterator[int]:
    """Pools connections to every database of the cluster for one login; gives the port beside the cluster's socket.

    `mode`: pgbouncer's, and `in turns` after it where a client gets another connection each time.
    """
    program = _program()
    (cluster.folder / "users.txt").write_text(f'"{user}" ""\n')
    words = {
        "listen_addr": "",
        "listen_port": PORT,
        "unix_socket_dir": cluster.folder,
        "auth_type": "trust",
        "auth_file": cluster.folder / "users.txt",
        "pool_mode": mode.split(maxsplit=1)[0],
        "server_round_robin": int(mode.endswith("in turns")),
        "default_pool_size": 10,
    }
    settings = "\n".join(f"{name} = {value}" for name, value in words.items())
    file = cluster.folder / "pgbouncer.ini"
    file.write_text(f"[databases]\n* = host={cluster.folder}\n[pgbouncer]\n{settings}\n")
    with (cluster.folder / "pooler.log").open("w") as log:
        process = subprocess.Popen([program, "-q", str(file)], stdout=log, stderr=log, **as_account())
    try:
        _wait_for(cluster.folder / f".s.PGSQL.{PORT}", process)
        yield PORT
    finally:
        process.kill()
        process.wait()
        (cluster.folder / f".s.PGSQL.{PORT}").unlink(missing_ok=True)


def _wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + PATIENCE_S
    while True:
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(path)) == 0:
                return
        log = (path.parent / "pooler.log").read_text()
        assert process.poll() is None, log
        assert time.monotonic() < until, log
        time.sleep(0.02)
