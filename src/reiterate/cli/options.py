"""Commands, and the flags that they share: those that name a connection and override its settings, above all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterable

WHICH = "Which connection"
OVER_THE_FILE = "Settings, over those of the file"


class Setting(click.Option):
    """A flag for a setting, under a *heading* in the help of each command."""

    def __init__(self, name: str, about: str, heading: str = OVER_THE_FILE, **more: Any) -> None:  # noqa: ANN401
        super().__init__([f"--{name.replace('_', '-')}"], help=about, **more)
        self.heading = heading


SETTINGS = {
    str(flag.name): flag
    for flag in (
        Setting("connection", "Name of the connection in the file.", WHICH),
        Setting(
            "config",
            "The file with connections; reiterate.toml here by default.",
            WHICH,
            type=click.Path(path_type=Path),
        ),
        Setting("start_date", "Replicate data from this date on, MM/DD/YYYY."),
        Setting("window_in_days", "Longest time range of one export request (30)."),
        Setting("data_gateway", "Egress: none, or an http, https or socks5 proxy."),
        Setting("ca_bundle", "Certificates of a private authority, PEM."),
        Setting("region", "US or EU."),
        Setting("api_address", "Address of the API, for simulators and proxies."),
        Setting("tables", "Tables to replicate: names, globs, groups, separated by commas (default)."),
        Setting("lookback", "Read again what happened so long before the last sync (2h)."),
        Setting("rate_limit_factor", "Multiplies Iterable's rate limits (1.0)."),
        Setting("spool_in_gb", "Most that raw files may take on disk (4)."),
        Setting("schema_policy", "New columns: evolve, freeze or discard (evolve)."),
        Setting("column_names", "snake_case, or source for Iterable's spelling."),
        Setting(
            "destination",
            "Where rows go: a file, a URL, or a name in the file; may be given more than once.",
            multiple=True,
        ),
        Setting("dataset", "Schema in the destination (iterable)."),
    )
}
"""Flag by flag: the setting's name in ``reiterate.toml`` and its meaning."""


class Command(click.Command):
    """A command whose help has its flags under their headings."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        under: dict[str, list[tuple[str, str]]] = {}
        for flag in self.get_params(ctx):
            if isinstance(flag, click.Option) and (record := flag.get_help_record(ctx)):
                under.setdefault(getattr(flag, "heading", "Options"), []).append(record)
        for heading, records in under.items():
            with formatter.section(heading):
                formatter.write_dl(records)


class ConnectionCommand(Command):
    """A command with the flags above; it gets those that were used as its keyword argument ``settings``."""

    def __init__(self, name: str | None, params: Iterable[click.Parameter] = (), **more: Any) -> None:  # noqa: ANN401
        super().__init__(name, params=[*params, *SETTINGS.values()], **more)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 (as click has it)
        given = {name: ctx.params.pop(name) for name in SETTINGS}
        ctx.params["settings"] = {name: _alone(value) for name, value in given.items() if value not in {None, ()}}
        return super().invoke(ctx)


def _alone(value: Any) -> Any:  # noqa: ANN401 (whatever a flag takes)
    """Return the only one of a flag's values as if it could not be given twice."""
    if not isinstance(value, tuple):
        return value
    return value[0] if len(value) == 1 else [*value]


class Group(click.Group):
    """Commands, of which its help shows whole sentences, in the order in which a person meets them."""

    command_class = Command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        abouts = [(name, command.get_short_help_str(limit=1_000)) for name, command in self.commands.items()]
        with formatter.section("Commands"):
            formatter.write_dl(abouts)


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
json_logs = click.option("--json-logs", is_flag=True, help="One JSON object a line on standard output.")
config = click.option("--config", type=click.Path(path_type=Path), help="The file with connections.")
yes = click.option("--yes", is_flag=True, help="Ask nothing.")
