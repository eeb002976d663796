"""From batches to a destination; one module per way in."""

from __future__ import annotations

from reiterate.sinks.contract import Outcome, Run, Sink, TableState
from reiterate.sinks.duckdb import DuckDBSink

__all__ = ["DuckDBSink", "Outcome", "Run", "Sink", "TableState"]
