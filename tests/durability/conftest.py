"""Fixtures of this folder."""

from tests.durability.figures import figures
from tests.support.keeping import on_each_store as pytest_generate_tests

__all__ = ["figures", "pytest_generate_tests"]
