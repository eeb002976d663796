"""Plain Parquet: a table is all files of its directory."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from reiterate.sinks.lake.change import Format

if TYPE_CHECKING:
    from reiterate.sinks.lake.change import Change


class Parquet(Format):
    """
    Tables without a log.

    Rows never move from a file to another, and each file is replaced at once, so whoever reads while a change is made
    sees no row twice, and misses none that was there before.
    """

    NAME: ClassVar[str] = "parquet"
    ALL_FILES: ClassVar[bool] = True

    def has(self, table: str) -> bool:
        return self.place.has_directory(self.at(table))

    def files(self, table: str) -> list[str]:
        return [name for name in self.place.names(self.at(table)) if name.endswith(".parquet")]

    def apply(self, change: Change) -> None:
        self.place.make(self.at(change.table))
        self._move(change)
        for name in change.removed:
            self.place.remove(self.at(change.table, name))
        self.place.sync(self.at(change.table))
