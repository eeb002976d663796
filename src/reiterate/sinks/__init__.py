"""From batches to a destination; one module per way in."""

from __future__ import annotations

from reiterate.sinks.contract import Change, Outcome, Run, Sink, TableState
from reiterate.sinks.duckdb import DuckDBSink

__all__ = ["Change", "DuckDBSink", "Outcome", "Run", "Sink", "TableState"]
