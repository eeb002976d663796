"""The pacer lets no limit be exceeded, and wastes next to nothing of it; on a clock that only its waits move."""

from __future__ import annotations

from collections import Counter
from threading import Event

import pytest
from hypothesis import given
from hypothesis import settings as how
from hypothesis import strategies as st

from reiterate.api import LIMITS, Limit, Pacer, least_s, limit_of
from reiterate.api.limits import LATENCY_S
from reiterate.catalog import TABLES
from reiterate.errors import Stopped


class Clock(Event):
    """A flag whose waits take no time but its own."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def wait(self, timeout: float | None = None) -> bool:
        self.now += timeout or 0.0
        return self.is_set()


def passed(limit: Limit, calls: int, *, factor: float = 1.0, idle_s: float = 0.0) -> list[float]:
    """Return when so many calls in a row passed, each *idle_s* after the one before."""
    clock = Clock()
    pacer = Pacer(factor=factor, stop=clock, clock=clock)
    found = []
    for _ in range(calls):
        pacer.pass_through(limit, lambda *_: None)
        found.append(clock.now)
        clock.now += idle_s
    return found


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.name)
@given(calls=st.integers(1, 400), factor=st.floats(0.05, 3.0), idle_s=st.floats(0, 30))
@how(derandomize=True, deadline=None, max_examples=20)
def test_no_period_holds_more_calls_than_allowed(limit: Limit, calls: int, factor: float, idle_s: float) -> None:
    """However calls come, no period has more of them than the limit allows, a late arrival at Iterable included."""
    at = passed(limit, calls, factor=factor, idle_s=idle_s)
    for number, first in enumerate(at):
        within = [moment for moment in at[number:] if moment + LATENCY_S * 0.001 < first + limit.period_s]
        assert len(within) <= max(limit.calls * factor, 1)


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.name)
@pytest.mark.parametrize("calls", [1, 4, 5, 9, 101])
def test_calls_take_little_more_than_the_least_time(limit: Limit, calls: int) -> None:
    """The time that a plan names as the least is the time that calls take, but for the safety margin of each period."""
    least = least_s(limit, calls, factor=1.0)
    took = passed(limit, calls)[-1]
    assert least <= took <= least + (least / limit.period_s) * LATENCY_S + 1e-9


def test_waiting_is_told() -> None:
    """Who waits is told for how long and for what."""
    clock = Clock()
    pacer = Pacer(factor=1.0, stop=clock, clock=clock)
    told: Counter[tuple[float, str]] = Counter()
    for _ in range(5):
        pacer.pass_through(limit_of("/api/export/data.json"), lambda seconds, reason: told.update([(seconds, reason)]))
    assert {(60.5, "limit of 4 requests per 60 s on exports"): 1} == told


def test_nobody_passes_once_stopped() -> None:
    """A stop ends a wait, and lets no further request out."""
    clock = Clock()
    pacer = Pacer(factor=1.0, stop=clock, clock=clock)
    clock.set()
    with pytest.raises(Stopped):
        pacer.pass_through(LIMITS[0], lambda *_: None)
    with pytest.raises(Stopped):
        pacer.pause(1.0, "a retry", lambda *_: None, exact=False)


@pytest.mark.parametrize("table", TABLES)
def test_every_table_counts_against_a_limit_of_its_own_endpoint(table: str) -> None:
    """No endpoint of a table falls to the limit for paths that nobody knows."""
    assert limit_of(TABLES[table].read.path) in LIMITS
