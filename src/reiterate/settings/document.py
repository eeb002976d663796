"""``reiterate.toml``: found, read, and checked for names that nobody knows. Values are checked where they are used."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reiterate.errors import SettingsError
from reiterate.settings import addresses, key, values
from reiterate.settings.given import Given, checked, named, nearest, unknown
from reiterate.settings.model import Destination

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

FILE = "reiterate.toml"
FILE_VARIABLE = "REITERATE_CONFIG"

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
    "spool_in_gb",
    "schema_policy",
    "column_names",
    "hash_salt",
    "destination",
    "dataset",
)
TABLE_SETTINGS = (
    "start_date",
    "window_in_days",
    "lookback",
    "lists",
    "schema_policy",
    "column_names",
    "custom_fields",
    "columns",
    "omit_columns",
    "hash_columns",
    "full_refresh",
    "history",
    "snapshots",
)
DESTINATION_SETTINGS = ("url", "dataset")

DEFAULT_CONNECTION = "iterable"
DEFAULT_URL = "duckdb:///iterable.duckdb"
DEFAULT_DESTINATION = Given(DEFAULT_URL, "default")
DEFAULT_DATASET = Given("iterable", "default")

POSITION = re.compile(r"at (line [0-9]+, column [0-9]+|end of document)")


@dataclass(frozen=True)
class Document:
    """The content of a settings file, whose names are all known; empty if there is no file."""

    path: Path
    content: Mapping[str, Any]
    environ: Mapping[str, str] | None = None
    """where references lead to; without it they are not followed"""

    @classmethod
    def read(cls, file: Path | None, environ: Mapping[str, str]) -> Document:
        """Read *file*, the one that the environment names, or the one in the working directory if it is there."""
        variable = environ.get(FILE_VARIABLE)
        wanted = file or (Path(variable) if variable else None)
        path = wanted or Path(FILE)
        if wanted is None and not path.exists():
            return cls(path, {}, environ)
        return replace(cls.parse(read_text(path), path), environ=environ)

    @classmethod
    def parse(cls, text: str, path: Path) -> Document:
        document = cls(path, parse(text, path))
        document.check()
        return document

    def check(self) -> None:
        """Refuse names that nobody knows and sections that are not sections, wherever they stand."""
        self._names(self.content, ("connections", "destinations"), "", kind="section")
        for name, section in self.connections.items():
            checked("name of a connection", Given(name, str(self.path)), values.connection_name)
            self._names(section, (*SETTINGS, "table"), f"connections.{name}")
            self._values(section, f"connections.{name}", but={"table"})
            for table, own in self.tables(name).items():
                self._values(own, f"connections.{name}.table.{table}")
                self._names(own, TABLE_SETTINGS, f"connections.{name}.table.{table}")
        for name, section in self.destinations.items():
            self._names(section, DESTINATION_SETTINGS, f"destinations.{name}")
            self._values(section, f"destinations.{name}")

    @property
    def connections(self) -> Mapping[str, Mapping[str, Any]]:
        return self._sections(self.content.get("connections", {}), "connections")

    @property
    def destinations(self) -> Mapping[str, Mapping[str, Any]]:
        return self._sections(self.content.get("destinations", {}), "destinations")

    def tables(self, connection: str) -> Mapping[str, Mapping[str, Any]]:
        """Return what tables have of their own in a connection."""
        own = self.connections.get(connection, {}).get("table", {})
        return self._sections(own, f"connections.{connection}.table")

    def _sections(self, found: object, where: str) -> Mapping[str, Mapping[str, Any]]:
        if not isinstance(found, dict) or not all(isinstance(section, dict) for section in found.values()):
            raise SettingsError(
                f"[{where}] holds something that is not a section.",
                hint=f"Settings stand in sections such as [{where}.NAME].",
                file=self.path,
            )
        return found

    def _names(self, section: Mapping[str, Any], known: Collection[str], where: str, *, kind: str = "setting") -> None:
        for name in section:
            if name not in known:
                raise unknown(kind, name, known, self.where(where))

    def _values(self, section: Mapping[str, Any], where: str, *, but: Collection[str] = ()) -> None:
        """Refuse a section in the place of a value, though a flag may override it: no setting is a section."""
        for name, value in section.items():
            if name not in but and isinstance(value, dict):
                meant = f" Did you mean [{where}.table.NAME]?" if name == "tables" else ""
                raise SettingsError(
                    f"There is no section {named(name)}.{meant}", hint="A setting is a value.", source=self.where(where)
                )

    def where(self, section: str) -> str:
        return f"[{section}] of {self.path}" if section else str(self.path)

    def choose(self, chosen: str | None) -> str:
        """Return the name of the chosen connection, of the only one, or of the one that needs no file."""
        there = ", ".join(self.connections) or "none"
        if chosen is None and len(self.connections) > 1:
            raise SettingsError(
                "Several connections stand in the file.",
                hint="Name one of them with --connection.",
                file=self.path,
                connections=there,
            )
        if chosen is not None and chosen not in self.connections:
            meant = nearest(chosen, self.connections)
            raise SettingsError(
                f"There is no connection {named(chosen)}.{f' Did you mean {meant}?' if meant else ''}",
                hint="Name one that is there, or create it with `reiterate connection create`.",
                file=self.path,
                connections=there,
            )
        return chosen or next(iter(self.connections), DEFAULT_CONNECTION)

    def holds(self, url: str) -> bool:
        """Tell whether a URL stands in the file as it is, under whatever scheme."""
        rest = url.partition("://")[2]
        sections = (*self.connections.values(), *self.destinations.values())
        return any(rest in str(value) for section in sections for value in section.values())

    def destination(self, given: Given | None, dataset: Given | None) -> Destination:
        """
        Return the destination that *given* names, or that it is itself.

        A word without dot, colon and slash is a name, so that a misspelt one does not become a file.
        """
        given = given or DEFAULT_DESTINATION
        word = given.value.strip() if isinstance(given.value, str) else ""
        if word in self.destinations:
            return self._named_destination(word, dataset)
        if word and not re.search(r"[.:/\\]", word):
            raise SettingsError(
                f"There is no destination {named(word)}.",
                hint=f"Accepted: a name under [destinations], or {DEFAULT_DESTINATION.value}.",
                source=given.source,
                destinations=", ".join(self.destinations) or "none",
            )
        url = self._url("destination", given)
        return Destination.of("default", url, checked("dataset", dataset or DEFAULT_DATASET, values.dataset))

    def _url(self, setting: str, given: Given) -> str:
        # file:PATH refers to a file with the URL, file:///PATH is one
        if key.reference(given.value)[0] and not str(given.value).strip().lower().startswith("file://"):
            if self.environ is None:
                return DEFAULT_URL
            given = key.follow(given, environ=self.environ, base=self.path.parent, setting=setting)
        return checked(setting, given, addresses.destination_url)

    def _named_destination(self, name: str, dataset: Given | None) -> Destination:
        section, where = self.destinations[name], self.where(f"destinations.{name}")
        if "url" not in section:
            raise SettingsError(
                "The setting url is missing.",
                hint="Give it as duckdb:///FILE, postgresql://HOST/DATABASE or file:///DIRECTORY.",
                source=where,
            )
        own = Given(section["dataset"], where) if "dataset" in section else DEFAULT_DATASET
        return Destination.of(
            name,
            self._url("url", Given(section["url"], where)),
            checked("dataset", dataset or own, values.dataset),
        )


def read_text(path: Path) -> str:
    """Return the text of a settings file, its line ends as they are."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise SettingsError(
            "The settings file does not exist.",
            hint="Name one that does, or create one with `reiterate connection create`.",
            file=path,
        ) from None
    except UnicodeDecodeError as error:
        raise SettingsError(
            "The settings file is not UTF-8 text.", hint="Save it as UTF-8.", file=path, byte=error.start
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no such path"
        raise SettingsError("The settings file cannot be read.", file=path, reason=reason) from None


def parse(text: str, path: Path) -> dict[str, Any]:
    """Return what a TOML text holds; an error says where it is wrong, but not with its words: a key may stand there."""
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        found = POSITION.search(str(error))
        raise SettingsError(
            "The settings file is not valid TOML.",
            hint="Texts stand in quotation marks, and every setting once.",
            file=path,
            at=found[1] if found else None,
        ) from None
