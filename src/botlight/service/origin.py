"""The origin of a page, as browsers send it."""

from __future__ import annotations

import re
from typing import Final

from botlight.model.errors import Invalid

__all__ = ["exact_origin"]

_ORIGIN: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?/?", re.ASCII | re.IGNORECASE
)


def exact_origin(text: str) -> str:
    """Lower case, no slash at the end, no port that goes without saying.

    Raises:
        Invalid: it is no origin.
    """
    found = _ORIGIN.fullmatch(text)
    if found is None:
        expected = "expected an origin such as https://example.org"
        raise Invalid(f"/origin: {expected}", errors=(("/origin", expected),))
    scheme, host, port = found["scheme"].lower(), found["host"].lower(), found["port"]
    usual = {"http": "80", "https": "443"}[scheme]
    return f"{scheme}://{host}" if port in (None, usual) else f"{scheme}://{host}:{port}"
