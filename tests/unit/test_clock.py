"""Iterable's clock is never taken to be ahead of what it is, whatever the machine's clock does meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import settings as how
from hypothesis import strategies as st

from reiterate.api import Clock
from reiterate.api.clock import UNDATED, Answered

TRUE = datetime(2026, 9, 1, 12, tzinfo=UTC)
"""Iterable's time when a run begins"""
HOURS = timedelta(hours=3)


class Machine:
    """A machine at whose clocks, and at Iterable's, time goes by only as it is told."""

    def __init__(self, *, ahead: timedelta = timedelta()) -> None:
        self.iterable, self.wall, self.mark_s = TRUE, TRUE + ahead, 100.0
        self.clock = Clock(lambda: self.wall, lambda: self.mark_s)

    def wait(self, seconds: float) -> None:
        self.iterable += timedelta(seconds=seconds)
        self.wall += timedelta(seconds=seconds)
        self.mark_s += seconds

    def sleep(self, seconds: float) -> None:
        """Be suspended: the monotonic clock stands still meanwhile."""
        self.iterable += timedelta(seconds=seconds)
        self.wall += timedelta(seconds=seconds)

    def dated(self) -> dict[str, str]:
        return {"Date": format_datetime(self.iterable, usegmt=True)}

    def ask(self, there_s: float = 0.0, back_s: float = 0.0, **headers: str) -> Answered:
        """Return what an answer says that has these *headers*, or a date."""
        sent = self.clock.sending()
        self.wait(there_s)
        given_ = headers or self.dated()
        self.wait(back_s)
        return self.clock.answered(given_, sent)


@dataclass(frozen=True)
class Step:
    there_s: float
    back_s: float
    jump_s: float
    sleep_s: float
    idle_s: float


STEPS = st.lists(
    st.builds(
        Step,
        *(st.floats(0, 90), st.floats(0, 90)),
        st.one_of(st.just(0.0), st.floats(-20_000, 20_000)),
        st.one_of(st.just(0.0), st.floats(0, 40_000)),
        st.floats(0, 5000),
    ),
    min_size=1,
    max_size=12,
)


@given(ahead_s=st.floats(-80_000, 80_000), steps=STEPS)
@how(derandomize=True, deadline=None, max_examples=300)
def test_no_instant_is_ahead_of_iterables(ahead_s: float, steps: list[Step]) -> None:
    """A read counts from before its request, up to before its answer; jumps and sleep of the machine change nothing."""
    machine = Machine(ahead=timedelta(seconds=ahead_s))
    for step in steps:
        before, sent = machine.iterable, machine.clock.sending()
        machine.wait(step.there_s)
        at, headers = machine.iterable, machine.dated()
        machine.wait(step.back_s)
        answered = machine.clock.answered(headers, sent)
        assert answered.read_at <= before
        assert answered.read_at <= answered.until <= at
        assert machine.clock.now() <= machine.iterable <= machine.clock.latest()
        machine.wall += timedelta(seconds=step.jump_s)
        machine.sleep(step.sleep_s)
        machine.wait(step.idle_s)
        assert machine.clock.now() <= machine.iterable


@given(steps=STEPS)
@how(derandomize=True, deadline=None, max_examples=200)
def test_a_right_clock_costs_no_more_than_the_way(steps: list[Step]) -> None:
    """Where both clocks are right, a read counts from as long before its request as its answer took, and a second."""
    machine = Machine()
    for step in steps:
        before = machine.iterable
        answered = machine.ask(step.there_s, step.back_s)
        took = timedelta(seconds=step.there_s + step.back_s)
        assert before - answered.read_at <= took + timedelta(seconds=1)
        machine.wait(step.idle_s)
    assert [] == machine.clock.warnings()


@given(ahead_s=st.floats(-80_000, 0), steps=STEPS)
@how(derandomize=True, deadline=None, max_examples=200)
def test_without_a_date_the_machine_counts_less_a_minute(ahead_s: float, steps: list[Step]) -> None:
    """Without any date, what was read counts up to a minute before the machine's time; jumps forward do not count."""
    machine = Machine(ahead=timedelta(seconds=ahead_s))
    for step in steps:
        before = machine.iterable
        answered = machine.ask(step.there_s, step.back_s, Server="nginx")
        assert answered.read_at <= before - UNDATED
        assert answered.until <= machine.iterable - UNDATED
        assert machine.clock.now() <= machine.iterable - UNDATED
        machine.wall += timedelta(seconds=step.jump_s)
        machine.sleep(step.sleep_s)
        machine.wait(step.idle_s)
    assert 1 == len(machine.clock.warnings())
    assert [] == machine.clock.warnings()


@pytest.mark.parametrize("ahead", [HOURS, -HOURS, timedelta(seconds=70), -timedelta(seconds=70)], ids=str)
def test_a_difference_is_told_once(ahead: timedelta) -> None:
    """A clock that is more than a minute off is a warning, once a run, with its direction."""
    machine = Machine(ahead=ahead)
    for _ in range(3):
        machine.ask(1.0, 1.0)
        machine.wait(10)
    (warning,) = machine.clock.warnings()
    assert ("ahead of" if ahead > timedelta() else "behind") in warning
    assert [] == machine.clock.warnings()


@pytest.mark.parametrize("ahead", [timedelta(seconds=seconds) for seconds in (-59, -2, 0, 2, 59)], ids=str)
def test_a_small_difference_is_none(ahead: timedelta) -> None:
    """Less than a minute is no warning, however long an answer takes, and although the machine sleeps meanwhile."""
    machine = Machine(ahead=ahead)
    machine.ask(300.0, 300.0)
    sent, headers = machine.clock.sending(), machine.dated()
    machine.sleep(30_000)
    machine.clock.answered(headers, sent)
    assert [] == machine.clock.warnings()


def test_a_jump_in_the_middle_of_a_run_is_told() -> None:
    """A clock that was right and jumps is a warning, too."""
    machine = Machine()
    machine.ask()
    machine.wall += HOURS
    machine.ask()
    assert ["3 h 00 min ahead of"] == [warning[29:48].strip() for warning in machine.clock.warnings()]


ODD = [
    "",
    "yesterday",
    "Thu, 01 Jan 1970 00:00:00 GMT",
    "Sat, 01 Jan 2000 00:00:00 GMT",
    "Fri, 31 Dec 9999 23:59:59 GMT",
    "Fri, 31 Dec 99999 23:59:59 GMT",
    "Tue, 01 Sep 2026 12:00:00 +9999999999",
    "Tue, 99 Sep 2026 12:00:00 GMT",
    "Mon, 01 Jan 0001 00:00:00 +2300",
    "\x00\udc80",
    ",",
    ",,,",
]


@pytest.mark.parametrize("date", ODD)
def test_a_date_that_cannot_be_is_none(date: str) -> None:
    """A Date that is none, or of a clock that was never set, breaks nothing and counts for nothing."""
    machine = Machine()
    answered = machine.ask(1.0, 1.0, Date=date)
    assert TRUE - UNDATED == answered.read_at
    assert machine.iterable - UNDATED == machine.clock.now()
    assert 1 == len(machine.clock.warnings())


@pytest.mark.parametrize(
    "date",
    [
        "Tue, 01 Sep 2026 12:00:00 GMT",
        "Tue, 01 Sep 2026 14:00:00 +0200",
        "Tuesday, 01-Sep-26 12:00:00 GMT",
        "Tue Sep  1 12:00:00 2026",
        # of two headers, which the HTTP library joins
        "Tue, 01 Sep 2026 15:00:00 GMT, Tue, 01 Sep 2026 12:00:00 GMT",
    ],
)
def test_every_form_of_a_date(date: str) -> None:
    """All forms that HTTP knows are read; of several, the earliest counts."""
    machine = Machine()
    assert Answered(TRUE, TRUE) == machine.ask(Date=date)
    assert [] == machine.clock.warnings()


@pytest.mark.parametrize(("age", "least"), [("0", UNDATED), ("7200", UNDATED + timedelta(hours=2)), ("?", UNDATED)])
def test_an_answer_of_a_cache_is_as_old_as_it_says(age: str, least: timedelta) -> None:
    """What a cache answers counts by the machine's clock, less a minute and the time that it lay there."""
    machine = Machine()
    machine.wait(10_000)
    answered = machine.ask(Age=age, Date=format_datetime(machine.iterable, usegmt=True))
    assert machine.iterable - least == answered.read_at == answered.until
    assert machine.iterable - UNDATED == machine.clock.now()
    (warning,) = machine.clock.warnings()
    assert "from a cache" in warning


def test_neither_clock_alone_makes_a_read_newer() -> None:
    """A date that is ahead, as of a gateway that is wrong, moves no read ahead of the machine's clock."""
    machine = Machine()
    answered = machine.ask(Date=format_datetime(TRUE + HOURS, usegmt=True))
    assert TRUE == answered.read_at


def test_what_holds_for_several_answers() -> None:
    """A read of several requests counts as its oldest."""
    first, second = Answered(TRUE, TRUE + HOURS), Answered(TRUE + HOURS, TRUE)
    assert Answered(TRUE, TRUE) == first.least(second) == second.least(first)
    assert first == first.least(None)
