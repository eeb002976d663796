"""
Make the datasets of an earlier version, from which the tests of upgrades begin.

    git worktree add --detach ../before 46f1939
    PYTHONPATH=../before/src:. python -m tests.upgrade.make

``reiterate`` is that of the checkout (its simulator, too), ``tests`` this one. Everything happens at fixed times, with
a clock that the version gets as an argument, so what comes out differs only in the ids and times of runs. It lies in
``tests/upgrade/before``: the project's content (``project.json.gz``, see :mod:`tests.upgrade.project`), the settings
(``reiterate.toml``), and one archive for each destination.

What is in the datasets, and why:

- five runs: the first, two with changes, one on a machine whose clock was 3 hours ahead, one that was stopped while an
  export job ran, of a table that nobody had read before
- users of whom nothing but a numeric ``userId``, or nothing at all, is known: older versions doubled them
- an empty text where an identity would be, in users and in every identifying field of events
- members of a list that differ by a no-break space
- a list that could not be read; history, snapshots; hashed columns, one of them in the identity of an event; fields
  whose values have several types
"""

# mypy: ignore-errors
# It walks with the rooms of the version whose datasets it makes, which are not those of this one.

from __future__ import annotations

import os
import tempfile
import time
import uuid
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event as Flag
from typing import TYPE_CHECKING

from reiterate import planner, run
from reiterate.catalog import TABLES
from reiterate.catalog.model import PERSON, ByEvent, Export, Type
from reiterate.library.opening import client_of, settings, sink_of, tables_of
from reiterate.settings.schemes import SCHEMES, Scheme
from reiterate.simulator import Fault, ServerOptions, Simulator, WorldOptions
from reiterate.simulator.people import wire_time
from reiterate.sinks import Run
from tests.conftest import KEY
from tests.upgrade import places, project

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from reiterate.catalog.model import Table
    from reiterate.simulator.world import World
    from reiterate.sinks import Sink

END = datetime(2025, 11, 20, 12, tzinfo=UTC)
"""When the first run begins."""
WORLD = WorldOptions(days=2, events_per_day=60, seed=17, end=END, users=24, project_type="hybrid")
MINUTE = timedelta(minutes=1)
AHEAD = timedelta(hours=3)
UNREADABLE_LIST = 3310207
LONG_JOB_S = 600

NO_JOBS = Fault("/api/export/start", "status", status=401, body='{"msg":"Disabled API key or insufficient privileges"}')
NO_LIST = Fault("/api/lists/getUsers", "status", where={"listId": str(UNREADABLE_LIST)}, status=400)
LONG_JOBS = Fault("/api/export/start", "job_hangs", seconds=LONG_JOB_S)


def main() -> None:
    """Make them all."""
    SCHEMES["dlt"] = Scheme("dlt://", warehouse="postgres", driver="psycopg2")
    for archive in places.BEFORE.glob("*.gz"):
        archive.unlink()
    for name, kind in places.PLACES.items():
        with tempfile.TemporaryDirectory() as directory, closing(kind(Path(directory))) as place:
            make(place)
            print(f"{(places.BEFORE / place.archive).stat().st_size:>9,} {name}")  # noqa: T201 (a program)


def make(place: places.Place) -> None:
    """Make one dataset, and keep it, with the project that it is of."""
    os.environ.update(place.environ)
    server = ServerOptions(api_key=KEY, clock_skew_s=END.timestamp() - time.time())
    with Simulator(WORLD, server) as simulator:
        add_oddities(simulator.world)
        simulator.set_faults([NO_JOBS])
        sync(simulator, place, END)
        for minutes, faults in ((10, []), (20, [NO_LIST])):
            project.change(simulator.world, END + minutes * MINUTE)
            simulator.set_faults([NO_JOBS, *faults])
            sync(simulator, place, END + minutes * MINUTE)
        project.change(simulator.world, END + 30 * MINUTE)
        sync(simulator, place, END + 30 * MINUTE + AHEAD)
        simulator.set_faults([LONG_JOBS])
        sync(simulator, place, END + 35 * MINUTE, tables=[places.NEVER_READ], until=a_job_and_a_load)
        place.keep()
        kept = places.PROJECT.read_bytes() if places.PROJECT.exists() else None
        project.keep(simulator, places.PROJECT)
        if kept not in {None, places.PROJECT.read_bytes()}:
            msg = f"The project of {place.url} is not that of the others."
            raise AssertionError(msg)


def sync(
    simulator: Simulator,
    place: places.Place,
    at: datetime,
    *,
    tables: Collection[str] = places.TABLES,
    until: Callable[[Sink], bool] | None = None,
) -> None:
    """Sync with a clock that shows *at*; what *until* says ends it."""
    began = time.monotonic()
    chosen = settings(
        "shop",
        config=places.CONFIG,
        api_key=KEY,
        api_address=simulator.url,
        destination=place.url,
        tables=[*tables],
        rate_limit_factor=1e6,
    ).connection

    def clock() -> datetime:
        return at + timedelta(seconds=time.monotonic() - began)

    stop = Flag()
    with closing(sink_of(chosen)) as sink, closing(client_of(chosen, stop)) as client:
        tasks = planner.plan(tables_of(chosen), chosen.settings_of, sink.ledger(), now=at)
        # as the version before has them
        walk = run.Walk(sink, client, clock, stop, chosen.spool_bytes)  # type: ignore[call-arg, arg-type]
        for _ in run.run(walk, tasks, Run(uuid.uuid4().hex, chosen.name, at, "{}")):  # type: ignore[arg-type]
            if until and until(sink):
                stop.set()


def a_job_and_a_load(sink: Sink) -> bool:
    ledger = sink.ledger()
    return len(ledger.jobs(places.NEVER_READ)) == 1 and len(ledger.of(places.NEVER_READ)) == 1


# ── what a project may hold ──────────────────────────────────────────────────────────────────────────────────────────


def add_oddities(world: World) -> None:
    """Let the project hold what older versions got wrong, and what no version may change."""
    for minutes, profile in (
        (30, {"userId": 1001, "firstName": "Known by a number"}),
        (115, {"userId": 1002, "firstName": "Known by a number, and not read again"}),
        (30, {"firstName": "Nobody"}),
        (30, {"firstName": "Nobody"}),
        (30, {"firstName": "Nobody else"}),
        (30, {"email": "", "userId": "u-empty-1"}),
        (30, {"email": "", "userId": "u-empty-2"}),
        (30, {"itblUserId": "", "email": "empty@example.com"}),
    ):
        at = wire_time(int((END - minutes * MINUTE).timestamp()))
        world.add_user({**profile, "profileUpdatedAt": at})
    world.members[world.lists[0]["id"]] |= {"u-odd", "u-odd\u00a0", "u-odd\u00a0\u00a0"}
    for name in (*places.TABLES, places.NEVER_READ):
        if isinstance(TABLES[name].identity, ByEvent):
            add_empty(world, TABLES[name])


def add_empty(world: World, table: Table) -> None:
    """Add events of which every identifying text is empty: alone, twice, and with no person."""
    assert isinstance(table.read, Export)
    for before in (timedelta(hours=1), timedelta(hours=30)):
        empty = dict(empty_fields(table)) | {"createdAt": wire_time(int((END - before).timestamp()))}
        person = {"email": "", "itblUserId": ""}
        rows = [{**empty, **person}, {**empty, **person}, {**empty, "itblUserId": ""}, empty]
        world.add_events(table.read.data_type, rows)


def empty_fields(table: Table) -> Iterator[tuple[str, str]]:
    for name in table.identity.fields:
        field = table.field(name)
        if name not in PERSON and (field is None or field.type is Type.TEXT):
            yield name, ""


if __name__ == "__main__":
    main()
