"""The log: one line a record, one format, fields as key=value."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Final

from botlight.edge.request_id import request_id

__all__ = ["start_logging"]

_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}


class _Lines(logging.Formatter):
    """`2026-01-21T09:00:00.000Z INFO botlight.service.control stop requested session_id=… request_id=…`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and a traceback below it where there is one."""
        at = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        fields = {name: value for name, value in vars(record).items() if name not in _OWN}
        asked = request_id.get()
        if asked is not None:
            fields["request_id"] = asked
        text = " ".join(f"{name}={_word(value)}" for name, value in fields.items())
        line = f"{at}.{int(record.msecs):03d}Z {record.levelname} {record.name} {_one_line(record.getMessage())}"
        line = f"{line} {text}".rstrip()
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _one_line(text: str) -> str:
    return text.replace("\r", "\\r").replace("\n", "\\n")


def _word(value: object) -> str:
    text = _one_line(str(value))
    return f'"{text}"' if " " in text else text


def start_logging(level: str) -> None:
    """Send everything from a level on to stderr. The chatter of libraries begins at warnings."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "asyncio", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
