"""Bits of SQL, quoted."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def name(identifier: str) -> str:
    """Quote an identifier."""
    escaped = identifier.replace('"', '""')
    return f'"{escaped}"'


def literal(value: object) -> str:
    """Write null, an integer, a float or a truth as it is, an aware instant as one, anything else as quoted text."""
    match value:
        case None:
            return "NULL"
        case bool():
            return str(value).lower()
        case int() | float():
            return repr(value)
        case datetime():
            return f"{literal(value.isoformat())}::TIMESTAMPTZ"
        case _:
            escaped = str(value).replace("'", "''")
            return f"'{escaped}'"


def listed(expressions: Iterable[str], separator: str = ", ") -> str:
    return separator.join(expressions)


OCCURRENCE = name("occurrence number")
"""A helper column that counts rows which are the same, from 1; no table's column has a space in its name."""
