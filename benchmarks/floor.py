"""
From HTTP to committed rows, against the floor: curl to a file, and DuckDB's read_json into a table.

    python benchmarks/floor.py [--opens 1000000] [--users 200000] [--runs 3]

Two loads: opens, and users with 300 fields of the project's own.

A server on this machine sends the same file to both; whole processes are timed from outside, in turns. Prints a table
in Markdown: medians, and the peak memory of the largest process.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from itertools import cycle, islice
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from reiterate.simulator import ServerOptions, Simulator, WorldOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PARTS_OF_FIVE = 3
KEY = "0123456789abcdef0123456789abcdef"
DAY_S = 86_400
YESTERDAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)

FLOOR = """
import duckdb, sys
with duckdb.connect(sys.argv[2]) as database:
    database.execute(f"CREATE TABLE opens AS SELECT * FROM read_json('{sys.argv[1]}', format='newline_delimited', "
        f"columns={sys.argv[3]})")
"""


def write_opens(target: Path, rows: int) -> dict[str, str]:
    """Write *rows* opens of one day, as the simulated brand has them; return their fields with DuckDB's types."""
    with Simulator(WorldOptions(days=1, events_per_day=20_000, seed=3), ServerOptions(api_key=KEY)) as simulator:
        opens = simulator.truth("email_open")
    with target.open("w", encoding="utf-8") as file:
        for number, row in enumerate(islice(cycle(opens), rows)):
            at = YESTERDAY + timedelta(seconds=number * DAY_S // rows)
            row["createdAt"] = f"{at:%Y-%m-%d %H:%M:%S} +00:00"
            row["messageId"] = hashlib.md5(str(number).encode()).hexdigest()
            file.write(json.dumps(row, separators=(",", ":")) + "\n")
    return {field: _type(row[field]) for row in opens for field in row}


def write_users(target: Path, rows: int) -> dict[str, str]:
    """Write *rows* users with 300 fields of mixed types, of which each has three in five; return as above."""
    random = Random(5)
    kinds: dict[str, Callable[[], Any]] = {
        **{
            f"favourite thing {n}": lambda: random.choice(("mugs", "plates", "a teapot of cast iron"))
            for n in range(100)
        },
        **{f"count{n}": lambda: random.randrange(10**6) for n in range(80)},
        **{f"score.{n}": random.random for n in range(40)},
        **{f"is_member_{n}": lambda: random.choice((True, False)) for n in range(30)},
        **{f"day{n}": lambda: f"{1950 + random.randrange(70)}-07-{random.randrange(1, 29):02}" for n in range(20)},
        **{f"lastVisit{n}": lambda: f"2026-01-14 06:{random.randrange(60):02}:22 +00:00" for n in range(20)},
        **{f"tags{n}": lambda: [random.randrange(100), random.randrange(100)] for n in range(10)},
    }
    with target.open("w", encoding="utf-8") as file:
        for number in range(rows):
            at = YESTERDAY + timedelta(seconds=number * DAY_S // rows)
            row = {"email": f"user{number}@example.com", "profileUpdatedAt": f"{at:%Y-%m-%d %H:%M:%S} +00:00"}
            row |= {field: value() for field, value in kinds.items() if random.randrange(5) < PARTS_OF_FIVE}
            file.write(json.dumps(row, separators=(",", ":")) + "\n")
    types = {field: _type(value()) for field, value in kinds.items()}
    return {"email": "VARCHAR", "profileUpdatedAt": "VARCHAR", **types}


def _type(value: Any) -> str:  # noqa: ANN401 (JSON is any)
    return {bool: "BOOLEAN", int: "BIGINT", float: "DOUBLE"}.get(type(value), "VARCHAR")


def serve(file: Path) -> ThreadingHTTPServer:
    """Answer every export with *file*, as fast as the system can send it."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if not self.path.startswith("/api/export/data.json"):
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(file.stat().st_size))
            self.end_headers()
            self.wfile.flush()
            with file.open("rb") as body:
                self.connection.sendfile(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def timed(commands: Sequence[Sequence[str]], directory: Path) -> tuple[float, float]:
    """Run *commands* one after the other; return seconds, and the peak memory of the largest in MB."""
    began = time.monotonic()
    peaks = []
    for command in commands:
        process = subprocess.Popen(command, cwd=directory, stdout=subprocess.DEVNULL, env=os.environ)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"{command[0]} ended with {os.waitstatus_to_exitcode(status)}")
        peaks.append(usage.ru_maxrss / 1000)
    return time.monotonic() - began, max(peaks)


def measure(load: str, table: str, source: Path, types: dict[str, str], rows: int, runs: int) -> None:
    """Time both ways in turns, and print a table."""
    directory = source.parent
    server = serve(source)
    address = f"http://127.0.0.1:{server.server_port}"
    os.environ |= {"ITERABLE_API_KEY": KEY, "ITERABLE_BASE_URL": address}
    ways = {
        "reiterate sync": [
            [
                *(sys.executable, "-m", "reiterate", "sync", "--tables", table),
                *("--start-date", f"{YESTERDAY:%m/%d/%Y}", "--rate-limit-factor", "1000000"),
                *("--destination", "new.duckdb"),
            ]
        ],
        "floor": [
            ["curl", "--silent", "--fail", "--output", "raw.ndjson", f"{address}/api/export/data.json"],
            [sys.executable, "-c", FLOOR, "raw.ndjson", "new.duckdb", str(types)],
        ],
    }
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for _ in range(runs):
        for way, commands in ways.items():
            found[way].append(timed(commands, directory))
            for file in directory.glob("new.duckdb*"):
                shutil.rmtree(file) if file.is_dir() else file.unlink()
    size_mb = source.stat().st_size / 1e6
    print(
        f"\n{load}: {rows:,} rows, {size_mb:,.0f} MB; medians of {runs}\n\n"
        "| | seconds | rows/s | MB/s | of the floor | peak memory |\n|---|---|---|---|---|---|"
    )
    medians = {way: [statistics.median(column) for column in zip(*runs, strict=True)] for way, runs in found.items()}
    for way, (seconds, peak) in medians.items():
        share = medians["floor"][0] / seconds
        print(
            f"| {way} | {seconds:.1f} | {rows / seconds:,.0f} | {size_mb / seconds:,.0f} | {share:.2f} "
            f"| {peak:,.0f} MB |"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--opens", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=200_000)
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, DuckDB {version('duckdb')}")
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "source.ndjson"
        if asked.opens:
            measure("opens", "email_open", source, write_opens(source, asked.opens), asked.opens, asked.runs)
        if asked.users:
            measure(
                "users of 300 own fields", "users", source, write_users(source, asked.users), asked.users, asked.runs
            )


if __name__ == "__main__":
    main()
