"""
The names of files: a label that says which rows can be in them, and something random.

    2026-11-01_2026-11-07_5f0c2a91.parquet    events from the first to the last day (UTC)
    part-103-8d7c3a10_0b51c9ee.parquet        one part of its table: a list, a metadata table
    all_77d0e1f2.parquet                      any rows

A name of any other form may hold any rows, too.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reiterate import sql
from reiterate.flow import Part
from reiterate.windows import Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reiterate.flow import Batch

EMPTY = "empty.parquet"
"""The file of a table without rows, where a table is all files of its directory."""

NAME = re.compile(r"(?:(\d{4}-\d\d-\d\d)_(\d{4}-\d\d-\d\d)|(part-[A-Za-z0-9-]*-[0-9a-f]{8})|all)_[0-9a-f]{16}\.parquet")


@dataclass(frozen=True)
class Label:
    """The *days* (first, last; ISO) or the *part* that rows belong to; neither means that they may be any."""

    days: tuple[str, str] | None = None
    part: str | None = None

    @classmethod
    def of(cls, batch: Batch) -> Label:
        """Return the label of the rows of *batch*."""
        scope = batch.task.scope
        if isinstance(scope, Part):
            return cls.of_part(scope)
        if isinstance(scope, Window) and batch.cursor_range and not batch.first_of:
            first, last = (moment.date().isoformat() for moment in batch.cursor_range)
            return cls((first, last))
        return cls()

    @classmethod
    def of_part(cls, part: Part | None) -> Label:
        """Return the label of the rows of a part, or of any rows."""
        if part is None:
            return cls()
        value = str(part.value)
        plain = re.sub(r"[^A-Za-z0-9]+", "-", value)[:40]
        return cls(part=f"part-{plain}-{hashlib.sha256(value.encode()).hexdigest()[:8]}")

    @classmethod
    def on(cls, name: str) -> Label:
        """Return the label of a file."""
        if not (found := NAME.fullmatch(name)):
            return cls()
        first, last, part = found.groups()
        return cls((first, last) if first else None, part)

    def new_name(self) -> str:
        label = "_".join(self.days) if self.days else self.part or "all"
        return f"{label}_{secrets.token_hex(8)}.parquet"

    def may_touch(self, name: str) -> bool:
        """Return whether rows of this label can be in a file."""
        other = Label.on(name)
        if self.days and other.days:
            return other.days[0] <= self.days[1] and self.days[0] <= other.days[1]
        return not (self.part and other.part) or self.part == other.part

    def home(self, names: Sequence[str]) -> str | None:
        """Return which of *names*, in order, rows of this label may join."""
        alike = [name for name in names if NAME.fullmatch(name) and Label.on(name).kind == self.kind]
        return alike[-1] if alike else None

    @property
    def kind(self) -> tuple[bool, str | None]:
        return self.days is not None, self.part

    def holds(self, instant: str) -> str:
        """Return the condition that a row belongs here, by the expression of its replication key."""
        if self.days is None:
            return "true"
        first, last = map(sql.literal, self.days)
        return f"({instant}::DATE BETWEEN {first}::DATE AND {last}::DATE)"
