"""`botlight serve`: runs the service."""

from __future__ import annotations

from typing import Annotated

import typer

from botlight.cli.options import DatabaseUrl
from botlight.cli.server import serve as run_server
from botlight.cli.settings import LOG_LEVELS, Settings

__all__ = ["serve"]


def serve(
    *,
    database_url: DatabaseUrl = None,
    host: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Address to listen on (127.0.0.1 and ::1). [BOTLIGHT_HOST]")
    ] = None,
    port: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="Port to listen on (3000); 0 takes a free one. [BOTLIGHT_PORT]")
    ] = None,
    public_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="What people type, when that is not this address. [BOTLIGHT_PUBLIC_URL]"),
    ] = None,
    allowed_hosts: Annotated[
        str | None, typer.Option(metavar="NAME,…", help="Further names of this service. [BOTLIGHT_ALLOWED_HOSTS]")
    ] = None,
    allowed_origins: Annotated[
        str | None,
        typer.Option(metavar="ORIGIN,…", help="Sites whose pages may read with a token. [BOTLIGHT_ALLOWED_ORIGINS]"),
    ] = None,
    trusted_proxies: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS,…", help="Proxies in front, as 10.0.0.7 or 10.0.0.0/24. [BOTLIGHT_TRUSTED_PROXIES]"
        ),
    ] = None,
    metrics: Annotated[
        str | None, typer.Option(metavar="loopback|open", help="Who may read /metrics. [BOTLIGHT_METRICS]")
    ] = None,
    retention_days: Annotated[
        str | None,
        typer.Option(metavar="DAYS", help="Forget ended sessions after so long (never). [BOTLIGHT_RETENTION_DAYS]"),
    ] = None,
    workers: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="Processes that answer (1); PostgreSQL. [BOTLIGHT_WORKERS]")
    ] = None,
    log_level: Annotated[
        str | None, typer.Option(metavar="|".join(LOG_LEVELS), help="What the log holds (info). [BOTLIGHT_LOG_LEVEL]")
    ] = None,
    supabase_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The project whose people may come in. [BOTLIGHT_SUPABASE_URL]"),
    ] = None,
    jwt_issuer: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Whose JWTs are a person's identity. [BOTLIGHT_JWT_ISSUER]"),
    ] = None,
    jwt_audience: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What their aud has to be. [BOTLIGHT_JWT_AUDIENCE]")
    ] = None,
    jwt_jwks_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Where its keys are (the issuer says). [BOTLIGHT_JWT_JWKS_URL]"),
    ] = None,
    jwt_jwks_file: Annotated[
        str | None, typer.Option(metavar="FILE", help="A file with its keys instead. [BOTLIGHT_JWT_JWKS_FILE]")
    ] = None,
    jwt_secret_file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="A file with its HS256 secret; BOTLIGHT_JWT_SECRET holds the secret itself. [BOTLIGHT_JWT_SECRET_FILE]",
        ),
    ] = None,
) -> None:
    """Run the service until Ctrl-C or SIGTERM.

    Keeps everything in one SQLite file and needs nothing else; with a postgresql:// address in that database (`botlight
    migrate` first). The first start prints a one-time link that signs you in.
    A flag beats the variable in brackets; without either the value in parentheses holds. Beyond this machine it is to be
    reached through a proxy that speaks TLS.

    \b
    Examples:
      botlight serve
      botlight serve --port 3001 --database-url sqlite:///srv/botlight/botlight.db
      botlight serve --database-url postgresql://bots@localhost/bots --workers 3
      botlight serve --host 0.0.0.0 --public-url https://bots.example.org --trusted-proxies 10.0.0.7
    """  # noqa: D301  \b keeps the examples' lines
    said = {
        "BOTLIGHT_DATABASE_URL": database_url,
        "BOTLIGHT_HOST": host,
        "BOTLIGHT_PORT": port,
        "BOTLIGHT_PUBLIC_URL": public_url,
        "BOTLIGHT_ALLOWED_HOSTS": allowed_hosts,
        "BOTLIGHT_ALLOWED_ORIGINS": allowed_origins,
        "BOTLIGHT_TRUSTED_PROXIES": trusted_proxies,
        "BOTLIGHT_METRICS": metrics,
        "BOTLIGHT_RETENTION_DAYS": retention_days,
        "BOTLIGHT_WORKERS": workers,
        "BOTLIGHT_LOG_LEVEL": log_level,
        "BOTLIGHT_SUPABASE_URL": supabase_url,
        "BOTLIGHT_JWT_ISSUER": jwt_issuer,
        "BOTLIGHT_JWT_AUDIENCE": jwt_audience,
        "BOTLIGHT_JWT_JWKS_URL": jwt_jwks_url,
        "BOTLIGHT_JWT_JWKS_FILE": jwt_jwks_file,
        "BOTLIGHT_JWT_SECRET_FILE": jwt_secret_file,
    }
    run_server(Settings.read(flags=said), say=lambda line: print(line, flush=True))  # noqa: T201  a word to the person
