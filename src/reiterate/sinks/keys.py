"""
What tells the rows of a table apart in a destination, as SQL over their columns.

The values of a field may stand in several columns, one for each type: then their texts are compared, so that a number
is the same as its text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from reiterate import sql
from reiterate.catalog.model import ByEvent, ByFields, ByFirst

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from reiterate.catalog.model import Table
    from reiterate.flow import Column

NOTHING = "CAST(NULL AS TEXT)"


def key(
    table: Table,
    known: Collection[Column],
    side: str,
    text: Callable[[Column, str], str],
    there: Collection[str] | None = None,
) -> list[str]:
    """
    Return expressions in which rows of *table* agree that are the same row.

    *known* are the columns that any of the rows to be compared may have, *there* the names of those that these have, if
    not all; *side* is what the table is called, if anything, *text* makes text of a value.
    """
    found = [column for column in known if there is None or column.name in there]
    match table.identity:
        case ByEvent():
            return [qualified(ByEvent.column, side)]
        case ByFields(fields):
            return [_value(field, known, found, side, text) for field in fields]
        case ByFirst(fields):
            # which of the fields it is counts, too
            texts = [
                f"'{place}' || nullif({value_as_text(field, found, side, text)}, '')"
                for place, field in enumerate(fields)
            ]
            contents = [f"'=' || {qualified(one.name, side)}" for one in found if one.tells_content]
            return [f"coalesce({sql.listed([*texts, *contents])})"]
        case _:
            assert_never(table.identity)


def value_as_text(field: str, found: Collection[Column], side: str, text: Callable[[Column, str], str]) -> str:
    """Return the text of a field, whichever of the columns that are *found* holds it."""
    texts = [text(column, side) for column in found if column.field == field]
    return f"coalesce({sql.listed(texts)})" if len(texts) > 1 else (texts or [NOTHING])[0]


def qualified(name: str, side: str) -> str:
    return f"{side}.{sql.name(name)}" if side else sql.name(name)


def _value(
    field: str, known: Collection[Column], found: Collection[Column], side: str, text: Callable[[Column, str], str]
) -> str:
    of_field = [column for column in known if column.field == field]
    if len(of_field) == 1 and of_field[0] in found:
        return qualified(of_field[0].name, side)
    return value_as_text(field, found, side, text)
