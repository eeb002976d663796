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
from reiterate.flow import Write
from reiterate.sinks.duckdb import DuckDBSink
from reiterate.sinks.lake.change import Change, Superseded, Written, sync_file
from reiterate.sinks.lake.labels import EMPTY, Label
from reiterate.sinks.relational import OWN_TABLES, READS, cursor_of, first_line, names_in, names_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from reiterate.catalog.model import Table
    from reiterate.flow import Batch
    from reiterate.ledger import Fact
    from reiterate.sinks.contract import Outcome, Run
    from reiterate.sinks.lake.change import Format

PENDING, FORMAT = "_reiterate_pending", "_reiterate_format"
FILE, HIT = "_reiterate_file", "_reiterate_hit"
"""Columns in queries alone: the path of the file that a row is in, and whether the batch changes it."""

FULL_BYTES = 64 * 2**20
"""A file of this size gets no more rows: what a merge writes depends on what it merges, not on all that is there."""


@dataclass
class Draft:
    """A change of the files of a table that is being made."""

    load: int = field(default_factory=lambda: secrets.randbits(62))
    written: list[Written] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    fact: dict[str, str | None] = field(default_factory=dict)


class LakeSink(DuckDBSink):
    """
    The directory of a dataset, with one below it for each table, and ``_reiterate`` for the ledger.

    The names of files say what is in them, so a load reads and writes only files that its rows can touch. The ledger
    has a table without rows for each that is in files; it tells columns, types and their order.

    The lock of the ledger keeps a second process out. A sink that is *read_only* only tells what is there, a change
    included that was noted and not made.

    :raises SettingsError: when the directory cannot be used, or holds tables of another format
    :raises DestinationBusy: when another process has it open
    """

    MODES = False

    def __init__(self, files: Format, *, read_only: bool = False, full_bytes: int = FULL_BYTES) -> None:
        self._files = files
        self._full_bytes = full_bytes
        self.ERRORS = (duckdb.Error, OSError, *files.ERRORS)
        self._checked = False
        self._drafts: dict[str, Draft] = {}
        self._pending: list[Change] = []
        self._touched: set[str] = set()
        self._cursors = {name: table.cursor for name, table in TABLES.items()}
        ledger = self.ledger_at(files.root)
        self._staging = ledger.with_name("staged")
        if not read_only:
            _make_directory(self._staging)
        super().__init__(ledger, files.root.name, read_only=read_only)
        if read_only:
            self._check_format()
            self._pending = self._noted()

    @classmethod
    def ledger_at(cls, root: Path) -> Path:
        """Return the file of the ledger of the dataset in *root*."""
        return root / "_reiterate" / "ledger.duckdb"

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
            directory=self._files.root,
            wanted=self._files.NAME,
            found=found[0][0],
        )

    def load(self, batch: Batch, fact: Fact) -> Outcome:
        self._cursors.setdefault(batch.task.table.name, batch.task.table.cursor)
        return super().load(batch, fact)

    def drop(self, table: Table) -> None:
        with self._transaction(table=table.name):
            self._files.drop(table.name)
            self._forget_table(table.name)

    def finish(self, run: Run) -> None:
        super().finish(run)
        for table in self._touched:
            # what is not tidied up now is the next time
            with contextlib.suppress(*self.ERRORS):
                self._files.tidy(table)
        self._touched.clear()

    # ── changes of files ─────────────────────────────────────────────────────────────────────────────────────────────

    @contextlib.contextmanager
    def _atomic(self) -> Iterator[None]:
        if self._checked:
            self._settle()
        try:
            with super()._atomic():
                yield
                for change in [self._change(table, draft) for table, draft in self._drafts.items()]:
                    values = f"{change.load}, {sql.literal(change.to_json())}"
                    self._do(f"INSERT INTO {self._name(PENDING)} VALUES ({values})")
            changed = {*self._drafts}
        finally:
            self._drafts.clear()
        if changed:
            self._touched |= changed
            self._settle()

    def _settle(self) -> None:
        """Make every change that is noted; what is staged besides belongs to loads that never came to be."""
        try:
            self._pending = self._noted()
            for change in tuple(self._pending):
                try:
                    self._files.apply(change, self._staging)
                except Superseded:
                    self._take_back(change)
                self._do(f"DELETE FROM {self._name(PENDING)} WHERE load = {change.load}")
                self._pending.remove(change)
            for path in self._staging.iterdir():
                path.unlink()
        except self.ERRORS as error:
            raise LoadError(
                "A load is noted, but its files could not be brought into their table.",
                hint="It is completed by the next load or sync; see to it that the directory can be written.",
                directory=self._files.root,
                reason=first_line(error),
            ) from error

    def _take_back(self, change: Change) -> None:
        """Let what a load read count as not read, for its rows cannot be brought in: the next sync reads it again."""
        if change.fact:
            same = (f"{name} IS NOT DISTINCT FROM {sql.literal(value)}" for name, value in change.fact.items())
            self._do(f"DELETE FROM {self._name(READS)} WHERE {sql.listed(same, ' AND ')}")

    def _note(self, fact: Fact, called: str, added: int, changed: int, removed: int) -> None:
        super()._note(fact, called, added, changed, removed)
        if fact.table in self._drafts:
            start, end = (fact.window.start, fact.window.end) if fact.window else (None, None)
            self._drafts[fact.table].fact = {
                "run_id": fact.run_id,
                "table_name": fact.table,
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
        if self._files.ALL_FILES:
            self._keep_a_file(table, draft)
        for written in draft.written:
            sync_file(self._staging / written.name)
        types = {type_: name for name, type_ in self.TYPES.items()}
        change = Change(
            load=draft.load,
            table=table,
            columns={name: types.get(type_, Type.TEXT) for name, type_ in self._types(table).items()},
            cursor=self._cursor(table),
            written=tuple(draft.written),
            removed=tuple(draft.removed),
            fact=draft.fact,
        )
        if self._files.has(table):
            try:
                self._files.check(change)
            except Superseded as error:
                raise LoadError(
                    "Somebody else changed the files of a table during a load.",
                    table=table,
                    directory=self._files.root,
                ) from error
        return change

    def _keep_a_file(self, table: str, draft: Draft) -> None:
        """Let a table without rows have a file all the same: it shows that the table is there, and its columns."""
        names = {*self._names(table)} - {*draft.removed} | {written.name for written in draft.written}
        if not names:
            types = self._types(table)
            self._copy(f"SELECT {_written(types, types)} FROM {self._name(table)}", EMPTY)
            draft.written.append(Written(EMPTY, 0))
        elif names > {EMPTY}:
            draft.removed.append(EMPTY)

    def _draft(self, table: str) -> Draft:
        return self._drafts.setdefault(table, Draft())

    # ── tables ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _still_there(self, tables: Collection[str]) -> Collection[str]:
        return {table for table in super()._still_there(tables) if self._has(table)}

    def _column_names(self, table: str) -> list[str]:
        return super()._column_names(table) if self._has(table) else []

    def _has(self, table: str) -> bool:
        """Return whether a table is there that a person may have removed."""
        return self._is_own(table) or table in self._drafts or self._noted_for(table) or self._files.has(table)

    @staticmethod
    def _is_own(table: str) -> bool:
        """Return whether a table stands in the ledger alone."""
        return table in OWN_TABLES or table in {PENDING, FORMAT}

    def _noted_for(self, table: str) -> bool:
        return any(change.table == table for change in self._pending)

    def _make(self, table: str, columns: Mapping[str, Type], *, by: str | None = None) -> None:
        if not self._is_own(table):
            if self._files.has(table):
                raise LoadError(
                    "A table stands in the directory that the ledger does not know.",
                    hint="Move it away; the next sync makes it anew.",
                    table=table,
                    directory=self._files.root,
                )
            self._do(f"DROP TABLE IF EXISTS {self._name(table)}")
            self._draft(table)
        super()._make(table, columns, by=by)

    def _types(self, table: str) -> dict[str, str]:
        """Return the columns of a table and their types, in order."""
        found = self._rows(
            f"""SELECT column_name, data_type FROM information_schema.columns
                WHERE table_catalog = current_database() AND table_schema = {sql.literal(self.dataset)}
                AND table_name = {sql.literal(table)} ORDER BY ordinal_position"""
        )
        return dict(found)

    def _cursor(self, table: str) -> str | None:
        cursor = self._cursors.get(table)
        return names_of(self._columns(table)).get(cursor) if cursor else None

    # ── files ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _names(self, table: str) -> list[str]:
        """Return the names of the files of *table*, as they are once what is noted is done."""
        names = {*self._files.files(table)} if self._files.has(table) else set()
        for change in self._pending:
            if change.table == table:
                names = names - {*change.removed} | {written.name for written in change.written}
        return sorted(names)

    def _path(self, table: str, name: str) -> Path:
        staged = self._staging / name
        return staged if self._noted_for(table) and staged.exists() else self._files.path(table, name)

    def _all(self, table: str) -> str:
        return self._in(table, self._names(table))

    def _touchable(self, batch: Batch) -> str:
        return self._in(batch.task.table.name, self._candidates(batch))

    def _candidates(self, batch: Batch) -> list[str]:
        """Return the names of the files that may hold rows of the batch's scope."""
        label = Label.of(batch)
        return [name for name in self._names(batch.task.table.name) if label.may_touch(name)]

    def _in(self, table: str, names: Collection[str]) -> str:
        """Return the table expression of the rows in files of *table*; each row knows its file."""
        if not names:
            return f"(SELECT *, NULL::VARCHAR AS {FILE} FROM {self._name(table)})"
        columns = (f"{sql.name(name)}::{type_} AS {sql.name(name)}" for name, type_ in self._types(table).items())
        paths = sql.listed(sql.literal(self._path(table, name)) for name in names)
        return f"""(SELECT {sql.listed(columns)}, {FILE} FROM (
            FROM {self._name(table)} UNION ALL BY NAME FROM read_parquet([{paths}],
                union_by_name = true, hive_partitioning = false, filename = {sql.literal(FILE)})))"""

    # ── rows ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _occupied(self, batch: Batch) -> bool:
        # what is merged joins files that are there, so that they stay few
        return not batch.new or super()._occupied(batch)

    def _append(self, batch: Batch) -> int:
        return self._write_file(batch.task.table.name, Label.of(batch).new_name(), names_in(batch), batch.query)

    def _rewrite(self, batch: Batch) -> tuple[int, int, int]:
        table, names = batch.task.table.name, self._candidates(batch)
        there, scope, same = self._in(table, names), self._bounds(batch), self._same(batch)
        with self._staged(batch, again=True) as staged:
            self._do(
                f"""CREATE OR REPLACE TEMP TABLE hits AS
                    SELECT t.{FILE} AS file, s.rowid AS place, {self._differs(batch)} AS differs
                    FROM {there} AS t JOIN {staged} AS s ON {scope} AND {same}"""
            )
            gone = "false"
            if batch.task.write is Write.REPLACE:
                gone = f"({scope} AND NOT EXISTS (SELECT 1 FROM {staged} AS s WHERE {same}))"
            removed = self._by_file(f"SELECT t.{FILE} AS file FROM {there} AS t WHERE {gone}")
            changed = self._by_file("SELECT file FROM hits WHERE differs")
            added, home = self._add(batch, staged, names)
            paths = {str(self._path(table, name)): name for name in names}
            for name in {paths[path] for path in removed.keys() | changed.keys()} | home.keys():
                self._replace(table, name, f"{self._kept(batch, staged, name, gone)} {home.get(name, '')}")
        return added, sum(changed.values()), sum(removed.values())

    def _by_file(self, query: str) -> dict[str, int]:
        """Return how many rows of *query* are in each file."""
        return dict(self._rows(f"SELECT file, count(*) FROM ({query}) GROUP BY file"))

    def _kept(self, batch: Batch, staged: str, name: str, gone: str) -> str:
        """Return the query for the rows of one file, as *staged* changes them, without those that are *gone*."""
        table = batch.task.table.name
        path = sql.literal(self._path(table, name))
        ours = {*names_in(batch)}
        values = sql.listed(
            f"CASE WHEN s.{HIT} THEN s.{column} ELSE t.{column} END AS {column}" if one in ours else f"t.{column}"
            for one, column in ((one, sql.name(one)) for one in self._types(table))
        )
        return f"""SELECT {values} FROM {self._in(table, [name])} AS t LEFT JOIN (
                SELECT s.*, true AS {HIT} FROM {staged} AS s
                SEMI JOIN (FROM hits WHERE differs AND file = {path}) AS h ON h.place = s.rowid
            ) AS s ON {self._same(batch)} WHERE {gone} IS NOT TRUE"""

    def _add(self, batch: Batch, staged: str, names: Collection[str]) -> tuple[int, dict[str, str]]:
        """
        Write rows that are new to a file of their own, but for those that a file that is there has room for.

        Return how many are new, and what that file is to get besides its own, as it joins a query.
        """
        table, label = batch.task.table.name, Label.of(batch)
        new = f"FROM {staged} AS s ANTI JOIN hits ON hits.place = s.rowid"
        added = self._number(f"SELECT count(*) {new}")
        if not added:
            return 0, {}
        own, home = "true", {}
        with_room = [name for name in names if self._path(table, name).stat().st_size < self._full_bytes]
        if name := label.home(with_room):
            fits = Label.on(name).holds(f"s.{cursor_of(batch)}" if label.days else "")
            own = f"NOT {fits}"
            if self._number(f"SELECT count(*) {new} WHERE {fits}"):
                home = {name: f"UNION ALL BY NAME SELECT s.* {new} WHERE {fits}"}
        if label.days:
            cursor = f"s.{cursor_of(batch)}::DATE::VARCHAR"
            ((first, last),) = self._rows(f"SELECT min({cursor}), max({cursor}) {new} WHERE {own}")
            if first is None:
                return added, home
            label = Label((first, last))
        self._write_file(table, label.new_name(), names_in(batch), f"SELECT s.* {new} WHERE {own}")
        return added, home

    def _remove(self, table: str, condition: str) -> int:
        found = self._by_file(f"SELECT {FILE} AS file FROM {self._all(table)} AS t WHERE {condition}")
        paths = {str(self._path(table, name)): name for name in self._names(table)}
        for name in map(paths.__getitem__, found):
            self._replace(table, name, f"SELECT * FROM {self._in(table, [name])} AS t WHERE ({condition}) IS NOT TRUE")
        return sum(found.values())

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _replace(self, table: str, name: str, query: str) -> None:
        """Let the rows of *query* take the place of a file."""
        new = name if self._files.ALL_FILES else Label.on(name).new_name()
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
        self._draft(table).written.append(Written(name, rows, *self._range(table, name)))
        return rows

    def _copy(self, query: str, name: str) -> int:
        return self._do(f"COPY ({query}) TO {sql.literal(self._staging / name)} (FORMAT parquet, COMPRESSION zstd)")

    def _range(self, table: str, name: str) -> tuple[int | None, int | None]:
        """Return the bounds of the replication key in a staged file, by its own statistics."""
        if (cursor := self._cursor(table)) is None:
            return None, None
        file = sql.literal(self._staging / name)
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
