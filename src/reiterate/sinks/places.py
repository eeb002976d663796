"""Which sink belongs to a destination; what a database needs is imported only where one is wanted."""

from __future__ import annotations

from contextlib import closing, contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from reiterate.errors import SettingsError
from reiterate.sinks.duckdb import DuckDBSink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reiterate.settings import Destination
    from reiterate.sinks.contract import Sink


def sink_at(destination: Destination, *, read_only: bool = False) -> Sink:
    """
    Open *destination*; one that is *read_only* must be there.

    :raises SettingsError: when it cannot be opened, or a package is missing
    :raises DestinationBusy: when another process has it open
    """
    if destination.kind == "postgresql":
        postgres = _module("reiterate.sinks.postgres", "postgres", destination)
        sink: Sink = postgres.PostgresSink(
            destination.address, destination.dataset, shown=destination.url, read_only=read_only
        )
        return sink
    return DuckDBSink(destination.path, destination.dataset, read_only=read_only)


@contextmanager
def look_at(destination: Destination) -> Iterator[Sink | None]:
    """Open *destination* to see what is there; nothing if nothing is."""
    if destination.kind == "duckdb" and not destination.path.exists():
        yield None
        return
    with closing(sink_at(destination, read_only=True)) as sink:
        yield None if sink.empty else sink


def _module(name: str, extra: str, destination: Destination) -> Any:  # noqa: ANN401 (a module)
    try:
        return import_module(name)
    except ImportError as error:
        raise SettingsError(
            f"This destination needs a package that is not installed, {error.name}.",
            hint=f"Install it with: pip install 'reiterate[{extra}]'",
            destination=destination.url,
        ) from error
