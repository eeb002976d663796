"""
Rows that a destination refused for their data, as they stand in ``_reiterate_rejected_rows``.

A row stands there once, however often it is read, and goes when it is loaded; or, where all rows of a scope are
replaced, when it is not listed any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, assert_never

from reiterate import exact_json, sql
from reiterate.catalog.model import ByEvent, ByFields, ByFirst, Type
from reiterate.flow import Part, Write
from reiterate.windows import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from reiterate.flow import Batch

REJECTED = "_reiterate_rejected_rows"
COLUMNS = {
    "run_id": Type.TEXT,
    "table_name": Type.TEXT,
    "window_start": Type.TIMESTAMP,
    "window_end": Type.TIMESTAMP,
    "part": Type.TEXT,
    "rejected_at": Type.TIMESTAMP,
    "reason": Type.TEXT,
    "row": Type.TEXT,
    "row_hash": Type.TEXT,
}


@dataclass(frozen=True)
class OnRecord:
    """A row that was rejected: its JSON *text* and the *digest* of that."""

    text: str
    digest: str


def in_scope(batch: Batch) -> str:
    """Return the condition that a row on record may be one of *batch*, by what was read when it was rejected."""
    condition = f"table_name = {sql.literal(batch.task.table.name)}"
    match batch.task.scope:
        case Window(start, end):
            overlaps = f"window_start < {sql.literal(end)} AND window_end > {sql.literal(start)}"
            return f"{condition} AND (window_start IS NULL OR ({overlaps}))"
        case Part(_, value):
            return f"{condition} AND part = {sql.literal(str(value))}"
        case _:
            return condition


def is_row(batch: Batch, text: str, side: str) -> str:
    """Return the condition that a row *side* of the table of *batch* is the one of a JSON text."""
    same = (
        f"{side}.{sql.name(name)} IS NULL" if value is None else f"{side}.{sql.name(name)} = {_literal(value)}"
        for name, value in _key(batch, text)
    )
    return f"({sql.listed(same, ' AND ')})"


def _key(batch: Batch, text: str) -> list[tuple[str, Any]]:
    """Return the columns that tell a row apart, and what stands in them."""
    row = dict(exact_json.members(text.encode()))
    columns = [column for column in batch.columns if column.type is not Type.JSON]
    match batch.task.table.identity:
        case ByEvent():
            names = [ByEvent.column]
        case ByFields(fields):
            names = [column.name for column in columns if column.field in fields]
        case ByFirst(fields):
            of_fields = [[column.name for column in columns if column.field == field] for field in fields]
            contents = [column.name for column in columns if column.tells_content]
            names = next((some for some in of_fields if any(row.get(name) for name in some)), contents)
        case identity:
            assert_never(identity)
    return [(name, row.get(name)) for name in names]


def _literal(value: Any) -> str:  # noqa: ANN401 (JSON is any)
    if isinstance(value, exact_json.Number):
        return sql.literal(int(value) if value.lstrip("-").isdigit() else float(value))
    return sql.literal(value if isinstance(value, str | bool | None) else exact_json.dumps(value))


def settled(
    batch: Batch, on_record: Sequence[OnRecord], local_rows: Callable[[str], list[tuple[Any, ...]]]
) -> Collection[OnRecord]:
    """
    Return those on record that *batch* settles: they, or newer versions, are loaded, or they are not listed any more.

    *local_rows* queries the rows of a batch.
    """
    again = {row.digest for row in batch.rejected}
    others = [one for one in on_record if one.digest not in again]
    if not others or batch.task.write is Write.REPLACE:
        return others
    found = sql.listed(f"coalesce(bool_or({is_row(batch, one.text, 's')}), false)" for one in others)
    ((there,),) = local_rows(f"SELECT [{found}] FROM ({batch.query}) AS s")
    rejected = [_key(batch, row.text) for row in batch.rejected]
    return [one for one, loaded in zip(others, there, strict=True) if loaded or _key(batch, one.text) in rejected]
