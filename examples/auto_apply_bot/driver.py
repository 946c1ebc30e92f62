"""What the bot needs of a driver: the hands that open pages and send forms."""

from typing import Protocol


class BoardTroubleError(Exception):
    """The board did not answer in time, or failed; nobody knows whether it did what it was asked to do."""


class Driver(Protocol):
    """One visitor of the board. Pages come back as HTML; addresses begin with a slash."""

    def open(self, address: str) -> str:
        """Opens a page. Raises BoardTroubleError."""

    def fill(self, answers: dict[str, str]) -> None:
        """Fills in the form of the open page: answers by name of the field. Raises BoardTroubleError."""

    def send(self) -> str:
        """Sends the form of the open page and returns the page that follows. Raises BoardTroubleError."""

    def idle(self, seconds: float) -> None:
        """Does nothing for a while."""

    def close(self) -> None:
        """Lets go of everything."""
