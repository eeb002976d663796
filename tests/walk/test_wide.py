"""Tables with thousands of fields: all arrive, in any destination, and the process stays small."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from reiterate.simulator import ServerOptions, Simulator, WorldOptions
from tests import postgres, replica
from tests.conftest import KEY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FIELDS, ROWS = 10_000, 600
MOST_MB = 600
"""docs/exactness.md promises 1,000 for so many fields, and 500 for a tenth."""

MEASURE = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
"""A small process between the test and the sync: a new process counts what the one before it held."""

MOST_COLUMNS = {"duckdb": 500, "postgresql": 330, "parquet": 300, "delta": 300, "iceberg": 300}


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    """Custom events of a day that have 10,000 different fields between them, up to 1,000 in a row."""
    with Simulator(WorldOptions(days=2, events_per_day=20, seed=4), ServerOptions(api_key=KEY)) as simulator:
        at = datetime.fromtimestamp(simulator.world.start_s + 3600, UTC)
        simulator.world.add_events("customEvent", [_event(number, at) for number in range(ROWS)])
        yield simulator


def _event(number: int, at: datetime) -> dict[str, Any]:
    some = 1_000 if number % 100 == 0 else 15
    values: tuple[Any, ...] = (number, f"text {number}", 1.5, True, {"a": [number]}, "2026-01-14")
    fields = {f"field {(number * 17 + place) % FIELDS:05}": values[(number + place) % 6] for place in range(some)}
    return {
        "email": f"{number}@example.com",
        "createdAt": f"{at:%Y-%m-%d %H:%M:%S} +00:00",
        "eventName": f"kind {number % 40}",
        **fields,
    }


def _sync(simulator: Simulator, destination: str) -> int:
    """Sync custom events in a process of its own, and return how many megabytes it took at most."""
    environ = {
        **os.environ,
        "ITERABLE_API_KEY": KEY,
        "ITERABLE_BASE_URL": simulator.url,
        "REITERATE_RATE_LIMIT_FACTOR": "1000000",
    }
    start = datetime.fromtimestamp(simulator.world.start_s, UTC)
    arguments = ["sync", "--start-date", f"{start:%m/%d/%Y}", "--tables", "custom_event", "--destination", destination]
    measured = subprocess.run(
        [sys.executable, "-c", MEASURE, sys.executable, "-m", "reiterate", *arguments],
        env=environ,
        stdout=subprocess.PIPE,
        check=True,
    )
    return int(measured.stdout.split()[-1]) // 1024


@pytest.mark.parametrize("kind", MOST_COLUMNS)
def test_ten_thousand_fields(simulator: Simulator, tmp_path: Path, kind: str) -> None:
    """Rows with 10,000 fields between them arrive exactly, twice, in as many columns as there is room for."""
    place: Path | str | replica.Lake
    match kind:
        case "duckdb":
            place = tmp_path / "replica.duckdb"
            destination = str(place)
        case "postgresql":
            destination = place = postgres.new_database()
        case _:
            place = replica.Lake(tmp_path / "lake", kind)
            destination = f"{(tmp_path / 'lake').as_uri()}?format={kind}"
    for _ in range(2):
        assert MOST_MB > _sync(simulator, destination)
        assert {} == replica.differences(place, simulator, ["custom_event"])
    ((columns,),) = replica.execute(
        place,
        "SELECT count(*) FROM _reiterate_columns WHERE table_name = 'custom_event' AND column_name <> 'custom_fields'",
    )
    assert MOST_COLUMNS[kind] >= columns > MOST_COLUMNS[kind] / 2
