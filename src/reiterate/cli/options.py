"""The flags that name a connection and override its settings, the same for every command that needs one."""

from __future__ import annotations

import functools
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

Text = str | None


def _option(name: str, help_: str, *, panel: str = "Settings, over those of the file") -> Any:  # noqa: ANN401
    return typer.Option(f"--{name.replace('_', '-')}", help=help_, rich_help_panel=panel, show_default=False)


WHICH = "Which connection"

SETTINGS: dict[str, Any] = {
    "connection": Annotated[Text, _option("connection", "Name of the connection in the file.", panel=WHICH)],
    "config": Annotated[
        Path | None, _option("config", "The file with connections; reiterate.toml here by default.", panel=WHICH)
    ],
    "start_date": Annotated[Text, _option("start_date", "Replicate data from this date on, MM/DD/YYYY.")],
    "window_in_days": Annotated[Text, _option("window_in_days", "Longest time range of one export request (30).")],
    "data_gateway": Annotated[Text, _option("data_gateway", "Egress: none, or an http, https or socks5 proxy.")],
    "ca_bundle": Annotated[Text, _option("ca_bundle", "Certificates of a private authority, PEM.")],
    "region": Annotated[Text, _option("region", "US or EU.")],
    "api_address": Annotated[Text, _option("api_address", "Address of the API, for simulators and proxies.")],
    "tables": Annotated[
        Text, _option("tables", "Tables to replicate: names, globs, groups, separated by commas (default).")
    ],
    "lookback": Annotated[Text, _option("lookback", "Read again what happened so long before the last sync (2h).")],
    "rate_limit_factor": Annotated[Text, _option("rate_limit_factor", "Multiplies Iterable's rate limits (1.0).")],
    "spool_in_gb": Annotated[Text, _option("spool_in_gb", "Most that raw files may take on disk (4).")],
    "schema_policy": Annotated[Text, _option("schema_policy", "New columns: evolve, freeze or discard (evolve).")],
    "column_names": Annotated[Text, _option("column_names", "snake_case, or source for Iterable's spelling.")],
    "destination": Annotated[
        list[str] | None,
        _option("destination", "Where rows go: a file, a URL, or a name in the file; may be given more than once."),
    ],
    "dataset": Annotated[Text, _option("dataset", "Schema in the destination (iterable).")],
}
"""Flag by flag: the setting's name in ``reiterate.toml`` and its meaning."""


def _alone(value: Any) -> Any:  # noqa: ANN401 (whatever a flag takes)
    """Return the only one of a flag's values as if it could not be given twice."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give *command* the flags above; it gets those that were used as its keyword argument ``settings``."""
    own = [
        parameter
        for name, parameter in inspect.signature(command, eval_str=True).parameters.items()
        if name != "settings"
    ]
    flags = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in SETTINGS.items()
    ]

    @functools.wraps(command)
    def wrapped(**values: Any) -> None:  # noqa: ANN401
        given = {name: values.pop(name) for name in SETTINGS}
        settings = {name: _alone(value) for name, value in given.items() if value is not None and value != []}
        command(settings=settings, **values)

    signature = inspect.Signature([parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own] + flags)
    wrapped.__signature__ = signature  # type: ignore[attr-defined]
    wrapped.__annotations__ = {name: parameter.annotation for name, parameter in signature.parameters.items()}
    del wrapped.__wrapped__
    return wrapped
