"""The planner: what is due, checked second by second against the facts that a small replica keeps."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import settings as how
from hypothesis import strategies as st

from reiterate.catalog import TABLES
from reiterate.catalog.model import Export
from reiterate.flow import Job, Part, Task, Whole, Write
from reiterate.ledger import Fact, Ledger, Refusal
from reiterate.planner import (
    JOBS_LAST,
    LARGE_BYTES,
    LONG_ROUND_S,
    MANY_EXPORTS,
    RATE_FACTS,
    SHORTEST_WINDOW,
    TARGET_WINDOW_BYTES,
    parts_due,
    pieces,
    plan,
    suits_jobs,
)
from reiterate.settings import Reading
from reiterate.windows import Window

if TYPE_CHECKING:
    from random import Random

    from reiterate.catalog.model import Table

    Sync = tuple[int, frozenset[int]]

START = datetime(2026, 3, 1, tzinfo=UTC)
LATER = START + timedelta(days=90)
PROPERTY = how(derandomize=True, deadline=None, max_examples=150)

OPENS, CLICKS = TABLES["email_open"], TABLES["email_click"]
EXPORTS = [table for table in TABLES.values() if isinstance(table.read, Export)]
MERGED = [TABLES["campaigns"], TABLES["templates"]]
FULL = [table for table in TABLES.values() if table.cursor is None]


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def window(first: float, last: float) -> Window:
    return Window(at(first), at(last))


def reading(start: float = 0, window: float = 100, lookback: float = 0) -> Reading:
    return Reading(at(start), timedelta(seconds=window), timedelta(seconds=lookback))


def fact(of: Window | None, read_at: datetime = LATER, size_bytes: int = 0, table: str = "email_open") -> Fact:
    return Fact("r1", table, of, None, read_at, 10, size_bytes, 1, 1.0, "direct")


def due(wanted: Reading, facts: list[Fact], now: float, table: str = "email_open") -> list[Task]:
    return plan([TABLES[table]], lambda _: wanted, Ledger(facts), now=at(now))


def windows(tasks: list[Task]) -> list[Window]:
    return [task.scope for task in tasks if isinstance(task.scope, Window)]


def planned(wanted: Reading, facts: list[Fact], now: float, table: str = "email_open") -> list[tuple[int, int, Write]]:
    """Return start and end of the windows that are due, in seconds, and how they are written."""
    return [
        (int((scope.start - START).total_seconds()), int((scope.end - START).total_seconds()), task.write)
        for task in due(wanted, facts, now, table)
        if isinstance(scope := task.scope, Window)
    ]


def seconds(of: Window) -> range:
    return range(int((of.start - START).total_seconds()), int((of.end - START).total_seconds()))


APPEND, MERGE, REPLACE = Write.APPEND, Write.MERGE, Write.REPLACE


# ── any facts ────────────────────────────────────────────────────────────────────────────────────────────────────────


@st.composite
def facts(draw: st.DrawFn) -> Fact:
    """A window that was read at some time after it began, with a fraction of a second."""
    first = draw(st.integers(-50, 400))
    length = draw(st.integers(1, 150))
    read_at = first + draw(st.floats(0, 400))
    return fact(window(first, first + length), at(read_at), draw(st.integers(0, 2**32)))


READINGS = st.builds(reading, st.integers(-50, 300), st.floats(1, 300), st.floats(0, 120))
LEDGERS = st.lists(facts(), max_size=8)
NOWS = st.floats(-60, 500).map(lambda seconds: round(seconds, 6))


def settled(found: list[Fact], lookback: timedelta) -> set[int]:
    """Return every second that was older than the lookback when a fact that holds it was read."""
    return {
        second
        for each in found
        if each.window is not None
        for second in seconds(each.window)
        if at(second + 1) <= each.read_at - lookback
    }


@PROPERTY
@given(READINGS, LEDGERS, NOWS)
def test_what_is_not_settled_is_planned_once(wanted: Reading, found: list[Fact], now: float) -> None:
    """Settled seconds and planned ones are all from the start to now; none is planned twice."""
    whole = range(int((wanted.start - START).total_seconds()), int(now // 1))
    tasks = windows(due(wanted, found, now))
    assert [s for s in whole if s not in settled(found, wanted.lookback)] == [s for w in tasks for s in seconds(w)]


@PROPERTY
@given(READINGS, LEDGERS, NOWS)
def test_windows_are_no_longer_than_asked_for(wanted: Reading, found: list[Fact], now: float) -> None:
    """The window of the settings is an upper bound, whatever the size of what was seen."""
    assert all(scope.length <= wanted.window for scope in windows(due(wanted, found, now)))


@PROPERTY
@given(READINGS, LEDGERS, NOWS)
def test_windows_are_whole_seconds_and_oldest_first(wanted: Reading, found: list[Fact], now: float) -> None:
    """No window splits a second, although moments of reading do; the oldest comes first."""
    scopes = windows(due(wanted, found, now))
    assert all(moment.microsecond == 0 for scope in scopes for moment in (scope.start, scope.end))
    assert sorted(scopes) == scopes


@PROPERTY
@given(READINGS, LEDGERS, NOWS)
def test_events_are_merged_where_they_were_ever_read(wanted: Reading, found: list[Fact], now: float) -> None:
    """A window of events is appended if no second of it was read before, else merged."""
    read = {second for each in found if each.window is not None for second in seconds(each.window)}
    tasks = due(wanted, found, now)
    assert [MERGE if read & {*seconds(w)} else APPEND for w in windows(tasks)] == [task.write for task in tasks]


@PROPERTY
@given(READINGS, LEDGERS, NOWS)
def test_users_are_always_merged(wanted: Reading, found: list[Fact], now: float) -> None:
    """A profile that changes moves to another window, so no window of users holds only new rows."""
    of_users = [replace(each, table="users") for each in found]
    tasks = due(wanted, of_users, now, "users")
    assert windows(due(wanted, found, now)) == windows(tasks)
    assert {MERGE} >= {task.write for task in tasks}


@PROPERTY
@given(READINGS, LEDGERS, NOWS, st.randoms(use_true_random=False))
def test_the_order_of_facts_does_not_matter(wanted: Reading, found: list[Fact], now: float, random: Random) -> None:
    """Facts come from a database in any order."""
    assert due(wanted, found, now) == due(wanted, random.sample(found, len(found)), now)


# ── a series of syncs ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Replica:
    """A destination that keeps facts only; tasks whose number is in *fails* leave none."""

    wanted: Reading
    facts: list[Fact] = field(default_factory=list)

    def sync(self, now: float, fails: frozenset[int] = frozenset()) -> list[Task]:
        tasks = due(self.wanted, self.facts, now)
        self.facts += [
            fact(task.scope, at(now))
            for number, task in enumerate(tasks)
            if number not in fails and isinstance(task.scope, Window)
        ]
        return tasks


SYNCS = st.lists(st.tuples(st.integers(1, 300), st.frozensets(st.integers(0, 4), max_size=3)), max_size=6)


@PROPERTY
@given(st.integers(10, 300), st.integers(0, 120), SYNCS)
def test_after_failures_one_good_sync_brings_all(window_s: int, lookback_s: int, syncs: list[Sync]) -> None:
    """However syncs failed, one that does not leaves nothing due but the lookback."""
    replica, now = Replica(reading(0, window_s, lookback_s)), 0
    for later, fails in syncs:
        now += later
        replica.sync(now, fails)
    replica.sync(now + 7)
    left = [second for scope in windows(due(replica.wanted, replica.facts, now + 7)) for second in seconds(scope)]
    assert [*range(max(0, now + 7 - lookback_s), now + 7)] == left


@PROPERTY
@given(st.integers(10, 300), st.integers(0, 120), SYNCS)
def test_no_second_is_appended_twice(window_s: int, lookback_s: int, syncs: list[Sync]) -> None:
    """What was loaded once is merged from then on, whatever failed in between."""
    replica, now, appended = Replica(reading(0, window_s, lookback_s)), 0, []
    for later, fails in syncs:
        now += later
        done = [task for number, task in enumerate(replica.sync(now, fails)) if number not in fails]
        appended += [s for task in done if task.write is APPEND for w in windows([task]) for s in seconds(w)]
    assert len(set(appended)) == len(appended)


# ── examples ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_first_sync() -> None:
    """The first sync reads from the start to now, in windows as long as allowed."""
    assert [(0, 100, APPEND), (100, 200, APPEND), (200, 250, APPEND)] == planned(reading(), [], 250)


def test_a_minute_later() -> None:
    """With no lookback, a later sync reads what is new and nothing else."""
    assert [(250, 310, APPEND)] == planned(reading(), [fact(window(0, 250), at(250))], 310)


def test_lookback() -> None:
    """What was younger than the lookback when it was read is merged, together with the new that follows."""
    read = [fact(window(0, 250), at(250))]
    assert [(220, 310, MERGE)] == planned(reading(lookback=30), read, 310)
    assert [(220, 270, MERGE), (270, 320, APPEND)] == planned(reading(window=50, lookback=30), read, 320)


def test_lookback_counts_from_the_reading() -> None:
    """A window that was read long after its end is settled, however short ago that was."""
    assert [(200, 300, APPEND)] == planned(reading(lookback=90), [fact(window(0, 200), at(299))], 300)


def test_lookback_is_read_until_it_is_settled() -> None:
    """Each sync reads again what the one before could not settle; its end moves on."""
    replica = Replica(reading(window=1000, lookback=60))
    found = [[(w.start, w.end) for w in windows(replica.sync(now))] for now in (100, 130, 400)]
    assert [[(at(0), at(100))], [(at(40), at(130))], [(at(70), at(400))]] == found


def test_a_longer_lookback_reads_further_back() -> None:
    """A lookback that was made longer counts for what was read before, too."""
    read = [fact(window(0, 250), at(250))]
    assert [(50, 150, MERGE), (150, 250, MERGE), (250, 260, APPEND)] == planned(reading(lookback=200), read, 260)


def test_a_fraction_of_a_second_is_read_next_time() -> None:
    """The second that has not ended yet is left for the next sync."""
    assert [(0, 9, APPEND)] == planned(reading(), [], 9.999)


def test_a_gap_is_planned_again() -> None:
    """A window that failed left no fact; the next plan has it, still as new."""
    replica = Replica(reading())
    replica.sync(300, frozenset({1}))
    assert [(100, 200, APPEND), (300, 301, APPEND)] == planned(replica.wanted, replica.facts, 301)


def test_an_earlier_start_plans_the_older_time() -> None:
    """A start that was moved to an earlier day adds that time, as new; what was read stays settled."""
    read = [fact(window(200, 300), at(300))]
    assert [(0, 100, APPEND), (100, 200, APPEND)] == planned(reading(0), read, 300)


def test_a_later_start_plans_nothing_before_it() -> None:
    """A start that was moved to a later day leaves gaps before it as they are."""
    assert [(250, 300, APPEND)] == planned(reading(250), [fact(window(0, 100), at(100))], 300)


def test_a_start_in_the_future_plans_nothing() -> None:
    """Before its start a table has no windows."""
    assert [] == planned(reading(300), [], 299)


def test_facts_of_other_tables_do_not_count() -> None:
    """Each table has facts of its own."""
    assert [(0, 50, APPEND)] == planned(reading(), [fact(window(0, 50), table="email_click")], 50)


def test_tables_have_their_own_reading() -> None:
    """Start, window and lookback of a table count for that table alone."""
    own = {"email_open": reading(0, 30, 20), "email_click": reading(40, 100, 0)}
    read = [fact(window(0, 60), at(60)), fact(window(40, 60), at(60), table="email_click")]
    tasks = plan([OPENS, CLICKS], own.__getitem__, Ledger(read), now=at(90))
    assert [
        Task(OPENS, window(40, 70), MERGE),
        Task(CLICKS, window(60, 90), APPEND),
        Task(OPENS, window(70, 90), APPEND),
    ] == tasks


def test_all_tables_go_oldest_first() -> None:
    """Full tables and listings come first, then the windows of all tables by their start."""
    tasks = plan(TABLES.values(), lambda _: reading(), Ledger(), now=at(350))
    scopes = [task.scope for task in tasks]
    assert [Whole()] * 7 == scopes[:7]
    assert [(number * 100, name) for number in range(4) for name in sorted(table.name for table in EXPORTS)] == [
        (seconds(scope)[0], task.table.name) for task in tasks if isinstance(scope := task.scope, Window)
    ]


# ── tables that are not read by windows ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("table", MERGED, ids=lambda table: table.name)
def test_listings_with_a_replication_key(table: Table) -> None:
    """Campaigns and templates are read whole and merged, from the start date on."""
    tasks = plan([table], lambda _: reading(40), Ledger([fact(None, table=table.name)]), now=at(50))
    assert [Task(table, Whole(), MERGE, since=at(40))] == tasks


@pytest.mark.parametrize("table", FULL, ids=lambda table: table.name)
def test_full_tables(table: Table) -> None:
    """A table without a replication key is read whole and replaced, at every sync and from no date."""
    tasks = plan([table], lambda _: reading(40), Ledger([fact(None, table=table.name)]), now=at(50))
    assert [Task(table, Whole(), REPLACE, snapshots=table.snapshots)] == tasks


# ── how long windows are ─────────────────────────────────────────────────────────────────────────────────────────────

HOUR_S = 3600
DAY = reading(window=86_400)


def lengths(size_bytes: int, *, count: int = 1, wanted: Reading = DAY) -> set[timedelta]:
    """Return the lengths of all but the last window after *count* hours were read, each of so many bytes."""
    read = [fact(window(n * HOUR_S, (n + 1) * HOUR_S), size_bytes=size_bytes) for n in range(count)]
    return {scope.length for scope in windows(due(wanted, read, 10 * 86_400))[:-1]}


def test_windows_aim_at_a_size() -> None:
    """Hours of a quarter of the size give windows of four hours."""
    assert {timedelta(hours=4)} == lengths(TARGET_WINDOW_BYTES // 4)


def test_large_hours_give_shorter_windows() -> None:
    """Hours of twice the size give windows of half an hour."""
    assert {timedelta(minutes=30)} == lengths(TARGET_WINDOW_BYTES * 2)


def test_windows_are_never_shorter_than_a_minute() -> None:
    """However much a table holds, no window is planned below a minute."""
    assert {SHORTEST_WINDOW} == lengths(TARGET_WINDOW_BYTES * 10**6)


def test_windows_below_a_minute_if_asked_for() -> None:
    """An upper bound below a minute is obeyed."""
    assert {timedelta(seconds=50)} == lengths(TARGET_WINDOW_BYTES * 10**6, wanted=reading(window=50))


def test_small_tables_have_windows_as_long_as_allowed() -> None:
    """Where little is seen, or nothing, the upper bound counts."""
    assert {timedelta(days=1)} == lengths(1) == lengths(0)


def test_only_the_latest_facts_count() -> None:
    """A table that grew is measured by what was read last, not by its first years."""
    old = [fact(window(n, n + 1), at(n), size_bytes=2**40) for n in range(RATE_FACTS)]
    new = [fact(window(n * HOUR_S, (n + 1) * HOUR_S), size_bytes=TARGET_WINDOW_BYTES) for n in range(1, RATE_FACTS + 1)]
    assert timedelta(hours=1) == windows(due(DAY, new + old, 10 * 86_400))[-2].length


def test_empty_windows_count_as_time() -> None:
    """Nights without events make the average smaller."""
    read = [fact(window(0, HOUR_S), size_bytes=TARGET_WINDOW_BYTES), fact(window(HOUR_S, 3 * HOUR_S))]
    assert timedelta(hours=3) == windows(due(DAY, read, 10 * 86_400))[0].length


# ── the ledger ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_empty_ledger() -> None:
    """A new destination knows nothing of any table."""
    assert [] == Ledger().of("email_open")


def test_ledger_gives_facts_by_table_oldest_read_first() -> None:
    """Facts come in the order in which they were read, each table's apart."""
    late, early = fact(window(0, 9), at(20)), fact(window(9, 18), at(10))
    other = fact(window(0, 9), at(15), table="users")
    ledger = Ledger([late, other, early])
    assert ([early, late], [other]) == (ledger.of("email_open"), ledger.of("users"))


def test_facts_without_a_window_settle_no_window() -> None:
    """A fact about a whole table or a part of it says nothing about any time."""
    assert [(0, 50, APPEND)] == planned(reading(), [fact(None)], 50)


# ── export jobs, sizes, parts ────────────────────────────────────────────────────────────────────────────────────────


def job(first: float, last: float, started: float) -> Job:
    return Job(7, "email_open", window(first, last), at(started))


def adopted(wanted: Reading, jobs: list[Job], now: float) -> list[tuple[int, int, bool]]:
    tasks = plan([OPENS], lambda _: wanted, Ledger([], jobs), now=at(now))
    return [(seconds(w).start, seconds(w).stop, t.job is not None) for t in tasks if isinstance(w := t.scope, Window)]


def test_jobs_of_earlier_runs_are_gone_on_with() -> None:
    """The window of a job stays as it is, and the rest of the time is cut around it."""
    assert [(0, 40, False), (40, 130, True), (130, 200, False)] == adopted(reading(), [job(40, 130, 150)], 200)
    assert [(0, 90, True), (90, 190, False), (190, 200, False)] == adopted(reading(), [job(0, 90, 100)], 200)


@pytest.mark.parametrize(
    "useless",
    [
        job(40, 130, 130 + 59),  # not settled when it was started
        job(-10, 90, 250),  # reaches before the start date
        job(90, 310, 450),  # reaches beyond now
    ],
)
def test_jobs_that_are_of_no_use(useless: Job) -> None:
    """A job whose rows would be incomplete, or nobody wants, is not gone on with."""
    found = adopted(reading(lookback=60), [useless], 300)
    assert not any(with_job for _, _, with_job in found)
    assert [(0, 100), (100, 200), (200, 300)] == [(first, last) for first, last, _ in found]


def test_old_jobs_are_not_gone_on_with() -> None:
    """The files of a job do not last."""
    later = JOBS_LAST.total_seconds() + 150
    assert not any(with_job for _, _, with_job in adopted(reading(window=1e6), [job(40, 130, 150)], later))


def test_overlapping_jobs_are_used_once() -> None:
    """Of jobs that overlap, one is gone on with."""
    found = adopted(reading(), [job(0, 90, 100), job(50, 95, 100)], 100)
    assert [(0, 90, True), (90, 100, False)] == found


@pytest.mark.parametrize(
    ("length_s", "size_bytes", "by_job"),
    [
        (3600, None, False),
        (86_400, None, True),
        (3600, LARGE_BYTES, True),
        (86_399, LARGE_BYTES - 1, False),
        (10 * 86_400, 1, True),
    ],
)
def test_what_goes_by_jobs(length_s: float, size_bytes: float | None, *, by_job: bool) -> None:
    """Much goes by jobs, and what is long."""
    assert by_job == suits_jobs(Task(OPENS, window(0, length_s), APPEND), size_bytes, waiting=MANY_EXPORTS)


def test_a_job_goes_on_as_a_job() -> None:
    """However small a window is that a job works on, it stays the job's; a listing never goes by one."""
    assert suits_jobs(Task(OPENS, window(0, 1), APPEND, job=job(0, 1, 2)), 1.0, waiting=0)
    assert not suits_jobs(Task(TABLES["campaigns"], Whole(), MERGE), None, waiting=99)
    assert suits_jobs(Task(OPENS, window(0, 1), APPEND), 1.0, waiting=MANY_EXPORTS + 1)


@PROPERTY
@given(st.integers(1, 10**6), st.floats(0, 1e13))
def test_pieces_are_the_whole(length_s: int, size_bytes: float) -> None:
    """What turns out too large is cut into windows that together are the whole, none much too large."""
    whole = Task(OPENS, window(0, length_s), APPEND)
    found = pieces(whole, size_bytes)
    assert length_s == sum(task.scope.length.total_seconds() for task in found if isinstance(task.scope, Window))
    if len(found) > 1:
        shortest = SHORTEST_WINDOW.total_seconds() / length_s * size_bytes
        assert all((task.size_bytes or 0) <= max(2 * TARGET_WINDOW_BYTES, 2 * shortest) for task in found)
    else:
        assert size_bytes < 2 * TARGET_WINDOW_BYTES or length_s <= SHORTEST_WINDOW.total_seconds()


def test_parts_that_are_due() -> None:
    """Never read comes first, then not read for longest, then refused; read within a long round is not due."""
    table = TABLES["list_users"]
    parts = [Task(table, Part("listId", number), REPLACE) for number in range(1, 6)]
    facts = [
        Fact("r", "list_users", None, str(number), at(read * HOUR_S), 1, 1, 1, 1.0, "direct")
        for number, read in ((1, 50), (2, 10), (1, 5), (5, 1))
    ]
    refusals = [Refusal("r", "list_users", "5", at(60 * HOUR_S), "no")]
    ledger = Ledger(facts, (), refusals)

    def order(round_s: float) -> list[int]:
        found = parts_due(parts, ledger, round_s=round_s, now=at(60 * HOUR_S))
        return [int(task.scope.value) for task in found if isinstance(task.scope, Part)]

    assert [3, 4, 2, 1, 5] == order(60.0)
    assert [3, 4, 2, 1, 5] == order(LONG_ROUND_S)
    hours = [(60 - read) * HOUR_S for read in (50, 10)]
    assert [3, 4, 2, 1, 5] == order(hours[0])
    assert [3, 4, 2, 5] == order(hours[0] + 1)
    assert [3, 4, 5] == order(hours[1] + 1), "what was refused is always due"
