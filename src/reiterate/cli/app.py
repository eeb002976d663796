"""The commands, and how they end."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

import reiterate
from reiterate.cli import connection, demo, destination, show, words
from reiterate.cli.exits import INTERRUPTED, NOTHING_DONE, WRONG_USAGE
from reiterate.cli.options import with_settings
from reiterate.cli.stopping import stoppable
from reiterate.errors import ReiterateError, SettingsError

if TYPE_CHECKING:
    from reiterate.settings import Connection

app = typer.Typer(
    name="reiterate",
    help="Replicates everything an Iterable project holds into a database: nothing lost, nothing twice.",
    epilog="Try it without an account: reiterate demo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _version(*, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        words.out().print(f"reiterate {version('reiterate')}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", callback=lambda wanted: _version(wanted=wanted), is_eager=True, help="Show the version."
        ),
    ] = False,
) -> None:
    pass


JsonLogs = Annotated[bool, typer.Option("--json-logs", help="One JSON object a line on standard output.")]


@with_settings
def sync(
    *,
    settings: dict[str, Any],
    json_logs: JsonLogs = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read, write nothing, and show which columns would be new.")
    ] = False,
    full_refresh: Annotated[
        str, typer.Option(help="Read these tables anew, separated by commas; rows that Iterable no longer has go.")
    ] = "",
) -> None:
    """
    Replicate what is due into the destination.

    Ends with status 0 when all is well, 1 when nothing could be done, 2 for wrong settings, 3 when some tables failed.
    """
    from reiterate.cli import render

    connection = _connection(settings)
    with stoppable() as stop:
        anew = [name.strip() for name in full_refresh.split(",") if name.strip()]
        events = reiterate.sync(connection, stop=stop, dry_run=dry_run, full_refresh=anew)
        status = render.follow(events, json_logs=json_logs)
    if dry_run:
        words.err().print("This was a dry run: nothing was written.")
    raise typer.Exit(status)


def _connection(settings: dict[str, Any]) -> Connection:
    loaded = reiterate.settings(**settings)
    console = words.err()
    for notice in loaded.notices:
        console.print(f"Note: {notice}", markup=False)
    return loaded.connection


@with_settings
def resync(
    *,
    settings: dict[str, Any],
    table: Annotated[str, typer.Argument(help="An export table: events or users.")],
    start: Annotated[str, typer.Option("--from", help="From this day on, MM/DD/YYYY (the start date).")] = "",
    end: Annotated[str, typer.Option("--to", help="Up to this day, which is not included (now).")] = "",
    json_logs: JsonLogs = False,
) -> None:
    """
    Read a range of days of one table again.

    Rows are added and updated; none is removed, even if Iterable no longer has it.
    """
    from reiterate.cli import render

    connection = _connection(settings)
    with stoppable() as stop:
        events = reiterate.resync(table, start or None, end or None, connection, stop=stop)
        raise typer.Exit(render.follow(events, json_logs=json_logs))


# in the order in which a person meets them
app.command("demo", epilog="Example: reiterate demo --days 30")(demo.demo)
app.command("sync", epilog="Example: ITERABLE_API_KEY=… reiterate sync --start-date 09/01/2026")(sync)
app.command("resync", epilog="Example: reiterate resync email_open --from 09/01/2026 --to 09/08/2026")(resync)
app.command("plan", epilog="Example: reiterate plan --tables email_open,users")(show.plan)
app.command("status", epilog="Example: reiterate status --connection shop")(show.status)
app.command("verify", epilog="Example: reiterate verify --source --tables email_open")(show.verify)
app.command("tables", epilog="Example: reiterate tables email_open")(show.tables)
app.add_typer(connection.app, name="connection")
app.add_typer(destination.app, name="destination")
app.command("simulate", epilog="Example: reiterate simulate --port 8080 --api-key secret --days 60")(demo.simulate)


def main() -> NoReturn:
    """Run the command line; end with a status and never with a traceback for what a person can cause."""
    try:
        status = _status()
        with suppress(BrokenPipeError):  # whoever read it has seen enough
            sys.stdout.flush()
    except OSError as error:  # as when the output goes to a disk that is full
        words.err().print(f"Error: The output cannot be written. ({error})", markup=False)
        status = NOTHING_DONE
    # readers may still wait for an answer that nobody wants any more; and to take all modules apart takes a while
    os._exit(status)


def _status() -> int:
    """Run the command line; return the status that it ends with."""
    try:
        app(standalone_mode=True)
    except SettingsError as error:
        return _say(error, WRONG_USAGE)
    except ReiterateError as error:
        return _say(error, NOTHING_DONE)
    except KeyboardInterrupt:
        words.err().print("Stopped.")
        return INTERRUPTED
    except SystemExit as end:
        if not isinstance(end.code, int):
            raise
        return end.code
    return 0


def _say(error: ReiterateError, status: int) -> int:
    words.err().print(words.error(error), markup=False)
    return status
