"""The commands, and how they end."""

from __future__ import annotations

import os
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

import reiterate
from reiterate.cli import connection, demo, destination, exits, memory, show, words
from reiterate.cli.exits import Exit
from reiterate.cli.options import ConnectionCommand, Group, json_logs
from reiterate.cli.stopping import end_on_sigterm, stoppable
from reiterate.errors import NotEnoughMemory, ReiterateError

if TYPE_CHECKING:
    from reiterate.settings import Connection


REPORT = "What was committed stays. Please report this line."


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        words.out().print(f"reiterate {version('reiterate')}")
        ctx.exit()


@click.group(
    cls=Group,
    epilog="Try it without an account: reiterate demo",
    context_settings={"show_default": True, "max_content_width": 110},
)
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Show the version.")
def app() -> None:
    """Replicates everything an Iterable project holds into a database: nothing lost, nothing twice."""


@click.command(cls=ConnectionCommand, epilog="Example: ITERABLE_API_KEY=… reiterate sync --start-date 09/01/2026")
@json_logs
@click.option("--dry-run", is_flag=True, help="Read, write nothing, and show which columns would be new.")
@click.option(
    "--full-refresh",
    help="Read these tables anew, separated by commas; rows that Iterable no longer has go.",
)
@click.option(
    "--accept",
    multiple=True,
    metavar="TABLE:NUMBER",
    help="Let so many rows of a table go, as the sync that kept them says; may be given more than once.",
)
def sync(
    *, settings: dict[str, Any], json_logs: bool, dry_run: bool, full_refresh: str | None, accept: tuple[str, ...]
) -> None:
    """
    Replicate what is due into the destination.

    Ends with status 0 when all is well, 1 when nothing could be done, 2 for wrong settings or a wrong key, 3 when a
    person should look, 4 while another process holds the destination.
    """
    from reiterate.cli import render

    connection = _connection(settings)
    with stoppable() as stop:
        anew = [name.strip() for name in (full_refresh or "").split(",") if name.strip()]
        events = reiterate.sync(connection, stop=stop, dry_run=dry_run, full_refresh=anew, accept=accept)
        status = render.follow(events, stop, json_logs=json_logs)
    if dry_run:
        words.err().print("This was a dry run: nothing was written.")
    raise click.exceptions.Exit(status)


def _connection(settings: dict[str, Any]) -> Connection:
    loaded = reiterate.settings(**settings)
    console = words.err()
    for notice in loaded.notices:
        console.print(f"Note: {notice}")
    return loaded.connection


@click.command(cls=ConnectionCommand, epilog="Example: reiterate resync email_open --from 09/01/2026 --to 09/08/2026")
@click.argument("table", help="An export table: events or users.")
@click.option("--from", "start", help="From this day on, MM/DD/YYYY (the start date).")
@click.option("--to", "end", help="Up to this day, which is not included (now).")
@json_logs
def resync(*, settings: dict[str, Any], table: str, start: str | None, end: str | None, json_logs: bool) -> None:
    """
    Read a range of days of one table again.

    Rows are added and updated; none is removed, even if Iterable no longer has it.
    """
    from reiterate.cli import render

    connection = _connection(settings)
    with stoppable() as stop:
        events = reiterate.resync(table, start or None, end or None, connection, stop=stop)
        raise click.exceptions.Exit(render.follow(events, stop, json_logs=json_logs))


for command in (
    *(demo.demo, sync, resync, show.plan, show.status, show.verify, show.tables),
    *(connection.app, destination.app, demo.simulate),
):
    app.add_command(command)


def main() -> NoReturn:
    """Run the command line; end with a status and never with a traceback for what a person can cause."""
    memory.spare_addresses()
    words.prepare()
    end_on_sigterm()
    try:
        status = _status()
        with suppress(BrokenPipeError):  # whoever read it has seen enough
            sys.stdout.flush()
    except OSError as error:  # as when the output goes to a disk that is full
        words.complain(f"The output cannot be written. ({error})")
        status = Exit.NOTHING_DONE
    except KeyboardInterrupt:
        status = Exit.INTERRUPTED
    except Exception as error:  # noqa: BLE001 (an interpreter that ends by itself trips over threads at work)
        words.complain(_unforeseen(error))
        status = Exit.NOTHING_DONE
    # readers may still wait for an answer that nobody wants any more; and to take all modules apart takes a while
    os._exit(status)


def _unforeseen(error: Exception) -> str:
    """Return what to say of an error that nobody expected, and where it came from."""
    *_, last = traceback.extract_tb(error.__traceback__)
    reason = f"{type(error).__name__}: {error}"
    what = ReiterateError(
        "This failed in an unforeseen way.", hint=REPORT, reason=reason, at=f"{Path(last.filename).name}:{last.lineno}"
    )
    return str(what)


def _out_of_memory() -> tuple[type[BaseException], ...]:
    """Return what is raised where memory ends; DuckDB has an error of its own, if it was loaded."""
    duckdb = sys.modules.get("duckdb")
    return (MemoryError, duckdb.OutOfMemoryException) if duckdb else (MemoryError,)


def _status() -> int:
    """Run the command line; return the status that it ends with."""
    try:
        # only what ends a command early gives a status
        return app.main(prog_name="reiterate", standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except ReiterateError as error:
        words.complain(str(error))
        return exits.of_error(error)
    except _out_of_memory():
        words.complain(str(NotEnoughMemory()))
        return Exit.NOTHING_DONE
    except ImportError as error:
        # as where there is no memory for a library
        words.complain(f"A package cannot be loaded. ({error})")
        return Exit.NOTHING_DONE
    except click.Abort:
        words.err().print("Stopped.")
        return Exit.INTERRUPTED
    except SystemExit as end:
        if not isinstance(end.code, int):
            raise
        return end.code
