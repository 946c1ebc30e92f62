"""Why a store cannot be opened. The message is for the person who started the program; the CLI prints it as it is.

CannotOpen
├── AlreadyServed   another server has it open
├── NewerSchema     a newer version of Botlight wrote it
└── ForeignFile     it is another program's, or no database
"""

from __future__ import annotations

__all__ = ["AlreadyServed", "CannotOpen", "ForeignFile", "NewerSchema"]


class CannotOpen(Exception):  # noqa: N818  read by people; the tree above says what it is
    """The database cannot be opened."""


class AlreadyServed(CannotOpen):
    """Another server has the database open."""


class NewerSchema(CannotOpen):
    """A newer version of Botlight wrote the database."""


class ForeignFile(CannotOpen):
    """The file is another program's, or no database at all."""
