"""
The facts of a destination: what was read of which table, when, and how much it was.

Facts only; policy is the planner's.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from reiterate.flow import Job
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


@dataclass(frozen=True)
class Refusal:
    """One part of a table could not be read; what was read of it earlier stays."""

    run_id: str
    table: str
    part: str
    at: datetime
    reason: str


class Ledger:
    """
    All facts of one destination.

    Besides the reads that are done: *jobs* that were started and are not loaded yet, and *refusals* of parts since
    they were last read.
    """

    def __init__(self, facts: Iterable[Fact] = (), jobs: Iterable[Job] = (), refusals: Iterable[Refusal] = ()) -> None:
        self._by_table: dict[str, list[Fact]] = defaultdict(list)
        for fact in facts:
            self._by_table[fact.table].append(fact)
        self._jobs = tuple(jobs)
        self._refusals = tuple(refusals)

    def without_jobs(self) -> Ledger:
        """Return the same without jobs, for who must not go on with them."""
        return Ledger(chain(*self._by_table.values()), (), self._refusals)

    def of(self, table: str) -> Sequence[Fact]:
        """Return the facts about *table*, oldest read first."""
        return sorted(self._by_table.get(table, ()), key=lambda fact: fact.read_at)

    def jobs(self, table: str | None = None) -> Sequence[Job]:
        """Return the jobs, of *table* if given, oldest window first."""
        return sorted(
            (job for job in self._jobs if table in {None, job.table}), key=lambda job: (job.window, job.job_id)
        )

    def refusals(self, table: str) -> Sequence[Refusal]:
        """Return the refusals of parts of *table* since they were last read, oldest first."""
        return sorted((each for each in self._refusals if each.table == table), key=lambda each: each.at)
