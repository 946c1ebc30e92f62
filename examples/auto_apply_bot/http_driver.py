"""The plain driver: HTTP requests, no browser."""

import time

import httpx

from .driver import BoardTroubleError
from .pages import form_address, hidden_fields


class HttpDriver:
    """Speaks HTTP itself, and keeps the cookie of the sign-in as a browser would; `timeout_s` is its patience."""

    def __init__(self, site: str, timeout_s: float) -> None:
        self._client = httpx.Client(base_url=site, timeout=timeout_s, follow_redirects=True)
        self._page = ""
        self._answers: dict[str, str] = {}

    def open(self, address: str) -> str:
        """Opens a page."""
        return self._ask("GET", address)

    def fill(self, answers: dict[str, str]) -> None:
        """Keeps the answers for the form of the open page."""
        self._answers = hidden_fields(self._page) | answers

    def send(self) -> str:
        """Sends the form of the open page."""
        address = form_address(self._page)
        if address is None:
            raise BoardTroubleError("There is no form on the page.")
        return self._ask("POST", address, self._answers)

    def idle(self, seconds: float) -> None:
        """Does nothing for a while."""
        time.sleep(seconds)

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def _ask(self, method: str, address: str, form: dict[str, str] | None = None) -> str:
        try:
            answer = self._client.request(method, address, data=form)
        except httpx.TimeoutException as error:
            raise BoardTroubleError("The board did not answer in time.") from error
        except httpx.TransportError as error:
            raise BoardTroubleError("The board cannot be reached.") from error
        if answer.is_server_error:
            raise BoardTroubleError(f"The board failed with status {answer.status_code}.")
        self._page = answer.text
        return self._page
