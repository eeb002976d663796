"""The rows of a batch one by one: to load some of them, and to tell of others what they are."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from reiterate import exact_json, sql
from reiterate.flow import RejectedRow, Write
from reiterate.parse.types import SQL_TYPE

if TYPE_CHECKING:
    from collections.abc import Collection

    from duckdb import DuckDBPyConnection

    from reiterate.flow import Batch, RawFile

NUMBER = sql.name("row number")


class Pieces:
    """The rows of *batch*, numbered from 0; they are written to a file beside the raw one."""

    def __init__(self, database: DuckDBPyConnection, batch: Batch) -> None:
        self._database = database
        self._batch = batch
        self._path = batch.raw.path.with_suffix(".pieces.parquet")
        database.execute(
            f"COPY (SELECT *, row_number() OVER () - 1 AS {NUMBER} FROM ({batch.query})) "
            f"TO {sql.literal(self._path)} (FORMAT parquet)"
        )
        ((self.rows,),) = database.execute(f"SELECT count(*) FROM read_parquet({sql.literal(self._path)})").fetchall()

    def piece(self, first: int, end: int) -> Batch:
        """Return the rows from *first* on, before *end*, to be merged: what else is there stays."""
        return replace(self._without(f"{NUMBER} < {first} OR {NUMBER} >= {end}", end - first), raw=self._merged)

    def beginning(self, end: int, refused: Collection[tuple[int, str]]) -> Batch:
        """Return the rows before *end* but for those that are *refused*, to be merged, too."""
        left_out = [number for number, _ in refused if number < end]
        numbers = sql.listed(map(str, left_out)) or "NULL"
        some = self._without(f"{NUMBER} >= {end} OR {NUMBER} IN ({numbers})", end - len(left_out))
        return replace(some, raw=self._merged)

    @property
    def _merged(self) -> RawFile:
        raw = self._batch.raw
        write = Write.MERGE if raw.task.write is Write.REPLACE else raw.task.write
        return replace(raw, task=replace(raw.task, write=write))

    def rest(self, refused: Collection[tuple[int, str]]) -> Batch:
        """Return the batch without those of its rows that are *refused*: number and reason."""
        if not refused:
            return self._without("false", self.rows)
        numbers = sql.listed(str(number) for number, _ in refused)
        rest = self._without(f"{NUMBER} IN ({numbers})", self.rows - len(refused))
        reasons = dict(refused)
        found = self._database.execute(
            f"SELECT {NUMBER}, to_json(r)::VARCHAR FROM ({self._all}) AS r "
            f"WHERE {NUMBER} IN ({numbers}) ORDER BY {NUMBER}"
        ).fetchall()
        return replace(rest, rejected=tuple(self._rejected(text, reasons[number]) for number, text in found))

    def _without(self, condition: str, rows: int) -> Batch:
        query = f"SELECT * EXCLUDE ({NUMBER}) FROM ({self._all}) WHERE ({condition}) IS NOT TRUE"
        return replace(self._batch, query=query, source_rows=rows)

    @property
    def _all(self) -> str:
        columns = [
            f"{sql.name(column.name)}::{SQL_TYPE[column.type]} AS {sql.name(column.name)}"
            for column in self._batch.columns
        ]
        return f"SELECT {sql.listed([*columns, NUMBER])} FROM read_parquet({sql.literal(self._path)})"

    def _rejected(self, text: str, reason: str) -> RejectedRow:
        members = [(name, value) for name, value in exact_json.members(text.encode()) if value is not None]
        row = exact_json.dumps(exact_json.Members(one for one in members if one[0] != NUMBER.strip('"')))
        return RejectedRow(row, hashlib.sha256(row.encode()).hexdigest(), reason)
