"""What loads do to tables in files: rows are added, changed and removed by writing the files anew that hold them."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from reiterate import sql
from reiterate.flow import Write
from reiterate.sinks.lake.change import staged
from reiterate.sinks.lake.labels import EMPTY, Label
from reiterate.sinks.lake.storage import OWN, STAGED, Local
from reiterate.sinks.lake.tables import FILE, FULL_BYTES, LakeTables
from reiterate.sinks.relational import (
    SNAPSHOT_DATE,
    VALID_FROM,
    VALID_TO,
    cursor_of,
    history_of,
    names_in,
    snapshots_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from reiterate.catalog.model import Table
    from reiterate.flow import Batch, Column
    from reiterate.sinks.doubled import Doubled
    from reiterate.sinks.lake.change import Format
    from reiterate.sinks.relational import Kept

HIT = "_reiterate_hit"
"""A column in queries alone: whether the batch changes a row."""


class Files(LakeTables):
    """
    Tables in files, and what loads do to them.

    The names of files say what is in them, so a load reads and writes only files that its rows can touch.
    """

    def _touchable(self, batch: Batch) -> str:
        return self._in(self._called(batch.task.table), self._candidates(batch))

    def _candidates(self, batch: Batch) -> list[str]:
        """Return the names of the files that may hold rows of the batch's scope."""
        return self._alike(self._called(batch.task.table), Label.of(batch))

    def _alike(self, table: str, label: Label) -> list[str]:
        """Return the names of the files of *table* that may hold rows of a label."""
        return [name for name in self._names(table) if label.may_touch(name)]

    # ── rows ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _occupied(self, batch: Batch) -> bool:
        # what is merged joins files that are there, so that they stay few
        return not batch.new or super()._occupied(batch)

    def _append(self, batch: Batch) -> int:
        return self._write_file(
            self._called(batch.task.table), Label.of(batch).new_name(), names_in(batch), batch.query
        )

    def _rewrite(self, batch: Batch) -> tuple[int, int, int]:
        table, names = self._called(batch.task.table), self._candidates(batch)
        there, scope, same = self._in(table, names), self._bounds(batch), self._same(batch)
        with self._recognised(batch, again=True) as staged:
            self._do(
                f"""CREATE OR REPLACE TEMP TABLE hits AS
                    SELECT t.{FILE} AS file, s.rowid AS place, {self._differs(batch)} AS differs
                    FROM {there} AS t JOIN {staged} AS s ON {scope} AND {same}"""
            )
            replaces = batch.task.write is Write.REPLACE
            gone = f"({scope} AND {self._gone(batch, staged)})" if replaces else self._told_anew(batch, staged)
            gone = gone or "false"
            removed = self._by_file(f"SELECT t.{FILE} AS file FROM {there} AS t WHERE {gone}")
            if replaces:
                self._hold(batch, sum(removed.values()))
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
        table = self._called(batch.task.table)
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
        table, label = self._called(batch.task.table), Label.of(batch)
        new = f"FROM {staged} AS s ANTI JOIN hits ON hits.place = s.rowid"
        added = self._number(f"SELECT count(*) {new}")
        if not added:
            return 0, {}
        own, home = "true", {}
        if name := self._home(table, label, names):
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

    def _home(self, table: str, label: Label, names: Collection[str]) -> str | None:
        """Return which of *names* has room for more rows of a label."""
        alike = [name for name in names if label.home([name])]
        return next((name for name in reversed(alike) if self._size(table, name) < self._full_bytes), None)

    def _remove(self, table: str, condition: str) -> int:
        found = self._by_file(f"SELECT {FILE} AS file FROM {self._all(table)} AS t WHERE {condition}")
        paths = {str(self._path(table, name)): name for name in self._names(table)}
        for name in map(paths.__getitem__, found):
            self._replace(table, name, f"SELECT * FROM {self._in(table, [name])} AS t WHERE ({condition}) IS NOT TRUE")
        return sum(found.values())

    def _find_doubled(self, table: Table) -> None:
        """Do nothing: a temporary table is enough."""

    def _replace_doubled(self, doubled: Doubled) -> int:
        if not self._number(doubled.number):
            return 0
        self._do(f"CREATE OR REPLACE TEMP TABLE chosen AS {doubled.chosen}")
        removed = self._remove(doubled.name, doubled.replaced_by("chosen"))
        kept = self._number("SELECT count(*) FROM chosen")
        self._write_file(doubled.name, Label().new_name(), doubled.names, "FROM chosen")
        return removed - kept

    def _put_in_place(self, table: str, fresh: str, columns: Collection[str]) -> None:  # noqa: ARG002 (all it has)
        draft = self._draft(table)
        draft.removed += [name for name in self._names(table) if name != EMPTY]
        for name in self._names(fresh):
            if name != EMPTY:
                self._place.move(self._file(fresh, name), staged(draft.load, name))
                file = sql.literal(self._drafted_file(table, name))
                self._join(table, name, self._number(f"SELECT sum(num_rows) FROM parquet_file_metadata({file})"))

    # ── what rows were ───────────────────────────────────────────────────────────────────────────────────────────────

    def _keep_history(self, table: Table, columns: Collection[Column], kept: Kept) -> None:
        label, history, moment = Label.of_part(kept.part), history_of(table), sql.literal(kept.at)
        now = self._in(table.name, self._alike(table.name, label))
        same, differ = self._versions(table, columns)
        is_open, valid_to = f"h.{sql.name(VALID_TO)} IS NULL", sql.name(VALID_TO)
        ended = f"EXISTS (SELECT 1 FROM {now} AS t WHERE {kept.scope} AND {same} AND {differ})"
        if kept.gone:
            ended += f" OR ({kept.of('h')} AND NOT EXISTS (SELECT 1 FROM {now} AS t WHERE {same}))"
        before = self._versions_before(table, columns, kept, now)
        ended = f"({is_open} AND ({' OR '.join([ended, *before])}))"
        names = self._alike(history, label)
        there = f"SELECT 1 FROM {self._in(history, names)} AS h WHERE {is_open} AND {same} AND NOT {differ}"
        begun = f"""SELECT {_named(columns)}, {moment} AS {sql.name(VALID_FROM)}, NULL::TIMESTAMPTZ AS {valid_to}
            FROM {now} AS t WHERE {kept.scope} AND NOT EXISTS ({there})"""
        values = f"* REPLACE (CASE WHEN {ended} THEN {moment} ELSE {valid_to} END AS {valid_to})"
        self._revise(history, label, names, hit=ended, new=begun, rest=lambda file: f"SELECT {values} FROM {file} AS h")

    def _keep_snapshot(self, table: Table, columns: Collection[Column], kept: Kept) -> None:
        part, snapshots, day = Label.of_part(kept.part), snapshots_of(table), kept.at.astimezone(UTC).date().isoformat()
        now = self._in(table.name, self._alike(table.name, part))
        # a part has files of its own; where a table is read whole, a day has
        label = part if kept.part else Label((day, day))
        names = self._alike(snapshots, label)
        same, differ = self._versions(table, columns)
        of_day = f"h.{sql.name(SNAPSHOT_DATE)} = {kept.day}"
        others = (
            f"({of_day} AND {kept.of('h')} AND NOT EXISTS (SELECT 1 FROM {now} AS t WHERE {same} AND NOT {differ}))"
        )
        there = f"SELECT 1 FROM {self._in(snapshots, names)} AS h WHERE {of_day} AND {same} AND NOT {differ}"
        new = f"""SELECT {_named(columns)}, {kept.day} AS {sql.name(SNAPSHOT_DATE)} FROM {now} AS t
            WHERE {kept.scope} AND NOT EXISTS ({there})"""
        self._revise(
            snapshots,
            label,
            names,
            hit=others,
            new=new,
            rest=lambda file: f"SELECT * FROM {file} AS h WHERE {others} IS NOT TRUE",
        )

    def _versions(self, table: Table, columns: Collection[Column]) -> tuple[str, str]:
        """Return the conditions that ``h`` and ``t`` are the same row, and that they are two versions of it."""
        return self._same_row(table, columns, "h", "t"), f"({self._differ(columns, 'h', 't')})"

    def _revise(
        self, table: str, label: Label, names: Collection[str], *, hit: str, new: str, rest: Callable[[str], str]
    ) -> None:
        """
        Write those of the files *names* anew that have rows ``h`` which *hit* is true of, as *rest* queries them.

        The rows of the query *new* join the file that has room for rows of the *label*, or make one.
        """
        self._do(f"CREATE OR REPLACE TEMP TABLE revised AS {new}")
        home = self._home(table, label, names) if self._number("SELECT count(*) FROM revised") else None
        hits = self._by_file(f"SELECT h.{FILE} AS file FROM {self._in(table, names)} AS h WHERE {hit}")
        for name in names:
            if name == home or str(self._path(table, name)) in hits:
                joining = " UNION ALL BY NAME FROM revised" if name == home else ""
                self._replace(table, name, f"{rest(self._in(table, [name]))}{joining}")
        if home is None:
            columns = [name for (name, *_) in self._rows("DESCRIBE revised")]
            self._write_file(table, label.new_name(), columns, "FROM revised")


def _named(columns: Collection[Column]) -> str:
    return sql.listed(f"t.{sql.name(column.name)}" for column in columns)


class LakeSink(Files):
    """
    A directory of this machine, its ledger in ``_reiterate``.

    The lock of the ledger keeps a second process out.

    :raises SettingsError: when the directory cannot be used, or holds tables of another format
    :raises DestinationBusy: when another process has it open
    """

    def __init__(
        self, files: Format, *, read_only: bool = False, full_bytes: int = FULL_BYTES, run_id: str = ""
    ) -> None:
        if not isinstance(files.place, Local):
            raise TypeError(files.place)
        root = files.place.root
        super().__init__(
            files, ledger_at(root), root / STAGED, read_only=read_only, full_bytes=full_bytes, run_id=run_id
        )


def ledger_at(root: Path) -> Path:
    """Return the file of the ledger of the dataset in *root*."""
    return root / OWN / "ledger.duckdb"
