"""
Time under Iterable's limits: a first sync of a year of everything, the increment of an hour, and 3,000 lists.

The simulator enforces the limits, and time is scaled: with a factor of 10 a minute's calls pass in six seconds. What is
told are seconds as they would be without scaling, beside the least that the limits allow (``reiterate plan``). The
brand is small, so that limits are what counts; as Reiterate's own work is told ten times as long as it takes, the
figure is more than it would be.

What the peers need is reckoned, not run, for their clocks cannot be scaled: the exports that their sources would ask
for, were they to read the same tables (tap-iterable has nine of them), one after the other, at 4 a minute, with their
waits after a 429 (tap-iterable 1.0.1: windows of 30 days, 30 s; Airbyte's connector 1.0.1: windows of 30 days, then of
180, waits of 20 s, 40 s and so on). Transfers count as nothing.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count, repeat
from typing import TYPE_CHECKING, Any

import reiterate
from benchmarks import ways
from benchmarks.figures import Figure
from reiterate.catalog.model import Export
from reiterate.flow import Loaded, RunFinished, Status
from reiterate.simulator import Fault, ServerOptions, Simulator, WorldOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

KEY = "0123456789abcdef0123456789abcdef"
DAYS, LISTS, FACTOR = 365, 3000, 10.0
POISONED = 5
"""lists that answer 500 for good"""
UNLIMITED = 1_000_000.0

EXPORTS_A_MINUTE, MINUTE_S = 4, 60.0


def measure(scale: float, _runs: int = 1) -> Iterator[Figure]:
    """Yield the figures; a smaller scale means fewer days and lists."""
    with ways.scratch() as directory:
        yield from _year(max(int(DAYS * scale), 40), directory)
    with ways.scratch() as directory:
        yield _lists(max(int(LISTS * scale), 150), directory)


@dataclass(frozen=True)
class Synced:
    seconds: float
    last: RunFinished
    tasks: int


def _settings(simulator: Simulator, directory: Path, factor: float, **others: Any) -> dict[str, Any]:  # noqa: ANN401
    return {
        "api_key": KEY,
        "api_address": simulator.url,
        "start_date": datetime.fromtimestamp(simulator.world.start_s, UTC).date(),
        "rate_limit_factor": factor,
        "destination": str(directory / "limits.duckdb"),
        **others,
    }


def _sync(chosen: dict[str, Any]) -> Synced:
    began = time.monotonic()
    *events, last = reiterate.sync(**chosen)
    if not isinstance(last, RunFinished):
        raise TypeError
    return Synced(
        time.monotonic() - began, last, sum(len(event.tasks) for event in events if isinstance(event, Loaded))
    )


def _year(days: int, directory: Path) -> Iterator[Figure]:
    """Replicate everything of *days*, then what an hour brings."""
    options = ServerOptions(api_key=KEY, limits=True, rate_limit_factor=FACTOR, job_seconds=2 / FACTOR)
    with Simulator(WorldOptions(days=days, events_per_day=200, seed=1), options) as simulator:
        everything = [table.name for table in reiterate.tables()]
        chosen = _settings(simulator, directory, FACTOR, tables=everything)
        planned = reiterate.plan(**chosen).tasks
        exports = len({task.table.name for task in planned if isinstance(task.table.read, Export)})
        for group, peers in (
            (f"a first sync of {days} days", (exports * tap_exports(days), exports * airbyte_exports(days))),
            ("the increment of an hour", (exports, exports)),
        ):
            least_s, jobs = reiterate.plan(**chosen).least_s, len(simulator.jobs)
            synced = _sync(chosen)
            print(f"  {group}: {synced.seconds:.1f} s, planned {least_s:.1f} s", file=sys.stderr)
            facts = {
                "least_s": least_s * FACTOR,
                "tasks": float(synced.tasks),
                "jobs": float(len(simulator.jobs) - jobs),
                "exceeded": float(sum(simulator.limit_report().values())),
                "failed": float(synced.last.status is not Status.SUCCEEDED),
            }
            yield Figure(group, "Reiterate", synced.last.rows, seconds=[synced.seconds * FACTOR], facts=facts)
            for name, calls, waits in (
                ("tap-iterable's exports, reckoned", peers[0], lambda: repeat(30.0)),
                ("Airbyte's exports, reckoned", peers[1], lambda: (20.0 * 2**tried for tried in count())),
            ):
                yield Figure(group, name, seconds=[reckoned_s(calls, waits)], facts={"tasks": float(calls)})
            simulator.mutate()
            time.sleep(MINUTE_S / FACTOR)


def tap_exports(days: int) -> int:
    """Return how many exports tap-iterable asks for, for one table of *days*: see its ``_daterange``."""
    return max(days // 30 + (days % 30 > 0), 1)


def airbyte_exports(days: int) -> int:
    """Return how many exports Airbyte's connector asks for, for one stream: see its ``AdjustableSliceGenerator``."""
    return 1 + max(-(-(days - 30) // 180), 0)


def reckoned_s(calls: int, waits: Callable[[], Iterator[float]]) -> float:
    """Return when the last of *calls*, made one after the other, is answered, if all but 429 takes no time."""
    now, passed = 0.0, deque[float](maxlen=EXPORTS_A_MINUTE)
    for _ in range(calls):
        for wait_s in waits():
            if len(passed) < EXPORTS_A_MINUTE or passed[0] <= now - MINUTE_S:
                break
            now += wait_s
        passed.append(now)
    return now


def _lists(number: int, directory: Path) -> Figure:
    """Replicate the users of *number* lists, some of them poisoned, with the limits out of the way."""
    poison = tuple(
        Fault("/api/lists/getUsers", "status", where={"listId": str(3310300 + 7 * one)}) for one in range(POISONED)
    )
    options = ServerOptions(api_key=KEY, faults=poison, rate_limit_factor=UNLIMITED)
    with Simulator(WorldOptions(days=1, events_per_day=60, segments=number - 7), options) as simulator:
        chosen = _settings(simulator, directory, UNLIMITED, tables=["list_users"])
        synced = _sync(chosen)
        refused = len(reiterate.status(**chosen).tables[0].refusals)
    facts = {"tasks": float(synced.tasks), "refused": float(refused)}
    return Figure(
        f"the users of {number:,} lists, {POISONED} of them poisoned",
        "Reiterate",
        synced.last.rows,
        seconds=[synced.seconds],
        facts=facts,
    )
