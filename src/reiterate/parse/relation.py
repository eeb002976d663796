"""
From a raw file to a batch: look at all rows once, settle columns and identity, then describe the rows as a query.

    raw file ─► fields ─► kinds of values, range of the cursor ─► columns ─► query
                   └────► rows that share an identity ──────────────────────┘

Nothing is inferred from a sample, and nothing of the file is held in memory.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import duckdb

from reiterate import sql
from reiterate.catalog.model import ByEvent, ByFirst, Field, Type, Wire
from reiterate.errors import MalformedRow
from reiterate.flow import Batch, Column
from reiterate.parse import columns, identity, types
from reiterate.parse.scan import Scan
from reiterate.parse.types import Kind

if TYPE_CHECKING:
    from pathlib import Path

    from reiterate.catalog.model import Table
    from reiterate.flow import RawFile

MEMORY_LIMIT = "300MB"

WIDE = 100
"""From so many fields on one thread parses: the buffers of several do not fit into the memory."""

SAME, OCCURRENCE = sql.name("same row"), sql.name("occurrence number")
"""Helper columns; no table's column has a space in its name."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Parser:
    """
    Types raw files; holds a DuckDB of its own, in memory, that spills to *directory*.

    Not for several threads at once.
    """

    def __init__(self, directory: Path) -> None:
        self._database = duckdb.connect(
            config={
                "memory_limit": MEMORY_LIMIT,
                "preserve_insertion_order": "false",
                "temp_directory": str(directory),
            }
        )
        self._database.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        self._threads = os.cpu_count() or 1

    def close(self) -> None:
        self._database.close()

    def parse(self, raw: RawFile, known: tuple[Column, ...]) -> Batch:
        """
        Return the typed rows of *raw*, for a table that has the columns *known* in the destination (none: a new one).

        Every field of every row has a column: a known one where that holds the value exactly, else a new one.

        :raises MalformedRow: when a line is not a JSON object
        """
        table = raw.task.table
        try:
            fields = self._fields(raw.path)
            plan = Plan(table, columns.with_catalog(table, known))
            look = self._look(raw, plan, fields)
            settled = plan.settle(look.kinds)
            repeated = self._repeated(raw, fields)
        except duckdb.Error as error:
            raise MalformedRow(table=table.name, reason=str(error).splitlines()[0][:300]) from error
        return Batch(
            raw=raw,
            columns=tuple(one.column for one in settled),
            key=identity.key(table, [one.column for one in settled]),
            first_of=isinstance(table.identity, ByFirst),
            cursor_range=look.cursor_range,
            query=_query(raw, settled, look.kinds, repeated),
            source_rows=look.rows,
        )

    def _fields(self, path: Path) -> tuple[str, ...]:
        """Return every field that occurs in the file, in alphabetical order."""
        found = self._database.execute(
            f"SELECT DISTINCT unnest(json_keys(json)) FROM read_ndjson_objects({sql.literal(path)})"
        ).fetchall()
        self._database.execute(f"SET threads = {1 if len(found) > WIDE else self._threads}")
        return tuple(sorted(field for (field,) in found))

    def _look(self, raw: RawFile, plan: Plan, fields: tuple[str, ...]) -> Look:
        """Look at every value of every row once."""
        scan = Scan(raw.path, dict.fromkeys(fields, True))
        cursor = raw.task.table.cursor
        instant = types.instant(scan.text(cursor)) if cursor in fields else "NULL::TIMESTAMPTZ"
        kinds = [f"coalesce(bit_or({plan.kind(field, scan.json(field))}), 0)" for field in fields]
        expressions = [
            "count(*)",
            "count(*) FILTER (left(ltrim(line), 1) = '{')",
            f"epoch_us(min({instant}))",
            f"epoch_us(max({instant}))",
            f"count({instant})",
            *kinds,
        ]
        found = self._database.execute(f"SELECT {sql.listed(expressions)} FROM {scan.source}").fetchone()
        rows, objects, first, last, dated, *kinds_found = found or ()
        if objects != rows:
            raise MalformedRow(
                "Lines of an answer are not JSON objects.", table=raw.task.table.name, lines=rows - objects
            )
        return Look(
            rows=rows,
            cursor_range=(_moment(first), _moment(last)) if rows and dated == rows else None,
            kinds={field: Kind(kind) for field, kind in zip(fields, kinds_found, strict=True)},
        )

    def _repeated(self, raw: RawFile, fields: tuple[str, ...]) -> Path | None:
        """Write the hashes of identities that several rows share to a file beside *raw*; return it if there are any."""
        table = raw.task.table
        scan = Scan(raw.path, {field: False for field in fields if field in identity.fields(table)})
        target = raw.path.with_suffix(".repeated.parquet")
        count = self._database.execute(
            f"COPY (SELECT hash({identity.expression(table, scan)}) AS h FROM {scan.source} "
            f"GROUP BY h HAVING count(*) > 1) TO {sql.literal(target)} (FORMAT parquet)"
        ).fetchone()
        return target if count and count[0] else None


@dataclass(frozen=True)
class Look:
    """What the rows of one file hold."""

    rows: int
    cursor_range: tuple[datetime, datetime] | None
    kinds: dict[str, Kind]


def _moment(epoch_us: int) -> datetime:
    return EPOCH + timedelta(microseconds=epoch_us)


@dataclass(frozen=True)
class Settled:
    """A column, and which values of its field go there: those that fit the field's first column, or the *rest*."""

    column: Column
    wire: Wire
    main: Column
    rest: bool
    """whether some values of the field do not fit its first column"""


class Plan:
    """The columns of one table, before and after a file was looked at."""

    def __init__(self, table: Table, known: tuple[Column, ...]) -> None:
        self._table = table
        self._known = known
        self._main = {column.field: column for column in known if column.field is not None and not column.variant}

    def kind(self, field: str, j: str) -> str:
        """Return the expression that tells what a value is, and whether its known column holds it."""
        main = self._main.get(field)
        if main is None or main.type in {Type.TEXT, Type.DOUBLE, Type.BOOLEAN}:
            return types.kind(j)
        fits = types.fits(j, main.type, self._wire(field))
        return f"CASE WHEN {fits} THEN {Kind.FITTING:d} ELSE {types.kind(j)} END"

    def settle(self, kinds: dict[str, Kind]) -> list[Settled]:
        """Return all columns of the table: the known ones, then the new ones that *kinds* ask for."""
        found = {column.name: column for column in self._known}
        new = [field for field, kind in kinds.items() if kind and field not in self._main]
        mains = dict(self._main)
        for field, name in columns.named(new, found.keys()).items():
            mains[field] = Column(name, types.type_of(kinds[field]), field)
            found[name] = mains[field]
        rest = {
            field: types.rest(kinds.get(field, Kind(0)), main.type, self._wire(field)) for field, main in mains.items()
        }
        for field, left in rest.items():
            for kind in left:
                beside = columns.variant(mains[field], types.TYPE_OF[kind])
                found.setdefault(beside.name, beside)
        return [
            Settled(
                column,
                wire=self._wire(column.field),
                main=column if column.field is None else mains[column.field],
                rest=column.field is not None and bool(rest.get(column.field)),
            )
            for column in found.values()
        ]

    def _wire(self, field: str | None) -> Wire:
        known = self._table.field(field) if field is not None else None
        return (known or Field("")).wire


def _query(raw: RawFile, settled: list[Settled], kinds: dict[str, Kind], repeated: Path | None) -> str:
    table = raw.task.table
    there = {field for field, kind in kinds.items() if kind}
    as_json = {one.main.field for one in settled if one.rest or one.main.type is Type.JSON}
    scan = Scan(raw.path, {field: field in as_json for field in kinds if field in there | {*identity.fields(table)}})
    same = identity.expression(table, scan)
    names = [sql.name(one.column.name) for one in settled]
    values = {
        one.column.name: _value(one, scan) if one.column.field in there else f"NULL::{types.SQL_TYPE[one.column.type]}"
        for one in settled
    }
    if isinstance(table.identity, ByEvent):
        values[columns.EVENT_ID.name] = identity.event_id(same)
    chosen = sql.listed(f"{value} AS {sql.name(name)}" for name, value in values.items())
    if repeated is None:
        return _since(raw, settled, f"SELECT {chosen} FROM {scan.source}")
    hashes = f"(SELECT h FROM read_parquet({sql.literal(repeated)}))"
    once = f"SELECT {chosen} FROM {scan.source} WHERE hash({same}) NOT IN {hashes}"
    several = f"SELECT {chosen}, {same} AS {SAME} FROM {scan.source} WHERE hash({same}) IN {hashes}"
    if isinstance(table.identity, ByEvent):
        # which of several is the first must not depend on the order of arrival
        others = [name for name in names if name != sql.name(columns.EVENT_ID.name)]
        event_id = f"{identity.event_id(SAME, OCCURRENCE)} AS {sql.name(columns.EVENT_ID.name)}"
        again = f"SELECT {sql.listed([*others, event_id])} FROM ({_counted(several, sql.listed(others))})"
    else:
        latest = _counted(several, _latest_first(table, settled, names))
        again = f"SELECT {sql.listed(names)} FROM ({latest}) WHERE {OCCURRENCE} = 1"
    return _since(raw, settled, f"SELECT {sql.listed(names)} FROM ({once} UNION ALL BY NAME {again})")


def _counted(several: str, order: str) -> str:
    return f"SELECT *, row_number() OVER (PARTITION BY {SAME} ORDER BY {order}) AS {OCCURRENCE} FROM ({several})"


def _value(one: Settled, scan: Scan) -> str:
    """Return the expression of a column's value: null where the value goes to another column of its field."""
    column, main = one.column, one.main
    field = str(column.field)
    text = scan.text(field)
    j = scan.json(field) if scan.forms[field] else text
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


def _since(raw: RawFile, settled: list[Settled], query: str) -> str:
    """Restrict a listing to rows whose replication key is not older than the start date; without one they stay."""
    if raw.task.since is None:
        return query
    cursor = next(sql.name(one.column.name) for one in settled if _is_cursor(one.column, raw.task.table))
    since = f"{sql.literal(raw.task.since.isoformat())}::TIMESTAMPTZ"
    return f"SELECT * FROM ({query}) WHERE {cursor} >= {since} OR {cursor} IS NULL"


def _is_cursor(column: Column, table: Table) -> bool:
    return column.field == table.cursor and not column.variant
