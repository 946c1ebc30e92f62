"""What a person can mend: ends a command with one line on stderr and an exit code, never with a traceback."""

from __future__ import annotations

__all__ = ["NoAnswer", "NotBotlight", "Refused", "Trouble", "WrongCall"]


class Trouble(Exception):  # noqa: N818  as the Refusal of the model: it is no bug of ours
    """A command cannot go on. The message says what is wrong and what to do, on one line."""

    exit_code = 1


class WrongCall(Trouble):
    """An option or argument cannot be used; the message names it and says what was expected."""

    exit_code = 2


class NoAnswer(Trouble):
    """Nothing answers at the address."""


class NotBotlight(Trouble):
    """Something answers at the address, but not Botlight."""


class Refused(Trouble):
    """The service refuses: `status` and `code` are the problem's."""

    def __init__(self, message: str, *, status: int, code: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
