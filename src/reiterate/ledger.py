"""
The facts of a destination: what was read of which table, when, and how much it was.

Facts only; policy is the planner's.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from reiterate.windows import Window


@dataclass(frozen=True)
class Fact:
    """
    One task was read whole, and its rows are committed.

    *window* or *part* say which part of the table; neither means all of it. *read_at* is the instant (UTC) before the
    first request: what Iterable did not list then is not in the rows.
    """

    run_id: str
    table: str
    window: Window | None
    part: str | None
    read_at: datetime
    rows: int
    size_bytes: int
    requests: int
    seconds: float
    lane: str


class Ledger:
    """All facts of one destination."""

    def __init__(self, facts: Iterable[Fact] = ()) -> None:
        self._by_table: dict[str, list[Fact]] = defaultdict(list)
        for fact in facts:
            self._by_table[fact.table].append(fact)

    def of(self, table: str) -> Sequence[Fact]:
        """Return the facts about *table*, oldest read first."""
        return sorted(self._by_table.get(table, ()), key=lambda fact: fact.read_at)
