# ruff: noqa: INP001 -- loaded by its path, as the build backend asks
"""Puts the reporter into its wheel a second time, as the stub package that type checkers read.

A single module cannot carry the marker py.typed (PEP 561), so its annotations would count for nothing once it is
installed. A stub package beside it can, and the file itself is a complete stub. Called by the build backend alone.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

__all__ = ["TypedWheel"]


class TypedWheel(BuildHookInterface):  # type: ignore[type-arg] # the backend fills in its own configuration
    """Adds `status_reporter-stubs`."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the stub, but not to an editable install: it would be a copy that grows old."""
        if version == "editable":
            return
        # A copy, since the backend includes each file once.
        self._copy = tempfile.TemporaryDirectory()
        stub = shutil.copy(Path(self.root, "status_reporter.py"), self._copy.name)
        build_data["force_include"][stub] = "status_reporter-stubs/__init__.pyi"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002  the backend's signature
        """Remove the copy."""
        if version != "editable":
            self._copy.cleanup()
