"""What a load does to the files of a table, and what a format of tables must be able to do with it."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, ClassVar

from reiterate.catalog.model import Type
from reiterate.sinks.lake.storage import STAGED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reiterate.sinks.lake.storage import Storage


@dataclass(frozen=True)
class Written:
    """
    A Parquet file that a load wrote: its name in the directory of its table, and how many rows are in it.

    *first* and *last* are the smallest and largest value of the replication key, in microseconds since 1970, if each
    row has one.
    """

    name: str
    rows: int
    first_us: int | None = None
    last_us: int | None = None


@dataclass(frozen=True)
class Change:
    """
    What one load does to the files of *table*: those *written* join it, those *removed* leave it, in one act.

    *load* tells it from every other change of the table, *columns* are those that the table has from then on, in their
    order, *cursor* the column of the replication key. *there* tells whether the table was there when the change was
    noted. *fact* is that of the load, if it has one: columns of the ledger and their values.
    """

    load: int
    table: str
    columns: Mapping[str, Type]
    cursor: str | None
    written: tuple[Written, ...]
    removed: tuple[str, ...]
    fact: Mapping[str, str | None] = field(default_factory=dict)
    there: bool = False

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Change:
        found = json.loads(text)
        return cls(
            load=found["load"],
            table=found["table"],
            columns={name: Type(type_) for name, type_ in found["columns"].items()},
            cursor=found["cursor"],
            written=tuple(Written(**one) for one in found["written"]),
            removed=tuple(found["removed"]),
            fact=found["fact"],
            there=found.get("there", False),
        )


def staged(load: int, name: str) -> str:
    """Return where a file waits that a load wrote; another load may have written one that will have the same name."""
    return f"{STAGED}/{load}_{name}"


class Superseded(Exception):
    """Somebody else replaced files that a change removes, so it cannot be made any more."""


class Format(ABC):
    """
    How tables of one dataset say which Parquet files belong to them; each has a directory in *place*, *below* another.

    A format that reads a table as *all files of its directory* replaces a file by one of the same name.
    """

    NAME: ClassVar[str]
    ERRORS: ClassVar[tuple[type[Exception], ...]] = ()
    """what its library raises, besides OSError"""
    ALL_FILES: ClassVar[bool] = False

    def __init__(self, place: Storage, below: str = "") -> None:
        self.place = place
        self._below = below

    @abstractmethod
    def has(self, table: str) -> bool:
        """Return whether the table is there."""

    @abstractmethod
    def files(self, table: str) -> list[str]:
        """Return the names of the files that belong to a table that is there."""

    @abstractmethod
    def apply(self, change: Change) -> None:
        """
        Bring the files that are staged into their table, and make *change* what readers see.

        May have been begun, or done, before by a process that died.

        :raises Superseded: when somebody else replaced what it removes; nothing is changed then
        """

    def tidy(self, table: str) -> None:  # noqa: B027 (not all formats need it)
        """Remove what nobody reads any more of a table that a run changed."""

    def drop(self, table: str) -> None:
        """Remove a table, if it is there, with all its files."""
        self.place.clear(self.at(table))

    def at(self, table: str, *name: str) -> str:
        """Return where a table is, or a file of it."""
        return "/".join((self._below, table, *name) if self._below else (table, *name))

    def check(self, change: Change) -> None:
        """
        Make sure that what *change* removes is there.

        :raises Superseded: when it is not
        """
        if change.removed and {*change.removed} - {*self.files(change.table)}:
            raise Superseded(change.table)

    def _move(self, change: Change) -> None:
        """Move what is still staged into the directory of the table, for good."""
        for written in change.written:
            if self.place.has(staged(change.load, written.name)):
                self.place.move(staged(change.load, written.name), self.at(change.table, written.name))
        self.place.sync(self.at(change.table))
        self.place.sync(self._below)
