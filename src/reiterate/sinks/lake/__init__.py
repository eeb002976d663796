"""Directories of Parquet files: plain, or with the log of Delta or Iceberg that says which files belong to a table."""

from __future__ import annotations

from reiterate.sinks.lake.change import Change, Format, Written
from reiterate.sinks.lake.parquet import Parquet
from reiterate.sinks.lake.sink import LakeSink, ledger_at
from reiterate.sinks.lake.storage import Local, Storage

__all__ = ["Change", "Format", "LakeSink", "Local", "Parquet", "Storage", "Written", "ledger_at"]
