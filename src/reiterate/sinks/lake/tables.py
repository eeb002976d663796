"""
Tables as Parquet files: rows in the files, facts in a small DuckDB database beside them, the ledger.

    load ─► write files aside ─► ledger: fact and change in one transaction ─► make the change ─► strike it out
                                                │                                   ▲
                                                └─ the process died; the next one ──┘

What a load does to the files is noted with its fact before it is done, and may be done again, so rows and fact become
durable together. Of a load that died before that transaction, only files aside are left, and they are swept.
"""

from __future__ import annotations

import contextlib
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import duckdb

from reiterate import sql
from reiterate.catalog import TABLES
from reiterate.catalog.model import Type
from reiterate.errors import LoadError, SettingsError
from reiterate.sinks.duckdb import WIDE, DuckDBSink
from reiterate.sinks.lake.change import Change, Superseded, Written, staged
from reiterate.sinks.lake.labels import EMPTY, Label
from reiterate.sinks.lake.parquet import Parquet
from reiterate.sinks.lake.storage import FRESH_FILES, STAGED
from reiterate.sinks.lease import LEASE_TABLE
from reiterate.sinks.relational import FRESH, OWN_TABLES, READS, first_line, names_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from reiterate.flow import Batch
    from reiterate.ledger import Fact
    from reiterate.sinks.contract import Outcome, Run
    from reiterate.sinks.lake.change import Format

PENDING, FORMAT = "_reiterate_pending", "_reiterate_format"
FILE = "_reiterate_file"
"""A column in queries alone: the path of the file that a row is in."""

MOST_COLUMNS = 300
"""Whoever writes Parquet needs memory for each column beside what the rows take; with as many it stays below 500 MB."""

WIDE_GROUP_ROWS = 4_096
"""Rows of a row group in a file with many columns: a dictionary takes memory for a fifth of them, in each column."""

FULL_BYTES = 64 * 2**20
"""A file of this size gets no more rows: what a merge writes depends on what it merges, not on all that is there."""


@dataclass
class Draft:
    """A change of the files of a table that is being made."""

    load: int = field(default_factory=lambda: secrets.randbits(62))
    written: list[Written] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    fact: dict[str, str | None] = field(default_factory=dict)


class LakeTables(DuckDBSink):
    """
    The directory of a dataset, with one below it for each table; files are written in *staging*, on this machine.

    The ledger has a table without rows for each that is in files; it tells columns, types and their order. What is
    read anew lies as plain Parquet in ``_reiterate/new``, until it is whole.

    The lock of the ledger keeps a second process out. A sink that is *read_only* only tells what is there, a change
    included that was noted and not made.

    :raises SettingsError: when the directory cannot be used, or holds tables of another format
    :raises DestinationBusy: when another process has it open
    """

    most_columns = MOST_COLUMNS

    def __init__(
        self,
        files: Format,
        ledger: Path,
        staging: Path,
        *,
        read_only: bool = False,
        full_bytes: int = FULL_BYTES,
        run_id: str = "",
    ) -> None:
        self._files = files
        self._place = files.place
        self._full_bytes = full_bytes
        self.ERRORS = (duckdb.Error, *files.place.ERRORS, *files.ERRORS)
        self._checked = False
        self._drafts: dict[str, Draft] = {}
        self._pending: list[Change] = []
        self._touched: set[str] = set()
        self._cursors = {name: table.cursor for name, table in TABLES.items()}
        self._staging = staging
        self._unclean = True
        self._fresh_files = Parquet(files.place, FRESH_FILES)
        if not read_only:
            _make_directory(staging)
        super().__init__(ledger, files.place.dataset, read_only=read_only, run_id=run_id)
        if read_only:
            self._check_format()
            self._pending = self._noted()

    def _make_own_tables(self) -> None:
        super()._make_own_tables()
        self._do(f"CREATE TABLE IF NOT EXISTS {self._name(PENDING)} (load BIGINT, change JSON)")
        if not self._there(FORMAT):
            self._do(f"CREATE TABLE {self._name(FORMAT)} AS SELECT {sql.literal(self._files.NAME)} AS name")

    def _make_spool(self) -> None:
        self._check_format()
        self._checked = True
        super()._make_spool()
        try:
            self._settle()
        except BaseException:
            self.close()
            raise

    def _check_format(self) -> None:
        found = self._rows(f"SELECT name FROM {self._name(FORMAT)}") if self._there(FORMAT) else []
        # a ledger without any table is that of a process that died at once
        if not found or found == [(self._files.NAME,)]:
            return
        self._database.close()
        raise SettingsError(
            "The directory holds a dataset of another format.",
            hint="Name the format that it has, or another directory or dataset.",
            directory=self._place.url(""),
            wanted=self._files.NAME,
            found=found[0][0],
        )

    def load(self, batch: Batch, fact: Fact) -> Outcome:
        self._cursors.setdefault(batch.task.table.name, batch.task.table.cursor)
        return super().load(batch, fact)

    def finish(self, run: Run) -> None:
        super().finish(run)
        for table in self._touched:
            # what is not tidied up now is the next time
            with contextlib.suppress(*self.ERRORS):
                self._files_of(table).tidy(table)
        self._touched.clear()

    # ── changes of files ─────────────────────────────────────────────────────────────────────────────────────────────

    @contextlib.contextmanager
    def _atomic(self) -> Iterator[None]:
        if self._checked:
            # files are changed from here on
            self._check_file()
            self._settle()
        try:
            with self._of_ledger():
                yield
                for change in [self._change(table, draft) for table, draft in self._drafts.items()]:
                    values = f"{change.load}, {sql.literal(change.to_json())}"
                    self._do(f"INSERT INTO {self._name(PENDING)} VALUES ({values})")
            changed = {*self._drafts}
        except BaseException:
            self._unclean = True
            raise
        finally:
            self._drafts.clear()
        if changed:
            self._touched |= changed
            self._settle()

    @contextlib.contextmanager
    def _of_ledger(self) -> Iterator[None]:
        """Keep in the ledger all that happens inside, or nothing of it."""
        with super()._atomic():
            yield

    def _settle(self) -> None:
        """Make every change that is noted; what is staged besides belongs to loads that never came to be."""
        try:
            self._pending = self._noted()
            for change in tuple(self._pending):
                try:
                    self._files_of(change.table).apply(change)
                except Superseded:
                    self._take_back(change)
                self._do(f"DELETE FROM {self._name(PENDING)} WHERE load = {change.load}")
                self._pending.remove(change)
            if self._unclean:
                self._sweep()
        except self.ERRORS as error:
            raise LoadError(
                "A load is noted, but its files could not be brought into their table.",
                hint="It is completed by the next load or sync; see to it that the directory can be written.",
                directory=self._place.url(""),
                reason=first_line(error),
            ) from error

    def _sweep(self) -> None:
        """Remove what is staged of loads that never came to be."""
        for name in self._place.names(STAGED):
            self._place.remove(f"{STAGED}/{name}")
        for path in self._staging.iterdir():
            path.unlink()
        self._unclean = False

    def _take_back(self, change: Change) -> None:
        """Let what a load read count as not read, for its rows cannot be brought in: the next sync reads it again."""
        if change.fact:
            same = (f"{name} IS NOT DISTINCT FROM {sql.literal(value)}" for name, value in change.fact.items())
            self._do(f"DELETE FROM {self._name(READS)} WHERE {sql.listed(same, ' AND ')}")

    def _note(self, fact: Fact, called: str, added: int, changed: int, removed: int) -> None:
        super()._note(fact, called, added, changed, removed)
        start, end = (fact.window.start, fact.window.end) if fact.window else (None, None)
        for draft in self._drafts.values():
            draft.fact = {
                "run_id": fact.run_id,
                "table_name": called,
                "part": fact.part,
                "window_start": start.isoformat() if start else None,
                "window_end": end.isoformat() if end else None,
                "read_at": fact.read_at.isoformat(),
            }

    def _noted(self) -> list[Change]:
        if not self._there(PENDING):
            return []
        found = self._rows(f"SELECT change::VARCHAR FROM {self._name(PENDING)} ORDER BY rowid")
        return [Change.from_json(text) for (text,) in found]

    def _change(self, table: str, draft: Draft) -> Change:
        """Return what *draft* comes to; its files outlive the power from then on."""
        if self._files_of(table).ALL_FILES:
            self._keep_a_file(table, draft)
        for written in draft.written:
            if (self._staging / written.name).exists():
                self._place.bring(self._staging / written.name, staged(draft.load, written.name))
        self._place.sync(STAGED)
        types = {type_: name for name, type_ in self.TYPES.items()}
        change = Change(
            load=draft.load,
            table=table,
            columns={name: types.get(type_, Type.TEXT) for name, type_ in self._types(table).items()},
            cursor=self._cursor(table),
            written=tuple(draft.written),
            removed=tuple(draft.removed),
            fact=draft.fact,
            there=self._files_of(table).has(table),
        )
        if change.there:
            try:
                self._files_of(table).check(change)
            except Superseded as error:
                raise LoadError(
                    "Somebody else changed the files of a table during a load.",
                    table=table,
                    directory=self._place.url(""),
                ) from error
        return change

    def _keep_a_file(self, table: str, draft: Draft) -> None:
        """Let a table without rows have a file all the same: it shows that the table is there, and its columns."""
        names = {*self._names(table)}
        if not names:
            types = self._types(table)
            self._copy(f"SELECT {_written(types, types)} FROM {self._name(table)}", EMPTY)
            draft.written.append(Written(EMPTY, 0))
        elif names > {EMPTY}:
            draft.removed.append(EMPTY)

    def _draft(self, table: str) -> Draft:
        return self._drafts.setdefault(table, Draft())

    def _files_of(self, table: str) -> Format:
        """Return what says which files belong to *table*."""
        return self._fresh_files if table.startswith(FRESH) else self._files

    # ── tables ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _still_there(self, tables: Collection[str]) -> Collection[str]:
        return {table for table in super()._still_there(tables) if self._has(table)}

    def _column_names(self, table: str) -> list[str]:
        return super()._column_names(table) if self._has(table) else []

    def _has(self, table: str) -> bool:
        """Return whether a table is there that a person may have removed."""
        return (
            self._is_own(table) or table in self._drafts or self._noted_for(table) or self._files_of(table).has(table)
        )

    @staticmethod
    def _is_own(table: str) -> bool:
        """Return whether a table stands in the ledger alone."""
        return table in OWN_TABLES or table in {PENDING, FORMAT, LEASE_TABLE}

    def _noted_for(self, table: str) -> bool:
        return any(change.table == table for change in self._pending)

    def _make(self, table: str, columns: Mapping[str, Type], *, by: str | None = None) -> None:
        if not self._is_own(table):
            if self._files_of(table).has(table):
                raise LoadError(
                    "A table stands in the directory that the ledger does not know.",
                    hint="Move it away; the next sync makes it anew.",
                    table=table,
                    directory=self._place.url(""),
                )
            self._do(f"DROP TABLE IF EXISTS {self._name(table)}")
            self._draft(table)
        super()._make(table, columns, by=by)

    def _drop_table(self, table: str) -> None:
        self._drafts.pop(table, None)
        self._files_of(table).drop(table)
        super()._drop_table(table)

    def _types(self, table: str) -> dict[str, str]:
        """Return the columns of a table and their types, in order."""
        found = self._rows(
            f"""SELECT column_name, data_type FROM information_schema.columns
                WHERE table_catalog = current_database() AND table_schema = {sql.literal(self.dataset)}
                AND table_name = {sql.literal(table)} ORDER BY ordinal_position"""
        )
        return dict(found)

    def _cursor(self, table: str) -> str | None:
        cursor = self._cursors.get(table.removeprefix(FRESH))
        return names_of(self._columns(table)).get(cursor) if cursor else None

    # ── files ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _names(self, table: str) -> list[str]:
        """Return the names of the files of *table*, as they are once what is noted, or drafted, is done."""
        files = self._files_of(table)
        names = {*files.files(table)} if files.has(table) else set()
        for change in self._coming(table):
            names = names - {*change.removed} | {written.name for written in change.written}
        return sorted(names)

    def _path(self, table: str, name: str) -> str:
        """Return what DuckDB calls a file."""
        if (self._staging / name).exists() and self._writers(table, name):
            return str(self._staging / name)
        return self._place.read_by(self._file(table, name))

    def _writers(self, table: str, name: str) -> list[int]:
        """Return the loads that are noted, or drafted, and wrote a file, the latest first."""
        coming = reversed(self._coming(table))
        return [change.load for change in coming if any(written.name == name for written in change.written)]

    def _coming(self, table: str) -> list[Change | Draft]:
        """Return the changes of a table that are noted or drafted, in their order."""
        noted: list[Change | Draft] = [change for change in self._pending if change.table == table]
        return [*noted, self._drafts[table]] if table in self._drafts else noted

    def _file(self, table: str, name: str) -> str:
        """Return where a file is, below the root."""
        for load in self._writers(table, name):
            if self._place.has(staged(load, name)):
                return staged(load, name)
        return self._files_of(table).at(table, name)

    def _size(self, table: str, name: str) -> int:
        return self._place.size(self._file(table, name))

    def _all(self, table: str) -> str:
        return self._in(table, self._names(table))

    def _in(self, table: str, names: Collection[str]) -> str:
        """Return the table expression of the rows in files of *table*; each row knows its file."""
        if not names:
            return f"(SELECT *, NULL::VARCHAR AS {FILE} FROM {self._name(table)})"
        columns = (f"{sql.name(name)}::{type_} AS {sql.name(name)}" for name, type_ in self._types(table).items())
        paths = sql.listed(sql.literal(self._path(table, name)) for name in names)
        return f"""(SELECT {sql.listed(columns)}, {FILE} FROM (
            FROM {self._name(table)} UNION ALL BY NAME FROM read_parquet([{paths}],
                union_by_name = true, hive_partitioning = false, filename = {sql.literal(FILE)})))"""

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _replace(self, table: str, name: str, query: str) -> None:
        """Let the rows of *query* take the place of a file."""
        new = name if self._files_of(table).ALL_FILES else Label.on(name).new_name()
        rows = self._write_file(table, new, self._types(table), query)
        if not rows or new != name:
            self._draft(table).removed.append(name)

    def _write_file(self, table: str, name: str, columns: Collection[str], query: str) -> int:
        """Write the rows of *query* to a file that joins the table, unless there are none; return how many."""
        types = self._types(table)
        rows = self._copy(f"SELECT {_written(columns, types)} FROM ({query})", name)
        if not rows:
            (self._staging / name).unlink()
            return 0
        self._join(table, name, rows)
        return rows

    def _join(self, table: str, name: str, rows: int) -> None:
        """Let a staged file join its table."""
        self._draft(table).written.append(Written(name, rows, *self._range(table, name)))

    def _drafted_file(self, table: str, name: str) -> str:
        """Return what DuckDB calls a file of a draft, written by us or moved there."""
        here = self._staging / name
        return str(here) if here.exists() else self._place.read_by(staged(self._draft(table).load, name))

    def _copy(self, query: str, name: str) -> int:
        target = sql.literal(self._staging / name)
        if len(self._database.sql(query).columns) <= WIDE:
            return self._do(f"COPY ({query}) TO {target} (FORMAT parquet, COMPRESSION zstd)")
        # to read and to write many columns at once takes too much memory
        self._do(f"CREATE OR REPLACE TEMP TABLE written AS {query}")
        options = f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {WIDE_GROUP_ROWS}"
        rows = self._do(f"COPY written TO {target} ({options})")
        self._do("DROP TABLE written")
        return rows

    def _range(self, table: str, name: str) -> tuple[int | None, int | None]:
        """Return the bounds of the replication key in a staged file, by its own statistics."""
        if (cursor := self._cursor(table)) is None:
            return None, None
        file = sql.literal(self._drafted_file(table, name))
        ((first, last, nulls),) = self._rows(
            f"""SELECT epoch_us(min(stats_min_value::TIMESTAMPTZ)), epoch_us(max(stats_max_value::TIMESTAMPTZ)),
                    count(*) FILTER (stats_null_count IS DISTINCT FROM 0)
                FROM parquet_metadata({file}) WHERE path_in_schema = {sql.literal(cursor)}"""
        )
        return (None, None) if nulls else (first, last)


def _written(columns: Collection[str], types: Mapping[str, str]) -> str:
    """Return *columns* as they are written: Parquet has no type for JSON that every reader knows, so it is text."""
    return sql.listed(
        f"{column}::VARCHAR AS {column}" if types[one] == "JSON" else column
        for one, column in ((one, sql.name(one)) for one in columns)
    )


def _make_directory(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            "The directory of the destination cannot be made.",
            hint="Name one that you may write, and remove what is in its place.",
            directory=path,
            reason=error.strerror,
        ) from error
