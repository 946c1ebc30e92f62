"""The filter of a binding, `column=op.value`: read, held against the columns and their types, decided for a row.

SQL's rules: NULL meets no condition, nor its negation, but `is` and `isdistinct`, which are made for it. Text is
compared by code point. Regular expressions (`match`, `imatch`) are not offered: a pattern can be made so that it never
comes to an end, and everybody would wait for it.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct

from botlight.edge.supabase.rows import COLUMNS, Row

__all__ = ["MAX_CONDITIONS", "MAX_FILTER", "Condition", "WrongFilter", "parse"]

MAX_FILTER: Final = 8192
MAX_CONDITIONS: Final = 20
MAX_IN: Final = 100
MAX_PATTERN: Final = 500

NEGATION: Final = "not."
COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "eq": operator.eq,
    "neq": operator.ne,
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
}
ORDER: Final = frozenset({"lt", "lte", "gt", "gte"})
PATTERNS: Final = frozenset({"like", "ilike"})
OPERATORS: Final = (*COMPARE, "in", "like", "ilike", "is", "isdistinct")
NOT_OFFERED: Final = frozenset({"match", "imatch"})
IS: Final[dict[str, bool | None]] = {"null": None, "unknown": None, "true": True, "false": False}
TRUTH: Final[dict[str, bool]] = dict.fromkeys(("true", "t", "yes", "y", "on", "1"), True) | dict.fromkeys(
    ("false", "f", "no", "n", "off", "0"), False
)
RANGE: Final = {"int4": 2**31, "int8": 2**63}
DECIMAL: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
INTEGER: Final = re.compile(r"[+-]?\d{1,19}", re.ASCII)


class WrongFilter(ValueError):  # noqa: N818  the client's fault, not ours
    """The filter cannot be used; the message is for its author."""


class Condition(Struct, frozen=True, kw_only=True):
    """One condition; `value` is of the column's own type, a tuple of them for `in`, a pattern for `like`."""

    column: str
    op: str
    negated: bool
    value: Any

    def meets(self, row: Row) -> bool:
        """Whether a row meets it."""
        value = row.get(self.column)
        met: bool | None
        if self.op == "is":
            met = value is None if self.value is None else value is self.value
        elif self.op == "isdistinct":
            met = value is None or value != self.value
        elif value is None:
            met = None
        elif self.op == "in":
            met = value in self.value
        elif self.op in PATTERNS:
            met = _like(str(value), self.value, fold=self.op == "ilike")
        else:
            met = COMPARE[self.op](value, self.value)
        return met is not None and met is not self.negated


def parse(text: str | None) -> tuple[Condition, ...]:
    """The conditions of a filter, all of which a row has to meet; none without a filter.

    Raises:
        WrongFilter: it cannot be read, names no column that a person may select, or a value is not of its type.
    """
    if text is None or not text.strip():
        return ()
    if len(text) > MAX_FILTER:
        raise WrongFilter(f"a filter may have {MAX_FILTER} characters")
    parts = list(_split(text))
    if len(parts) > MAX_CONDITIONS:
        raise WrongFilter(f"a filter may have {MAX_CONDITIONS} conditions")
    return tuple(_condition(part.strip()) for part in parts)


def _condition(text: str) -> Condition:
    column, equals, rest = text.partition("=")
    column = column.strip()
    negated = rest.startswith(NEGATION)
    op, dot, value = rest.removeprefix(NEGATION).partition(".")
    if not (column and equals and op and dot):
        raise WrongFilter(f"expected column=op.value, not {text[:100]!r}")
    if op in NOT_OFFERED:
        raise WrongFilter(f"the operator {op} is not offered here; like and ilike are")
    if op not in OPERATORS:
        raise WrongFilter(f"no operator {op[:20]!r}; there are {', '.join(OPERATORS)}")
    kind = COLUMNS.get(column)
    if kind is None:
        raise WrongFilter(f"invalid column for filter {column[:64]}")
    if (op in ORDER and kind == "jsonb") or (op in PATTERNS and kind != "text"):
        raise WrongFilter(f"the operator {op} is not for {column}, which is {kind}")
    return Condition(column=column, op=op, negated=negated, value=_operand(column, kind, op, value))


def _operand(column: str, kind: str, op: str, text: str) -> Any:
    if op == "in":
        return _list(column, kind, text)
    if op == "is":
        return _is(column, kind, text)
    value = _unquoted(text)
    if op not in PATTERNS:
        return _typed(column, kind, value)
    if len(value) > MAX_PATTERN:
        raise WrongFilter(f"a pattern may have {MAX_PATTERN} characters")
    return value


def _is(column: str, kind: str, text: str) -> bool | None:
    word = text.strip().lower()
    if word not in IS or (kind != "bool" and word != "null"):
        raise WrongFilter(f"{column} is {kind}: expected is.null{', is.true or is.false' if kind == 'bool' else ''}")
    return IS[word]


def _list(column: str, kind: str, text: str) -> tuple[Any, ...]:
    inner = text.strip()
    if not (inner.startswith("(") and inner.endswith(")")):
        raise WrongFilter(f"{column}: expected in.(a,b,…)")
    values = list(_split(inner[1:-1]))
    if len(values) > MAX_IN:
        raise WrongFilter(f"{column}: in takes at most {MAX_IN} values")
    return tuple(_typed(column, kind, _unquoted(value.strip())) for value in values)


def _split(text: str) -> Iterator[str]:
    """What stands between commas, but for those within parentheses or double quotes."""
    depth, quoted, escaped, begin = 0, False, False, 0
    for at, char in enumerate(text):
        if escaped:
            escaped = False
        elif quoted and char == "\\":
            escaped = True
        elif char == '"':
            quoted = not quoted
        elif not quoted and char in "()":
            depth = max(0, depth + (1 if char == "(" else -1))
        elif char == "," and not quoted and depth == 0:
            yield text[begin:at]
            begin = at + 1
    yield text[begin:]


def _unquoted(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)
    return text


def _typed(column: str, kind: str, text: str) -> Any:
    """A value of the column's type.

    Raises:
        WrongFilter: the text is none; the message does not repeat it.
    """
    try:
        return READ[kind](text)
    except (ValueError, InvalidOperation, OverflowError, KeyError, RecursionError, msgspec.MsgspecError):
        raise WrongFilter(f"{column} is {kind}, and the value of the filter is not") from None


def _integer(kind: str) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not INTEGER.fullmatch(text.strip()):
            raise ValueError
        value = int(text)
        if not -RANGE[kind] <= value < RANGE[kind]:
            raise ValueError
        return value

    return read


def _decimal(text: str) -> Decimal:
    if not DECIMAL.fullmatch(text.strip()):
        raise ValueError
    return Decimal(text.strip())


def _instant(text: str) -> Decimal:
    """Milliseconds; UTC where no offset is given."""
    at = datetime.fromisoformat(text.strip())
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    since = at - datetime(1970, 1, 1, tzinfo=UTC)
    return Decimal(since.days * 86_400_000_000 + since.seconds * 1_000_000 + since.microseconds) / 1000


READ: Final[dict[str, Callable[[str], Any]]] = {
    "uuid": lambda text: str(UUID(text.strip())),
    "text": str,
    "numeric": _decimal,
    "int4": _integer("int4"),
    "int8": _integer("int8"),
    "bool": lambda text: TRUTH[text.strip().lower()],
    "timestamptz": _instant,
    "jsonb": lambda text: msgspec.json.decode(text, type=Any, strict=True),
}


def _like(text: str, pattern: str, *, fold: bool) -> bool:
    """SQL's LIKE: `%` any text, `_` one character, a backslash before one that stands for itself.

    All ways through the pattern are followed at once, in a number that has a bit for each step that may be next: going
    back and forth would take (text x pattern) steps, and everybody would wait for them.
    """
    if fold:
        text, pattern = text.lower(), pattern.lower()
    signs: dict[str, int] = {}
    anything = stay = 0
    bit = 1
    for step in _steps(pattern):
        if step == "%":
            stay |= bit
            continue
        if step == "_":
            anything |= bit
        else:
            signs[step[1:]] = signs.get(step[1:], 0) | bit
        bit <<= 1
    reached = 1
    for char in text:
        reached = (reached & (signs.get(char, 0) | anything)) << 1 | reached & stay
        if not reached:
            return False
    return bool(reached & bit)


def _steps(pattern: str) -> Sequence[str]:
    """The pattern's steps: `%`, `_`, or a backslash and the character that is meant."""
    steps: list[str] = []
    escaped = False
    for char in pattern:
        if not escaped and char == "\\":
            escaped = True
            continue
        steps.append(char if char in "%_" and not escaped else "\\" + char)
        escaped = False
    return steps
