"""Botlight shows a person, live, what their bot is doing, and lets them stop it for real."""

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("botlight")
