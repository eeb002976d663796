"""What only looks: plan, status, check, verify."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event as Flag
from typing import TYPE_CHECKING, Any

from reiterate import audit, extract, planner
from reiterate.api import Limit, least_s, limit_of
from reiterate.catalog.model import Export
from reiterate.errors import HOPELESS, JobsRefused, SettingsError, SourceError, Unauthorized
from reiterate.ledger import Ledger
from reiterate.library.opening import client_of, connection_of, now_utc, remember, tables_of
from reiterate.parse import Parser
from reiterate.shape import Policy
from reiterate.sinks import look_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from reiterate.audit import Verified
    from reiterate.catalog.model import Table
    from reiterate.errors import ReiterateError
    from reiterate.flow import Task
    from reiterate.ledger import Refusal
    from reiterate.settings import Connection
    from reiterate.sinks import Run, TableState

EXPORTS, START, FILES = "/api/export/data.json", "/api/export/start", "/api/export/0/files"


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

    Calls of listings count their first pages only: how many there are, Iterable tells when they are read. *costs* are
    the calls of each table by its name. *refused* are tables of which Iterable would not tell what they are made of.
    """

    connection: Connection
    tasks: tuple[Task, ...]
    calls: tuple[Calls, ...]
    costs: Mapping[str, int]
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
    Return what a sync would read now. Asks Iterable only for its time, and for what tables are made of, such as lists;
    changes nothing.

    :raises SettingsError: when a setting is wrong
    :raises Unauthorized: when the key is refused
    """
    chosen = connection_of(connection, config, values)
    with look_at(chosen.destination) as sink, closing(client_of(chosen, Flag())) as client:
        if isinstance(refusal := client.contact(), Unauthorized):
            raise refusal
        ledger = (sink.ledger() if sink else Ledger()).until(client.clock.latest())
        found: list[Task] = []
        refused = []
        costs: Counter[str] = Counter()
        counted: Counter[Limit] = Counter()
        for task in planner.plan(tables_of(chosen), chosen.settings_of, ledger, now=client.clock.now()):
            caller = client.caller()
            try:
                parts = extract.parts(task, caller)
                calls = [extract.calls(part, caller) for part in ((task,) if parts is None else parts)]
            except SourceError as error:
                refused.append((task, error))
                continue
            found.extend((task,) if parts is None else parts)
            for path, count in chain.from_iterable(each.items() for each in calls):
                counted[limit_of(path)] += count
                costs[task.table.name] += count
    calls_of_all = _calls(found, counted, chosen.rate_limit_factor)
    return Plan(chosen, tuple(found), calls_of_all, dict(costs), tuple(refused))


def _calls(tasks: Sequence[Task], counted: Counter[Limit], factor: float) -> tuple[Calls, ...]:
    exports = [task for task in tasks if isinstance(task.table.read, Export)]
    by_jobs = sum(planner.suits_jobs(task, task.size_bytes, waiting=len(exports)) for task in exports)
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
    chosen = connection_of(connection, config, values)
    with look_at(chosen.destination) as sink:
        now = now_utc()
        ledger = (sink.ledger() if sink else Ledger()).until(now)
        due = planner.plan(tables_of(chosen), chosen.settings_of, ledger, now=now)
        found = tuple(
            TableStatus(
                table=table,
                state=sink.state(table) if sink else None,
                read_at=ledger.read_at(table.name),
                due=tuple(task for task in due if task.table is table),
                refusals=tuple(ledger.refusals(table.name)),
            )
            for table in tables_of(chosen)
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
    chosen = connection_of(connection, config, values)
    with (
        look_at(chosen.destination) as sink,
        closing(client_of(chosen, Flag())) as client,
        TemporaryDirectory() as directory,
    ):
        if sink is None:
            raise SettingsError("Nothing was synced yet.", destination=chosen.destination.url)
        refused = client.contact() if source else None
        ledger = sink.ledger().until(client.clock.latest())
        if source:
            remember(client.pacer, ledger, client.clock.now())
        with closing(Parser(Path(directory))) as parser:
            for table in tables_of(chosen):
                found = audit.with_ledger(table, sink, ledger)
                if refused is not None:
                    found = replace(found, error=refused)
                elif source:
                    reading = chosen.settings_of(table.name)
                    windows = audit.samples(table, reading, ledger, number=sample, now=client.clock.now())
                    again = audit.with_source(
                        table,
                        windows,
                        sink,
                        client,
                        parser,
                        # what is new there is for a sync to tell
                        shape=replace(reading.shape, policy=Policy.EVOLVE),
                        directory=Path(directory),
                    )
                    found = replace(
                        found,
                        problems=found.problems + again.problems,
                        notes=found.notes + again.notes,
                        sampled=again.sampled,
                        error=again.error,
                    )
                    # what holds for every request is not asked for again
                    refused = again.error if isinstance(again.error, HOPELESS) else None
                yield found


@dataclass(frozen=True)
class Check:
    """
    Whether the key may read *tables*, all of which come from one endpoint; *error* says why not.

    *notice* says what the key may not do that costs time alone.
    """

    tables: tuple[Table, ...]
    error: ReiterateError | None
    notice: ReiterateError | None = None


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
    chosen = connection_of(connection, config, values)
    by_endpoint: dict[str, list[Table]] = {}
    for table in tables_of(chosen):
        by_endpoint.setdefault(table.read.path, []).append(table)
    with closing(client_of(chosen, Flag())) as client:
        for together in by_endpoint.values():
            error = notice = None
            try:
                extract.probe(together[0].read, client.caller(), at=client.clock.now())
                if isinstance(together[0].read, Export):
                    extract.probe_jobs(client.caller())
            except JobsRefused as refusal:
                notice = refusal
            except SourceError as refusal:
                error = refusal
            yield Check(tuple(together), error, notice)
            if isinstance(error, HOPELESS):
                return
