"""
A flame graph of the main workload: ``reiterate sync`` of opens into DuckDB, sampled by py-spy.

Only Python's frames are seen: what DuckDB does stands under the line that asked for it, in the thread that waits.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from benchmarks import ways, workloads
from benchmarks.environments import NotThere, environment
from benchmarks.figures import Figure, figure
from benchmarks.processes import JobError, spend
from benchmarks.wire import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROWS = 1_000_000


def draw(scale: float, target: Path) -> Iterator[Figure]:
    """Write the graph to *target*, and yield what the sync took under observation."""
    rows = max(int(ROWS * scale), 100)
    name = "reiterate sync under py-spy"
    try:
        with ways.scratch() as directory:
            workload = workloads.opens(directory, rows)
            with serving(workload.path, workload.data_type) as server:
                ((command,),), environ = ways.sync(workload, server.url, ways.TARGET)
                spy = [str(environment("py-spy") / "py-spy"), "record", "--threads", "--rate", "200"]
                spy += ["--format", "flamegraph", "--output", "flame.svg", "--"]
                spent = spend([[[*spy, *command]]], directory, environ)
            drawn = (directory / "flame.svg").read_text(encoding="utf-8")
            # where this machine keeps its programs is nobody's business
            target.write_text(re.sub(r"(?:/[\w.@+-]+)+/bin/", "", drawn), encoding="utf-8")
            yield figure(workload.about, name, [spent], rows=rows)
    except (NotThere, JobError) as error:
        yield Figure("emailOpen", name, failure=str(error).splitlines()[0])
