"""The way to the database is encrypted and proved as far as `sslmode` in the address asks for it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from botlight.store.errors import CannotOpen
from botlight.store.postgres.database import PostgresDatabase
from tests.postgres.cluster import as_account, running_cluster
from tests.support.certificates import HOST, Authority
from tests.support.postgres import DEBIAN, OWNER, migrated
from tests.support.service import free_port

pytestmark = pytest.mark.anyio

ENCRYPTED: Final = "select ssl from pg_stat_ssl where pid = pg_backend_pid()"


class Encrypted(NamedTuple):
    """A server that takes connections over TLS, as well as others."""

    port: int
    authority: Path  # of its certificate
    stranger: Path  # an authority that has nothing to do with it

    def url(self, host: str = "localhost", **query: str | Path) -> str:
        """Its address, with a password, and more of what libpq knows."""
        words = "&".join(f"{name}={value}" for name, value in query.items())
        return f"postgresql://{OWNER}:hunter2@{host}:{self.port}/encrypted?{words}"


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Encrypted]:
    """Debian's server: the one from PyPI is built without TLS."""
    folder = tmp_path_factory.mktemp("authorities")
    authority, stranger, port = Authority(folder / "own"), Authority(folder / "stranger"), free_port()
    certificate = authority.signed("server", host=HOST)
    with running_cluster(DEBIAN, "postgres") as cluster:
        for source, name in ((certificate.file, "server.crt"), (certificate.key, "server.key")):
            target = cluster.folder / name
            shutil.copy(source, target)
            target.chmod(0o600)
            if account := as_account():
                shutil.chown(target, account["user"], account["group"])
        cluster.home.run(f"create role {OWNER} login")
        migrated(cluster, "encrypted")
        cluster.stop()
        cluster.start(
            {
                "listen_addresses": "127.0.0.1,127.0.0.2",
                "port": str(port),
                "ssl": "on",
                "ssl_cert_file": str(cluster.folder / "server.crt"),
                "ssl_key_file": str(cluster.folder / "server.key"),
            }
        )
        yield Encrypted(port, authority.file, stranger.file)


async def is_encrypted(url: str) -> set[bool]:
    """What the connections that write and that read for people go over."""
    database = await PostgresDatabase.open(url, serve=False)
    try:
        async with database.writing() as writer, database.snapshot() as reader:
            for connection in (writer, reader):
                await connection.execute("set local role none")  # only who logged in may ask
            return {await connection.fetchval(ENCRYPTED) for connection in (writer, reader)}
    finally:
        await database.close()


async def test_what_the_address_asks_for_is_what_it_gets(encrypted: Encrypted) -> None:
    """Nothing said: encrypted where the server can; `disable`: not; `verify-full`: only where the authority vouches for the name."""
    assert await is_encrypted(encrypted.url()) == {True}
    assert await is_encrypted(encrypted.url(sslmode="disable")) == {False}
    assert await is_encrypted(encrypted.url(sslmode="require")) == {True}
    assert await is_encrypted(encrypted.url(sslmode="verify-full", sslrootcert=encrypted.authority)) == {True}


@pytest.mark.parametrize(
    ("host", "query", "reason"),
    [
        ("localhost", {"sslrootcert": "stranger"}, "certificate verify failed"),
        ("127.0.0.2", {"sslrootcert": "authority"}, "IP address mismatch"),
    ],
)
async def test_a_server_that_cannot_prove_itself_is_refused_with_the_reason(
    encrypted: Encrypted, host: str, query: dict[str, str], reason: str
) -> None:
    """Neither the address nor the password is in it."""
    files = {name: getattr(encrypted, which) for name, which in query.items()}
    with pytest.raises(CannotOpen, match=reason) as refused:
        await is_encrypted(encrypted.url(host, sslmode="verify-full", **files))
    assert "hunter2" not in str(refused.value)
