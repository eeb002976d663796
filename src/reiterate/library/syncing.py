"""What changes a destination: sync, and resync."""

from __future__ import annotations

import json
import re
import uuid
from contextlib import closing
from threading import Event as Flag
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from reiterate import planner, run
from reiterate.catalog import TABLES
from reiterate.catalog.model import Export
from reiterate.errors import SettingsError
from reiterate.library.opening import (
    client_of,
    connection_of,
    is_new,
    now_utc,
    rehearsal,
    remember,
    rest_after_death,
    sink_of,
    tables_of,
)
from reiterate.library.several import Several
from reiterate.readers import contact
from reiterate.settings import day
from reiterate.settings.given import quoted, unknown
from reiterate.sinks import Run
from reiterate.windows import span

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from datetime import date, datetime
    from pathlib import Path

    from reiterate.catalog.model import Table
    from reiterate.flow import Event, Job, Task
    from reiterate.ledger import Ledger
    from reiterate.settings import Connection
    from reiterate.windows import Window


NOTHING_ACCEPTED: Mapping[str, Collection[int]] = MappingProxyType({})


def sync(
    connection: str | Connection | None = None,
    *,
    config: Path | str | None = None,
    stop: Flag | None = None,
    dry_run: bool = False,
    full_refresh: Collection[str] = (),
    accept: Collection[str] = (),
    **values: Any,  # noqa: ANN401 (whatever the settings take)
) -> Iterator[Event]:
    """
    Replicate what is due, and yield what happens; the last event is RunFinished.

    Nothing happens until the iterator is asked. Setting *stop*, closing the iterator or an interrupt ends the run;
    what is committed stays, and the next run goes on from there. A *dry_run* reads, writes nothing, and tells of the
    columns that would be new. Tables that get a *full_refresh* are read anew from their start date on; their old rows
    stay until all was read, and go then.

    A read that would take most rows of a table fails with :class:`~reiterate.errors.MostRowsGone`, and they stay,
    unless their exact number is among those to *accept*, each as ``TABLE:NUMBER``.

    :raises SettingsError: when a setting is wrong; nothing was requested then
    :raises LoadError: when the destination cannot be opened
    """
    chosen = connection_of(connection, config, values)
    refreshed = _refreshed(chosen, full_refresh)
    accepted = _accepted(chosen, accept)
    names = [table.name for table in refreshed]
    yield from _walk(
        chosen,
        stop or Flag(),
        lambda ledger, now: planner.plan(tables_of(chosen), chosen.settings_of, ledger, now=now, refreshed=names),
        asked=_asked(chosen, **({"full_refresh": names} if names else {})),
        dry_run=dry_run,
        refreshed=refreshed,
        accepted=accepted,
    )


def _refreshed(chosen: Connection, wanted: Collection[str]) -> list[Table]:
    """Return the tables to be read anew; those without a replication key are by every sync."""
    tables = {table.name: table for table in tables_of(chosen)}
    if strange := [name for name in wanted if name not in tables]:
        raise unknown("table", strange[0], tables, "argument --full-refresh")
    return [
        table
        for name, table in tables.items()
        if table.cursor is not None and (name in wanted or chosen.settings_of(name).full_refresh)
    ]


def _accepted(chosen: Connection, wanted: Collection[str]) -> dict[str, set[int]]:
    """Return how many rows may go, by table: any of several numbers, for a table may have several parts."""
    tables = {table.name for table in tables_of(chosen)}
    found: dict[str, set[int]] = {}
    for one in [wanted] if isinstance(wanted, str) else wanted:
        name, _, number = one.rpartition(":")
        if not re.fullmatch("[0-9]{1,18}", number):
            raise SettingsError(
                f"{quoted(one)} does not say how many rows of which table may go.",
                hint="Give it as --accept TABLE:NUMBER, as the message has it that a table stayed as it is.",
            )
        if name not in tables:
            raise unknown("table", name, sorted(tables), "argument --accept")
        found.setdefault(name, set()).add(int(number))
    return found


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
    chosen = connection_of(connection, config, values)
    found = _export_of(chosen, table)
    of = _days_of(chosen, table, start, end, now=now_utc())

    def tasks(ledger: Ledger, now: datetime) -> list[Task]:
        up_to_now = span(of.start, min(of.end, now))
        return planner.resync(found, chosen.settings_of(table), ledger, of=up_to_now) if up_to_now else []

    yield from _walk(chosen, stop or Flag(), tasks, asked=_asked(chosen, resync=str(of), tables=[table]))


def _export_of(chosen: Connection, name: str) -> Table:
    tables = {table.name: table for table in (*TABLES.values(), *tables_of(chosen))}
    if name not in tables:
        raise SettingsError(f"There is no table {name}.", hint=f"Tables: {', '.join(tables)}.")
    if not isinstance(tables[name].read, Export):
        raise SettingsError(f"Every sync reads {name} whole: there is nothing to read again.")
    return tables[name]


def _days_of(
    chosen: Connection, table: str, start: str | date | None, end: str | date | None, *, now: datetime
) -> Window:
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
    chosen: Connection,
    stop: Flag,
    tasks_for: Callable[[Ledger, datetime], Sequence[Task]],
    *,
    asked: str,
    dry_run: bool = False,
    refreshed: Sequence[Table] = (),
    accepted: Mapping[str, Collection[int]] = NOTHING_ACCEPTED,
) -> Iterator[Event]:
    run_id = uuid.uuid4().hex
    with closing(client_of(chosen, stop)) as client:
        # a destination is not made for a key that is refused
        writes_nothing = dry_run or (is_new(chosen) and contact(client) is not None)
        with rehearsal(chosen) if writes_nothing else closing(sink_of(chosen, run_id)) as sink:
            sink.accept(accepted)
            sinks = sink.each() if isinstance(sink, Several) else (sink,)
            for each in sinks:
                rest_after_death(client.pacer, each)
            walk = run.Walk(sink, client, stop, chosen.spool_bytes)

            def plan() -> tuple[Sequence[Task], Sequence[Job]]:
                for each in sinks:
                    remember(client.pacer, each.ledger(), walk.now())
                ledger, now = walk.ledger(), walk.now()
                return tasks_for(ledger, now), planner.left_over(ledger, chosen.settings_of, now=now)

            client.pacer.begin(run_id)
            record = Run(run_id=run_id, connection=chosen.name, started_at=now_utc(), asked=asked)
            yield from run.run(walk, plan, record, refreshed=refreshed)


def _asked(connection: Connection, **others: object) -> str:
    return json.dumps(
        {
            "tables": [table.name for table in tables_of(connection)],
            "start": connection.start.isoformat(),
            "window_s": connection.window.total_seconds(),
            "lookback_s": connection.lookback.total_seconds(),
            "api_address": connection.api_address,
            **others,
        }
    )
