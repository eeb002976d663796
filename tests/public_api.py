"""
The public Python API as programs use it, with the types that they rely on.

mypy checks this file; it is never run. A change that breaks it breaks people's programs.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from threading import Event as Flag
from typing import assert_never, assert_type

import reiterate
from reiterate import Calls, Check, ConnectionStatus, Plan, ReiterateError, Step, TableStatus
from reiterate.catalog.model import Table
from reiterate.errors import LoadError, SettingsError, SourceError
from reiterate.flow import (
    Discovered,
    Event,
    Failed,
    LaneClosed,
    Loaded,
    Notice,
    Progress,
    Refreshed,
    RunFinished,
    RunStarted,
    Skipped,
    Split,
    Started,
    Status,
    TableSummary,
    Task,
    Waiting,
)
from reiterate.settings import Connection, Destination


def sync() -> None:
    events = reiterate.sync(
        "shop", config="reiterate.toml", stop=Flag(), tables=["users"], lookback="7d", accept=["users:7"]
    )
    assert_type(events, Iterator[Event])
    for event in events:
        match event:
            case RunStarted(run_id, connection, at, tasks):
                assert_type((run_id, connection, at, tasks), tuple[str, str, datetime, tuple[Task, ...]])
            case Notice(text):
                assert_type(text, str)
            case Discovered(task, into, removed):
                assert_type((task, into, removed), tuple[Task, tuple[Task, ...], int])
            case Started(task):
                assert_type(task.table, Table)
            case Progress(task, rows, size_bytes):
                assert_type((task, rows, size_bytes), tuple[Task, int, int])
            case Waiting(task, seconds, reason):
                assert_type((task, seconds, reason), tuple[Task, float, str])
            case Split(task, into, error):
                assert_type((into, error), tuple[tuple[Task, ...], ReiterateError | None])
            case LaneClosed(task, error):
                assert_type((task, error), tuple[Task, ReiterateError])
            case Loaded():
                assert_type((event.rows, event.added, event.changed, event.removed), tuple[int, int, int, int])
            case Refreshed(task, rows, before):
                assert_type((task, rows, before), tuple[Task, int, int])
            case Skipped(task, error, dropped):
                assert_type((task, error, dropped), tuple[Task, ReiterateError, int])
            case Failed(task, error):
                assert_type((task, error), tuple[Task, ReiterateError])
            case RunFinished():
                assert_type((event.status, event.rows, event.problems), tuple[Status, int, list[str]])
                assert_type(event.tables, tuple[TableSummary, ...])
            case _:
                assert_never(event)


def settings() -> None:
    loaded = reiterate.settings(api_key="…", start_date="09/01/2026")
    assert_type(loaded.connection, Connection)
    assert_type(loaded.notices, tuple[str, ...])
    assert_type(reiterate.sync(loaded.connection), Iterator[Event])


def looks() -> None:
    plan = reiterate.plan(api_key="…", start_date="09/01/2026")
    assert_type(plan, Plan)
    assert_type(plan.tasks, tuple[Task, ...])
    assert_type(plan.calls, tuple[Calls, ...])
    assert_type(plan.least_s, float)
    status = reiterate.status("shop")
    assert_type(status, ConnectionStatus)
    assert_type(status.tables, tuple[TableStatus, ...])
    assert_type([check.error for check in reiterate.check("shop")], list[ReiterateError | None])
    assert_type(reiterate.check("shop"), Iterator[Check])
    assert_type(reiterate.tables(), tuple[Table, ...])
    assert_type(reiterate.try_out("shop.duckdb"), tuple[Destination, Iterator[Step]])


def errors() -> None:
    try:
        reiterate.plan("shop")
    except (SettingsError, SourceError, LoadError) as error:
        assert_type(error.what, str)
        assert_type(error.advice, str)
