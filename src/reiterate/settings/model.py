"""What a connection and a destination are. Frozen values; secrets hide themselves."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

from reiterate.secret import HIDDEN, Secret
from reiterate.shape import CustomFields, Policy, Shape, Spelling

if TYPE_CHECKING:
    from collections.abc import Mapping

API_ADDRESSES: Mapping[str, str] = MappingProxyType(
    {"US": "https://api.iterable.com", "EU": "https://api.eu.iterable.com"}
)
"""The address of the API in each region (FACTS.md 1)."""

UNITS: Mapping[str, int] = MappingProxyType({"w": 604_800, "d": 86_400, "h": 3600, "m": 60, "s": 1})
"""The units of a duration, in seconds."""

FORMATS = ("parquet", "delta", "iceberg")
"""How tables in a directory of files may be kept; the first is the default."""

GB = 1_000_000_000


class Gateway:
    """The egress route: a proxy, perhaps with credentials, which nobody sees by accident."""

    __slots__ = ("_url",)

    def __init__(self, url: str) -> None:
        self._url = Secret(url)

    def reveal(self) -> str:
        return self._url.reveal()

    @property
    def scheme(self) -> str:
        return urlsplit(self.reveal()).scheme

    @property
    def has_credentials(self) -> bool:
        return "@" in urlsplit(self.reveal()).netloc

    @property
    def url_without_credentials(self) -> str:
        parts = urlsplit(self.reveal())
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], "", "", ""))

    def __repr__(self) -> str:
        return f"Gateway({self.url_without_credentials})"

    def __str__(self) -> str:
        return self.url_without_credentials

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Gateway) and other._url == self._url

    def __hash__(self) -> int:
        return hash(self._url)


@dataclass(frozen=True)
class TableSettings:
    """What one table has of its own; nothing means as the connection has it."""

    start: datetime | None = None
    window: timedelta | None = None
    lookback: timedelta | None = None
    lists: tuple[str, ...] = ()
    schema_policy: Policy | None = None
    column_names: Spelling | None = None
    custom_fields: CustomFields | None = None
    columns: tuple[str, ...] = ()
    omit_columns: tuple[str, ...] = ()
    hash_columns: tuple[str, ...] = ()
    full_refresh: bool = False
    history: bool = False
    snapshots: bool | None = None


@dataclass(frozen=True)
class Reading:
    """
    How a table is read: from *start* (aware UTC) on, *window* at most a request, *lookback* read again.

    *lists* are the lists that are wanted, by id or by a glob of their name; all if there is none. *shape* says which
    columns are wanted. With *full_refresh* every sync reads the table anew, *history* keeps what its rows were,
    *snapshots* its rows of each day; nothing means as the catalog has it.
    """

    start: datetime
    window: timedelta
    lookback: timedelta
    lists: tuple[str, ...] = ()
    shape: Shape = field(default_factory=Shape)
    full_refresh: bool = False
    history: bool = False
    snapshots: bool | None = None


@dataclass(frozen=True)
class Destination:
    """Where rows go: a database by its URL, credentials hidden, and the schema in it."""

    name: str
    url: str
    dataset: str
    secret: Secret | None = None
    """the whole URL, where it holds more than may be shown"""

    @classmethod
    def of(cls, name: str, url: str, dataset: str) -> Destination:
        """Return the destination at *url*, of which no more is shown than where it is."""
        scheme, _, rest = url.partition(":")
        match scheme:
            case "duckdb" | "file" | "s3" | "gs" | "az":
                shown = url
            case "md" | "ducklake":
                # a catalog in a database server is told by words, a password among them
                place = rest.partition("?")[0]
                catalog, colon, _ = place.partition(":")
                shown = f"{scheme}:{catalog}:{HIDDEN}" if "=" in place and colon else f"{scheme}:{place}"
            case _:
                parts = urlsplit(url)
                shown = f"{scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        return cls(name, shown, dataset, None if shown == url else Secret(url))

    @property
    def kind(self) -> str:
        """The scheme of the URL."""
        return self.url.partition(":")[0]

    @property
    def path(self) -> Path:
        """
        The DuckDB file: ``duckdb:///relative`` to the working directory, or ``duckdb:////absolute``.

        Or the directory of files: ``file:///absolute``.
        """
        if self.kind == "file":
            return Path(unquote(urlsplit(self.url).path))
        return Path(self.url.removeprefix("duckdb:///")).expanduser()

    @property
    def format(self) -> str:
        """How tables in files are kept: one of ``FORMATS``."""
        return dict(parse_qsl(urlsplit(self.url).query)).get("format", FORMATS[0])

    @property
    def address(self) -> Secret:
        """The whole URL."""
        return self.secret or Secret(self.url)


@dataclass(frozen=True)
class Connection:
    """
    One Iterable project, and how it is replicated.

    *start* is aware UTC midnight, *window* the upper bound of one export request, in whole seconds; *gateway* nothing
    for a direct way, *tables* the names of those that are replicated. At most *spool_bytes* of raw files lie on
    disk at a time.
    """

    name: str
    api_key: Secret
    start: datetime
    window: timedelta
    gateway: Gateway | None
    ca_bundle: Path | None
    region: str
    api_address: str
    tables: tuple[str, ...]
    lookback: timedelta
    rate_limit_factor: float
    destination: Destination
    spool_bytes: int
    also: tuple[Destination, ...] = ()
    """further destinations that a sync loads into"""
    schema_policy: Policy = Policy.EVOLVE
    column_names: Spelling = Spelling.SNAKE_CASE
    hash_salt: Secret | None = None
    table: Mapping[str, TableSettings] = field(default_factory=lambda: MappingProxyType({}))

    def settings_of(self, table: str) -> Reading:
        own = self.table.get(table, TableSettings())
        return Reading(
            start=self.start if own.start is None else own.start,
            window=self.window if own.window is None else own.window,
            lookback=self.lookback if own.lookback is None else own.lookback,
            lists=own.lists,
            shape=Shape(
                policy=own.schema_policy or self.schema_policy,
                spelling=own.column_names or self.column_names,
                custom_fields=own.custom_fields or CustomFields.COLUMNS,
                only=own.columns,
                omitted=own.omit_columns,
                hashed=own.hash_columns,
                salt=self.hash_salt,
            ),
            full_refresh=own.full_refresh,
            history=own.history,
            snapshots=own.snapshots,
        )


def describe(connection: Connection) -> dict[str, str]:
    """Return the settings for people, by their names in ``reiterate.toml``: what is secret stays so."""
    shown = {
        "name": connection.name,
        "api_key": connection.api_key.hint(),
        "start_date": _day(connection.start),
        "window_in_days": _days(connection.window),
        "data_gateway": str(connection.gateway or "none"),
        "ca_bundle": str(connection.ca_bundle or "none"),
        "region": connection.region,
        "api_address": connection.api_address,
        "tables": ", ".join(connection.tables),
        "lookback": duration(connection.lookback),
        "rate_limit_factor": f"{connection.rate_limit_factor:g}",
        "spool_in_gb": f"{connection.spool_bytes / GB:.10g}",
        "schema_policy": connection.schema_policy,
        "column_names": connection.column_names,
        "hash_salt": "none" if connection.hash_salt is None else "set",
        "destination": ", ".join(each.url for each in (connection.destination, *connection.also)),
        "dataset": connection.destination.dataset,
    }
    for table, own in connection.table.items():
        given = (
            "" if own.start is None else f"start_date = {_day(own.start)}",
            "" if own.window is None else f"window_in_days = {_days(own.window)}",
            "" if own.lookback is None else f"lookback = {duration(own.lookback)}",
            f"schema_policy = {own.schema_policy}" if own.schema_policy else "",
            f"column_names = {own.column_names}" if own.column_names else "",
            f"custom_fields = {own.custom_fields}" if own.custom_fields else "",
            "full_refresh" if own.full_refresh else "",
            "history" if own.history else "",
            "" if own.snapshots is None else "snapshots" if own.snapshots else "no snapshots",
            *(
                f"{setting} = {', '.join(names)}"
                for setting, names in (
                    ("lists", own.lists),
                    ("columns", own.columns),
                    ("omit_columns", own.omit_columns),
                    ("hash_columns", own.hash_columns),
                )
                if names
            ),
        )
        shown[f"table.{table}"] = ", ".join(part for part in given if part)
    return shown


def duration(length: timedelta) -> str:
    """Return *length* (whole seconds) as the settings spell it, in days at most: 2h, 1d12h, 14d."""
    left, parts = round(length.total_seconds()), []
    for unit in "dhms":
        count, left = divmod(left, UNITS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def _day(start: datetime) -> str:
    return f"{start:%m/%d/%Y}"


def _days(window: timedelta) -> str:
    return f"{window / timedelta(days=1):.10g}"
