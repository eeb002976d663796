"""Events as they are kept: encoded lines in the order of time."""

from __future__ import annotations

import json
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Row = dict[str, Any]


def encode(row: Row) -> bytes:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


@dataclass
class Timeline:
    """Rows of one data type: when each happened, from when on it shows (epoch seconds), and its line."""

    at: list[int] = field(default_factory=list)
    shows_at: list[float] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)
    revision: int = 0
    """moves with every change"""

    def fill(self, rows: Iterable[tuple[int, float, bytes]]) -> None:
        """Take the place of all rows."""
        ordered = sorted(rows, key=lambda row: row[0])
        self.at = [row[0] for row in ordered]
        self.shows_at = [row[1] for row in ordered]
        self.lines = [row[2] for row in ordered]
        self.revision += 1

    def change(self, index: int, line: bytes) -> None:
        """Put another line in the place of one, at the same time."""
        self.lines[index] = line
        self.revision += 1

    def add(self, rows: Iterable[tuple[int, float, bytes]]) -> None:
        self.fill([*zip(self.at, self.shows_at, self.lines, strict=True), *rows])

    def between(self, start: float, end: float, *, now: float) -> list[bytes]:
        """Return the lines of ``[start, end)`` that show by *now*."""
        first, last = bisect_left(self.at, start), bisect_left(self.at, end)
        shows_at = self.shows_at[first:last]
        lines = self.lines[first:last]
        if all(at <= now for at in shows_at):
            return lines
        return [line for line, at in zip(lines, shows_at, strict=True) if at <= now]

    def rows(self) -> Iterator[Row]:
        return map(json.loads, self.lines)
