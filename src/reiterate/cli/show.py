"""Commands that only tell: tables, plan, status."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

import reiterate
from reiterate.catalog import GROUPS, TABLES
from reiterate.cli import exits, words
from reiterate.cli.exits import Exit
from reiterate.cli.options import Command, ConnectionCommand, as_json
from reiterate.errors import SettingsError
from reiterate.shape import Shape, snake_case
from reiterate.windows import Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reiterate.audit import Verified
    from reiterate.catalog.model import Table
    from reiterate.flow import Task
    from reiterate.settings import Reading

EVENTS = 'events["events: email_send, …"]'
"""What stands for all of them in the diagram."""


@click.command(cls=Command, epilog="Example: reiterate tables email_open")
@click.argument("name", required=False, help="Show the columns of this table.")
@as_json
@click.option("--diagram", is_flag=True, help="Print how the tables join, for Mermaid.")
def tables(*, name: str | None, as_json: bool, diagram: bool) -> None:
    """Show the tables, or the columns of one."""
    if name and name not in TABLES:
        raise SettingsError(f"There is no table {name}.", hint=f"Tables: {', '.join(TABLES)}.")
    chosen = [TABLES[name]] if name else list(TABLES.values())
    if as_json:
        words.out().json([described(table) for table in chosen])
    elif diagram:
        for line in drawn(chosen).splitlines():
            words.out().print(line)
    elif name:
        describe(chosen[0])
    else:
        overview(chosen)


def overview(chosen: Iterable[Table]) -> None:
    """Print what each table holds, how it is replicated, and by which keys."""
    found = words.grid("table", "method", "primary key", "replication key", "default", "what it holds")
    for table in chosen:
        by_default = "yes" if table.name in GROUPS["default"] else ""
        found.add_row(table.name, table.method, ", ".join(table.key), table.cursor or "", by_default, table.about)
    words.out().print(found)


def describe(table: Table, shape: Shape | None = None) -> None:
    """Print the columns of one table, as a connection wants them."""
    from reiterate.api import limit_of

    console = words.out()
    console.print(f"{table.name}: {table.about}", style="bold")
    console.print(f"{table.method}, from {table.endpoint}, {table.docs}")
    console.print(f"Costs {table.cost}; {limit_of(table.read.path)}.")
    found = words.grid("column", "type", "source field", "meaning")
    for column, about in _columns(table, shape or Shape()):
        found.add_row(column["name"], column["type"], column["field"] or "", about)
    console.print(found)


def reading(table: Table, own: Reading) -> None:
    """Print how a connection replicates one table: its columns, from when on, and what becomes of new fields."""
    from reiterate.settings import duration

    describe(table, own.shape)
    console, shape = words.out(), own.shape
    console.print(
        f"Replicated from {own.start:%m/%d/%Y} on, at most {duration(own.window)} a request, "
        f"lookback {duration(own.lookback)}."
    )
    console.print(
        f"Fields that are not listed: schema_policy {shape.policy}, custom_fields {shape.custom_fields}, "
        f"column_names {shape.spelling}."
    )
    kept = (("full_refresh", own.full_refresh), ("history", own.history), ("snapshots", own.snapshots))
    if wanted := [setting for setting, is_set in kept if is_set]:
        console.print(f"Kept with {', '.join(wanted)}.")
    for setting, names in (("columns", shape.only), ("omit_columns", shape.omitted), ("hash_columns", shape.hashed)):
        if names:
            console.print(f"{setting}: {', '.join(names)}")


def drawn(chosen: Iterable[Table]) -> str:
    """Return a Mermaid diagram of how tables join: an arrow from each, events together, to those it leads to."""
    arrows = {
        f"    {table.name if table.changes else EVENTS} -->|{snake_case(field.name)}| {other}"
        for table in chosen
        for field, (other, _) in table.joins
        if other != table.name
    }
    return "\n".join(["graph LR", *sorted(arrows)])


def described(table: Table) -> dict[str, Any]:
    """Return the metadata of one table as plain values."""
    from reiterate.api import limit_of

    return {
        "name": table.name,
        "about": table.about,
        "method": table.method,
        "primary_key": list(table.key),
        "identity": list(table.identity.fields),
        "replication_key": table.cursor,
        "source": table.endpoint,
        "docs": table.docs,
        "limit": str(limit_of(table.read.path)),
        "cost": table.cost,
        "snapshots": table.snapshots,
        "groups": [group for group, names in GROUPS.items() if table.name in names],
        "joins": {snake_case(field.name): ".".join(join) for field, join in table.joins},
        "columns": [{**column, "about": about} for column, about in _columns(table, Shape())],
    }


def _columns(table: Table, shape: Shape) -> list[tuple[dict[str, Any], str]]:
    from reiterate.parse import first_columns

    abouts = {field.name: field.about for field in table.fields}
    return [
        (
            {"name": column.name, "type": str(column.type), "field": column.field},
            abouts.get(column.field or "", "What tells this event from all others; stable across syncs."),
        )
        for column in first_columns(table, shape)
    ]


@click.command(cls=ConnectionCommand, epilog="Example: reiterate plan --tables email_open,users")
@as_json
def plan(*, settings: dict[str, Any], as_json: bool) -> None:
    """
    Show what a sync would read: windows, calls, and the least time that Iterable's limits allow.

    Asks Iterable only for what tables are made of, such as lists; changes nothing. Ends with status 3 when it would
    not tell that of some tables.
    """
    found = reiterate.plan(**settings)
    if as_json:
        words.out().json(_planned(found))
    else:
        _show(found)
    raise click.exceptions.Exit(exits.of_errors([error for _, error in found.refused], well=len(found.tasks)))


def _show(found: reiterate.Plan) -> None:
    console = words.out()
    rows = words.grid("table", "tasks", "calls", "from", "to", "write", right=("tasks", "calls"))
    for name, tasks in _by_table(found.tasks).items():
        windows = [task.scope for task in tasks if isinstance(task.scope, Window)]
        rows.add_row(
            name,
            words.number(len(tasks)),
            words.number(found.costs.get(name, 0)),
            words.moment(min(window.start for window in windows)) if windows else "all",
            words.moment(max(window.end for window in windows)) if windows else "",
            ", ".join(sorted({task.write.value for task in tasks})),
        )
    console.print(rows)
    calls = words.grid("limit", "calls", "at least", right=("calls", "at least"))
    for one in found.calls:
        calls.add_row(one.limit.name, words.number(one.calls), words.duration(one.least_s))
    console.print(calls)
    for task, error in found.refused:
        console.print(f"{task.table.name}: {error}")
    console.print(f"A sync takes at least {words.duration(found.least_s)} by Iterable's limits.")


def _by_table(tasks: Sequence[Task]) -> dict[str, list[Task]]:
    found: dict[str, list[Task]] = {}
    for task in sorted(tasks, key=lambda task: task.table.name):
        found.setdefault(task.table.name, []).append(task)
    return found


def _planned(found: reiterate.Plan) -> dict[str, Any]:
    return {
        "tasks": [
            {"table": task.table.name, "part": str(task.scope), "write": task.write.value} for task in found.tasks
        ],
        "calls": [{"limit": one.limit.name, "calls": one.calls, "least_s": one.least_s} for one in found.calls],
        "tables": found.costs,
        "least_s": found.least_s,
        "refused": [{"table": task.table.name, "error": str(error)} for task, error in found.refused],
    }


@click.command(cls=ConnectionCommand, epilog="Example: reiterate status --connection shop")
@click.option("--stale-after", help="End with status 3 if a table was not read for so long, such as 1d.")
@as_json
def status(*, settings: dict[str, Any], stale_after: str | None, as_json: bool) -> None:
    """Show per table its rows, how fresh they are, when it was last read, and what is left to read."""
    from reiterate.settings import span_of

    oldest = datetime.now(UTC) - span_of("stale-after", stale_after) if stale_after else None
    found = reiterate.status(**settings)
    stale = [one.table.name for one in found.tables if oldest and (one.read_at is None or one.read_at < oldest)]
    if as_json:
        words.out().json(_stated(found))
    else:
        _state(found)
        if stale:
            words.out().print(f"Not read for {stale_after}: {', '.join(stale)}")
    if stale:
        raise click.exceptions.Exit(Exit.LOOK)


def _state(found: reiterate.ConnectionStatus) -> None:
    console = words.out()
    rows = words.grid("table", "rows", "newest row", "last read", "left to read", right=("rows",))
    for one in found.tables:
        rows.add_row(
            one.table.name,
            words.number(one.state.rows) if one.state else "-",
            words.moment(one.state.newest) if one.state and one.table.cursor else "",
            words.moment(one.read_at),
            _left(one.due),
        )
    console.print(rows)
    for one in found.tables:
        for refusal in {refusal.part: refusal for refusal in one.refusals}.values():
            when = words.moment(refusal.at)
            console.print(f"{one.table.name} {refusal.part} could not be read at {when}: {refusal.reason}")
    destination = found.connection.destination
    console.print(f"Destination {destination.url}, dataset {destination.dataset}.")
    for last in found.runs[:1]:
        ended = f", ended {words.moment(last.finished_at)}" if last.finished_at else ""
        console.print(
            f"Last run: {last.status}, started {words.moment(last.started_at)}{ended}, {words.number(last.rows)} rows.",
        )
        if last.message:
            console.print(last.message)
    if not found.runs:
        console.print("No sync yet.")


@click.command(cls=ConnectionCommand, epilog="Example: reiterate verify --source --tables email_open")
@click.option("--source", is_flag=True, help="Read sampled windows from Iterable again, too.")
@click.option("--sample", type=click.IntRange(1), default=3, help="How many windows a table.")
@as_json
def verify(*, settings: dict[str, Any], source: bool, sample: int, as_json: bool) -> None:
    """
    Compare the destination with its ledger, and with Iterable; changes nothing.

    Ends with status 0 when all agrees, 3 when some table differs or could not be compared, 1 when none could.
    """
    found = list(reiterate.verify(source=source, sample=sample, **settings))
    if as_json:
        words.out().json([_verified(one) for one in found])
    else:
        _tell(found)
    if any(one.problems for one in found):
        raise click.exceptions.Exit(Exit.LOOK)
    errors = [one.error for one in found if one.error]
    raise click.exceptions.Exit(exits.of_errors(errors, well=len(found) - len(errors)))


def _tell(found: Sequence[Verified]) -> None:
    console = words.out()
    rows = words.grid("table", "rows", "windows read again", "", right=("rows", "windows read again"))
    for one in found:
        state = words.bad("differs") if one.problems else "not compared" if one.error else words.good("ok")
        rows.add_row(one.table.name, words.number(one.rows), words.number(one.sampled), state)
    console.print(rows)
    errors: dict[str, list[str]] = {}
    for one in found:
        for said in (*one.problems, *one.notes):
            console.print(f"{one.table.name}: {said}")
        if one.error:
            errors.setdefault(str(one.error), []).append(one.table.name)
    for error, names in errors.items():
        console.print(f"{', '.join(names)}: {error}")


def _verified(one: Verified) -> dict[str, Any]:
    return {
        "table": one.table.name,
        "rows": one.rows,
        "problems": one.problems,
        "notes": one.notes,
        "sampled": one.sampled,
        "error": one.error and str(one.error),
    }


def _left(due: Sequence[Task]) -> str:
    windows = [task.scope for task in due if isinstance(task.scope, Window)]
    if not windows:
        return "all, as always"
    seconds = sum(window.length.total_seconds() for window in windows)
    return f"{words.duration(seconds)} in {len(windows)} window{'s' * (len(windows) > 1)}"


def _stated(found: reiterate.ConnectionStatus) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "connection": found.connection.name,
        "destination": found.connection.destination.url,
        "dataset": found.connection.destination.dataset,
        "tables": [
            {
                "table": one.table.name,
                "rows": one.state.rows if one.state else None,
                "newest": one.state.newest if one.state else None,
                "read_at": one.read_at,
                "age_s": (now - one.read_at).total_seconds() if one.read_at else None,
                "due": [str(task.scope) for task in one.due],
                "refused": {refusal.part: refusal.reason for refusal in one.refusals},
            }
            for one in found.tables
        ],
        "runs": [
            {
                "run_id": run.run_id,
                "status": run.status,
                "started_at": run.started_at,
                "finished_at": run.finished_at,
                "rows": run.rows,
                "message": run.message,
            }
            for run in found.runs
        ],
    }
