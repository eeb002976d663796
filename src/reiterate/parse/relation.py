"""
From a raw file to a batch: look at all rows once, settle columns and identity, then describe the rows as a query.

    raw file ─► fields ─► kinds of values, range of the cursor ─► columns ─► query
                   └────► rows that share an identity ──────────────────────┘

Nothing is inferred from a sample, and nothing of the file is held in memory.

Of a large file it is hoped that its first rows have all fields, which saves a pass over it: DuckDB notices when that is
not so, and then the fields are looked for. In the same way most values are checked by a quick condition, and only
fields with values that do not fulfil it are looked at closely. Events of a large file that are all new can do without
any look (:mod:`reiterate.parse.supposed`): what is not as supposed makes the load fail, and then they are looked at.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import duckdb

from reiterate import exact_json, sql
from reiterate.catalog.model import ByEvent, ByFirst
from reiterate.errors import MalformedRow, SourceError, SpoolError
from reiterate.flow import Batch, Write
from reiterate.parse import identity, supposed
from reiterate.parse.apart import apart
from reiterate.parse.look import MANY, WIDE, Looks
from reiterate.parse.mend import NUL, RAW, is_fit, mend
from reiterate.parse.pieces import Pieces
from reiterate.parse.plan import Plan, documents
from reiterate.parse.query import query
from reiterate.parse.scan import Scan, fields_of_sample, notices_others
from reiterate.parse.types import Kind
from reiterate.windows import Window

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from reiterate.catalog.model import Table
    from reiterate.flow import Column, RawFile, Task
    from reiterate.parse.scan import Form

MEMORY_LIMIT = "300MB"

LINES_AT_ONCE = 100
"""A line may have 16 MB."""

VALUES_AT_A_TIME = 1_000

LARGE_BYTES = 16_000_000
"""After a file of more bytes the memory is worth freeing."""


class Unfit(Exception):
    """Rows hold what other databases do not take, in *fields* NaN or infinities where no number can stand."""

    def __init__(self, fields: frozenset[str] = frozenset()) -> None:
        super().__init__(*fields)
        self.fields = fields


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
        self._doubted: set[str] = set()
        self._looks = Looks()

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
        that would be more than *most_columns*, the fields that are left share one, as an object; of a field that has a
        column, others for values of another type may come beyond.

        :raises MalformedRow: when a line is not a JSON object
        :raises SpoolError: when somebody else has removed the file, or the disk is full
        :raises SourceError: when there is not enough memory for the rows
        """
        table, wide = raw.task.table.name, True
        try:
            batch = self._with_room(raw, known, most_columns)
        except duckdb.OutOfMemoryException as error:
            raise SourceError("There is not enough memory for such rows.", table=table, reason=_line(error)) from error
        except duckdb.Error as error:
            raise MalformedRow(table=table, reason=_line(error)) from error
        except OSError as error:
            raise SpoolError(table=table, reason=error.strerror) from error
        else:
            wide = len(batch.columns) > WIDE
            return batch
        finally:
            if raw.size_bytes > LARGE_BYTES or wide:
                # the sink needs the memory now
                self._database.close()
                self._database = self._open()

    def suppose(self, raw: RawFile, known: tuple[Column, ...]) -> Batch | None:
        """
        Return the rows of *raw*, for a table that has the columns *known*, without a look at them.

        That is for events of windows that were never read, in large files: None for all else, and for tables that are
        in :meth:`doubt`.
        """
        task, table, window = raw.task, raw.task.table, raw.task.scope
        new = task.write is Write.APPEND and isinstance(table.identity, ByEvent)
        if not isinstance(window, Window) or not new or raw.size_bytes < LARGE_BYTES or table.name in self._doubted:
            return None
        fields = self._sampled(raw)
        plan = Plan(task, known, raw.declared, None)
        if table.cursor not in fields or len(fields) > WIDE:
            return None
        if not all(task.shape.wants(field) and plan.main(field) for field in fields):
            return None
        settled, discarded = plan.settle({field: plan.sure_kind(field) for field in fields})
        again = supposed.again(task, settled, fields)
        if discarded or not again:
            return None
        return Batch(
            raw=raw,
            columns=tuple(one.column for one in settled),
            first_of=False,
            cursor_range=(window.start, window.end - timedelta(microseconds=1)),
            query=supposed.query(task, window, raw.path, plan, settled, fields),
            source_rows=raw.rows,
            again=again,
        )

    def _sampled(self, raw: RawFile) -> tuple[str, ...]:
        """Return the fields of the first rows; none if it would not be noticed that others have more."""
        with suppress(duckdb.Error, UnicodeDecodeError, OSError):  # a message may be cut inside a letter
            return (self._notices and fields_of_sample(self._database, raw.path)) or ()
        return ()

    def doubt(self, table: Table) -> None:
        """Suppose nothing more of *table*: its rows were not as supposed."""
        self._doubted.add(table.name)

    def apart(self, batch: Batch, raws: Sequence[RawFile]) -> bool:
        """Return whether it is sure that no row of one of *raws*, which are *batch* together, is a row of another."""
        return apart(self._database, batch, raws)

    def pieces(self, batch: Batch) -> Pieces:
        """Return the rows of *batch* one by one."""
        return Pieces(self._database, batch)

    def _with_room(self, raw: RawFile, known: tuple[Column, ...], most_columns: int | None) -> Batch:
        """Parse *raw* with all processors; with one if there is no memory for what several have under way."""
        self._database.execute("RESET threads")
        with suppress(duckdb.OutOfMemoryException):
            return self._mending(raw, known, most_columns)
        self._database.execute("SET threads = 1")
        return self._mending(raw, known, most_columns)

    def _mending(self, raw: RawFile, known: tuple[Column, ...], most_columns: int | None) -> Batch:
        finite: frozenset[str] = frozenset()
        try:
            return self._hoping(raw, known, most_columns) or self._parse(raw, raw.path, known, most_columns)
        except duckdb.OutOfMemoryException:
            raise
        except Unfit as error:
            finite = error.fields
        except duckdb.Error:  # perhaps because of characters that databases do not take
            pass
        mended = raw.path.with_suffix(".mended.ndjson")
        while True:
            mend(raw.path, mended, finite=finite, documents=documents(raw.task.table))
            try:
                return self._parse(raw, mended, known, most_columns)
            except Unfit as error:
                # which are to be finite shows only when all is mended besides
                finite |= error.fields

    def _hoping(self, raw: RawFile, known: tuple[Column, ...], most_columns: int | None) -> Batch | None:
        """Parse a large file in the hope that its first rows have all fields; return None if that may not be so."""
        table = raw.task.table.name
        if raw.size_bytes < LARGE_BYTES or table in self._unforeseen or not (fields := self._sampled(raw)):
            return None
        if len(fields) > MANY:  # those are looked at in turn
            return None
        try:
            return self._parse(raw, raw.path, known, most_columns, fields)
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
        :raises Unfit: when values are to be mended
        """
        table, shape = raw.task.table, raw.task.shape
        needed = table.needed
        every, unfit = (hoped_for, False) if hoped_for is not None else self._fields(table, path)
        fields = [field for field in every if shape.wants(field.removeprefix(RAW)) or field.removeprefix(RAW) in needed]
        plan = Plan(raw.task, known, raw.declared, most_columns)
        look = self._looks.look(
            self._database, table, path, plan, fields, others={*every} - {*fields} if hoped_for is not None else None
        )
        if hoped_for is not None and look.cursor_range is None:
            # DuckDB reads null as an object without fields
            raise Unforeseen
        if path == raw.path and (unfit or self._has_unfit(path, plan, look.kinds)):
            raise Unfit
        contents = None if look.distinct else self._contents(raw.task, path, fields)
        settled, discarded = plan.settle(look.kinds, by_content=contents is not None)
        if not_finite := plan.not_finite(look.kinds, settled):
            raise Unfit(not_finite)
        repeated = None if look.distinct else self._repeated(table, path, fields, contents)
        return Batch(
            raw=raw,
            columns=tuple(one.column for one in settled),
            first_of=isinstance(table.identity, ByFirst),
            cursor_range=look.cursor_range,
            query=query(raw.task, path, settled, look, every, plan.together, repeated=repeated, contents=contents),
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

    def _contents(self, task: Task, path: Path, fields: Sequence[str]) -> Path | None:
        """Write the md5 of lines that only their content tells apart, and the hash of that, to a file; None if none."""
        if not isinstance(task.table.identity, ByFirst):
            return None
        scan = Scan(path, _identifying(task.table, fields), whole=True)
        lines = self._database.execute(
            f"SELECT {scan.line}::VARCHAR FROM {scan.source} WHERE {identity.first(task.table, scan)} IS NULL"
        )
        if not (some := lines.fetchmany(LINES_AT_ONCE)):
            return None
        target, written = path.with_suffix(".contents.ndjson"), set[str]()
        with target.open("w", encoding="ascii") as file:
            while some:
                contents = {_md5(line): line for (line,) in some}
                for of_line in contents.keys() - written:
                    content = _content(contents[of_line].encode(), fields) or of_line
                    file.write(f"{json.dumps({'line': of_line, 'id': content})}\n")
                written |= contents.keys()
                some = lines.fetchmany(LINES_AT_ONCE)
        return target

    def _has_unfit(self, path: Path, plan: Plan, kinds: Mapping[str, Kind]) -> bool:
        """Return whether a value that seemed to be unfit is."""
        suspected = [field for field, kind in kinds.items() if kind & Kind.UNFIT]
        scan = Scan(path, dict.fromkeys(suspected, "JSON"))
        for field in suspected:
            text, condition = plan.suspected(field, scan.json(field))
            values = self._database.execute(f"SELECT {text} FROM {scan.source} WHERE {condition}")
            while some := values.fetchmany(VALUES_AT_A_TIME):
                if not all(is_fit(value) for (value,) in some):
                    return True
        return False

    def _repeated(self, table: Table, path: Path, fields: Sequence[str], contents: Path | None) -> Path | None:
        """Write the hashes of identities that several rows share to a file; return it if there are any."""
        scan = Scan(path, _identifying(table, fields), contents=contents)
        target = path.with_suffix(".repeated.parquet")
        count = self._database.execute(
            f"COPY (SELECT hash({identity.expression(table, scan)}) AS h FROM {scan.source} "
            f"GROUP BY h HAVING count(*) > 1) TO {sql.literal(target)} (FORMAT parquet)"
        ).fetchone()
        return target if count and count[0] else None


def _identifying(table: Table, fields: Sequence[str]) -> dict[str, Form]:
    """Return those of *fields* that may tell rows apart, as a scan reads them."""
    identifying = identity.fields(table)
    return {field: "VARCHAR" for field in fields if field.removeprefix(RAW) in identifying}


def _content(line: bytes, fields: Collection[str]) -> str:
    """Return the ``_content_id`` of those *fields* that a line has; empty if it is nested too deeply for Python."""
    try:
        return identity.content_id({name: value for name, value in exact_json.members(line) if name in {*fields}})
    except RecursionError:
        return ""


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _line(error: duckdb.Error) -> str:
    return str(error).splitlines()[0][:300]
