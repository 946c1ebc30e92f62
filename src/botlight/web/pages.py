"""Pages and static files as bytes and text; the edge gives them their routes and sends `PAGE_HEADERS` with each page.

Knows no framework and no service: what a page shows of a session comes to it over HTTP, as to every other reader.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

__all__ = ["PAGE_HEADERS", "STATIC_HEADERS", "Page", "StaticFile", "render", "static_files"]

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

PAGE_HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        "Cache-Control": "no-store",
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }
)
"""Headers that every page is sent with."""

STATIC_HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        # A page of another origin loads the card's module from here; there is nothing private in it.
        "Access-Control-Allow-Origin": "*",
        "Cross-Origin-Resource-Policy": "cross-origin",
        # Asked again each time, answered 304 by the ETag: an upgrade reaches an open browser at its next load.
        "Cache-Control": "no-cache",
        "X-Content-Type-Options": "nosniff",
    }
)
"""Headers that every static file is sent with, beside its Content-Type and ETag."""

MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".py": "text/x-python; charset=utf-8",
    ".webmanifest": "application/manifest+json",
}


class Page(StrEnum):
    """The pages there are; the value is the template's name."""

    BOARD = "board"
    SESSION = "session"
    SIGN_IN = "sign_in"
    LINK = "link"


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticFile:
    """A file of the browser side."""

    body: bytes
    media_type: str
    etag: str  # quoted, as it stands in the header


@cache
def static_files() -> Mapping[str, StaticFile]:
    """Every static file by its path below `/static/`. Read once: they are small, and no path of a client is opened.

    The reporter is among them: it is one file to put beside a bot, and the page offers it for download.
    """
    root = resources.files("botlight.web").joinpath("static")
    files = [*(file for file in root.iterdir() if file.is_file()), _reporter()]
    return MappingProxyType({file.name: _static_file(file) for file in files})


def render(page: Page, *, base: str, user: str | None, csrf: str | None, version: str, session_id: str = "") -> str:
    """The HTML of a page, all values escaped.

    Args:
        page: which one.
        base: the path under which the service lives, with a slash at both ends: "/" or "/botlight/".
        user: the name of the signed-in person, None for nobody.
        csrf: the token that belongs to that sign-in.
        version: of the service.
        session_id: the session of `Page.SESSION`.

    Raises:
        ValueError: `base` does not begin and end with a slash.
    """
    if not (base.startswith("/") and base.endswith("/")):
        raise ValueError(f"base is {base!r}; expected a path that begins and ends with a slash")
    template = _environment().get_template(f"{page}.html")
    return template.render(
        page=page.value,
        base=base,
        user=user,
        csrf=csrf,
        version=version,
        session_id=session_id,
        modules=sorted(name for name in static_files() if name.endswith(".js")),
    )


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("botlight.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _reporter() -> Path:
    """The installed reporter. Found and not imported: the service runs none of its code."""
    spec = importlib.util.find_spec("status_reporter")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("status_reporter.py: expected the distribution botlight-reporter to be installed")
    return Path(spec.origin)


def _static_file(file: Traversable | Path) -> StaticFile:
    body = file.read_bytes()
    media_type = MEDIA_TYPES[PurePosixPath(file.name).suffix]
    return StaticFile(body=body, media_type=media_type, etag=f'"{hashlib.sha256(body).hexdigest()[:32]}"')
