"""
Reiterate from Python: what an Airflow or Dagster task calls, and what the command line renders.

Every function takes the settings as keyword arguments, under the names that they have in ``reiterate.toml``; what is
not given comes from the environment and from the file, as on the command line. No replication logic lives here.
"""

from __future__ import annotations

import json
import os
import uuid
from collections import Counter
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event as Flag
from typing import TYPE_CHECKING, Any

from reiterate import audit, extract, planner, run
from reiterate.api import Client, Limit, Pacer, least_s, limit_of
from reiterate.catalog import TABLES
from reiterate.catalog.model import Export, Listing
from reiterate.errors import SettingsError, SourceError
from reiterate.flow import Status
from reiterate.ledger import Ledger
from reiterate.parse import Parser
from reiterate.settings import API_ADDRESSES, day, load
from reiterate.sinks import DuckDBSink, Run
from reiterate.windows import span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from reiterate.audit import Verified
    from reiterate.catalog.model import Table
    from reiterate.errors import ReiterateError
    from reiterate.flow import Event, Task
    from reiterate.ledger import Refusal
    from reiterate.settings import Connection, Loaded
    from reiterate.sinks import TableState
    from reiterate.windows import Window

EXPORTS, START, FILES = "/api/export/data.json", "/api/export/start", "/api/export/0/files"


def tables() -> tuple[Table, ...]:
    """Return every table that can be replicated, in alphabetical order."""
    return tuple(TABLES.values())


def settings(connection: str | None = None, *, config: Path | str | None = None, **values: Any) -> Loaded:  # noqa: ANN401
    """
    Return a connection with all its settings, and notices about them for a person.

    :raises SettingsError: when a setting is missing or wrong; nothing was requested then
    """
    return load(
        connection=connection,
        file=None if config is None else Path(config),
        overrides=values,
        environ=os.environ,
        known_tables=TABLES.keys(),
        now=_now(),
    )


def sync(
    connection: str | Connection | None = None,
    *,
    config: Path | str | None = None,
    stop: Flag | None = None,
    **values: Any,  # noqa: ANN401 (whatever the settings take)
) -> Iterator[Event]:
    """
    Replicate what is due, and yield what happens; the last event is RunFinished.

    Nothing happens until the iterator is asked. Setting *stop*, closing the iterator or an interrupt ends the run;
    what is committed stays, and the next run goes on from there.

    :raises SettingsError: when a setting is wrong; nothing was requested then
    :raises LoadError: when the destination cannot be opened
    """
    chosen = _connection(connection, config, values)
    now = _now()
    yield from _walk(
        chosen,
        stop or Flag(),
        lambda ledger: planner.plan(_tables(chosen), chosen.settings_of, ledger, now=now),
        asked=_asked(chosen),
        now=now,
    )


def resync(
    table: str,
    start: str | date | None = None,
    end: str | date | None = None,
    connection: str | Connection | None = None,
    *,
    config: Path | str | None = None,
    stop: Flag | None = None,
    **values: Any,  # noqa: ANN401 (whatever the settings take)
) -> Iterator[Event]:
    """
    Read the days from *start* (the start date) up to *end* (exclusive; now) of an export table again.

    Rows are added and updated, none is removed: what the source has purged stays. Otherwise like :func:`sync`.

    :raises SettingsError: when the table is read whole each time anyway, or the days are wrong
    """
    chosen = _connection(connection, config, values)
    now = _now()
    of = _days_of(chosen, table, start, end, now=now)
    yield from _walk(
        chosen,
        stop or Flag(),
        lambda ledger: planner.resync(TABLES[table], chosen.settings_of(table), ledger, of=of),
        asked=_asked(chosen, resync=str(of), tables=[table]),
        now=now,
    )


def _days_of(
    chosen: Connection, table: str, start: str | date | None, end: str | date | None, *, now: datetime
) -> Window:
    if table not in TABLES:
        raise SettingsError(f"There is no table {table}.", hint=f"Tables: {', '.join(TABLES)}.")
    if not isinstance(TABLES[table].read, Export):
        raise SettingsError(f"Every sync reads {table} whole: there is nothing to read again.")
    earliest = chosen.settings_of(table).start
    first = earliest if start is None else day("from", start, now=now)
    last = now if end is None else day("to", end, now=now)
    if first < earliest:
        raise SettingsError(
            f"Only data from the start date on is replicated, {earliest:%m/%d/%Y} for {table}.",
            hint="Give a later day, or set an earlier start_date and sync.",
            **{"from": f"{first:%m/%d/%Y}"},
        )
    if (of := span(first, last)) is None:
        raise SettingsError(
            "There is no time between these days.",
            hint="`to` is not included, and must come after `from`.",
            **{"from": f"{first:%m/%d/%Y}", "to": f"{last:%m/%d/%Y}"},
        )
    return of


def _walk(
    chosen: Connection, stop: Flag, tasks_for: Callable[[Ledger], Sequence[Task]], *, asked: str, now: datetime
) -> Iterator[Event]:
    with closing(_sink(chosen)) as sink, closing(_client(chosen, stop)) as client:
        ledger = sink.ledger()
        _remember(client.pacer, sink, ledger, now)
        record = Run(run_id=uuid.uuid4().hex, connection=chosen.name, started_at=now, asked=asked)
        walk = run.Walk(sink, client, _now, stop, chosen.spool_bytes)
        yield from run.run(walk, tasks_for(ledger), record)


def _remember(pacer: Pacer, sink: DuckDBSink, ledger: Ledger, now: datetime) -> None:
    """Let *pacer* know of the requests of the last minute, for Iterable counts them whoever made them."""
    if any(last.status is Status.RUNNING for last in sink.runs(1)):
        pacer.rest()  # it died, and nobody knows when
    for table in TABLES.values():
        limit = limit_of(table.read.path)
        ages_s = [(now - fact.read_at).total_seconds() for fact in ledger.of(table.name) if fact.lane == "direct"]
        pacer.remember(limit, (age_s for age_s in ages_s if age_s < limit.period_s))


@dataclass(frozen=True)
class Calls:
    """How often a plan calls what one of Iterable's limits guards, and the least time (seconds) that takes."""

    limit: Limit
    calls: int
    least_s: float


@dataclass(frozen=True)
class Plan:
    """
    What a sync would read now, with exports by both lanes as the limits allow it soonest.

    Calls of listings count their first pages only: how many there are, Iterable tells when they are read. *refused*
    are tables made of parts whose parts Iterable would not list.
    """

    connection: Connection
    tasks: tuple[Task, ...]
    calls: tuple[Calls, ...]
    refused: tuple[tuple[Task, ReiterateError], ...]

    @property
    def least_s(self) -> float:
        """The least time (seconds) that the limits allow; the time that export jobs take at Iterable comes on top."""
        return _least_s(self.calls)


def plan(
    connection: str | Connection | None = None,
    *,
    config: Path | str | None = None,
    **values: Any,  # noqa: ANN401 (whatever the settings take)
) -> Plan:
    """
    Return what a sync would read now. Asks Iterable only for its lists and metadata tables; changes nothing.

    :raises SettingsError: when a setting is wrong
    """
    chosen = _connection(connection, config, values)
    with _look(chosen) as sink, closing(_client(chosen, Flag())) as client:
        ledger = sink.ledger() if sink else Ledger()
        found: list[Task] = []
        refused = []
        for task in planner.plan(_tables(chosen), chosen.settings_of, ledger, now=_now()):
            try:
                found.extend(extract.parts(task, client.caller()) or (task,))
            except SourceError as error:
                refused.append((task, error))
    return Plan(chosen, tuple(found), _calls(found, chosen.rate_limit_factor), tuple(refused))


def _calls(tasks: Sequence[Task], factor: float) -> tuple[Calls, ...]:
    counted: Counter[Limit] = Counter()
    for task in tasks:
        read = task.table.read
        counted[limit_of(read.path)] += len(read.calls) if isinstance(read, Listing) else 1
    by_jobs = sum(planner.suits_jobs(task, task.size_bytes) for task in tasks)
    calls = min((_calls_with(counted, jobs, factor) for jobs in range(by_jobs + 1)), key=_least_s)
    return tuple(one for one in calls if one.calls)


def _calls_with(counted: Counter[Limit], jobs: int, factor: float) -> list[Calls]:
    """Return the calls if so many exports go by jobs: each is started once, and looked at twice to see its end."""
    counts = counted + Counter({limit_of(START): jobs, limit_of(FILES): 2 * jobs})
    counts[limit_of(EXPORTS)] -= jobs
    return [Calls(limit, count, least_s(limit, count, factor=factor)) for limit, count in counts.items()]


def _least_s(calls: Iterable[Calls]) -> float:
    """Return the least time (seconds) that calls take; their limits run side by side."""
    return max((one.least_s for one in calls), default=0.0)


@dataclass(frozen=True)
class TableStatus:
    """
    How one table stands: what is in it, when Iterable was last asked, and what a sync would read now.

    *refusals* are its parts that could not be read when they were last asked for; what was read before stays.
    """

    table: Table
    state: TableState | None
    read_at: datetime | None
    due: tuple[Task, ...]
    refusals: tuple[Refusal, ...]


@dataclass(frozen=True)
class ConnectionStatus:
    """How the tables of a connection stand, and its latest runs, newest first."""

    connection: Connection
    tables: tuple[TableStatus, ...]
    runs: tuple[Run, ...]


def status(
    connection: str | Connection | None = None,
    *,
    config: Path | str | None = None,
    **values: Any,  # noqa: ANN401 (whatever the settings take)
) -> ConnectionStatus:
    """
    Return how the tables stand. Asks Iterable nothing and changes nothing.

    :raises SettingsError: when a setting is wrong
    :raises DestinationBusy: while a sync has the destination open
    """
    chosen = _connection(connection, config, values)
    with _look(chosen) as sink:
        ledger = sink.ledger() if sink else Ledger()
        due = planner.plan(_tables(chosen), chosen.settings_of, ledger, now=_now())
        found = tuple(
            TableStatus(
                table=table,
                state=sink.state(table) if sink else None,
                read_at=max((fact.read_at for fact in ledger.of(table.name)), default=None),
                due=tuple(task for task in due if task.table is table),
                refusals=tuple(ledger.refusals(table.name)),
            )
            for table in _tables(chosen)
        )
        return ConnectionStatus(chosen, found, tuple(sink.runs(10)) if sink else ())


def verify(
    connection: str | Connection | None = None,
    *,
    config: Path | str | None = None,
    source: bool = False,
    sample: int = 3,
    **values: Any,  # noqa: ANN401 (whatever the settings take)
) -> Iterator[Verified]:
    """
    Compare each table with the destination's own ledger, and yield how it stands; changes nothing.

    With *source*, *sample* windows of each export table are read from Iterable again and compared, too.

    :raises SettingsError: when a setting is wrong, or there is nothing to compare
    :raises DestinationBusy: while a sync has the destination open
    """
    chosen = _connection(connection, config, values)
    with _look(chosen) as sink, closing(_client(chosen, Flag())) as client, TemporaryDirectory() as directory:
        if sink is None:
            raise SettingsError("Nothing was synced yet.", destination=chosen.destination.path)
        ledger = sink.ledger()
        if source:
            _remember(client.pacer, sink, ledger, _now())
        with closing(Parser(Path(directory))) as parser:
            for table in _tables(chosen):
                found = audit.with_ledger(table, sink)
                if source:
                    windows = audit.samples(table, chosen.settings_of(table.name), ledger, number=sample, now=_now())
                    again = audit.with_source(
                        table, windows, sink, client, parser, directory=Path(directory), clock=_now
                    )
                    found = replace(
                        found,
                        problems=found.problems + again.problems,
                        notes=found.notes + again.notes,
                        sampled=again.sampled,
                        error=again.error,
                    )
                yield found


@dataclass(frozen=True)
class Check:
    """Whether the key may read *tables*, all of which come from one endpoint; *error* says why not."""

    tables: tuple[Table, ...]
    error: ReiterateError | None


def check(
    connection: str | Connection | None = None,
    *,
    config: Path | str | None = None,
    **values: Any,  # noqa: ANN401 (whatever the settings take)
) -> Iterator[Check]:
    """
    Ask each endpoint of the connection's tables for next to nothing, and yield whether the key may read it.

    After an error that holds for every endpoint (wrong key, no way through) no other is asked.

    :raises SettingsError: when a setting is wrong
    """
    chosen = _connection(connection, config, values)
    by_endpoint: dict[str, list[Table]] = {}
    for table in _tables(chosen):
        by_endpoint.setdefault(table.read.path, []).append(table)
    with closing(_client(chosen, Flag())) as client:
        for together in by_endpoint.values():
            error = None
            try:
                extract.probe(together[0].read, client.caller(), at=_now())
            except SourceError as refusal:
                error = refusal
            yield Check(tuple(together), error)
            if isinstance(error, run.HOPELESS):
                return


def _connection(
    connection: str | Connection | None, config: Path | str | None, values: Mapping[str, Any]
) -> Connection:
    if connection is None or isinstance(connection, str):
        return settings(connection, config=config, **values).connection
    return connection


def _tables(connection: Connection) -> list[Table]:
    return [table for name, table in TABLES.items() if connection.tables is None or name in connection.tables]


def _client(connection: Connection, stop: Flag) -> Client:
    other = [address for address in API_ADDRESSES.values() if address != connection.api_address]
    return Client(
        connection.api_address,
        connection.api_key,
        pacer=Pacer(factor=connection.rate_limit_factor, stop=stop),
        gateway=connection.gateway,
        ca_bundle=connection.ca_bundle,
        # a simulator or proxy has no other region
        other_address=other[0] if len(other) < len(API_ADDRESSES) else None,
    )


def _sink(connection: Connection) -> DuckDBSink:
    return DuckDBSink(connection.destination.path, connection.destination.dataset)


@contextmanager
def _look(connection: Connection) -> Iterator[DuckDBSink | None]:
    """Open the destination to see what is there; nothing if nothing is."""
    if not connection.destination.path.exists():
        yield None
        return
    with closing(DuckDBSink(connection.destination.path, connection.destination.dataset, read_only=True)) as sink:
        yield None if sink.empty else sink


def _asked(connection: Connection, **others: object) -> str:
    return json.dumps(
        {
            "tables": [table.name for table in _tables(connection)],
            "start": connection.start.isoformat(),
            "window_s": connection.window.total_seconds(),
            "lookback_s": connection.lookback.total_seconds(),
            "api_address": connection.api_address,
            **others,
        }
    )


def _now() -> datetime:
    return datetime.now(UTC)
