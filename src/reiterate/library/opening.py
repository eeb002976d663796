"""From settings to what is open: the connection, its client, its destination."""

from __future__ import annotations

import os
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from reiterate import catalog
from reiterate.api import Client, Clock, Pacer, Shared, limit_of, state_directory
from reiterate.catalog import GROUPS, TABLES
from reiterate.flow import Status
from reiterate.library.several import Several
from reiterate.settings import API_ADDRESSES, load
from reiterate.sinks import Rehearsal, look_at, sink_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from threading import Event as Flag

    from reiterate.catalog.model import Table
    from reiterate.ledger import Ledger
    from reiterate.settings import Connection, Loaded
    from reiterate.sinks import Sink


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
        known_tables=TABLES,
        groups=GROUPS,
        now=now_utc(),
    )


def connection_of(
    connection: str | Connection | None, config: Path | str | None, values: Mapping[str, Any]
) -> Connection:
    if connection is None or isinstance(connection, str):
        return settings(connection, config=config, **values).connection
    return connection


def tables_of(connection: Connection) -> list[Table]:
    return catalog.tables_of(connection.tables)


def client_of(connection: Connection, stop: Flag) -> Client:
    other = [address for address in API_ADDRESSES.values() if address != connection.api_address]
    return Client(
        connection.api_address,
        connection.api_key,
        pacer=Pacer(factor=connection.rate_limit_factor, stop=stop, shared=_shared(connection)),
        clock=Clock(now_utc),
        gateway=connection.gateway,
        ca_bundle=connection.ca_bundle,
        # a simulator or proxy has no other region
        other_address=other[0] if len(other) < len(API_ADDRESSES) else None,
    )


def _shared(connection: Connection) -> Shared | None:
    """Return where this machine's processes note the requests of a key; nothing if nobody is at home here."""
    try:
        directory = state_directory(os.environ, Path.home())
    except RuntimeError:
        return None
    return Shared(directory, connection.api_key.reveal())


def sink_of(connection: Connection, run_id: str = "") -> Sink:
    """Open the destination of a connection, or all of them as one; none stays open if one cannot be opened."""
    if not connection.also:
        return sink_at(connection.destination, run_id=run_id)
    with ExitStack() as opened:
        sinks = [
            opened.enter_context(closing(sink_at(each, run_id=run_id)))
            for each in (connection.destination, *connection.also)
        ]
        opened.pop_all()
    return Several(sinks)


def is_new(connection: Connection) -> bool:
    """Tell whether the one destination is a file or directory that is not there yet."""
    if connection.also or connection.destination.kind not in {"duckdb", "file"}:
        return False
    try:
        return not connection.destination.path.exists()
    except OSError:  # whoever opens it says what is wrong
        return False


@contextmanager
def rehearsal(connection: Connection) -> Iterator[Rehearsal]:
    """Open the destination as it is, if it is, for a sync that writes nothing."""
    with look_at(connection.destination) as sink, TemporaryDirectory(prefix="reiterate-") as spool:
        yield Rehearsal(sink, Path(spool))


def now_utc() -> datetime:
    return datetime.now(UTC)


def remember(pacer: Pacer, ledger: Ledger, now: datetime) -> None:
    """Let *pacer* know of the requests that other machines made in the last minute, as far as they loaded something."""
    for table in TABLES.values():
        limit = limit_of(table.read.path)
        for fact in ledger.of(table.name):
            # one request was sent when reading began; of several, all may have been at its end
            age_s = (now - fact.read_at).total_seconds() - (fact.seconds if fact.requests > 1 else 0)
            if fact.lane == "direct" and age_s < limit.period_s and not pacer.knows(fact.run_id):
                pacer.remember(limit, [max(age_s, 0.0)] * min(fact.requests, limit.calls))


def rest_after_death(pacer: Pacer, sink: Sink) -> None:
    """
    Let *pacer* wait until no request of a run that died counts any more: of another machine's, nobody knows the last.
    """
    if any(last.status is Status.RUNNING and not pacer.knows(last.run_id) for last in sink.runs(1)):
        pacer.rest()
