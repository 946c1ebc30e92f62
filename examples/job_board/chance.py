"""Chance that repeats itself: the same words give the same draw, on every machine."""

import hashlib


def fraction(*words: object) -> float:
    """A number from 0 up to, not including, 1 that depends on `words` alone."""
    text = "\0".join(str(word) for word in words)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6]) / 2**48
