"""
From HTTP to committed rows: Reiterate into DuckDB and into PostgreSQL, and the floor, for four workloads.

The floor is what two public tools need for the same bytes: curl to a file, then DuckDB's ``read_json`` with the columns
given, into a table without key, ``_event_id`` or ledger. For the small windows it is one curl that keeps its
connection, a file for each window, and one ``read_json`` over all of them. The ways take turns; whole processes are
timed, start and import included. How fast the server alone is stands beside: curl to ``/dev/null``.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks import ways, workloads
from benchmarks.wire import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.figures import Figure
    from benchmarks.ways import Way
    from benchmarks.workloads import Workload

EVENTS, USERS, WINDOWS, ROWS_A_WINDOW = 1_000_000, 200_000, 50_000, 20
LONGEST_S = 300.0
"""So long the small windows may take; then what arrived until then is what counts."""

MOMENT = "%Y-%m-%d %H:%M:%S"


def measure(scale: float, runs: int) -> Iterator[Figure]:
    """Yield the figures of each workload, made one after the other."""
    events, users, windows = (max(int(number * scale), 100) for number in (EVENTS, USERS, WINDOWS))
    with ways.scratch() as directory, ways.postgres() as database:
        for workload in (
            workloads.opens(directory, events),
            workloads.sends(directory, events),
            workloads.users(directory, users),
        ):
            print(f"{workload.about}: {workload.rows:,} rows, {workload.size_bytes / 1e6:,.0f} MB", file=sys.stderr)
            with serving(workload.path, workload.data_type) as server:
                yield from ways.measure(workload, _ways(workload, server.url, database), runs)
            workload.remove()
        small = workloads.windows(directory, windows * ROWS_A_WINDOW, windows)
        with serving(small.path, small.data_type) as server:
            yield from ways.measure(small, _ways_of_windows(small, server.url, windows, directory), runs)


def _ways(workload: Workload, address: str, database: str) -> list[Way]:
    return [
        ways.reiterate_to_duckdb(workload, address),
        ways.floor(workload, address),
        ways.reiterate_to_postgres(workload, address, database),
        ways.server(address),
    ]


def _ways_of_windows(workload: Workload, address: str, number: int, directory: Path) -> list[Way]:
    return [
        replace(ways.reiterate_to_duckdb(workload, address), limit_s=LONGEST_S),
        floor_of_windows(workload, address, number, directory),
        server_of_windows(workload, address, number, directory),
    ]


def floor_of_windows(workload: Workload, address: str, number: int, directory: Path) -> Way:
    """Return the floor with a request for each window."""
    listed = _listed(workload, address, number, directory / "to-files", "raw{}.ndjson")
    whole = ways.floor(workload, address)
    return replace(whole, job=[[["curl", "--silent", "--fail", "--config", str(listed)]], *whole.job[1:]])


def server_of_windows(workload: Workload, address: str, number: int, directory: Path) -> Way:
    """Return what the server can do at most, window by window."""
    listed = _listed(workload, address, number, directory / "to-nowhere", "/dev/null")
    command = ["curl", "--silent", "--fail", "--parallel", "--parallel-max", "2", "--config", str(listed)]
    return replace(ways.server(address), job=[[command]])


def _listed(workload: Workload, address: str, number: int, target: Path, output: str) -> Path:
    """Write what curl is to download, window by window."""
    with target.open("w", encoding="ascii") as file:
        for each in range(number):
            start = workload.start + each * workload.window
            end = start + workload.window
            times = f"startDateTime={start:{MOMENT}}&endDateTime={end:{MOMENT}}".replace(" ", "%20")
            file.write(f'url = "{address}/api/export/data.json?{times}"\noutput = "{output.format(each)}"\n')
    return target
