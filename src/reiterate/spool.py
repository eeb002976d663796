"""How much may lie on the spool, and who gives way when it is full."""

from __future__ import annotations

from threading import Condition
from typing import TYPE_CHECKING

from reiterate.errors import ExportCut
from reiterate.flow import Task
from reiterate.windows import Window

if TYPE_CHECKING:
    from pathlib import Path

    from reiterate.api import Pacer

SHARES = 3
"""No window takes more of the spool than one of so many, if it can be halved."""

STOPS_WITHIN_S = 0.5


class Spool:
    """
    Bounds what lies on the spool.

    Who comes when it is full waits until others are loaded. When all who have something there wait, nobody would ever
    be: then the largest window gives way, or, without one, whatever is largest. A window that takes more than its share
    gives way at once: in pieces it needs less memory, and leaves room for others.
    """

    def __init__(self, limit_bytes: int, pacer: Pacer) -> None:
        self._limit_bytes = limit_bytes
        self._pacer = pacer
        self._held: dict[Task | Path, int] = {}
        self._waiting: set[Task] = set()
        self._changed = Condition()

    def hold(self, task: Task, size_bytes: int) -> None:
        """
        Note that so much of *task* is there; return once all fits.

        :raises ExportCut: when *task* must give way
        """
        with self._changed:
            self._held[task] = size_bytes
            if size_bytes > self._limit_bytes / SHARES and task.halves():
                self._let_go(task)
                raise self._cut(task)
            while sum(self._held.values()) > self._limit_bytes:
                self._waiting.add(task)
                if self._gives_way() == task:
                    self._let_go(task)
                    raise self._cut(task)
                self._changed.wait(STOPS_WITHIN_S)
                self._pacer.check()
            self._waiting.discard(task)

    def _cut(self, task: Task) -> ExportCut:
        return ExportCut(
            "The raw files do not fit on the spool.",
            hint="It is read in smaller windows if it can be; else raise `spool_in_gb`.",
            spool_in_gb=self._limit_bytes / 1e9,
            table=task.table.name,
        )

    def _gives_way(self) -> Task | None:
        if self._held.keys() != self._waiting:
            return None
        return max(self._waiting, key=lambda task: (isinstance(task.scope, Window), self._held[task]))

    def take(self, path: Path, size_bytes: int) -> bool:
        """Note that a file of ours will be there, if it fits now; return whether it does."""
        with self._changed:
            if fits := sum(self._held.values()) + size_bytes <= self._limit_bytes:
                self._held[path] = size_bytes
            return fits

    def _let_go(self, held: Task | Path) -> None:
        self._held.pop(held, None)
        if isinstance(held, Task):
            self._waiting.discard(held)
        self._changed.notify_all()

    def release(self, held: Task | Path) -> None:
        with self._changed:
            self._let_go(held)
