"""What the operator set: read once from flags and environment, checked, and never changed after.

A flag beats the environment. Every value that cannot be used is a `SettingError` that names the setting and says what
was expected; a database URL and a public URL are never repeated in it, because they may hold a password.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import TypeVar
from urllib.parse import SplitResult, urlsplit
from urllib.request import url2pathname

from msgspec import Struct

from botlight.edge.doors import Doors, is_loopback

__all__ = ["FLAGS", "LOG_LEVELS", "SettingError", "Settings"]

LOG_LEVELS = ("debug", "info", "warning", "error")
METRICS = ("loopback", "open")
T = TypeVar("T")
POSTGRES = ("postgresql://", "postgres://")
DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 3000

FLAGS = {
    "BOTLIGHT_DATABASE_URL": "--database-url",
    "BOTLIGHT_HOST": "--host",
    "BOTLIGHT_PORT": "--port",
    "BOTLIGHT_PUBLIC_URL": "--public-url",
    "BOTLIGHT_ALLOWED_HOSTS": "--allowed-hosts",
    "BOTLIGHT_ALLOWED_ORIGINS": "--allowed-origins",
    "BOTLIGHT_TRUSTED_PROXIES": "--trusted-proxies",
    "BOTLIGHT_METRICS": "--metrics",
    "BOTLIGHT_RETENTION_DAYS": "--retention-days",
    "BOTLIGHT_WORKERS": "--workers",
    "BOTLIGHT_LOG_LEVEL": "--log-level",
    "BOTLIGHT_SUPABASE_URL": "--supabase-url",
    "BOTLIGHT_JWT_ISSUER": "--jwt-issuer",
    "BOTLIGHT_JWT_AUDIENCE": "--jwt-audience",
    "BOTLIGHT_JWT_JWKS_URL": "--jwt-jwks-url",
    "BOTLIGHT_JWT_JWKS_FILE": "--jwt-jwks-file",
    "BOTLIGHT_JWT_SECRET_FILE": "--jwt-secret-file",
}
"""Every setting of the service by its name in the environment, and the flag that beats it.

A secret has none: BOTLIGHT_JWT_SECRET is read from the environment alone.
"""


class SettingError(Exception):
    """A setting cannot be used; the message names it, says what was expected, and fits on one line."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name} ({FLAGS[name]}): {problem}" if name in FLAGS else f"{name}: {problem}")
        self.name = name


class Settings(Struct, frozen=True, kw_only=True):
    """How this service runs. `Settings.read` makes one from the world; the fields are ready to use."""

    database_url: str
    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT  # 0: any free one
    public_url: str | None = None
    allowed_hosts: frozenset[str] = frozenset()
    allowed_origins: frozenset[str] = frozenset()
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    metrics_open: bool = False
    retention_days: int | None = None  # None: keep for ever
    workers: int = 1
    log_level: str = "info"
    # Whose tokens are accepted as a person's identity: as they were typed, `trusted_issuer` checks them together.
    supabase_url: str | None = None
    jwt_issuer: str | None = None
    jwt_audience: str | None = None
    jwt_jwks_url: str | None = None
    jwt_jwks_file: str | None = None
    jwt_secret_file: str | None = None

    @classmethod
    def read(
        cls, environment: Mapping[str, str] = os.environ, flags: Mapping[str, str | None] | None = None
    ) -> Settings:
        """Read every setting; `flags` holds, by the setting's name, what was said on the command line.

        Raises:
            SettingError: a value cannot be used.
        """
        said = {name: text for name, text in (flags or {}).items() if text is not None}

        def text(name: str) -> str:
            return said.get(name, environment.get(name, "")).strip()

        return cls(
            database_url=_database_url(text("BOTLIGHT_DATABASE_URL"), environment),
            host=_host(text("BOTLIGHT_HOST")),
            port=_whole("BOTLIGHT_PORT", text("BOTLIGHT_PORT"), 0, 65_535, DEFAULT_PORT),
            public_url=_public_url(text("BOTLIGHT_PUBLIC_URL")),
            allowed_hosts=frozenset(_each("BOTLIGHT_ALLOWED_HOSTS", text, _allowed_host)),
            allowed_origins=frozenset(_each("BOTLIGHT_ALLOWED_ORIGINS", text, _origin)),
            trusted_proxies=tuple(_each("BOTLIGHT_TRUSTED_PROXIES", text, _network)),
            metrics_open=_one_of("BOTLIGHT_METRICS", text("BOTLIGHT_METRICS"), METRICS, "loopback") == "open",
            retention_days=_whole("BOTLIGHT_RETENTION_DAYS", text("BOTLIGHT_RETENTION_DAYS"), 1, 36_500, None),
            workers=_whole("BOTLIGHT_WORKERS", text("BOTLIGHT_WORKERS"), 1, 64, 1),
            log_level=_one_of("BOTLIGHT_LOG_LEVEL", text("BOTLIGHT_LOG_LEVEL"), LOG_LEVELS, "info"),
            supabase_url=text("BOTLIGHT_SUPABASE_URL") or None,
            jwt_issuer=text("BOTLIGHT_JWT_ISSUER") or None,
            jwt_audience=text("BOTLIGHT_JWT_AUDIENCE") or None,
            jwt_jwks_url=text("BOTLIGHT_JWT_JWKS_URL") or None,
            jwt_jwks_file=text("BOTLIGHT_JWT_JWKS_FILE") or None,
            jwt_secret_file=text("BOTLIGHT_JWT_SECRET_FILE") or None,
        )

    @property
    def database_path(self) -> Path | None:
        """The file of the SQLite store; None: the store is PostgreSQL."""
        return None if self.on_postgres else Path(url2pathname(_path_of(urlsplit(self.database_url))))

    @property
    def on_postgres(self) -> bool:
        """Whether the store is PostgreSQL, and no file."""
        return self.database_url.startswith(POSTGRES)

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses to listen on; the loopback default means both families, because `localhost` may be either."""
        return (DEFAULT_HOST, "::1") if self.host in (DEFAULT_HOST, "localhost") else (self.host,)

    @property
    def local_url(self) -> str:
        """The address under which a program on this machine reaches the service, without a slash at the end."""
        host = DEFAULT_HOST if self.host in ("localhost", "0.0.0.0", "::") else self.host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def shown_url(self) -> str:
        """What people type, without a slash at the end."""
        return self.public_url or self.local_url

    def doors(self, port: int | None = None) -> Doors:
        """The same for the edge; `port` is the one that was bound, when any free one was asked for."""
        return Doors(
            port=self.port if port is None else port,
            public_url=self.public_url,
            allowed_hosts=self.allowed_hosts,
            allowed_origins=self.allowed_origins,
            trusted_proxies=self.trusted_proxies,
            metrics_open=self.metrics_open,
        )

    def check_workers(self) -> None:
        """Refuse several processes where one file has one writer.

        Raises:
            SettingError: more than one worker, and the store is SQLite.
        """
        if self.workers > 1 and not self.on_postgres:
            raise SettingError(
                "BOTLIGHT_WORKERS",
                f"{self.workers} processes need PostgreSQL (BOTLIGHT_DATABASE_URL=postgresql://…), since one process "
                "writes a SQLite file. One takes thousands of heartbeats a second.",
            )

    def check_bind(self) -> None:
        """Refuse to listen beyond this machine where tokens and cookies would travel readable.

        Raises:
            SettingError: neither https in front nor a proxy that is trusted to be it.
        """
        if all(is_loopback(address) for address in self.addresses):
            return
        if self.trusted_proxies or (self.public_url or "").startswith("https://"):
            return
        raise SettingError(
            "BOTLIGHT_HOST",
            f"{self.host} can be reached from other machines, and tokens and cookies would travel there unencrypted. "
            "Put a proxy that speaks TLS in front and set BOTLIGHT_PUBLIC_URL=https://… (what people type) or "
            "BOTLIGHT_TRUSTED_PROXIES (the proxy's address); or listen on 127.0.0.1 and come through `ssh -L`.",
        )


def _database_url(text: str, environment: Mapping[str, str]) -> str:
    name = "BOTLIGHT_DATABASE_URL"
    if not text:
        base = Path(environment.get("XDG_DATA_HOME", ""))
        folder = base if base.is_absolute() else Path.home() / ".local" / "share"
        return (folder / "botlight" / "botlight.db").as_uri().replace("file:", "sqlite:", 1)
    if text.startswith(POSTGRES):
        return _postgres_url(text)
    expected = "expected sqlite:///absolute/path/to/file.db or postgresql://name:password@host:5432/database."
    if not text.startswith("sqlite:"):
        raise SettingError(name, expected)
    url = _split(name, text, expected)
    path = _path_of(url)
    if url.netloc or url.query or url.fragment or not path.startswith("/") or path.endswith("/"):
        raise SettingError(name, f"{expected} (Three slashes and no host; %3F for a ? in the path.)")
    return text


def _postgres_url(text: str) -> str:
    """Whatever the driver understands; what is checked here are the marks of a password that was not encoded."""
    name = "BOTLIGHT_DATABASE_URL"
    expected = (
        "expected postgresql://name:password@host:5432/database, with what is special in the password written as in "
        "%40 for @, %23 for #, %2F for /, %3F for ?, %25 for %."
    )
    if not text.isprintable() or " " in text:
        raise SettingError(name, expected)
    try:
        url = urlsplit(text)
    except ValueError:
        raise SettingError(name, expected) from None
    if url.fragment or "@" in url.path or "@" in url.query or url.netloc.count("@") > 1:
        raise SettingError(name, expected)
    return text


def _path_of(url: SplitResult) -> str:
    """The path; sqlite:////four/slashes is how others write an absolute one, and means the same."""
    return f"/{url.path.lstrip('/')}" if url.path.startswith("/") else url.path


def _host(text: str) -> str:
    host = text.removeprefix("[").removesuffix("]") or DEFAULT_HOST
    if ":" in host or re.fullmatch(r"[0-9.]+", host):
        try:
            return str(ip_address(host))
        except ValueError:
            raise SettingError("BOTLIGHT_HOST", f"expected an address or a host name, got {text!r}.") from None
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252})", host):
        raise SettingError("BOTLIGHT_HOST", f"expected an address or a host name, got {text!r}.")
    return host.lower()


def _public_url(text: str) -> str | None:
    name, expected = (
        "BOTLIGHT_PUBLIC_URL",
        "expected what people type, as in https://bots.example.org or https://example.org/bots.",
    )
    if not text:
        return None
    url = _split(name, text, expected)
    if url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment or "@" in url.netloc:
        raise SettingError(name, expected)
    return f"{url.scheme}://{url.netloc.lower()}{url.path.rstrip('/')}"


def _allowed_host(part: str) -> str:
    if not re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?", part):
        raise SettingError(
            "BOTLIGHT_ALLOWED_HOSTS", f"expected names as in bots.example.org or nas:3000, got {part!r}."
        )
    return part.lower()


def _origin(part: str) -> str:
    name, expected = "BOTLIGHT_ALLOWED_ORIGINS", f"expected origins as in https://app.example.org, got {part!r}."
    url = _split(name, part, expected)
    if (
        url.scheme not in ("http", "https")
        or not url.netloc
        or "@" in url.netloc
        or part.lower() != f"{url.scheme}://{url.netloc}".lower()
    ):
        raise SettingError(name, expected)
    return part.lower()


def _network(part: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(part)
    except ValueError:
        raise SettingError(
            "BOTLIGHT_TRUSTED_PROXIES", f"expected addresses or networks as in 10.0.0.7 or 10.0.0.0/24, got {part!r}."
        ) from None


def _each(name: str, text: Callable[[str], str], parse: Callable[[str], T]) -> list[T]:
    """Read a comma-separated list."""
    return [parse(part.strip()) for part in text(name).split(",") if part.strip()]


def _whole(name: str, text: str, least: int, most: int, default: T) -> int | T:
    """Read a whole number."""
    if not text:
        return default
    if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
        raise SettingError(name, f"expected a whole number from {least} to {most}, got {text!r}.")
    return int(text)


def _one_of(name: str, text: str, words: tuple[str, ...], default: str) -> str:
    """Read one of a few words."""
    if (word := text.lower() or default) not in words:
        raise SettingError(name, f"expected {', '.join(words[:-1])} or {words[-1]}, got {text!r}.")
    return word


def _split(name: str, text: str, expected: str) -> SplitResult:
    """Split a URL, its port included."""
    try:
        url = urlsplit(text)
        _ = url.port
    except ValueError:
        raise SettingError(name, expected) from None
    return url
