"""What a connection and a destination are. Frozen values; secrets hide themselves."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

API_ADDRESSES: Mapping[str, str] = MappingProxyType(
    {"US": "https://api.iterable.com", "EU": "https://api.eu.iterable.com"}
)
"""The address of the API in each region (FACTS.md 1)."""

SHOWN_OF_KEY = 4
LONG_KEY = 16


class Secret:
    """A text that nobody sees by accident: not in a repr, not in a message, not in a pickle."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def hint(self) -> str:
        """Return enough to tell two keys apart, as Iterable shows the last characters of a key itself."""
        return f"…{self._value[-SHOWN_OF_KEY:]}" if len(self._value) >= LONG_KEY else "set"

    def __repr__(self) -> str:
        return "********"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> str:
        message = "a secret cannot be pickled"
        raise TypeError(message)


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


@dataclass(frozen=True)
class Reading:
    """How a table is read: from *start* (aware UTC) on, *window* at most a request, *lookback* read again."""

    start: datetime
    window: timedelta
    lookback: timedelta


@dataclass(frozen=True)
class Destination:
    """Where rows go: a database by its URL, and the schema in it."""

    name: str
    url: str
    dataset: str

    @property
    def path(self) -> Path:
        """The DuckDB file: ``duckdb:///relative`` or ``duckdb:////absolute``."""
        return Path(self.url.removeprefix("duckdb:///"))


@dataclass(frozen=True)
class Connection:
    """
    One Iterable project, and how it is replicated.

    *start* is aware UTC, *window* the upper bound of one export request, *gateway* nothing for a direct way,
    *tables* nothing for all.
    """

    name: str
    api_key: Secret
    start: datetime
    window: timedelta
    gateway: Gateway | None
    ca_bundle: Path | None
    region: str
    api_address: str
    tables: tuple[str, ...] | None
    lookback: timedelta
    rate_limit_factor: float
    destination: Destination
    table: Mapping[str, TableSettings] = field(default_factory=dict)

    def settings_of(self, table: str) -> Reading:
        own = self.table.get(table, TableSettings())
        return Reading(
            start=own.start or self.start,
            window=own.window or self.window,
            lookback=self.lookback if own.lookback is None else own.lookback,
        )


def describe(connection: Connection) -> dict[str, str]:
    """Return the settings for people: what is secret stays so."""
    shown = {
        "name": connection.name,
        "api_key": connection.api_key.hint(),
        "start_date": f"{connection.start:%m/%d/%Y}",
        "window_in_days": f"{connection.window / timedelta(days=1):g}",
        "data_gateway": str(connection.gateway or "none"),
        "ca_bundle": str(connection.ca_bundle or ""),
        "region": connection.region,
        "api_address": connection.api_address,
        "tables": "all" if connection.tables is None else ", ".join(connection.tables),
        "lookback": str(connection.lookback),
        "rate_limit_factor": f"{connection.rate_limit_factor:g}",
        "destination": connection.destination.url,
        "dataset": connection.destination.dataset,
    }
    for table, own in connection.table.items():
        reading = connection.settings_of(table)
        given = {
            "start_date": own.start and f"{reading.start:%m/%d/%Y}",
            "window_in_days": own.window and f"{reading.window / timedelta(days=1):g}",
            "lookback": own.lookback is not None and str(reading.lookback),
        }
        shown[f"table.{table}"] = ", ".join(f"{name} = {value}" for name, value in given.items() if value)
    return shown
