"""
What it costs to do nothing: ``reiterate --help``, and syncs that find nothing new.

Of all export tables of the catalog, and of one alone: a first sync has read them, nothing has come since, and the
limits are out of the way, so that what is timed is all that a sync spends outside waiting for them. Calls are counted
by the server; one for each table is needed, for the overlap that is read again.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import reiterate
from benchmarks import ways, workloads
from benchmarks.figures import figure
from benchmarks.processes import spend
from benchmarks.wire import serving
from reiterate.catalog.model import Export

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.figures import Figure

DAYS = 7
HELPS = 10


def measure(_scale: float, runs: int) -> Iterator[Figure]:
    """Yield the figures; their size does not depend on the scale."""
    with ways.scratch() as directory:
        helps = [spend([[[sys.executable, "-m", "reiterate", "--help"]]], directory) for _ in range(HELPS)]
        yield figure("start", "reiterate --help", helps)
    exports = [table.name for table in reiterate.tables() if isinstance(table.read, Export)]
    for tables in (exports[:1], exports):
        yield _nothing_new(tables, runs)


def _nothing_new(tables: list[str], runs: int) -> Figure:
    with ways.scratch() as directory:
        workload = workloads.nothing(directory, workloads.MIDNIGHT - DAYS * workloads.DAY)
        with serving(workload.path, workload.data_type) as server:
            job, environ = ways.sync(replace(workload, table=",".join(tables)), server.url, ways.TARGET)
            spend(job, directory, environ)
            server.calls()
            spent = [spend(job, directory, environ) for _ in range(runs)]
            calls = server.calls() / runs
    found = figure("nothing new", f"sync of {len(tables)} export table{'s' * (len(tables) > 1)}", spent)
    return replace(found, facts={"calls": calls, "needed": float(len(tables))})
