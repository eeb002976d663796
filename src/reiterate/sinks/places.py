"""Which sink belongs to a destination; what a database needs is imported only where one is wanted."""

from __future__ import annotations

from contextlib import closing, contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from reiterate.errors import SettingsError
from reiterate.sinks.duckdb import DuckDBSink
from reiterate.sinks.lake import LakeSink, Parquet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from reiterate.settings import Destination
    from reiterate.sinks.contract import Sink


def sink_at(destination: Destination, *, read_only: bool = False) -> Sink:
    """
    Open *destination*; one that is *read_only* must be there.

    :raises SettingsError: when it cannot be opened, or a package is missing
    :raises DestinationBusy: when another process has it open
    """
    return KINDS[destination.kind](destination, read_only)


@contextmanager
def look_at(destination: Destination) -> Iterator[Sink | None]:
    """Open *destination* to see what is there; nothing if nothing is."""
    file = _file_of(destination)
    if file is not None and not file.exists():
        yield None
        return
    with closing(sink_at(destination, read_only=True)) as sink:
        yield None if sink.empty else sink


def _file_of(destination: Destination) -> Path | None:
    """Return the file that is there if the destination is, where there is one."""
    match destination.kind:
        case "duckdb":
            return destination.path
        case "file":
            return LakeSink.ledger_at(destination.path / destination.dataset)
        case _:
            return None


def _duckdb(destination: Destination, read_only: bool) -> Sink:
    return DuckDBSink(destination.path, destination.dataset, read_only=read_only)


def _postgres(destination: Destination, read_only: bool) -> Sink:
    postgres = _module("reiterate.sinks.postgres", "postgres", destination)
    sink: Sink = postgres.PostgresSink(
        destination.address, destination.dataset, shown=destination.url, read_only=read_only
    )
    return sink


def _lake(destination: Destination, read_only: bool) -> Sink:
    root = destination.path / destination.dataset
    match destination.format:
        case "delta":
            return LakeSink(
                _module("reiterate.sinks.lake.delta", "delta", destination).Delta(root), read_only=read_only
            )
        case "iceberg":
            iceberg = _module("reiterate.sinks.lake.iceberg", "iceberg", destination)
            return LakeSink(iceberg.Iceberg(root), read_only=read_only)
        case _:
            return LakeSink(Parquet(root), read_only=read_only)


KINDS: Mapping[str, Callable[[Destination, bool], Sink]] = {"duckdb": _duckdb, "postgresql": _postgres, "file": _lake}
"""How a destination is opened, by the scheme of its URL."""


def _module(name: str, extra: str, destination: Destination) -> Any:  # noqa: ANN401 (a module)
    try:
        return import_module(name)
    except ImportError as error:
        raise SettingsError(
            f"This destination needs a package that is not installed, {error.name}.",
            hint=f"Install it with: pip install 'reiterate[{extra}]'",
            destination=destination.url,
        ) from error
