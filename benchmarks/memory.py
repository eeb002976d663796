"""
Twenty million opens in one window: peak memory, and the most that lay on the spool.

The window is larger than the spool may be (4 GB by default), so that Reiterate has to read it in pieces. Done once, for
it takes some minutes and 15 GB of disk.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks import ways, workloads
from benchmarks.figures import Figure, figure
from benchmarks.wire import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS = 20_000_000
BYTES_A_ROW = 900
"""The rows as they are sent, on the spool, and in the file, with room to spare."""


def measure(scale: float, _runs: int = 1) -> Iterator[Figure]:
    """Yield one figure: the whole walk into a new DuckDB file."""
    rows = max(int(ROWS * scale), 1000)
    about = f"{rows:,} emailOpen in one window"
    if not ways.free_space(rows * BYTES_A_ROW):
        yield Figure(about, "Reiterate → DuckDB", failure="the disk has not enough room")
        return
    with ways.scratch() as directory:
        workload = workloads.opens(directory, rows)
        print(f"{about}, {workload.size_bytes / 1e9:.1f} GB", file=sys.stderr)
        with serving(workload.path, workload.data_type) as server:
            spent, arrived = ways.take(workload, ways.reiterate_to_duckdb(workload, server.url), watch="*.spool")
            found = figure(about, "Reiterate → DuckDB", [spent], rows=arrived, size_bytes=workload.size_bytes)
            yield replace(found, facts={"spool_mb": spent.disk_mb, "requests": float(server.calls())})
