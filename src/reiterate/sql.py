"""Bits of SQL, quoted."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def name(identifier: str) -> str:
    """Quote an identifier."""
    escaped = identifier.replace('"', '""')
    return f'"{escaped}"'


def literal(value: object) -> str:
    """Write an integer as it is, anything else as quoted text."""
    if isinstance(value, int):
        return str(value)
    escaped = str(value).replace("'", "''")
    return f"'{escaped}'"


def listed(expressions: Iterable[str], separator: str = ", ") -> str:
    return separator.join(expressions)
