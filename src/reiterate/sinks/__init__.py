"""From batches to a destination; one module per way in."""

from __future__ import annotations

from reiterate.sinks.contract import Change, Outcome, Run, Sink, TableState
from reiterate.sinks.duckdb import DuckDBSink
from reiterate.sinks.places import look_at, sink_at
from reiterate.sinks.rehearsal import Rehearsal

__all__ = ["Change", "DuckDBSink", "Outcome", "Rehearsal", "Run", "Sink", "TableState", "look_at", "sink_at"]
