"""Settings: what each value means, and that a wrong one is told by name."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest

from botlight.cli.settings import FLAGS, SettingError, Settings


def test_without_anything_said_the_defaults_hold(tmp_path: Path) -> None:
    """One person on one machine needs to set nothing."""
    settings = Settings.read({"XDG_DATA_HOME": str(tmp_path)})
    assert settings.database_path == tmp_path / "botlight" / "botlight.db"
    assert settings.addresses == ("127.0.0.1", "::1")
    assert settings.local_url == settings.shown_url == "http://127.0.0.1:3000"
    assert settings.retention_days is None
    assert not settings.metrics_open
    settings.check_bind()


def test_a_flag_beats_the_environment() -> None:
    """What was typed last is meant."""
    settings = Settings.read({"BOTLIGHT_PORT": "4000", "BOTLIGHT_METRICS": "open"}, {"BOTLIGHT_PORT": "5000"})
    assert (settings.port, settings.metrics_open) == (5000, True)


def test_every_value_reaches_the_doors() -> None:
    """The edge is told what the operator said."""
    doors = Settings.read(
        {
            "BOTLIGHT_PORT": "4000",
            "BOTLIGHT_PUBLIC_URL": "https://Example.org/bots/",
            "BOTLIGHT_ALLOWED_HOSTS": "nas:4000, Other.example",
            "BOTLIGHT_ALLOWED_ORIGINS": "https://App.example",
            "BOTLIGHT_TRUSTED_PROXIES": "10.0.0.7, 10.1.0.0/24",
            "BOTLIGHT_METRICS": "open",
        }
    ).doors()
    assert (doors.port, doors.public_url, doors.prefix, doors.https) == (
        4000,
        "https://example.org/bots",
        "/bots",
        True,
    )
    assert {"nas:4000", "other.example", "example.org", "127.0.0.1:4000"} <= doors.hosts
    assert doors.allowed_origins == {"https://app.example"}
    assert doors.trusted_proxies == (ip_network("10.0.0.7/32"), ip_network("10.1.0.0/24"))
    assert doors.metrics_open


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///srv/bots.db", "/srv/bots.db"),
        ("sqlite:////srv/bots.db", "/srv/bots.db"),
        ("sqlite:///srv/my%20bots%3F.db", "/srv/my bots?.db"),
    ],
)
def test_a_database_url_names_a_file(url: str, path: str) -> None:
    """Three slashes or four, and what cannot stand in a URL is written with %."""
    assert Settings.read({"BOTLIGHT_DATABASE_URL": url}).database_path == Path(path)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:hunter2@db.example:5432/bots?sslmode=require",
        "postgres://postgres.abcdefgh:hunter2%40@aws-0-eu-west-1.pooler.supabase.com:5432/postgres",
        "postgresql://bots@/bots?host=/var/run/postgresql",
        "postgresql://bots@one,two:5433/bots",
        "postgresql:///bots",
    ],
)
def test_a_database_url_names_a_server(url: str) -> None:
    """As PostgreSQL's own programs take it; then there is no file."""
    settings = Settings.read({"BOTLIGHT_DATABASE_URL": url})
    assert (settings.database_url, settings.on_postgres, settings.database_path) == (url, True, None)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("BOTLIGHT_DATABASE_URL", "bots.db", "sqlite:///"),
        ("BOTLIGHT_DATABASE_URL", "sqlite:bots.db", "sqlite:///"),
        ("BOTLIGHT_DATABASE_URL", "sqlite://host/bots.db", "sqlite:///"),
        ("BOTLIGHT_DATABASE_URL", "sqlite:///bots/", "sqlite:///"),
        ("BOTLIGHT_DATABASE_URL", "sqlite:///bots.db?mode=ro", "%3F"),
        ("BOTLIGHT_DATABASE_URL", "mysql://me:hunter2@db/bots", "postgresql://"),
        ("BOTLIGHT_DATABASE_URL", "postgresql://me:hunter2#x@db/bots", "%23 for #"),
        ("BOTLIGHT_DATABASE_URL", "postgresql://me:hunter2@x@db/bots", "%40 for @"),
        ("BOTLIGHT_DATABASE_URL", "postgresql://me:hunter2/x@db/bots", "%2F for /"),
        ("BOTLIGHT_DATABASE_URL", "postgresql://me:[hunter2]@db/bots", "postgresql://"),
        ("BOTLIGHT_DATABASE_URL", "postgresql://me:hunter2 @db/bots", "postgresql://"),
        ("BOTLIGHT_HOST", "1.2.3", "an address"),
        ("BOTLIGHT_HOST", "http://localhost", "an address"),
        ("BOTLIGHT_PORT", "65536", "0 to 65535"),
        ("BOTLIGHT_PORT", "-1", "0 to 65535"),
        ("BOTLIGHT_PORT", "٣", "0 to 65535"),
        ("BOTLIGHT_PUBLIC_URL", "bots.example.org", "https://"),
        ("BOTLIGHT_PUBLIC_URL", "https://me:hunter2@bots.example.org", "https://"),
        ("BOTLIGHT_PUBLIC_URL", "https://bots.example.org:port", "https://"),
        ("BOTLIGHT_ALLOWED_HOSTS", "https://bots.example.org", "bots.example.org"),
        ("BOTLIGHT_ALLOWED_ORIGINS", "https://app.example.org/page", "https://app.example.org"),
        ("BOTLIGHT_ALLOWED_ORIGINS", "app.example.org", "https://app.example.org"),
        ("BOTLIGHT_TRUSTED_PROXIES", "10.0.0.1/8", "10.0.0.0/24"),
        ("BOTLIGHT_METRICS", "yes", "loopback or open"),
        ("BOTLIGHT_RETENTION_DAYS", "0", "1 to 36500"),
        ("BOTLIGHT_LOG_LEVEL", "loud", "debug, info, warning or error"),
    ],
)
def test_a_value_that_cannot_be_used_is_told_by_name(name: str, value: str, expected: str) -> None:
    """The message names setting and flag, says what was expected, fits on a line and repeats no password."""
    with pytest.raises(SettingError) as refused:
        Settings.read({name: value})
    message = str(refused.value)
    assert message.startswith(f"{name} ({FLAGS[name]}): ")
    assert expected in message
    assert "\n" not in message
    assert "hunter2" not in message


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "[::]", "192.168.1.20", "nas.example"])
def test_beyond_loopback_it_wants_a_proxy_in_front(host: str) -> None:
    """Tokens and cookies do not travel readable: the refusal names both settings that cure it."""
    with pytest.raises(
        SettingError, match=r"BOTLIGHT_HOST.*unencrypted.*BOTLIGHT_PUBLIC_URL.*BOTLIGHT_TRUSTED_PROXIES"
    ):
        Settings.read({"BOTLIGHT_HOST": host}).check_bind()
    with pytest.raises(SettingError):
        Settings.read({"BOTLIGHT_HOST": host, "BOTLIGHT_PUBLIC_URL": "http://nas.example"}).check_bind()
    Settings.read({"BOTLIGHT_HOST": host, "BOTLIGHT_PUBLIC_URL": "https://nas.example"}).check_bind()
    Settings.read({"BOTLIGHT_HOST": host, "BOTLIGHT_TRUSTED_PROXIES": "10.0.0.7"}).check_bind()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.0.0.2", "::1", "[::1]"])
def test_loopback_needs_nothing(host: str) -> None:
    """What does not leave the machine needs no TLS."""
    Settings.read({"BOTLIGHT_HOST": host}).check_bind()


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:3000"),
        ("::", "http://127.0.0.1:3000"),
        ("::1", "http://[::1]:3000"),
        ("10.0.0.7", "http://10.0.0.7:3000"),
    ],
)
def test_the_local_address_can_be_asked(host: str, url: str) -> None:
    """Commands on the same machine find the service wherever it listens."""
    assert Settings.read({"BOTLIGHT_HOST": host}).local_url == url
