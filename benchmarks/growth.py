"""
What a load costs as its table grows: windows of a million opens, one after the other, into DuckDB or PostgreSQL.

Each window goes the way of a sync from the raw file on, as a new window; after the last one, the first window is read
again and merged. The opens differ in time and message.
"""

from __future__ import annotations

import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import TYPE_CHECKING

from benchmarks import ways, workloads
from benchmarks.figures import Figure
from reiterate.api import Pacer
from reiterate.catalog import TABLES
from reiterate.flow import Failed, RawFile, Task, Write
from reiterate.parse import Parser
from reiterate.run import load
from reiterate.settings.addresses import destination_url
from reiterate.settings.model import Destination
from reiterate.sinks import sink_at
from reiterate.windows import Window

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from reiterate.flow import Loaded
    from reiterate.sinks import Sink

ROWS, WINDOW_ROWS = 20_000_000, 1_000_000
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def measure(scale: float, _runs: int = 1) -> Iterator[Figure]:
    """Yield a figure for each destination, whose seconds are those of its windows, and one for the merge."""
    rows = max(int(WINDOW_ROWS * scale), 100)
    with ways.scratch() as directory:
        yield from _into(f"{directory}/growth.duckdb", "DuckDB", directory, rows)
    with ways.scratch() as directory, ways.postgres() as database:
        yield from _into(database, "PostgreSQL", directory, rows)


def _into(url: str, name: str, directory: Path, rows: int) -> Iterator[Figure]:
    shape = workloads.Shape(workloads.events("email_open"), "createdAt", "messageId", workloads.hexadecimal)
    seconds = []
    with (
        closing(sink_at(Destination.of("x", destination_url(url), "iterable"))) as sink,
        closing(Parser(sink.spool)) as parser,
    ):
        for number in range(ROWS // WINDOW_ROWS):
            seconds.append(_load(sink, parser, _raw(directory, shape, number, rows, Write.APPEND))[0])
            print(f"  {name}, window {number + 1}: {seconds[-1]:.2f} s", file=sys.stderr)
        again_s, loaded = _load(sink, parser, _raw(directory, shape, 0, rows, Write.MERGE))
    yield Figure(name, "new windows", rows, seconds=seconds)
    changes = {"added": float(loaded.added), "changed": float(loaded.changed)}
    yield Figure(name, "the first window merged again", rows, seconds=[again_s], facts=changes)


def _raw(directory: Path, shape: workloads.Shape, number: int, rows: int, write: Write) -> RawFile:
    window = Window(FIRST + number * DAY, FIRST + (number + 1) * DAY)
    path = directory / f"{number:06d}.ndjson"
    workloads.write_rows(path, shape, rows, window.start, DAY, first=number * rows)
    found = path.stat()
    task = Task(TABLES["email_open"], window, write)
    return RawFile(task, path, rows, found.st_size, 1, datetime.now(UTC), 1.0, "direct", found.st_mtime_ns)


def _load(sink: Sink, parser: Parser, raw: RawFile) -> tuple[float, Loaded]:
    """Load one raw file as a run does, which removes it; return the seconds that took."""
    began = time.monotonic()
    loading = load(sink, parser, (raw,), "r", Pacer(factor=1, stop=Event()))
    loaded: Loaded | Failed | None = None
    while loaded is None:
        try:
            next(loading)
        except StopIteration as end:
            loaded = end.value
    took_s = time.monotonic() - began
    if isinstance(loaded, Failed):
        raise loaded.error
    return took_s, loaded
