"""Trouble: which requests go wrong, and how. It comes from a seed, so a bad day can be had again."""

from collections import Counter
from enum import StrEnum

from .chance import fraction


class Trouble(StrEnum):
    """What can happen to a request."""

    SLOW = "slow"  # the answer takes 0.2 to 0.4 s
    ERROR = "error"  # 500 or 503, and nothing was processed
    LOST = "lost"  # processed, but the answer comes too late for anybody to wait for it
    QUESTION = "question"  # the form comes back with one more required field


# What befalls which share of the requests; only an application can be lost or questioned.
PAGE_SHARES = {Trouble.SLOW: 0.06, Trouble.ERROR: 0.11}
APPLICATION_SHARES = {Trouble.SLOW: 0.05, Trouble.ERROR: 0.05, Trouble.LOST: 0.06, Trouble.QUESTION: 0.06}


class TroubleSource:
    """Decides on each request from the seed, who asks, what they ask for, and how often they did so before."""

    def __init__(self, seed: int, *, is_on: bool) -> None:
        self._seed = seed
        self._is_on = is_on
        self._attempts: Counter[tuple[str, ...]] = Counter()

    def draw(self, user: str, method: str, address: str, *, is_application: bool) -> Trouble | None:
        """The trouble of this request; None is the rule, and certain at each third attempt: persistence pays."""
        request = (user, method, address)
        self._attempts[request] += 1
        attempt = self._attempts[request]
        if not self._is_on or attempt % 3 == 0:
            return None
        draw = fraction(self._seed, *request, attempt)
        for trouble, share in (APPLICATION_SHARES if is_application else PAGE_SHARES).items():
            if draw < share:
                return trouble
            draw -= share
        return None

    def slow_s(self, user: str, address: str) -> float:
        """For how many seconds a slow answer is held back."""
        return 0.2 + 0.2 * fraction(self._seed, "slow", user, address)

    def error_status(self, user: str, address: str) -> int:
        """Which HTTP status a failing request gets."""
        return 503 if fraction(self._seed, "status", user, address) < 0.5 else 500
