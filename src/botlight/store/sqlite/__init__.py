"""The embedded store: one file, one writing thread, group commit."""

from botlight.store.sqlite.access import SqliteAccess
from botlight.store.sqlite.database import SqliteDatabase
from botlight.store.sqlite.store import SqliteStore

__all__ = ["SqliteAccess", "SqliteDatabase", "SqliteStore"]
