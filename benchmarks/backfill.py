"""
A first sync of a year under Iterable's limits, and of 3,000 lists of which 5 cannot be read.

    python benchmarks/backfill.py [--days 365] [--lists 3000] [--factor 60]

Limits are enforced by the simulator, and time is scaled: with a factor of 60 a minute's calls pass in a second.
Prints what the plan predicted and what it took.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import reiterate
from reiterate.flow import Loaded, RunFinished
from reiterate.simulator import Fault, ServerOptions, Simulator, WorldOptions

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = "0123456789abcdef0123456789abcdef"


def settings(simulator: Simulator, directory: Path, factor: float, **others: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the settings that replicate *simulator* under its limits."""
    return {
        "api_key": KEY,
        "api_address": simulator.url,
        "start_date": datetime.fromtimestamp(simulator.world.start_s, UTC).date(),
        "rate_limit_factor": factor,
        "destination": str(directory / "backfill.duckdb"),
        **others,
    }


def timed(chosen: dict[str, Any]) -> tuple[float, RunFinished, int]:
    """Sync; return seconds, how it ended, and the tasks that were loaded."""
    began = time.monotonic()
    *events, last = reiterate.sync(**chosen)
    if not isinstance(last, RunFinished):
        raise TypeError
    return time.monotonic() - began, last, sum(isinstance(event, Loaded) for event in events)


def year(days: int, factor: float, directory: Path) -> None:
    """Replicate the export tables of *days*."""
    options = ServerOptions(api_key=KEY, limits=True, rate_limit_factor=factor, job_seconds=2 / factor)
    with Simulator(WorldOptions(days=days, events_per_day=200, seed=1), options) as simulator:
        exports = [table.name for table in reiterate.tables() if "export" in table.endpoint]
        chosen = settings(simulator, directory, factor, tables=exports)
        plan = reiterate.plan(**chosen)
        seconds, last, tasks = timed(chosen)
        print(f"a year: {tasks} windows, {len(simulator.jobs)} by jobs; {last.status}, {last.rows:,} rows")
        print(f"  planned at least {plan.least_s:.1f} s, took {seconds:.1f} s: {seconds / plan.least_s:.2f} times")
        print(f"  limits exceeded: {simulator.limit_report() or 'never'}")


def lists(number: int, factor: float, directory: Path) -> None:
    """Replicate the users of *number* lists, five of them poisoned, twice."""
    poison = tuple(Fault("/api/lists/getUsers", "status", where={"listId": str(3310300 + 7 * one)}) for one in range(5))
    options = ServerOptions(api_key=KEY, faults=poison, rate_limit_factor=factor)
    with Simulator(WorldOptions(days=1, events_per_day=60, segments=number - 7), options) as simulator:
        chosen = settings(simulator, directory, factor, tables=["list_users"], dataset="lists")
        seconds, last, tasks = timed(chosen)
        failed = len(reiterate.status(**chosen).tables[0].refusals)
        print(f"{number:,} lists: {last.status}, {tasks:,} arrived, {failed} reported, in {seconds:.0f} s")


def main() -> None:
    """Measure both and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--lists", type=int, default=3000)
    parser.add_argument("--factor", type=float, default=60.0)
    asked = parser.parse_args()
    measured: list[Callable[[Path], None]] = [
        lambda directory: year(asked.days, asked.factor, directory),
        lambda directory: lists(asked.lists, 1_000_000.0, directory),
    ]
    for measure in measured:
        with tempfile.TemporaryDirectory() as name:
            measure(Path(name))


if __name__ == "__main__":
    main()
