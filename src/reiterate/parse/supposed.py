"""
The rows of a raw file at which nobody has looked, as DuckDB SQL that fails on the first that is not as most are.

Then one pass over the file is enough: each value is checked where it is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reiterate import sql
from reiterate.catalog.model import Type, Wire
from reiterate.parse import columns, identity, types
from reiterate.parse.query import value
from reiterate.parse.scan import ROWS, Scan

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from reiterate.flow import Task
    from reiterate.parse.plan import Plan, Settled
    from reiterate.windows import Window

INSTANT = f"{ROWS}.instant"

TEXT_OF = {Type.TEXT: "{}", Type.BIGINT: "{}::VARCHAR", Type.BOOLEAN: "{}::VARCHAR", Type.JSON: "({}->>'$')"}
"""How the bare text of a value, as it was in JSON, is found in the column that it certainly fitted."""


class _Texts(Scan):
    """A complete scan of events that takes each text out of its JSON once, for a condition and for the value."""

    def of_events(self, cursor: str) -> str:
        """Return a table expression with the columns that all other methods, and ``INSTANT``, refer to."""
        read = map(super().json, self.forms)
        both = [f"{json} AS j{number}, {json}->>'$' AS t{number}" for number, json in enumerate(read)]
        instant = f"{types.usual_instant_in(super().json(cursor))} AS instant"
        return f"(SELECT {sql.listed([*both, instant])} FROM {self.source}) AS {ROWS}"

    def json(self, field: str) -> str:
        return f"{ROWS}.j{[*self.forms].index(field)}"

    def text(self, field: str) -> str:
        return f"{ROWS}.t{[*self.forms].index(field)}"


def query(task: Task, window: Window, path: Path, plan: Plan, settled: list[Settled], fields: Sequence[str]) -> str:
    """
    Return the rows of the lines of *path*, events of *window*, as a query; it fails when

    - a row has a field that is not among *fields*, those of :func:`reiterate.parse.scan.fields_of_sample`,
    - a value does not fit the column that its field has,
    - or the instant of a row does not lie in the window.

    Rows that are the same are not told apart.
    """
    cursor = str(task.table.cursor)
    scan = _Texts(path, dict.fromkeys(fields, "JSON"), complete=True)
    start, end = map(sql.literal, (window.start, window.end))
    conditions = [
        f"coalesce({INSTANT} >= {start} AND {INSTANT} < {end}, false)",
        *(
            f"coalesce({plan.holds(field, scan.json(field), scan.text(field))}, true)"
            for field in fields
            if field != cursor
        ),
    ]
    values = {one.column.name: _value(one, scan, cursor) for one in settled}
    texts = {field: scan.text(field) for field in identity.fields(task.table) if field in fields}
    values[columns.EVENT_ID.name] = identity.event_id(identity.of_event(task.table, texts, instant=INSTANT))
    chosen = sql.listed(f"{value} AS {sql.name(name)}" for name, value in values.items())
    hold = sql.listed(conditions, " AND ")
    rows = scan.of_events(cursor)
    return f"SELECT {chosen} FROM {rows} WHERE CASE WHEN {hold} THEN true ELSE error('not as supposed') END"


def again(task: Task, settled: list[Settled], fields: Sequence[str]) -> str:
    """
    Return the ``_event_id`` of events from the second on that share one, as :class:`reiterate.flow.Batch` has it.

    It is empty where an identity cannot be told from the columns any more.
    """
    cursor = str(task.table.cursor)
    stored = {one.column.field: one.column for one in settled if one.column == one.main and one.column.field in fields}
    identifying = {field: stored[field] for field in identity.fields(task.table) if field in stored}
    texts = {field: TEXT_OF.get(column.type, "").format(sql.name(column.name)) for field, column in identifying.items()}
    if identifying[cursor].type is not Type.TIMESTAMP or not all(texts[field] for field in texts if field != cursor):
        return ""
    same = identity.of_event(task.table, texts, instant=sql.name(identifying[cursor].name))
    return identity.event_id(same, sql.OCCURRENCE)


def _value(one: Settled, scan: Scan, cursor: str) -> str:
    column, field = one.column, one.column.field
    if field is not None and field in scan.forms and column == one.main:
        if field == cursor:
            return INSTANT
        if column.type in {Type.BIGINT, Type.BOOLEAN} and one.wire is Wire.PLAIN:
            # certainly spelled as in JSON
            return f"{scan.json(field)}::VARCHAR::{types.SQL_TYPE[column.type]}"
        if column.type is Type.JSON and one.wire is Wire.JSON_TEXT:
            return f"{scan.text(field)}::JSON"
    return value(one, scan, scan.forms.keys())
