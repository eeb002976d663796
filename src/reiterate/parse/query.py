"""The rows of a raw file, typed, each once, as DuckDB SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reiterate import sql
from reiterate.catalog.model import ByEvent, Type, Wire
from reiterate.parse import columns, identity, types
from reiterate.parse.mend import RAW
from reiterate.parse.scan import Scan

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from reiterate.catalog.model import Table
    from reiterate.flow import Column, Task
    from reiterate.parse.look import Look
    from reiterate.parse.plan import Settled
    from reiterate.parse.scan import Form

READ_AS: dict[Type, Form] = {Type.BIGINT: "BIGINT", Type.DOUBLE: "DOUBLE", Type.BOOLEAN: "BOOLEAN"}
"""Types whose values the database can read as such."""

SAME = sql.name("same row")
"""A helper column, as ``OCCURRENCE``."""


def query(
    task: Task,
    path: Path,
    settled: list[Settled],
    look: Look,
    every: Collection[str],
    together: Collection[str],
    *,
    repeated: Path | None,
    contents: Path | None,
) -> str:
    """
    Return the rows of the lines of *path*, as a query.

    *settled* are the columns of the table. *every* is each field that occurs; those that are *together* share one
    column. *repeated* is a file of the hashes of identities that several rows share, *contents* one of lines (their
    md5) that only their content tells apart, and the hash of that.
    """
    table, kinds = task.table, look.kinds
    there = {field for field, kind in kinds.items() if kind}
    identifying = {*identity.fields(table)}
    forms = {str(one.main.field): _form(one, identifying) for one in settled if not columns.is_raw(one.column)}
    own_columns = {one.column.field for one in settled}
    used = [
        field
        for field in kinds
        if (field in there and field.removeprefix(RAW) in own_columns) or field.removeprefix(RAW) in identifying
    ]
    as_object = bool(together) and columns.CUSTOM_FIELDS in (one.column for one in settled)
    scan = Scan(path, {field: forms.get(field, "VARCHAR") for field in used}, whole=as_object, contents=contents)
    same = identity.expression(table, scan)
    names = [sql.name(one.column.name) for one in settled]
    values = {one.column.name: value(one, scan, there) for one in settled}
    if isinstance(table.identity, ByEvent):
        values[columns.EVENT_ID.name] = identity.event_id(same)
    by_content = [one.column.name for one in settled if one.column.tells_content]
    values |= dict.fromkeys(by_content, scan.content)
    if as_object:
        custom = {field for field in kinds if field.removeprefix(RAW) in together}
        values[columns.CUSTOM_FIELDS.name] = _without(scan.line, {*every} - custom)
    chosen = sql.listed(f"{value} AS {sql.name(name)}" for name, value in values.items())
    if repeated is None:
        return _since(task, settled, f"SELECT {chosen} FROM {scan.source}")
    hashes = f"(SELECT h FROM read_parquet({sql.literal(repeated)}))"
    once = f"SELECT {chosen} FROM {scan.source} WHERE hash({same}) NOT IN {hashes}"
    several = f"SELECT {chosen}, {same} AS {SAME} FROM {scan.source} WHERE hash({same}) IN {hashes}"
    if isinstance(table.identity, ByEvent):
        # which of several is the first must not depend on the order of arrival
        others = [name for name in names if name != sql.name(columns.EVENT_ID.name)]
        event_id = f"{identity.event_id(SAME, sql.OCCURRENCE)} AS {sql.name(columns.EVENT_ID.name)}"
        again = f"SELECT {sql.listed([*others, event_id])} FROM ({_counted(several, sql.listed(others))})"
    else:
        # rows that only their content tells apart are counted, as events are; of others the latest is left
        counted = [f"{identity.occurring(name, sql.OCCURRENCE)} AS {name}" for name in map(sql.name, by_content)]
        held = "".join(f" OR {name} IS NOT NULL" for name in map(sql.name, by_content))
        chosen = sql.listed([*(name for name in names if name not in map(sql.name, by_content)), *counted])
        latest = _counted(several, _latest_first(table, settled, names))
        again = f"SELECT {chosen} FROM ({latest}) WHERE {sql.OCCURRENCE} = 1{held}"
    return _since(task, settled, f"SELECT {sql.listed(names)} FROM ({once} UNION ALL BY NAME {again})")


def _form(one: Settled, identifying: Collection[str]) -> Form:
    """Return how the field of a column is read: with the least work for the database that keeps every value."""
    if one.rest or one.main.type is Type.JSON:
        return "JSON"
    if one.main.field in identifying or one.wire is not Wire.PLAIN:
        return "VARCHAR"
    return READ_AS.get(one.main.type, "VARCHAR")


def _without(line: str, fields: Collection[str]) -> str:
    """Return the expression of a row as an object, without *fields*; null if nothing is left."""
    # no merge patch: in each row it would take the memory of all these names
    member = sql.name("a member")
    members = f"map_entries(json_transform({line}, '\"MAP(VARCHAR, JSON)\"'))"
    known = sql.listed(map(sql.literal, sorted(fields)))
    others = f"list_filter({members}, lambda {member}: NOT list_contains([{known}]::VARCHAR[], {member}.key))"
    return f"nullif(to_json(map_from_entries({others})), '{{}}'::JSON)"


def _counted(several: str, order: str) -> str:
    return f"SELECT *, row_number() OVER (PARTITION BY {SAME} ORDER BY {order}) AS {sql.OCCURRENCE} FROM ({several})"


def value(one: Settled, scan: Scan, there: Collection[str]) -> str:
    """Return the expression of a column's value: null where the value goes to another column of its field."""
    column, main = one.column, one.main
    field = str(column.field)
    if columns.is_raw(column):
        field = f"{RAW}{field}"
        return scan.text(field) if field in there else "NULL::VARCHAR"
    if field not in there:
        return f"NULL::{types.SQL_TYPE[column.type]}"
    if scan.forms[field] == READ_AS.get(column.type) and column == main:
        return scan.value(field)
    text = scan.text(field)
    j = scan.json(field) if scan.forms[field] == "JSON" else text
    if not one.rest:
        return types.value(j, text, column.type, one.wire) if column == main else f"NULL::{types.SQL_TYPE[column.type]}"
    fits = types.fits(j, main.type, one.wire)
    if column == main:
        return f"CASE WHEN {fits} THEN {types.value(j, text, column.type, one.wire)} END"
    wanted = sum(kind for kind, type_ in types.TYPE_OF.items() if type_ is column.type)
    return (
        f"CASE WHEN NOT {fits} AND {types.kind(j)} & {wanted} <> 0 "
        f"THEN {types.value(j, text, column.type, Wire.PLAIN)} END"
    )


def _latest_first(table: Table, settled: list[Settled], names: list[str]) -> str:
    cursor = [f"{sql.name(one.column.name)} DESC NULLS LAST" for one in settled if _is_cursor(one.column, table)]
    return sql.listed([*cursor, *(f"{name} DESC NULLS LAST" for name in names)])


def _since(task: Task, settled: list[Settled], query: str) -> str:
    """Restrict a listing to rows whose replication key is not older than the start date; without one they stay."""
    if task.since is None:
        return query
    cursor = next(sql.name(one.column.name) for one in settled if _is_cursor(one.column, task.table))
    since = f"{sql.literal(task.since.isoformat())}::TIMESTAMPTZ"
    return f"SELECT * FROM ({query}) WHERE {cursor} >= {since} OR {cursor} IS NULL"


def _is_cursor(column: Column, table: Table) -> bool:
    return column.field == table.cursor and not column.variant
