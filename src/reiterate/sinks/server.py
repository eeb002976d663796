"""What databases behind a server share: raw files lie on this machine, and a DuckDB here reads them."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import duckdb

from reiterate import sql
from reiterate.sinks import spools
from reiterate.sinks.duckdb import CONFIG, WIDE
from reiterate.sinks.relational import RelationalSink

if TYPE_CHECKING:
    from pathlib import Path


DATA_STATES = ("22", "23", "44", "54000", "P0001")
"""
How SQLSTATEs begin of what is wrong with rows: their data, a constraint, a check of a view; an entry that is too large
for an index; and what a trigger raises.
"""


def refuses_data(sqlstate: str | None) -> bool:
    """Return whether a server refuses rows for their data, by the SQLSTATE of its error."""
    return sqlstate is not None and sqlstate.startswith(DATA_STATES)


class ServerSink(RelationalSink):
    """A schema of a database that other machines reach, too; the spool lies below the directory of temporary files."""

    def __init__(self, schema: str, dataset: str, shown: object, *, read_only: bool, run_id: str = "") -> None:
        super().__init__(schema, dataset, shown, run_id)
        self._read_only = read_only
        self._reader = duckdb.connect(config=CONFIG)
        self._reader.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")

    @property
    @abstractmethod
    def _place(self) -> str:
        """What tells this database from any other."""

    def _query(self, query: str, columns: int) -> duckdb.DuckDBPyRelation:
        """Return the rows of a batch's query; wide ones are read by one thread, for which there is memory."""
        self._reader.execute("SET threads = 1" if columns > WIDE else "RESET threads")
        return self._reader.sql(query)

    @property
    def _spools(self) -> Path:
        return spools.below_tmpdir(self._place, self.dataset)

    def _make_spool(self) -> None:
        super()._make_spool()
        self._reader.execute(f"SET temp_directory = {sql.literal(self.spool)}")

    def _let_go(self) -> None:
        self._reader.close()
