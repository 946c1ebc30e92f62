"""The bots' browser: plain HTTP to one job board, with a cookie jar and little patience. Python 3.9, standard library.

A page may be slow, fail, or be processed without an answer; so pages are asked for again, and before an application is
sent a second time the bot looks whether the first one has arrived.
"""

from __future__ import annotations

import html
import http.client
import re
import urllib.error
import urllib.parse
import urllib.request
from typing import NamedTuple

__all__ = ["BrokenFormError", "JobSite", "Posting", "SignInError", "SiteTroubleError"]

TRIES = 6  # the board lets every third one through
ANSWERS = {
    "full_name": "Ada Lovelace",
    "email": "ada@example.com",
    "motivation": "I like to build things that other people can rely on.",
    "years": "4",
    "start": "Next month",
    "salary": "52000",
}


class SiteTroubleError(Exception):
    """The board failed, or did not answer in time."""


class SignInError(Exception):
    """The board does not let us in."""


class BrokenFormError(LookupError):
    """The form has no button of the name that the bot looks for."""


class Posting(NamedTuple):
    """A job as a list of search results shows it."""

    key: str
    title: str
    company: str
    url: str


class JobSite:
    """One person's view of the board. `patience_s` is how long an answer may take; `button` is what sends a form."""

    def __init__(self, url: str, *, patience_s: float = 0.8, button: str = "Send application") -> None:
        self._url = url
        self._patience_s = patience_s
        self._button = button
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(), _ErrorPages()
        )

    def sign_in(self, user: str, password: str) -> None:
        """Signs in; the board registers a new name by itself. Raises SignInError."""
        for _ in range(TRIES):
            try:
                page = self._ask("/sign-in", {"user": user, "password": password, "next": "/applications"})
            except SiteTroubleError:
                continue
            if 'name="password"' not in page:
                return
            raise SignInError(_note(page))
        raise SignInError("The board could not sign us in.")

    def search(self, keyword: str, number: int) -> tuple[list[Posting], bool]:
        """Page `number` of the jobs for a keyword, and whether there is a next one."""
        page = self._open("/jobs?" + urllib.parse.urlencode({"keyword": keyword, "page": number}))
        rows = re.findall(
            r'<a class="job" href="(/jobs/([^"]+))">.*?class="title">(.*?)</b>.*?class="company">(.*?)<',
            page,
            re.DOTALL,
        )
        found = [
            Posting(key, html.unescape(title), html.unescape(company), self._url + path)
            for path, key, title, company in rows
        ]
        return found, 'rel="next"' in page

    def takes_applications(self, key: str) -> bool:
        """Opens a job's page; whether it has a link to a form for us."""
        return 'id="apply"' in self._open(f"/jobs/{key}")

    def has_form(self, key: str) -> bool:
        """Opens a job's form; whether the button that sends it is there."""
        return f"<button>{self._button}</button>" in self._open(f"/jobs/{key}/apply")

    def apply(self, key: str) -> str | None:
        """Fills in a job's form and sends it until it is taken, or refused for good; the reason then, else None."""
        address, reason = f"/jobs/{key}/apply", None
        page = self._open(address)
        for _ in range(TRIES):
            if f"<button>{self._button}</button>" not in page:
                raise BrokenFormError(f"no button {self._button!r}")
            asked = _fields(page)
            try:
                page = self._ask(address, {name: _answer(name, choices) for name, choices in asked})
            except SiteTroubleError as trouble:
                reason = str(trouble)
                if 'id="applied"' in self._open(f"/jobs/{key}"):
                    return None
                page = self._open(address)
                continue
            if _fields(page) == []:
                return None
            reason = _note(page)
            if _fields(page) == asked:  # nothing new is asked: our answers are not good enough
                break
        return reason

    def _open(self, address: str) -> str:
        """A page, asked for until it comes."""
        for _ in range(TRIES - 1):
            try:
                return self._ask(address)
            except SiteTroubleError:
                continue
        return self._ask(address)

    def _ask(self, address: str, form: dict[str, str] | None = None) -> str:
        data = None if form is None else urllib.parse.urlencode(form).encode()
        request = urllib.request.Request(self._url + address, data)  # noqa: S310 -- the address of a board, given by its test
        try:
            with self._opener.open(request, timeout=self._patience_s) as answer:
                page: str = answer.read().decode("utf-8")
        except (OSError, http.client.HTTPException) as error:
            raise SiteTroubleError(f"No answer from the board: {type(error).__name__}.") from error
        if answer.status >= 500:
            raise SiteTroubleError(f"The board failed with status {answer.status}.")
        return page


class _ErrorPages(urllib.request.HTTPErrorProcessor):
    """Takes the page that comes with an error as the page that it is; follows redirects as ever."""

    def http_response(
        self, request: urllib.request.Request, response: http.client.HTTPResponse
    ) -> http.client.HTTPResponse:
        return super().http_response(request, response) if 300 <= response.status < 400 else response


def _fields(page: str) -> list[tuple[str, tuple[str, ...]]]:
    """What the form of an application asks for: names, and the choices where not any text will do."""
    form = re.search(r'<form class="apply".*?</form>', page, re.DOTALL)
    found = []
    for label in re.findall(r"<label.*?</label>", form[0], re.DOTALL) if form else []:
        [name] = re.findall(r'<(?:input|textarea|select) name="([^"]+)"', label)
        choices = re.findall(r"<option(?: selected)?>([^<]+)</option>", label)
        found.append((name, tuple(html.unescape(choice) for choice in choices)))
    return found


def _answer(name: str, choices: tuple[str, ...]) -> str:
    return choices[0] if choices else ANSWERS.get(name, "none")


def _note(page: str) -> str:
    found = re.search(r'<(?:p class="note[^"]*"|span class="advice")[^>]*>(.*?)</', page, re.DOTALL)
    return html.unescape(found[1].strip()) if found else "The board did not say why."
