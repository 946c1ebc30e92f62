"""Fixtures of this folder."""

from tests.durability.figures import figures

__all__ = ["figures"]
