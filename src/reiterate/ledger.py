"""
The facts of a destination: what was read of which table, when, and how much it was.

Facts only; policy is the planner's.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import reduce
from itertools import chain, pairwise
from typing import TYPE_CHECKING

from reiterate.windows import Window, gaps, span

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from reiterate.flow import Job


IN_DOUBT = datetime(1970, 1, 1, tzinfo=UTC)
"""When a fact was read that does not count: its rows may be there, and are read again."""


MIGRATION = "migration"
"""The lane of a fact that only removed rows: nothing was read."""


@dataclass(frozen=True)
class Fact:
    """
    One task was read whole, and its rows are committed.

    *window* or *part* say which part of the table; neither means all of it. *read_at* is the instant (UTC) before the
    first request, by Iterable's clock: what Iterable did not list then is not in the rows.
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
    rejected: int = 0
    """rows that the destination refused"""


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

    def until(self, latest: datetime) -> Ledger:
        """
        Return the same with facts in doubt that were read after *latest*, the latest that it can be.

        A clock that was ahead has noted them: nobody knows up to when they were read.
        """
        facts = chain(*self._by_table.values())
        doubted = (fact if fact.read_at <= latest else replace(fact, read_at=IN_DOUBT) for fact in facts)
        return Ledger(doubted, self._jobs, self._refusals)

    def claimed(self, table: str) -> int:
        """Return how many facts about *table* are in doubt, and not made good by later reads of what they claim."""
        facts = self._by_table.get(table, [])
        doubted = [fact for fact in facts if fact.read_at == IN_DOUBT and fact.lane != MIGRATION]
        sure = [fact for fact in facts if fact.read_at != IN_DOUBT]
        return sum(not _made_good(fact, sure) for fact in doubted)

    def read_at(self, table: str) -> datetime | None:
        """Return when *table* was last read, by the facts that count."""
        facts = (fact for fact in self._by_table.get(table, ()) if fact.lane != MIGRATION)
        return max((fact.read_at for fact in facts if fact.read_at != IN_DOUBT), default=None)

    @property
    def tables(self) -> set[str]:
        return {*self._by_table}

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


def _made_good(fact: Fact, sure: Sequence[Fact]) -> bool:
    """Tell whether what *fact* claims was read for *sure*: of a window, as far as anything of its table was."""
    if fact.window is None:
        return any(other.window is None and other.part == fact.part for other in sure)
    windows = [other.window for other in sure if other.window is not None]
    reached = max((window.end for window in windows), default=IN_DOUBT)
    claim = span(fact.window.start, min(fact.window.end, reached))
    return claim is not None and not gaps(claim, windows)


def common(ledgers: Sequence[Ledger]) -> Ledger:
    """
    Return the facts that hold for all of *ledgers*: what was read, at its earliest; jobs that all know; any refusal.

    Only what progress is derived from is in them: windows and parts, not the numbers of their rows.
    """
    if len(ledgers) == 1:
        return ledgers[0]
    tables = set.intersection(*(ledger.tables for ledger in ledgers))
    facts = chain(*(_common_facts([ledger.of(table) for ledger in ledgers]) for table in sorted(tables)))
    known = set.intersection(*({job.job_id for job in ledger.jobs()} for ledger in ledgers))
    jobs = [job for job in ledgers[0].jobs() if job.job_id in known]
    refusals = [refusal for ledger in ledgers for table in tables for refusal in ledger.refusals(table)]
    return Ledger(facts, jobs, refusals)


def _common_facts(of_ledgers: Sequence[Sequence[Fact]]) -> Iterator[Fact]:
    latest = [{fact.part: fact for fact in facts if fact.window is None} for facts in of_ledgers]
    for part in set.intersection(*(set(parts) for parts in latest)):
        yield min((parts[part] for parts in latest), key=lambda fact: fact.read_at)
    yield from reduce(_both, map(_latest, of_ledgers))


def _latest(facts: Sequence[Fact]) -> list[Fact]:
    """Return facts whose windows do not overlap: of each moment the latest read, in order."""
    windows = sorted(((fact.window, fact) for fact in facts if fact.window is not None), key=lambda pair: pair[0])
    edges = sorted({edge for window, _ in windows for edge in (window.start, window.end)})
    found: list[Fact] = []
    waiting, there = deque(windows), list[Fact]()
    for start, end in pairwise(edges):
        while waiting and waiting[0][0].start <= start:
            there.append(waiting.popleft()[1])
        there = [fact for fact in there if fact.window is not None and fact.window.end > start]
        if there:
            latest = max(there, key=lambda fact: fact.read_at)
            found.append(replace(latest, window=Window(start, end)))
    return found


def _both(some: Sequence[Fact], others: Sequence[Fact]) -> list[Fact]:
    """Return what two rows of facts that do not overlap have in common, with the earlier read of both."""
    found: list[Fact] = []
    left, right = deque(some), deque(others)
    while left and right:
        one, other = left[0].window, right[0].window
        if one is None or other is None:
            break
        if one.overlaps(other):
            earlier = min(left[0], right[0], key=lambda fact: fact.read_at)
            found.append(replace(earlier, window=Window(max(one.start, other.start), min(one.end, other.end))))
        (left if one.end <= other.end else right).popleft()
    return found
