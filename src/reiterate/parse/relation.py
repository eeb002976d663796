"""
From a raw file to a batch: look at all rows once, settle columns and identity, then describe the rows as a query.

    raw file ─► fields ─► kinds of values, range of the cursor ─► columns ─► query
                   └────► rows that share an identity ──────────────────────┘

Nothing is inferred from a sample, and nothing of the file is held in memory.

Of a large file it is hoped that its first rows have all fields, which saves a pass over it: DuckDB notices when that is
not so, and then the fields are looked for. In the same way most values are checked by a quick condition, and only
fields with values that do not fulfil it are looked at closely.
"""

from __future__ import annotations

import json
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

import duckdb

from reiterate import sql
from reiterate.catalog.model import ByEvent, ByFirst, Field, Type, Wire
from reiterate.errors import MalformedRow, SchemaFrozen, SourceError, SpoolError
from reiterate.flow import Batch, Column
from reiterate.parse import columns, identity, types
from reiterate.parse.apart import apart
from reiterate.parse.mend import NUL, RAW, mend
from reiterate.parse.scan import Scan, fields_of_sample, notices_others
from reiterate.parse.types import Kind
from reiterate.shape import CustomFields, Policy

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from reiterate.catalog.model import Table
    from reiterate.flow import RawFile, Task
    from reiterate.parse.scan import Form

MEMORY_LIMIT = "300MB"

WIDE = 100
"""For more fields there is no memory for an expression each."""
LARGE_BYTES = 16_000_000
"""After a file of more bytes the memory is worth freeing."""

READ_AS: dict[Type, Form] = {Type.BIGINT: "BIGINT", Type.DOUBLE: "DOUBLE", Type.BOOLEAN: "BOOLEAN"}
"""Types whose values the database can read as such."""

SAME, OCCURRENCE = sql.name("same row"), sql.name("occurrence number")
"""Helper columns; no table's column has a space in its name."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Unfit(Exception):
    """Rows hold what other databases do not take."""


class Unforeseen(Exception):
    """A file is not what was hoped for."""


class Parser:
    """
    Types raw files; holds a DuckDB of its own, in memory, that spills to *directory*.

    Not for several threads at once.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._database = self._open()
        self._unforeseen: set[str] = set()
        self._unusual: set[tuple[str, str]] = set()

    def _open(self) -> duckdb.DuckDBPyConnection:
        database = duckdb.connect(
            config={
                "memory_limit": MEMORY_LIMIT,
                "preserve_insertion_order": "false",
                "temp_directory": str(self._directory),
            }
        )
        database.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        return database

    def close(self) -> None:
        self._database.close()

    def parse(self, raw: RawFile, known: tuple[Column, ...], *, most_columns: int | None = None) -> Batch:
        """
        Return the typed rows of *raw*, for a table that has the columns *known* in the destination (none: a new one).

        Every field of every row has a column: a known one where that holds the value exactly, else a new one. Where
        that would be more than *most_columns*, the fields that are left share one, as an object; second columns of a
        field do not count.

        :raises MalformedRow: when a line is not a JSON object
        :raises SpoolError: when somebody else has removed the file, or the disk is full
        :raises SourceError: when there is not enough memory for the rows
        """
        table = raw.task.table.name
        try:
            return self._with_room(raw, known, most_columns)
        except duckdb.OutOfMemoryException as error:
            raise SourceError("There is not enough memory for such rows.", table=table, reason=_line(error)) from error
        except duckdb.Error as error:
            raise MalformedRow(table=table, reason=_line(error)) from error
        except OSError as error:
            raise SpoolError(table=table, reason=error.strerror) from error
        finally:
            if raw.size_bytes > LARGE_BYTES:
                # the sink needs the memory now
                self._database.close()
                self._database = self._open()

    def apart(self, batch: Batch, raws: Sequence[RawFile]) -> bool:
        """Return whether it is sure that no row of one of *raws*, which are *batch* together, is a row of another."""
        return apart(self._database, batch, raws)

    def _with_room(self, raw: RawFile, known: tuple[Column, ...], most_columns: int | None) -> Batch:
        """Parse *raw* with all processors; with one if there is no memory for what several have under way."""
        self._database.execute("RESET threads")
        with suppress(duckdb.OutOfMemoryException):
            return self._mending(raw, known, most_columns)
        self._database.execute("SET threads = 1")
        return self._mending(raw, known, most_columns)

    def _mending(self, raw: RawFile, known: tuple[Column, ...], most_columns: int | None) -> Batch:
        try:
            return self._hoping(raw, known, most_columns) or self._parse(raw, raw.path, known, most_columns)
        except duckdb.OutOfMemoryException:
            raise
        except (duckdb.Error, Unfit):  # perhaps because of characters that databases do not take
            mended = raw.path.with_suffix(".mended.ndjson")
            mend(raw.path, mended, finite=raw.task.shape.custom_fields is CustomFields.JSON)
            return self._parse(raw, mended, known, most_columns)

    def _hoping(self, raw: RawFile, known: tuple[Column, ...], most_columns: int | None) -> Batch | None:
        """Parse a large file in the hope that its first rows have all fields; return None if that may not be so."""
        table = raw.task.table.name
        if raw.size_bytes < LARGE_BYTES or table in self._unforeseen or not self._notices:
            return None
        try:
            fields = fields_of_sample(self._database, raw.path)
            return None if fields is None else self._parse(raw, raw.path, known, most_columns, fields)
        except duckdb.OutOfMemoryException:
            raise
        except (duckdb.Error, UnicodeDecodeError, Unforeseen):  # DuckDB's message may be cut inside a letter
            self._unforeseen.add(table)
            return None

    @cached_property
    def _notices(self) -> bool:
        return notices_others(self._database, self._directory)

    def _parse(
        self,
        raw: RawFile,
        path: Path,
        known: tuple[Column, ...],
        most_columns: int | None,
        hoped_for: tuple[str, ...] | None = None,
    ) -> Batch:
        """
        Parse the lines of *path*, which is the raw file, or the same with values that do not fit aside.

        :raises duckdb.Error: when a row has another field than was *hoped_for*, among other reasons
        :raises Unforeseen: when a row of such a file may be no object
        """
        table, shape = raw.task.table, raw.task.shape
        needed = table.needed
        every, unfit = (hoped_for, False) if hoped_for is not None else self._fields(table, path)
        fields = [field for field in every if shape.wants(field.removeprefix(RAW)) or field.removeprefix(RAW) in needed]
        plan = Plan(raw.task, known, raw.declared, most_columns)
        look = self._look(table, path, plan, fields, others={*every} - {*fields} if hoped_for is not None else None)
        if path == raw.path and (unfit or look.unfit):
            raise Unfit
        if hoped_for is not None and look.cursor_range is None:
            # DuckDB reads null as an object without fields
            raise Unforeseen
        settled, discarded = plan.settle(look.kinds)
        repeated = None if look.distinct else self._repeated(table, path, fields)
        return Batch(
            raw=raw,
            columns=tuple(one.column for one in settled),
            key=identity.key(table, [one.column for one in settled]),
            first_of=isinstance(table.identity, ByFirst),
            cursor_range=look.cursor_range,
            query=_query(raw.task, path, settled, look, repeated, every, plan.together),
            source_rows=look.rows,
            repeats=repeated is not None,
            discarded=discarded,
        )

    def _fields(self, table: Table, path: Path) -> tuple[tuple[str, ...], bool]:
        """
        Return every field that occurs in the file, in alphabetical order, and whether NUL characters may be there.

        JSON allows them; PostgreSQL and others do not hold them.
        """
        found = self._database.execute(
            f"SELECT DISTINCT nul, unnest(keys) FROM (SELECT contains(json, {sql.literal(NUL)}) AS nul, "
            "CASE WHEN left(ltrim(json), 1) = '{' THEN json_keys(json) ELSE [NULL] END AS keys "
            f"FROM read_ndjson_objects({sql.literal(path)}))"
        ).fetchall()
        fields = {field for _, field in found}
        if None in fields:
            raise MalformedRow("Lines of an answer are not JSON objects.", table=table.name)
        return tuple(sorted(fields)), any(nul for nul, _ in found)

    def _look(
        self, table: Table, path: Path, plan: Plan, fields: Sequence[str], others: Collection[str] | None = None
    ) -> Look:
        """
        Look at every value of every row once, and at those of fields with unusual values twice.

        No row may have more than *fields* and *others*, if those are given.
        """
        complete = others is not None
        scan = Scan(path, dict.fromkeys([*fields, *(others or ())], "JSON"), complete=complete)
        cursor = table.cursor
        instant = types.instant_in(scan.json(cursor)) if cursor and cursor in fields else "NULL::TIMESTAMPTZ"
        sure = {} if len(fields) > WIDE else self._surely(table, plan, scan, fields)
        ordered, kinds_of, kinds = _kinds(plan, scan, [field for field in fields if field not in sure])
        expressions = [
            "count(*)",
            "count(DISTINCT same)",
            "coalesce(bool_and(clear), true)",
            "epoch_us(min(instant))",
            "epoch_us(max(instant))",
            "count(instant)",
            *kinds,
            *(f"[count(s{number}), count(*) FILTER (NOT s{number})]" for number, _ in enumerate(sure)),
            *(f"count(o{number})" for number, _ in enumerate(others or ())),
        ]
        same, clear = identity.likeness(table, scan, sure)
        rows_of = [
            *(f"{same} AS same", f"{clear} AS clear", f"{instant} AS instant", *kinds_of),
            *(f"{condition} AS s{number}" for number, condition in enumerate(sure.values())),
            *(f"{scan.json(field)} AS o{number}" for number, field in enumerate(others or ())),
        ]
        rows, different, clear, first, last, dated, *found = self._of_all(expressions, rows_of, scan)
        known = dict(zip(ordered, map(Kind, found), strict=False))
        unusual, full = [], []
        for field, (there, others_there) in zip(sure, found[len(ordered) :], strict=False):
            known[field] = plan.sure_kind(field) if there else Kind(0)
            if others_there:
                unusual.append(field)
            elif there == rows:
                full.append(field)
        if unusual:
            self._unusual.update((table.name, field) for field in unusual)
            closer = Scan(path, dict.fromkeys(unusual, "JSON"))
            ordered, kinds_of, kinds = _kinds(plan, closer, unusual)
            known |= zip(ordered, map(Kind, self._of_all(kinds, kinds_of, closer)), strict=True)
        return Look(
            rows=rows,
            distinct=clear and different == rows and not {*unusual}.intersection(identity.fields(table)),
            cursor_range=(_moment(first), _moment(last)) if rows and dated == rows else None,
            kinds=known,
            full=frozenset(full),
        )

    def _of_all(self, expressions: Iterable[str], of_rows: Iterable[str], scan: Scan) -> tuple[Any, ...]:
        """Return aggregates of what is worked out for each row."""
        query = f"SELECT {sql.listed(expressions)} FROM (SELECT {sql.listed(of_rows)} FROM {scan.source})"
        return self._database.execute(query).fetchall()[0]

    def _surely(self, table: Table, plan: Plan, scan: Scan, fields: Sequence[str]) -> dict[str, str]:
        """Return the quick conditions that the values of fields should fulfil, where there are any and they did yet."""
        found = {field: plan.surely(field, scan.json(field)) for field in fields}
        return {
            field: condition
            for field, condition in found.items()
            if condition is not None and (table.name, field) not in self._unusual
        }

    def _repeated(self, table: Table, path: Path, fields: Sequence[str]) -> Path | None:
        """Write the hashes of identities that several rows share to a file; return it if there are any."""
        identifying = identity.fields(table)
        forms: dict[str, Form] = {field: "VARCHAR" for field in fields if field.removeprefix(RAW) in identifying}
        scan = Scan(path, forms, whole=isinstance(table.identity, ByFirst))
        target = path.with_suffix(".repeated.parquet")
        count = self._database.execute(
            f"COPY (SELECT hash({identity.expression(table, scan)}) AS h FROM {scan.source} "
            f"GROUP BY h HAVING count(*) > 1) TO {sql.literal(target)} (FORMAT parquet)"
        ).fetchone()
        return target if count and count[0] else None


def _line(error: duckdb.Error) -> str:
    return str(error).splitlines()[0][:300]


def _kinds(plan: Plan, scan: Scan, fields: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
    """
    Return *fields* in an order, expressions of the kinds of a row's values, and those of all kinds that each field has.

    Thousands of fields would make thousands of long expressions, for which there is no memory: then one stands for all
    values of a sort, which takes longer for each value.
    """
    if len(fields) <= WIDE:
        of_rows = [f"{plan.kind(field, scan.json(field))} AS k{number}" for number, field in enumerate(fields)]
        return [*fields], of_rows, [f"coalesce(bit_or(k{number}), 0)" for number, _ in enumerate(fields)]
    sorts: dict[str, list[str]] = defaultdict(list)
    for field in fields:
        sorts[plan.kind(field, "j")].append(field)
    of_rows = [
        f"list_transform([{sql.listed(map(scan.json, of_a_sort))}], lambda j: {kind}) AS k{number}"
        for number, (kind, of_a_sort) in enumerate(sorts.items())
    ]
    of_fields = [
        f"coalesce(bit_or(k{number}[{place}]), 0)"
        for number, of_a_sort in enumerate(sorts.values())
        for place, _ in enumerate(of_a_sort, 1)
    ]
    return [*chain(*sorts.values())], of_rows, of_fields


@dataclass(frozen=True)
class Look:
    """What the rows of one file hold."""

    rows: int
    distinct: bool
    """whether it is sure that no two rows are the same"""
    cursor_range: tuple[datetime, datetime] | None
    kinds: dict[str, Kind]
    full: frozenset[str]
    """fields of which it is sure that every row has a value, some may be left out"""

    @property
    def unfit(self) -> bool:
        """Whether some value may be one that no database holds as JSON."""
        return any(kind & Kind.UNFIT for kind in self.kinds.values())


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

    together: frozenset[str] = frozenset()
    """fields without a column of their own that share one as an object, once all is settled"""

    def __init__(
        self, task: Task, there: tuple[Column, ...], declared: Mapping[str, Type], most_columns: int | None
    ) -> None:
        self._table = task.table
        self._most_columns = most_columns
        self._shape = task.shape
        self._declared = declared
        self._there = {*there}
        needed = task.table.needed
        self._known = [
            column
            for column in columns.with_catalog(task.table, there, task.shape)
            if column.field is None or column.field in needed or task.shape.wants(column.field)
        ]
        self._main = {column.field: column for column in self._known if column.field is not None and not column.variant}

    def surely(self, field: str, j: str) -> str | None:
        """Return a quick condition under which the known column of a field holds a value; None if there is none."""
        main = self._main.get(field)
        return None if main is None else types.surely(j, main.type, self._wire(field))

    def sure_kind(self, field: str) -> Kind:
        """Return what values are that fulfil the quick condition."""
        return Kind.BOOLEAN if self._main[field].type is Type.BOOLEAN else Kind.FITTING

    def kind(self, field: str, j: str) -> str:
        """Return the expression that tells what a value is, and whether its known column holds it."""
        return f"(CASE WHEN contains({j}, '{NUL}') THEN {Kind.UNFIT:d} ELSE {self._kind(field, j)} END)"

    def _kind(self, field: str, j: str) -> str:
        main = self._main.get(field)
        if main is None or main.type in {Type.DOUBLE, Type.BOOLEAN}:
            return types.kind(j)
        fits = types.fits(j, main.type, self._wire(field))
        fitting = f"{Kind.FITTING:d}"
        if main.type is Type.JSON:
            fitting = f"{fitting} + {types.unfit(j)}"
        other = types.kind(j, text=main.type is not Type.TEXT)
        return f"CASE WHEN {j} IS NULL THEN 0 WHEN {fits} THEN {fitting} ELSE {other} END"

    def settle(self, kinds: dict[str, Kind]) -> tuple[list[Settled], tuple[Column, ...]]:
        """
        Return all columns of the table, the known ones, then the new ones that *kinds* ask for, and those left out.

        :raises SchemaFrozen: when there are new ones that may not be
        """
        found = {column.name: column for column in self._known}
        raw = {field.removeprefix(RAW) for field in kinds if field.startswith(RAW)}
        kinds = {field: kind for field, kind in kinds.items() if not field.startswith(RAW)} | {
            field: kinds.get(field, Kind(0)) for field in raw
        }
        filled = {field for field, kind in kinds.items() if kind or field in raw}
        new = filled - self._main.keys()
        self.together = self._without_column(new, found.values())
        if self.together:
            found.setdefault(columns.CUSTOM_FIELDS.name, columns.CUSTOM_FIELDS)
            kinds = {field: kind for field, kind in kinds.items() if field not in self.together}
            raw -= self.together
            new -= self.together
        mains = dict(self._main)
        # fields that are declared and did not come yet have their names, too: the order of arrival does not matter
        expected = [field for field in self._declared if field not in self._main]
        names = columns.named({*new, *expected}, found.keys(), self._shape)
        for field in sorted(new):
            kind = kinds[field] or Kind.TEXT
            mains[field] = Column(names[field], types.type_of(kind, self._declared.get(field)), field)
            found[names[field]] = mains[field]
        for field in raw:
            beside = columns.raw(mains[field])
            found.setdefault(beside.name, beside)
        rest = {
            field: types.rest(kinds.get(field, Kind(0)), main.type, self._wire(field)) for field, main in mains.items()
        }
        for field, left in rest.items():
            for kind in left:
                beside = columns.variant(mains[field], types.TYPE_OF[kind])
                found.setdefault(beside.name, beside)
        discarded = self._refused(found.values(), filled)
        return [
            Settled(
                column,
                wire=self._wire(column.field),
                main=column if column.field is None else mains[column.field],
                rest=column.field is not None and bool(rest.get(column.field)),
            )
            for column in found.values()
            if column not in discarded
        ], tuple(column for column in discarded if column.field is None or column.field in filled)

    def _without_column(self, new: set[str], found: Collection[Column]) -> frozenset[str]:
        """Return the new fields that get no column of their own: by a person's wish, or for want of room."""
        if self._shape.custom_fields is CustomFields.JSON:
            return frozenset(new)
        if self._most_columns is None:
            return frozenset()
        room = self._most_columns - sum(not column.variant for column in found)
        if len(new) > room:
            room -= columns.CUSTOM_FIELDS not in found
            return frozenset(sorted(new)[max(room, 0) :])
        return frozenset()

    def _refused(self, wanted: Iterable[Column], filled: Collection[str]) -> list[Column]:
        """Return the columns that a table that is there may not get; a table that is new gets all."""
        if self._shape.policy is Policy.EVOLVE or not self._there:
            return []
        needed = self._table.needed
        refused = [
            column for column in wanted if column not in self._there and (column.variant or column.field not in needed)
        ]
        changes = [column.name for column in refused if column.field is None or column.field in filled]
        if changes and self._shape.policy is Policy.FREEZE:
            raise SchemaFrozen(table=self._table.name, new_columns=", ".join(changes))
        return refused

    def _wire(self, field: str | None) -> Wire:
        known = self._table.field(field) if field is not None else None
        return (known or Field("")).wire


def _query(
    task: Task,
    path: Path,
    settled: list[Settled],
    look: Look,
    repeated: Path | None,
    every: Collection[str],
    together: Collection[str],
) -> str:
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
    whole = as_object or (repeated is not None and isinstance(table.identity, ByFirst))
    scan = Scan(path, {field: forms.get(field, "VARCHAR") for field in used}, whole=whole)
    same = identity.expression(table, scan, look.full)
    names = [sql.name(one.column.name) for one in settled]
    values = {one.column.name: _value(one, scan, there) for one in settled}
    if isinstance(table.identity, ByEvent):
        values[columns.EVENT_ID.name] = identity.event_id(same)
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
        event_id = f"{identity.event_id(SAME, OCCURRENCE)} AS {sql.name(columns.EVENT_ID.name)}"
        again = f"SELECT {sql.listed([*others, event_id])} FROM ({_counted(several, sql.listed(others))})"
    else:
        latest = _counted(several, _latest_first(table, settled, names))
        again = f"SELECT {sql.listed(names)} FROM ({latest}) WHERE {OCCURRENCE} = 1"
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
    patch = sql.literal(json.dumps(dict.fromkeys(sorted(fields))))
    return f"nullif(json_merge_patch({line}, {patch}::JSON), '{{}}'::JSON)"


def _counted(several: str, order: str) -> str:
    return f"SELECT *, row_number() OVER (PARTITION BY {SAME} ORDER BY {order}) AS {OCCURRENCE} FROM ({several})"


def _value(one: Settled, scan: Scan, there: set[str]) -> str:
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
