"""
Settings from three places: what the caller gives, over the environment, over the file; then what is always so.

Everything is checked before the first request; the first wrong value gives one message and nothing has changed.
"""

from __future__ import annotations

import os
import stat
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import keyring
import keyring.errors

from reiterate.errors import SettingsError
from reiterate.settings import values
from reiterate.settings.model import API_ADDRESSES, Connection, Destination, TableSettings
from reiterate.settings.values import Wrong

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime

    from reiterate.settings.model import Secret

FILE = "reiterate.toml"
KEYRING_SERVICE = "reiterate"

SETTINGS = (
    "api_key",
    "start_date",
    "window_in_days",
    "data_gateway",
    "ca_bundle",
    "region",
    "api_address",
    "tables",
    "lookback",
    "rate_limit_factor",
    "destination",
    "dataset",
)
TABLE_SETTINGS = ("start_date", "window_in_days", "lookback")
DESTINATION_SETTINGS = ("url", "dataset")

ENVIRONMENT = {
    "api_key": "ITERABLE_API_KEY",
    "api_address": "ITERABLE_BASE_URL",
    **{name: f"REITERATE_{name.upper()}" for name in SETTINGS if name not in {"api_key", "api_address"}},
}
CONNECTION_VARIABLE = "REITERATE_CONNECTION"
FILE_VARIABLE = "REITERATE_CONFIG"

DEFAULTS: dict[str, object] = {
    "window_in_days": 30,
    "data_gateway": "none",
    "ca_bundle": "",
    "region": "US",
    "tables": "all",
    "lookback": "2h",
    "rate_limit_factor": 1.0,
    "destination": "duckdb:///iterable.duckdb",
    "dataset": "iterable",
}

Value = TypeVar("Value")


@dataclass(frozen=True)
class Loaded:
    """A connection, and what a person should know about its settings."""

    connection: Connection
    notices: tuple[str, ...]


@dataclass(frozen=True)
class Given:
    """A value and where it stands."""

    value: object
    source: str


def load(
    *,
    connection: str | None = None,
    file: Path | None = None,
    overrides: Mapping[str, object],
    environ: Mapping[str, str],
    known_tables: Collection[str],
    now: datetime,
) -> Loaded:
    """
    Return the settings of *connection*; of the only one in the file, or of none in particular, if it is not named.

    *overrides* (by the names of ``reiterate.toml``; ``name`` names a connection that stands in no file) come before
    *environ*, the file, and the defaults. Paths in the file count from the file.

    :raises SettingsError: when a value is missing or wrong
    """
    document = Document.read(file, environ)
    chosen = connection or environ.get(CONNECTION_VARIABLE) or None
    name, section = document.connection(chosen)
    name = _checked("name", Given(overrides.get("name", name), "argument"), values.connection_name)
    unknown = overrides.keys() - {*SETTINGS, "name"}
    if unknown:
        raise _unknown("setting", min(unknown), SETTINGS, "arguments")
    resolver = _Resolver(document, name, section, overrides, environ)
    return Loaded(
        resolver.connection(known_tables=known_tables, now=now),
        (*resolver.notices, *_strange_variables(environ)),
    )


@dataclass(frozen=True)
class Document:
    """The file, read and checked for names that nobody knows."""

    path: Path
    content: Mapping[str, Any]

    @classmethod
    def read(cls, file: Path | None, environ: Mapping[str, str]) -> Document:
        named = file or (Path(environ[FILE_VARIABLE]) if environ.get(FILE_VARIABLE) else None)
        path = named or Path(FILE)
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            if named is not None:
                raise SettingsError("The settings file does not exist.", file=path) from None
            return cls(path, {})
        except UnicodeDecodeError:
            raise SettingsError("The settings file is not UTF-8 text.", file=path) from None
        except OSError as error:
            raise SettingsError("The settings file cannot be read.", file=path, reason=error.strerror) from None
        return cls.parse(text, path)

    @classmethod
    def parse(cls, text: str, path: Path) -> Document:
        try:
            content = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise SettingsError("The settings file is not valid TOML.", file=path, reason=_no_value(error)) from None
        document = cls(path, content)
        document.check()
        return document

    def check(self) -> None:
        """Refuse names that nobody knows and sections that are not sections, wherever they stand."""
        self._names(self.content, ("connections", "destinations"), "")
        for name, section in self.sections("connections").items():
            _checked("connection name", Given(name, str(self.path)), values.connection_name)
            self._names(section, (*SETTINGS, "table"), f"connections.{name}")
            for table, own in self._sections(section.get("table", {}), f"connections.{name}.table").items():
                self._names(own, TABLE_SETTINGS, f"connections.{name}.table.{table}")
        for name, section in self.sections("destinations").items():
            self._names(section, DESTINATION_SETTINGS, f"destinations.{name}")

    def sections(self, kind: str) -> Mapping[str, Mapping[str, Any]]:
        return self._sections(self.content.get(kind, {}), kind)

    def _sections(self, found: object, where: str) -> Mapping[str, Mapping[str, Any]]:
        if not isinstance(found, dict) or not all(isinstance(section, dict) for section in found.values()):
            raise SettingsError(f"[{where}] must hold sections, such as [{where}.NAME].", file=self.path)
        return found

    def _names(self, section: Mapping[str, Any], known: Collection[str], where: str) -> None:
        for name in section:
            if name not in known:
                raise _unknown("setting", name, known, self.where(where))

    def where(self, section: str) -> str:
        return f"[{section}] of {self.path}" if section else str(self.path)

    def connection(self, chosen: str | None) -> tuple[str, Mapping[str, Any]]:
        """Return name and section of the chosen connection, or of the only one."""
        there = self.sections("connections")
        if chosen is None and len(there) > 1:
            raise SettingsError(
                "Several connections stand in the file.",
                hint="Name one with --connection.",
                file=self.path,
                connections=", ".join(there),
            )
        if chosen is not None and chosen not in there:
            raise SettingsError(
                f"There is no connection {chosen}.",
                hint="Create it with `reiterate connection create`, or name one of those.",
                file=self.path,
                connections=", ".join(there) or "none",
            )
        name = chosen or next(iter(there), "iterable")
        return name, there.get(name, {})


class _Resolver:
    """Finds the value of each setting of one connection, checks it, and collects notices."""

    def __init__(
        self,
        document: Document,
        name: str,
        section: Mapping[str, Any],
        overrides: Mapping[str, object],
        environ: Mapping[str, str],
    ) -> None:
        self._document = document
        self._name = name
        self._section = section
        self._overrides = overrides
        self._environ = environ
        self.notices: list[str] = []

    def connection(self, *, known_tables: Collection[str], now: datetime) -> Connection:
        region = self._get("region", values.region)
        found = Connection(
            name=self._name,
            api_key=self._api_key(),
            start=self._get("start_date", lambda value: values.start_date(value, now=now)),
            window=self._get("window_in_days", values.window_in_days),
            gateway=self._get("data_gateway", values.data_gateway),
            ca_bundle=self._get("ca_bundle", lambda value: values.ca_bundle(value, base=self._base("ca_bundle"))),
            region=region,
            api_address=self._get("api_address", values.api_address, default=API_ADDRESSES[region]),
            tables=self._get("tables", lambda value: values.tables(value, known=known_tables)),
            lookback=self._get("lookback", values.lookback),
            rate_limit_factor=self._get("rate_limit_factor", values.rate_limit_factor),
            destination=self._destination(),
            table=self._tables(known_tables, now),
        )
        if found.api_address.startswith("http://") and not _loopback(found.api_address):
            self.notices.append(f"api_address is {found.api_address}: the API key travels in clear.")
        return found

    def _given(self, setting: str) -> Given | None:
        """Return what counts for a setting: the caller's value, the environment's, the file's."""
        if self._overrides.get(setting) is not None:
            return Given(self._overrides[setting], "argument")
        in_file = Given(self._section[setting], self._where) if setting in self._section else None
        if variable := self._environ.get(ENVIRONMENT[setting]):
            if setting == "api_key" and in_file and len(self._document.sections("connections")) > 1:
                self.notices.append(
                    f"{ENVIRONMENT[setting]} is ignored: the file has several connections, and this one its own key."
                )
                return in_file
            return Given(variable, f"environment variable {ENVIRONMENT[setting]}")
        return in_file

    @property
    def _where(self) -> str:
        return self._document.where(f"connections.{self._name}")

    def _base(self, setting: str) -> Path:
        """Return the directory that a relative path counts from."""
        given = self._given(setting)
        return self._document.path.parent if given and given.source == self._where else Path()

    def _get(self, setting: str, check: Callable[[object], Value], *, default: object = None) -> Value:
        fallback = DEFAULTS.get(setting, default)
        given = self._given(setting) or (None if fallback is None else Given(fallback, "default"))
        if given is None:
            raise SettingsError(
                f"The setting {setting} is missing.",
                hint=f"Give it with --{setting.replace('_', '-')}, as {ENVIRONMENT[setting]} in the environment, "
                f"or in {self._where}.",
            )
        return _checked(setting, given, check)

    def _api_key(self) -> Secret:
        given = self._given("api_key")
        if given is None:
            raise SettingsError(
                "The setting api_key is missing.",
                hint=f"Set {ENVIRONMENT['api_key']} in the environment, or api_key in {self._where}.",
            )
        text = given.value if isinstance(given.value, str) else ""
        kind, colon, rest = text.strip().partition(":")
        if colon and kind in {"env", "file", "keyring"}:
            return self._referenced(kind, rest.strip(), given.source)
        if given.source == self._where:
            self._warn_of_readers()
        return _checked("api_key", given, values.api_key)

    def _referenced(self, kind: str, name: str, source: str) -> Secret:
        reference = f"{kind}:{name}"
        found: str | None = None
        problem = "there is no such entry"
        try:
            match kind:
                case "env":
                    found, problem = self._environ.get(name), "the variable is not set"
                case "file":
                    path = self._base("api_key") / Path(name).expanduser()
                    found = next(iter(path.read_text(encoding="utf-8").strip().splitlines()), "")
                case _:
                    found = keyring.get_password(KEYRING_SERVICE, name)
        except (OSError, UnicodeDecodeError) as error:
            problem = f"the file cannot be read ({getattr(error, 'strerror', None) or 'not text'})"
        except keyring.errors.KeyringError as error:
            problem = f"the keyring cannot be read ({type(error).__name__})"
        if found is None:
            raise SettingsError(f"The setting api_key refers to {reference}, but {problem}.", source=source)
        return _checked("api_key", Given(found, f"{reference} in {source}"), values.api_key)

    def _warn_of_readers(self) -> None:
        path = self._document.path
        if os.name == "posix" and path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
            self.notices.append(
                f"{path} holds an API key in clear, and others can read it: chmod 600 {path}, or use env:NAME."
            )

    def _destination(self) -> Destination:
        given = self._given("destination") or Given(DEFAULTS["destination"], "default")
        there = self._document.sections("destinations")
        section: Mapping[str, Any] = {}
        name, url = "default", given
        if isinstance(given.value, str) and given.value in there:
            name, section = given.value, there[given.value]
            where = self._document.where(f"destinations.{name}")
            if "url" not in section:
                raise SettingsError("The destination has no url.", source=where)
            url = Given(section["url"], where)
        elif isinstance(given.value, str) and given.source == self._where and _is_name(given.value):
            raise SettingsError(
                f"There is no destination {given.value}.", source=given.source, destinations=", ".join(there) or "none"
            )
        own = self._given("dataset") or Given(section.get("dataset", DEFAULTS["dataset"]), self._where)
        return Destination(
            name,
            _checked("destination", url, values.destination_url),
            _checked("dataset", own, values.dataset),
        )

    def _tables(self, known: Collection[str], now: datetime) -> dict[str, TableSettings]:
        found = {}
        for name, own in self._section.get("table", {}).items():
            where = self._document.where(f"connections.{self._name}.table.{name}")
            _checked("table", Given(name, where), lambda value: values.table(value, known=known))
            found[name] = TableSettings(
                start=_own("start_date", own, where, lambda value: values.start_date(value, now=now)),
                window=_own("window_in_days", own, where, values.window_in_days),
                lookback=_own("lookback", own, where, values.lookback),
            )
        return found


def _checked(setting: str, given: Given, check: Callable[[object], Value]) -> Value:
    """Return the checked value, or name the setting, what was given, and what is accepted."""
    try:
        return check(given.value)
    except Wrong as wrong:
        shown = repr(given.value) if wrong.shown is None else wrong.shown
        raise SettingsError(
            f"The setting {setting} cannot be {shown}.", hint=f"Accepted: {wrong}.", source=given.source
        ) from None


def _own(setting: str, section: Mapping[str, Any], where: str, check: Callable[[object], Value]) -> Value | None:
    return _checked(setting, Given(section[setting], where), check) if setting in section else None


def _unknown(kind: str, name: str, known: Collection[str], source: str) -> SettingsError:
    return SettingsError(
        f"There is no {kind} {name}.", hint=f"Accepted: {', '.join(known)}{_meant(name, known)}", source=source
    )


def _meant(name: str, known: Collection[str]) -> str:
    hint = values.nearest(name, known)
    return hint if hint.startswith(";") else "."


def _is_name(text: str) -> bool:
    return not any(mark in text for mark in ":/.\\")


def _no_value(error: tomllib.TOMLDecodeError) -> str:
    """Say where the file is wrong, but not with its words: a key may stand there."""
    text = str(error)
    return text[text.rfind("(at ") :].strip("()") if "(at " in text else "unreadable"


def _loopback(address: str) -> bool:
    host = address.split("//", 1)[-1]
    return host.startswith(("127.", "localhost", "[::1]"))


def _strange_variables(environ: Mapping[str, str]) -> list[str]:
    known = {*ENVIRONMENT.values(), CONNECTION_VARIABLE, FILE_VARIABLE}
    return [
        f"The environment variable {name} is not known{values.nearest(name, known)}"
        for name in sorted(environ)
        if name.startswith("REITERATE_") and name not in known
    ]
