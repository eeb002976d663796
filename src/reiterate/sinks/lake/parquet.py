"""Plain Parquet: a table is all files of its directory."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from reiterate.sinks.lake.change import Format, sync_directory

if TYPE_CHECKING:
    from pathlib import Path

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
        return (self.root / table).is_dir()

    def files(self, table: str) -> list[str]:
        return [path.name for path in (self.root / table).glob("*.parquet")]

    def apply(self, change: Change, staged: Path) -> None:
        self._move(change, staged)
        for name in change.removed:
            self.path(change.table, name).unlink(missing_ok=True)
        sync_directory(self.root / change.table)
