"""Whose tokens are accepted as a person's identity: the settings of it, checked and put together.

The secret stands in the environment or in a file, never in a flag: every user of a machine can read those.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from botlight.cli.settings import SettingError, Settings
from botlight.issuer.keys import BadKeys, Key, keys_of, secret_key
from botlight.issuer.provider import Provider
from botlight.issuer.source import KeySource, is_safe
from botlight.model.identity import Issuer
from botlight.service.ports import Clock

__all__ = ["TrustedIssuer", "trusted_issuer"]

MAX_FILE: Final = 64 * 1024
AUDIENCE_OF_SUPABASE: Final = "authenticated"
AUTH: Final = "/auth/v1"
JWKS: Final = "/auth/v1/.well-known/jwks.json"


class TrustedIssuer(Struct, frozen=True, kw_only=True):
    """An issuer, and where the keys come from that prove its tokens."""

    issuer: Issuer
    published: bool  # keys are fetched: from `jwks_url`, or else from where the issuer says
    jwks_url: str | None = None
    keys: Mapping[str, Key] = MappingProxyType({})
    secret: Key | None = None

    def source(self) -> KeySource | None:
        """Where keys are fetched, to be closed by the caller; None: nothing is fetched."""
        return KeySource(issuer=self.issuer.url, jwks_url=self.jwks_url) if self.published else None

    def provider(self, clock: Clock) -> Provider:
        """What proves the issuer's tokens."""
        return Provider(self.issuer, clock, source=self.source(), keys=self.keys, secret=self.secret)


def trusted_issuer(settings: Settings, environment: Mapping[str, str] = os.environ) -> TrustedIssuer | None:
    """Whose tokens are accepted; None: nobody's, nothing of it is set.

    Raises:
        SettingError: a value cannot be used, or one is missing that belongs to another.
    """
    secret = _secret(settings, environment)
    said = (settings.jwt_issuer, settings.jwt_audience, settings.jwt_jwks_url, settings.jwt_jwks_file, secret)
    if settings.supabase_url is None and not any(said):
        return None
    issuer = _issuer(settings)
    jwks_url = _jwks_url(settings)
    published = settings.jwt_jwks_file is None and (jwks_url is not None or secret is None)
    if published and jwks_url is None and not _is_address(issuer.url):
        raise SettingError(
            "BOTLIGHT_JWT_ISSUER",
            "expected an https address, where the issuer's keys are found (http on this machine only); or set "
            "BOTLIGHT_JWT_JWKS_URL, BOTLIGHT_JWT_JWKS_FILE or BOTLIGHT_JWT_SECRET.",
        )
    return TrustedIssuer(issuer=issuer, published=published, jwks_url=jwks_url, keys=_keys(settings), secret=secret)


def _issuer(settings: Settings) -> Issuer:
    if settings.supabase_url is not None:
        if not _is_address(settings.supabase_url):
            expected = "expected the project's address, as in https://abcdefgh.supabase.co (http on this machine only)."
            raise SettingError("BOTLIGHT_SUPABASE_URL", expected)
        url = settings.jwt_issuer or settings.supabase_url.rstrip("/") + AUTH
        audience = settings.jwt_audience or AUDIENCE_OF_SUPABASE
        return Issuer(url=_name("BOTLIGHT_JWT_ISSUER", url), audience=audience, supabase=True)
    if settings.jwt_issuer is None:
        expected = "expected whose tokens are accepted, exactly as their iss says, since keys or an audience are set."
        raise SettingError("BOTLIGHT_JWT_ISSUER", expected)
    if settings.jwt_audience is None:
        expected = "expected what the aud of a token has to be; without it tokens made for other programs would do."
        raise SettingError("BOTLIGHT_JWT_AUDIENCE", expected)
    return Issuer(url=_name("BOTLIGHT_JWT_ISSUER", settings.jwt_issuer), audience=settings.jwt_audience)


def _name(setting: str, text: str) -> str:
    if not re.fullmatch(r"[^\s|]{1,255}", text) or not text.isprintable():
        raise SettingError(setting, "expected 1 to 255 characters without spaces and without |.")
    return text


def _jwks_url(settings: Settings) -> str | None:
    if settings.jwt_jwks_url is not None and settings.jwt_jwks_file is not None:
        raise SettingError("BOTLIGHT_JWT_JWKS_FILE", "expected either this or BOTLIGHT_JWT_JWKS_URL, not both.")
    if settings.jwt_jwks_file is not None:
        return None
    if settings.jwt_jwks_url is not None:
        if not _is_address(settings.jwt_jwks_url):
            expected = "expected the https address of the issuer's keys (http on this machine only)."
            raise SettingError("BOTLIGHT_JWT_JWKS_URL", expected)
        return settings.jwt_jwks_url
    return settings.supabase_url.rstrip("/") + JWKS if settings.supabase_url is not None else None


def _is_address(text: str) -> bool:
    """Whether it is an address that nobody on the way can answer for, without a password in it."""
    try:
        parts = urlsplit(text)
        _ = parts.port
        return (
            is_safe(text) and "@" not in parts.netloc and not parts.fragment and not re.search(r"[\s\x00-\x1f]", text)
        )
    except ValueError:
        return False


def _keys(settings: Settings) -> Mapping[str, Key]:
    name = "BOTLIGHT_JWT_JWKS_FILE"
    if settings.jwt_jwks_file is None:
        return {}
    try:
        keys = keys_of(_file(name, settings.jwt_jwks_file), secrets=True)
    except BadKeys as bad:
        raise SettingError(name, f"the file cannot be used: {bad}.") from None
    if not keys:
        raise SettingError(name, "the file holds no key with a kid that is for RS256, ES256, EdDSA or HS256.")
    return keys


def _secret(settings: Settings, environment: Mapping[str, str]) -> Key | None:
    text = environment.get("BOTLIGHT_JWT_SECRET", "").strip()
    if text and settings.jwt_secret_file is not None:
        raise SettingError("BOTLIGHT_JWT_SECRET_FILE", "expected either this or BOTLIGHT_JWT_SECRET, not both.")
    name, secret = "BOTLIGHT_JWT_SECRET", text.encode()
    if settings.jwt_secret_file is not None:
        name = "BOTLIGHT_JWT_SECRET_FILE"
        secret = _file(name, settings.jwt_secret_file).strip()
    elif not text:
        return None
    try:
        return secret_key(secret)
    except BadKeys as bad:
        raise SettingError(name, f"{bad}.") from None


def _file(name: str, path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            whole = file.read(MAX_FILE + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no path"
        raise SettingError(name, f"{path!r} cannot be read: {reason}.") from None
    if len(whole) > MAX_FILE:
        raise SettingError(name, f"{path!r} has more than {MAX_FILE // 1024} KB.")
    return whole
