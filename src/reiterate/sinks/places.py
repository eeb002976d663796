"""Which sink belongs to a destination; what a database needs is imported only where one is wanted."""

from __future__ import annotations

from contextlib import closing, contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reiterate.errors import SettingsError
from reiterate.settings.model import FORMATS
from reiterate.settings.schemes import SCHEMES
from reiterate.sinks import making
from reiterate.sinks.attached import AttachedSink
from reiterate.sinks.duckdb import DuckDBSink
from reiterate.sinks.lake import LakeSink, Local, Parquet, ledger_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reiterate.settings import Destination
    from reiterate.settings.schemes import Scheme
    from reiterate.sinks.contract import Sink
    from reiterate.sinks.lake.change import Format


def sink_at(destination: Destination, *, read_only: bool = False, run_id: str = "") -> Sink:
    """
    Open *destination*; one that is *read_only* must be there. Raw files lie in a directory named after *run_id*.

    :raises SettingsError: when it cannot be opened, or a package is missing
    :raises DestinationBusy: when another process has it open
    """
    given: dict[str, Any] = {"read_only": read_only, "run_id": run_id}
    known = {"shown": destination.url, **given}
    scheme = SCHEMES[destination.kind]
    sink: Sink
    match destination.kind:
        case "duckdb":
            sink = DuckDBSink(destination.path, destination.dataset, **given)
        case "md" | "ducklake":
            sink = AttachedSink(destination.address, destination.dataset, **known)
        case "file":
            with _needs(scheme, destination):
                sink = _lake(destination, **given)
        case "s3" | "gs" | "az":
            with _needs(scheme, destination):
                sink = _bucket(destination, **given)
        case "postgresql":
            with _needs(scheme, destination):
                sink = _module("postgres").PostgresSink(destination.address, destination.dataset, **known)
        case _:
            with _needs(scheme, destination):
                import_module(scheme.driver)
                sink = _module("dlt").DltSink(scheme.warehouse, destination.address, destination.dataset, **known)
    return sink


@contextmanager
def look_at(destination: Destination) -> Iterator[Sink | None]:
    """Open *destination* to see what is there; nothing if nothing is."""
    if not _may_be_there(destination):
        yield None
        return
    with closing(sink_at(destination, read_only=True)) as sink:
        yield None if sink.empty else sink


def _may_be_there(destination: Destination) -> bool:
    if destination.kind == "duckdb":
        return making.is_there(destination.path)
    if destination.kind == "file":
        return making.is_there(ledger_at(destination.path / destination.dataset))
    # a catalog in a database server is told by words
    catalog = destination.url.removeprefix("ducklake:")
    return destination.kind != "ducklake" or ":" in catalog or making.is_there(Path(catalog))


def _bucket(destination: Destination, **given: Any) -> Sink:  # noqa: ANN401 (passed on)
    place = _module("lake.bucket").Bucket(destination.url, destination.dataset)
    match destination.format:
        case "delta":
            files: Format = _module("lake.delta").Delta(place)
        case "iceberg":
            files = _module("lake.iceberg_away").IcebergAway(place)
        case _:
            files = Parquet(place)
    sink: Sink = _module("lake.away").BucketSink(files, **given)
    return sink


def _lake(destination: Destination, **given: Any) -> Sink:  # noqa: ANN401 (passed on)
    root = Local(destination.path / destination.dataset)
    match destination.format:
        case "delta":
            files: Format = _module("lake.delta").Delta(root)
        case "iceberg":
            files = _module("lake.iceberg").Iceberg(root)
        case _:
            files = Parquet(root)
    return LakeSink(files, **given)


def _module(name: str) -> Any:  # noqa: ANN401 (a module)
    return import_module(f"reiterate.sinks.{name}")


@contextmanager
def _needs(scheme: Scheme, destination: Destination) -> Iterator[None]:
    """Say which extra brings a package that is missing."""
    try:
        yield
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError)
        raise SettingsError(
            f"This destination needs a package that {'is not installed' if missing else 'cannot be loaded'}, "
            f"{error.name or scheme.driver}.",
            hint=f"Install it with: pip install 'reiterate[{_extras(scheme, destination)}]'",
            destination=destination.url,
            reason=None if missing else error.msg,
        ) from error


def _extras(scheme: Scheme, destination: Destination) -> str:
    """Return which extras a destination needs; plain Parquet needs none."""
    formats = (destination.format,) if destination.kind in {"file", "s3", "gs", "az"} else ()
    return ",".join(extra for extra in (scheme.extra, *formats) if extra and extra != FORMATS[0])
