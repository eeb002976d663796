"""
Settings from three places: what the caller gives, over the environment, over the file; then what is always so.

Everything is checked before the first request; the first wrong value gives one message and nothing has changed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from reiterate.errors import SettingsError
from reiterate.settings import addresses, key, values
from reiterate.settings.document import FILE_VARIABLE, SETTINGS, Document
from reiterate.settings.given import Given, checked, nearest, unknown
from reiterate.settings.model import API_ADDRESSES, Connection, TableSettings
from reiterate.shape import CustomFields, Policy, Spelling

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime, timedelta
    from typing import TypeVar

    from reiterate.secret import Secret
    from reiterate.settings.model import Destination, Gateway

    Value = TypeVar("Value")

PREFIX = "REITERATE_"
ENVIRONMENT: Mapping[str, str] = MappingProxyType(
    {name: f"{PREFIX}{name.upper()}" for name in SETTINGS}
    | {"api_key": "ITERABLE_API_KEY", "api_address": "ITERABLE_BASE_URL"}
)
CONNECTION_VARIABLE = f"{PREFIX}CONNECTION"

DEFAULTS: Mapping[str, object] = MappingProxyType(
    {
        "window_in_days": 30,
        "data_gateway": "none",
        "ca_bundle": "none",
        "region": "US",
        "tables": values.DEFAULT_GROUP,
        "lookback": "2h",
        "rate_limit_factor": 1.0,
        "spool_in_gb": 4,
        "schema_policy": "evolve",
        "column_names": "snake_case",
    }
)
"""What counts if nothing is given; destination and dataset have theirs in the document."""

STAYS = "its rows are events, which stay as they are"
FLOWS = "it is not read whole by each sync"

MISSING = {
    "api_key": "Set ITERABLE_API_KEY in the environment, or api_key in {where}.",
    "start_date": "Give it as --start-date 09/01/2026, as REITERATE_START_DATE in the environment, "
    "or as start_date in {where}.",
}


class KnownTable(Protocol):
    """What the settings need to know of a table."""

    @property
    def needed(self) -> frozenset[str]:
        """Fields that cannot be left out."""

    @property
    def clear(self) -> frozenset[str]:
        """Fields that cannot be disguised."""

    @property
    def changes(self) -> bool:
        """Whether rows change once they are there."""

    @property
    def listed(self) -> bool:
        """Whether the table is read whole by each sync."""


@dataclass(frozen=True)
class Loaded:
    """A connection, and what a person should know about its settings."""

    connection: Connection
    notices: tuple[str, ...]


def day(setting: str, value: object, *, now: datetime) -> datetime:
    """
    Return midnight UTC of a day, spelled as a start date is.

    :raises SettingsError: when it is no day, or one in the future
    """
    return checked(setting, Given(value, "arguments"), lambda given: values.start_date(given, now=now))


def span_of(setting: str, value: object) -> timedelta:
    """
    Return a length of time, spelled as a lookback is.

    :raises SettingsError: when it is none
    """
    return checked(setting, Given(value, "arguments"), values.lookback)


def destination(
    url: str | None = None, dataset: str | None = None, *, file: Path | None, environ: Mapping[str, str]
) -> Destination:
    """
    Return the destination at *url*, or that is named so in *file*; the default, if it is not given.

    :raises SettingsError: when it is none
    """
    given = {setting: Given(value, "arguments") for setting, value in (("url", url), ("dataset", dataset)) if value}
    variable = environ.get(ENVIRONMENT["destination"])
    if variable and "url" not in given:
        given["url"] = Given(variable, f"environment variable {ENVIRONMENT['destination']}")
    return Document.read(file, environ).destination(given.get("url"), given.get("dataset"))


def load(
    *,
    connection: str | None = None,
    file: Path | None = None,
    overrides: Mapping[str, object],
    environ: Mapping[str, str],
    known_tables: Mapping[str, KnownTable],
    groups: Mapping[str, Collection[str]] = values.NO_GROUPS,
    now: datetime,
) -> Loaded:
    """
    Return the settings of *connection*; of the only one in the file, or of none in particular, if it is not named.

    *overrides*, by the names of ``reiterate.toml``, come before *environ*, the file, and the defaults; nothing as a
    value, and an empty environment variable, count as not given. The override ``name`` names a connection that stands
    in no file: it takes no settings from any connection there. Paths in the file count from the file.

    *groups* are names that select several of *known_tables*; ``default`` is what counts if nothing is given.

    :raises SettingsError: when a value is missing or wrong
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    strange = given.keys() - {*SETTINGS, "name"}
    if strange:
        raise unknown("setting", min(strange), SETTINGS, "arguments")
    document = Document.read(file, environ)
    if "name" in given:
        name = checked("name", Given(given["name"], "argument name"), values.connection_name)
        section: Mapping[str, Any] = {}
    else:
        name = document.choose(connection or environ.get(CONNECTION_VARIABLE) or None)
        section = document.connections.get(name, {})
    sources = _Sources(document, name, section, given, environ)
    found = sources.connection(known_tables=known_tables, groups=groups, now=now)
    return Loaded(found, (*sources.notices, *_strange_variables(environ)))


@dataclass
class _Sources:
    """Where the settings of one connection are found; *notices* fill as they are read."""

    document: Document
    name: str
    section: Mapping[str, Any]
    overrides: Mapping[str, object]
    environ: Mapping[str, str]
    notices: list[str] = field(default_factory=list)

    def connection(
        self, *, known_tables: Mapping[str, KnownTable], groups: Mapping[str, Collection[str]], now: datetime
    ) -> Connection:
        region, address = self._region_and_address()
        destinations = self._destinations()
        return Connection(
            name=self.name,
            api_key=self._api_key(),
            start=self._checked("start_date", lambda value: values.start_date(value, now=now)),
            window=self._checked("window_in_days", values.window_in_days),
            gateway=self._gateway(),
            ca_bundle=self._checked(
                "ca_bundle", lambda value: addresses.ca_bundle(value, base=self._base(self.given("ca_bundle")))
            ),
            region=region,
            api_address=address,
            tables=self._checked("tables", partial(values.tables, known=known_tables, groups=groups)),
            lookback=self._checked("lookback", values.lookback),
            rate_limit_factor=self._checked("rate_limit_factor", values.rate_limit_factor),
            spool_bytes=self._checked("spool_in_gb", values.spool_in_gb),
            schema_policy=self._checked("schema_policy", partial(values.choice, among=Policy)),
            column_names=self._checked("column_names", partial(values.choice, among=Spelling)),
            hash_salt=self._hash_salt(),
            destination=destinations[0],
            also=destinations[1:],
            table=MappingProxyType(dict(self._tables(known_tables, now))),
        )

    @property
    def where(self) -> str:
        return self.document.where(f"connections.{self.name}")

    def given(self, setting: str) -> Given | None:
        """Return what counts for a setting: the caller's value, the environment's, the file's."""
        if setting in self.overrides:
            return Given(self.overrides[setting], f"argument --{setting.replace('_', '-')}")
        in_file = Given(self.section[setting], self.where) if setting in self.section else None
        variable = ENVIRONMENT[setting]
        if not self.environ.get(variable) or (setting == "api_key" and in_file and self._has_keys_of_its_own):
            return in_file
        return Given(self.environ[variable], f"environment variable {variable}")

    @property
    def _has_keys_of_its_own(self) -> bool:
        """With several connections, the environment's key would send one connection to another one's project."""
        return len(self.document.connections) > 1

    def _checked(self, setting: str, check: Callable[[object], Value]) -> Value:
        given = self.given(setting)
        if given is None and setting in DEFAULTS:
            given = Given(DEFAULTS[setting], "default")
        if given is None:
            raise self._missing(setting)
        return checked(setting, given, check)

    def _missing(self, setting: str) -> SettingsError:
        empty = " (the variable is there, but empty)" if ENVIRONMENT[setting] in self.environ else ""
        return SettingsError(
            f"The setting {setting} is missing{empty}.", hint=MISSING[setting].format(where=self.where)
        )

    def _base(self, given: Given | None) -> Path:
        """Return the directory that a relative path counts from."""
        return self.document.path.parent if given and given.source == self.where else Path()

    def _api_key(self) -> Secret:
        given = self.given("api_key")
        if given is None:
            raise self._missing("api_key")
        kind, name = key.reference(given.value)
        if given.source == self.where:
            self._tell_of_ignored_key((kind, name))
        found = key.resolve(given, environ=self.environ, base=self._base(given))
        if kind == "file":
            self._warn_of_readers(self._base(given) / Path(name).expanduser(), "an API key in clear")
        elif not kind and given.source == self.where:
            self._warn_of_readers(
                self.document.path, "an API key in clear", instead=", or refer to the key with env:NAME or keyring:NAME"
            )
        return found

    def _tell_of_ignored_key(self, reference: tuple[str, str]) -> None:
        variable = ENVIRONMENT["api_key"]
        if self._has_keys_of_its_own and self.environ.get(variable) and reference != ("env", variable):
            self.notices.append(
                f"{variable} is ignored: {self.document.path} has several connections, and {self.name} its own key."
            )

    def _gateway(self) -> Gateway | None:
        given = self.given("data_gateway")
        found = self._checked("data_gateway", addresses.data_gateway)
        if found and found.has_credentials and given and given.source == self.where:
            self._warn_of_readers(self.document.path, "credentials of the data gateway in clear")
        return found

    def _destinations(self) -> tuple[Destination, ...]:
        given = self.given("destination")
        if given is None or not isinstance(given.value, list | tuple):
            return (self._destination(given),)
        found = tuple(self._destination(Given(one, given.source)) for one in given.value)
        if not found or len({(one.url, one.dataset) for one in found}) < len(found):
            raise SettingsError(
                "The setting destination names none, or one twice.", hint="Name each once.", source=given.source
            )
        return found

    def _destination(self, given: Given | None) -> Destination:
        found = self.document.destination(given, self.given("dataset"))
        if found.secret and self.document.holds(found.secret.reveal()):
            self._warn_of_readers(
                self.document.path,
                "credentials of a destination in clear",
                instead=", or refer to the url with env:NAME",
            )
        return found

    def _warn_of_readers(self, path: Path, what: str, *, instead: str = "") -> None:
        if key.others_can_read(path):
            self.notices.append(f"{path} holds {what}, and others can read it: chmod 600 {path}{instead}.")

    def _region_and_address(self) -> tuple[str, str]:
        """Return both as they belong together: Iterable's own addresses tell the region."""
        region = self._checked("region", values.region)
        given = self.given("api_address")
        if given is None:
            return region, API_ADDRESSES[region]
        address = checked("api_address", given, addresses.api_address)
        told = next((name for name, known in API_ADDRESSES.items() if known == address), region)
        if told != region and self.given("region"):
            self.notices.append(f"region is {region}, but api_address is that of {told}: {address} is used.")
        if address.startswith("http://") and not addresses.is_loopback(address):
            self.notices.append(f"api_address is {address}: the API key travels in clear. Use https if it can.")
        return told, address

    def _tables(self, known: Mapping[str, KnownTable], now: datetime) -> Mapping[str, TableSettings]:
        found = {}
        for name, own in self._own_tables().items():
            where = self.document.where(f"connections.{self.name}.table.{name}")
            checked("table", Given(name, where), lambda value: values.table(value, known=known))
            found[name] = own_settings(
                name, own, known[name], where=where, now=now, salted=self.given("hash_salt") is not None
            )
        return found

    def _hash_salt(self) -> Secret | None:
        given = self.given("hash_salt")
        if given is None:
            return None
        if not key.reference(given.value)[0] and given.source == self.where:
            self._warn_of_readers(self.document.path, "a salt in clear", instead=", or refer to it with env:NAME")
        return key.resolve(given, environ=self.environ, base=self._base(given), setting="hash_salt")

    def _own_tables(self) -> Mapping[str, Mapping[str, Any]]:
        return self.document.tables(self.name) if self.section else {}


def own_settings(
    table: str, given: Mapping[str, object], known: KnownTable, *, where: str, now: datetime, salted: bool
) -> TableSettings:
    """
    Return what *table* has of its own, *given* by the names of ``reiterate.toml``; *salted* tells if there is a salt.

    :raises SettingsError: when a value is wrong
    """
    found = TableSettings(
        start=_own("start_date", given, where, lambda value: values.start_date(value, now=now)),
        window=_own("window_in_days", given, where, values.window_in_days),
        lookback=_own("lookback", given, where, values.lookback),
        lists=_own("lists", given, where, partial(values.lists, table=table)) or (),
        schema_policy=_own("schema_policy", given, where, partial(values.choice, among=Policy)),
        column_names=_own("column_names", given, where, partial(values.choice, among=Spelling)),
        custom_fields=_own("custom_fields", given, where, partial(values.choice, among=CustomFields)),
        columns=_own("columns", given, where, values.columns) or (),
        omit_columns=_own("omit_columns", given, where, partial(values.columns, fixed=known.needed)) or (),
        hash_columns=_own("hash_columns", given, where, partial(values.columns, fixed=known.clear)) or (),
        full_refresh=_own("full_refresh", given, where, values.switch) or False,
        history=_own("history", given, where, partial(values.switch, refused="" if known.changes else STAYS)) or False,
        snapshots=_own("snapshots", given, where, partial(values.switch, refused="" if known.listed else FLOWS)),
    )
    if found.hash_columns and not salted:
        raise SettingsError(
            "The setting hash_columns needs a hash_salt.",
            hint="Without a secret salt everybody can count the hash of an address. Set hash_salt of the "
            "connection, as env:NAME, file:PATH or keyring:NAME.",
            source=where,
        )
    return found


def _own(setting: str, section: Mapping[str, Any], where: str, check: Callable[[object], Value]) -> Value | None:
    return checked(setting, Given(section[setting], where), check) if setting in section else None


def _strange_variables(environ: Mapping[str, str]) -> list[str]:
    """Say which variables look like ours and are not; some may belong to a later version."""
    known = [*ENVIRONMENT.values(), CONNECTION_VARIABLE, FILE_VARIABLE]
    ours = {name.removeprefix(PREFIX).lower(): name for name in known}
    notices = []
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known:
            meant = nearest(name.removeprefix(PREFIX), ours).split(" or ")[0]
            hint = f"did you mean {ours[meant]}?" if meant else "it is ignored."
            notices.append(f"The environment variable {name} is not known; {hint}")
    return notices
