"""Fixtures of this folder."""

from tests.support.keeping import on_each_store as pytest_generate_tests

__all__ = ["pytest_generate_tests"]
