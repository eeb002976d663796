"""What a load does to the files of a table, and what a format of tables must be able to do with it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, ClassVar

from reiterate.catalog.model import Type

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


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
    order, *cursor* the column of the replication key. *fact* is that of the load, if it has one: columns of
    the ledger and their values.
    """

    load: int
    table: str
    columns: Mapping[str, Type]
    cursor: str | None
    written: tuple[Written, ...]
    removed: tuple[str, ...]
    fact: Mapping[str, str | None] = field(default_factory=dict)

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
        )


class Superseded(Exception):
    """Somebody else replaced files that a change removes, so it cannot be made any more."""


class Format(ABC):
    """
    How tables of one dataset say which Parquet files belong to them; each table has a directory below *root*.

    A format that reads a table as *all files of its directory* replaces a file by one of the same name.
    """

    NAME: ClassVar[str]
    ERRORS: ClassVar[tuple[type[Exception], ...]] = ()
    """what its library raises, besides OSError"""
    ALL_FILES: ClassVar[bool] = False

    def __init__(self, root: Path) -> None:
        self.root = root

    @abstractmethod
    def has(self, table: str) -> bool:
        """Return whether the table is there."""

    @abstractmethod
    def files(self, table: str) -> list[str]:
        """Return the names of the files that belong to a table that is there."""

    @abstractmethod
    def apply(self, change: Change, staged: Path) -> None:
        """
        Bring the files that lie in *staged* into their table, and make *change* what readers see.

        May have been begun, or done, before by a process that died.

        :raises Superseded: when somebody else replaced what it removes; nothing is changed then
        """

    def tidy(self, table: str) -> None:  # noqa: B027 (not all formats need it)
        """Remove what nobody reads any more of a table that a run changed."""

    def drop(self, table: str) -> None:
        """Remove a table, if it is there, with all its files."""
        shutil.rmtree(self.root / table, ignore_errors=True)

    def path(self, table: str, name: str) -> Path:
        return self.root / table / name

    def check(self, change: Change) -> None:
        """
        Make sure that what *change* removes is there.

        :raises Superseded: when it is not
        """
        if change.removed and {*change.removed} - {*self.files(change.table)}:
            raise Superseded(change.table)

    def _move(self, change: Change, staged: Path) -> None:
        """Move what is still staged into the directory of the table, for good."""
        directory = self.root / change.table
        directory.mkdir(exist_ok=True)
        for written in change.written:
            if (staged / written.name).exists():
                os.replace(staged / written.name, directory / written.name)  # noqa: PTH105 (the atomic one, by its name)
        sync_directory(directory)
        sync_directory(self.root)


def sync_file(path: Path) -> None:
    """Let the content of a file outlive the power."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def sync_directory(path: Path) -> None:
    """Let the names in a directory outlive the power, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
