"""The commands about connections: create, list, show, test, metadata, delete."""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import reiterate
from reiterate.catalog import GROUPS, TABLES, tables_of
from reiterate.cli import exits, show, words
from reiterate.cli.exits import Exit
from reiterate.cli.options import ConnectionCommand, Group, config, yes
from reiterate.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reiterate.errors import ReiterateError
    from reiterate.settings import Connection, Loaded

FILE = Path("reiterate.toml")

ASKED = {
    "api_key": ("API key, or where it stands: env:NAME, file:PATH, keyring:NAME", None),
    "start_date": ("Replicate data from which date on (MM/DD/YYYY)", None),
    "window_in_days": ("Longest time range of one export request, in days", "30"),
    "region": ("Region of the project, US or EU", "US"),
    "data_gateway": ("Data gateway: none, or the address of a proxy", "none"),
}
"""What `connection create` asks for, with its words and its defaults."""

LISTS = {"lists", "columns", "omit_columns", "hash_columns"}
SWITCHES = {"full_refresh", "history", "snapshots"}

name = click.argument("name", help="Name of the connection.")
name_if_any = click.argument("name", required=False, help="Name of the connection.")


@click.group("connection", cls=Group)
def app() -> None:
    """Create, test, change and delete connections to Iterable projects."""


@app.command(
    "create",
    cls=ConnectionCommand,
    epilog="Example: reiterate connection create shop --api-key env:SHOP_KEY --start-date 09/01/2026",
)
@name_if_any
@click.option("--api-key", help="env:NAME, file:PATH, keyring:NAME, or the key.")
@click.option("--test/--no-test", default=True, help="Test the connection before it is saved.")
@yes
def create(*, name: str | None, settings: dict[str, Any], api_key: str | None, test: bool, yes: bool) -> None:
    """Create a connection: ask for what flags leave out, test it, show its metadata, choose its tables."""
    from rich.prompt import Confirm, Prompt

    from reiterate.settings import edit

    console = words.out()
    file = _file(settings.pop("config", None))
    asks = not yes and sys.stdin.isatty()
    name = name or settings.pop("connection", None) or (Prompt.ask("Name of the connection") if asks else "")
    if not name:
        raise SettingsError("The connection has no name.", hint="Give it one: reiterate connection create NAME.")
    if name in edit.list_connections(file):
        raise SettingsError(
            f"There is a connection {name} already.", hint="Delete it first, or choose another name.", file=file
        )
    values = dict(settings)
    if api_key is not None:
        values["api_key"] = api_key
    draft = _Draft(name, file if file.exists() else None)
    if asks:
        for setting, (question, default) in ASKED.items():
            if setting not in values:
                values[setting] = draft.ask(values, setting, question, default)
    chosen = draft.settings(values).connection
    errors = _errors(chosen) if test else []
    if errors and not (asks and Confirm.ask("Save the connection all the same?", default=False)):
        console.print("The connection was not saved. To save it untested, add --no-test.")
        raise click.exceptions.Exit(exits.of_errors(errors, well=0))
    show.overview(tables_of(chosen.tables))
    if asks and "tables" not in values:
        question = f"Which tables: names, globs or groups ({', '.join(GROUPS)}), separated by commas"
        values["tables"] = draft.ask(values, "tables", question, "default")
    edit.save_connection(file, name, _written(values))
    console.print(f"Saved connection {name} to {file}. Now: reiterate sync --connection {name}")


@dataclass(frozen=True)
class _Draft:
    """A connection that does not stand in the file yet."""

    name: str
    file: Path | None

    def settings(self, values: dict[str, Any]) -> Loaded:
        return reiterate.settings(config=self.file, name=self.name, **values)

    def ask(self, values: dict[str, Any], setting: str, question: str, default: str | None) -> str:
        """Ask until the answer is one that the setting takes."""
        from rich.prompt import Prompt

        if setting == "api_key" and os.environ.get("ITERABLE_API_KEY"):
            default = "env:ITERABLE_API_KEY"
        missing = {"api_key": "asked-for-later", "start_date": datetime.now(UTC).date()}
        while True:
            answer = Prompt.ask(question, default=default, password=setting == "api_key") or ""
            try:
                self.settings({**missing, **values, setting: answer})
            except SettingsError as error:
                words.err().print(words.error(error))
            else:
                return answer


def _written(values: dict[str, Any]) -> dict[str, object]:
    """Return settings as they stand in the file: numbers, truths, lists of names; nothing for those to remove."""
    written: dict[str, object] = dict(values)
    for setting in ("window_in_days", "rate_limit_factor"):
        with contextlib.suppress(KeyError, ValueError):
            written[setting] = float(str(written[setting]))
    for setting in SWITCHES & written.keys():
        written[setting] = {"true": True, "false": False}.get(str(written[setting]).lower(), written[setting])
    for setting in LISTS & written.keys():
        names = [name.strip() for name in str(written[setting]).split(",")]
        written[setting] = None if names == ["none"] else names
    if (chosen := written.pop("tables", None)) and str(chosen).strip().lower() != "default":
        written["tables"] = [table.strip() for table in str(chosen).split(",")]
    return written


def _own(pairs: Iterable[str]) -> dict[str, str]:
    """Return what ``SETTING=VALUE`` says of a table."""
    from reiterate.settings.document import TABLE_SETTINGS

    found = {}
    for setting, _, value in (pair.partition("=") for pair in pairs):
        if setting not in TABLE_SETTINGS or not value:
            raise SettingsError(
                f"{setting} is not set to anything that a table has.",
                hint=f"Give it as --set SETTING=VALUE, with one of {', '.join(TABLE_SETTINGS)}.",
            )
        found[setting] = value
    return found


@app.command("list", epilog="Example: reiterate connection list")
@config
def list_(*, config: Path | None) -> None:
    """Show the names of all connections."""
    from reiterate.settings import edit

    file = _file(config)
    names = edit.list_connections(file)
    for name in names:
        words.out().print(name)
    if not names:
        words.err().print(f"No connections in {file}. Create one: reiterate connection create")


@app.command("show", cls=ConnectionCommand, epilog="Example: reiterate connection show --connection shop")
@name_if_any
def show_(*, name: str | None, settings: dict[str, Any]) -> None:
    """Show the settings of a connection as a sync would use them; the key stays hidden."""
    from reiterate.settings import describe

    loaded = reiterate.settings(**_named(name, settings))
    found = words.grid("setting", "value")
    for setting, value in describe(loaded.connection).items():
        found.add_row(setting, value)
    words.out().print(found)
    for notice in loaded.notices:
        words.err().print(f"Note: {notice}")


@app.command("test", cls=ConnectionCommand, epilog="Example: reiterate connection test shop")
@name_if_any
def test(*, name: str | None, settings: dict[str, Any]) -> None:
    """Tell for every table whether the key can read it, in a handful of cheap calls."""
    loaded = reiterate.settings(**_named(name, settings))
    for notice in loaded.notices:
        words.err().print(f"Note: {notice}")
    checks = _checks(loaded.connection)
    refused = [check.error for check in checks if check.error]
    asked = sum(len(check.tables) for check in checks)
    if refused:
        raise click.exceptions.Exit(exits.of_errors(refused, well=len(checks) - len(refused)))
    words.out().print(f"The key can read all {asked} tables.")


def _errors(connection: Connection) -> list[ReiterateError]:
    """Return why the key can read nothing; nothing if it can read something."""
    errors = [check.error for check in _checks(connection)]
    return [error for error in errors if error] if all(errors) else []


def _checks(connection: Connection) -> list[reiterate.Check]:
    console = words.out()
    found = []
    for check in reiterate.check(connection):
        found.append(check)
        for table in check.tables:
            console.print(f"{table.name}: {check.error or 'ok'}")
        if check.notice:
            words.err().print(f"Note: {check.notice}")
    return found


@app.command("metadata", epilog="Example: reiterate connection metadata shop --table email_open --lookback 7d")
@name
@click.option("--table", help="Show, or change, this table alone.")
@click.option("--select", help="Replicate these tables: names, globs or groups, separated by commas.")
@click.option("--start-date", help="Replicate the table from this date on, MM/DD/YYYY.")
@click.option("--window-in-days", help="Longest time range of one export request of the table.")
@click.option("--lookback", help="Read again what happened so long before the last sync.")
@click.option("--set", "own", multiple=True, metavar="SETTING=VALUE", help="Change another setting of the table.")
@config
def metadata(
    *, name: str, table: str | None, select: str | None, own: tuple[str, ...], config: Path | None, **given: str | None
) -> None:
    """Show the tables, columns, keys and methods of a connection, or change them."""
    from reiterate.settings import edit, own_settings

    file = _file(config)
    if table and table not in TABLES:
        raise SettingsError(f"There is no table {table}.", hint=f"Tables: {', '.join(TABLES)}.")
    changes = _written({setting: value for setting, value in (given | _own(own)).items() if value})
    if changes and not table:
        raise SettingsError(
            f"{', '.join(changes)} is changed for one table.", hint="Name it with --table, or edit the file."
        )
    # all is checked before the file changes
    connection = reiterate.settings(name, config=file, tables=select or None).connection
    if table and changes:
        own_settings(
            table,
            {setting: value for setting, value in changes.items() if value is not None},
            TABLES[table],
            where="arguments",
            now=datetime.now(UTC),
            salted=connection.hash_salt is not None,
        )
        edit.update_connection(file, name, {"table": {table: changes}})
    if select:
        edit.update_connection(file, name, {"tables": None, **_written({"tables": select})})
    connection = reiterate.settings(name, config=file).connection
    if table:
        show.reading(TABLES[table], connection.settings_of(table))
    else:
        show.overview(tables_of(connection.tables))


@app.command("delete", epilog="Example: reiterate connection delete shop --yes")
@name
@yes
@config
def delete(*, name: str, yes: bool, config: Path | None) -> None:
    """Delete a connection from the file; the data in its destination stays."""
    from rich.prompt import Confirm

    from reiterate.settings import edit

    file = _file(config)
    if name not in edit.list_connections(file):
        raise SettingsError(f"There is no connection {name}.", file=file)
    if not yes and not (sys.stdin.isatty() and Confirm.ask(f"Delete connection {name}?", default=False)):
        words.out().print("Nothing was deleted. To delete without a question, add --yes.")
        raise click.exceptions.Exit(Exit.NOTHING_DONE)
    edit.delete_connection(file, name)
    words.out().print(f"Deleted connection {name} from {file}. The data in its destination stays.")


def _file(config: Path | None) -> Path:
    return config or FILE


def _named(name: str | None, settings: dict[str, Any]) -> dict[str, Any]:
    return {**settings, "connection": name} if name else settings
