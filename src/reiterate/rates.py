"""How large windows are that were not read yet, by those that were."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from reiterate import planner
from reiterate.windows import Window

if TYPE_CHECKING:
    from reiterate.catalog.model import Table
    from reiterate.flow import RawFile, Task


class Rates:
    """How many bytes tables have for a second of their time, by what this run has read."""

    def __init__(self) -> None:
        self._size_bytes: Counter[str] = Counter()
        self._seconds: Counter[str] = Counter()
        self._longest: dict[str, Task] = {}

    def expect(self, task: Task) -> None:
        """Note that *task* will be read."""
        longest = self._longest.get(task.table.name)
        if isinstance(task.scope, Window) and (longest is None or task.scope.length > _length(longest)):
            self._longest[task.table.name] = task

    def may_be_large(self, table: Table) -> bool:
        """Return whether the longest window of *table* that was expected should be read in pieces."""
        longest = self._longest.get(table.name)
        return longest is not None and len(planner.pieces(replace(longest, job=None), self.size_bytes(longest))) > 1

    def note(self, raw: RawFile) -> None:
        if isinstance(raw.task.scope, Window):
            self._size_bytes[raw.task.table.name] += raw.size_bytes
            self._seconds[raw.task.table.name] += round(raw.task.scope.length.total_seconds())

    def size_bytes(self, task: Task) -> float | None:
        """Return how much *task* will be: by this run, or by what the planner knew of earlier ones."""
        if (seconds := self._seconds[task.table.name]) and isinstance(task.scope, Window):
            return self._size_bytes[task.table.name] / seconds * task.scope.length.total_seconds()
        return task.size_bytes

    def weight(self, task: Task) -> tuple[bool, float]:
        """Return what sorts tasks by their size; those of unknown size come last, by their length."""
        size_bytes = self.size_bytes(task)
        if size_bytes is None and isinstance(task.scope, Window):
            return True, task.scope.length.total_seconds()
        return False, size_bytes or 0.0


def _length(task: Task) -> timedelta:
    return task.scope.length if isinstance(task.scope, Window) else timedelta()
