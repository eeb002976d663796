"""Windows: checked second by second, as half-open spans of time are what they cover."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reiterate.windows import Window, gaps, span, whole_seconds

if TYPE_CHECKING:
    from collections.abc import Iterable
    from random import Random

START = datetime(2026, 3, 1, tzinfo=UTC)
PARIS = timezone(timedelta(hours=2))
PROPERTY = settings(derandomize=True, deadline=None, max_examples=150)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def window(first: int, last: int) -> Window:
    return Window(at(first), at(last))


def covered(windows: Iterable[Window]) -> list[int]:
    """Return every second of every window, in their order: one in two windows stands twice."""
    return [
        second
        for each in windows
        for second in range(int((each.start - START).total_seconds()), int((each.end - START).total_seconds()))
    ]


WINDOWS = st.builds(lambda first, length: window(first, first + length), st.integers(-50, 50), st.integers(1, 100))
MOMENTS = st.floats(-100, 100, allow_nan=False).map(at)


# ── what a window is ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_window_tells_its_span() -> None:
    """People read a window as two instants to the second."""
    assert "2026-03-01 00:00:00 to 2026-03-01 01:01:01" == str(window(0, 3661))


def test_length() -> None:
    """The length is the time from the start to the end, which is not part of it."""
    assert timedelta(seconds=90) == window(10, 100).length


@pytest.mark.parametrize(("first", "last"), [(0, 0), (1, 0), (0, -86_400)])
def test_an_empty_window_is_refused(first: int, last: int) -> None:
    """A window ends after it starts."""
    with pytest.raises(ValueError, match="a window ends after it starts"):
        window(first, last)


@pytest.mark.parametrize(("first", "last"), [(0.5, 2), (0, 1.000001), (0.25, 0.75)])
def test_a_fraction_of_a_second_is_refused(first: float, last: float) -> None:
    """No window splits the rows of one second."""
    with pytest.raises(ValueError, match="whole UTC seconds"):
        Window(at(first), at(last))


def test_a_time_without_zone_is_refused() -> None:
    """What has no zone might mean another instant on another machine."""
    with pytest.raises(ValueError, match="whole UTC seconds"):
        Window(START.replace(tzinfo=None), at(1).replace(tzinfo=None))


def test_a_window_of_another_zone_is_refused() -> None:
    """Whoever writes the start of a window down may write +00:00 behind it."""
    with pytest.raises(ValueError, match="whole UTC seconds"):
        Window(START.astimezone(PARIS), at(60).astimezone(PARIS))


def test_order() -> None:
    """Windows sort by their start, then by their end."""
    assert [window(0, 2), window(0, 3), window(1, 2)] == sorted([window(1, 2), window(0, 3), window(0, 2)])


@PROPERTY
@given(WINDOWS, WINDOWS)
def test_overlaps_when_a_second_is_in_both(one: Window, other: Window) -> None:
    """Windows overlap when they share a second; those that touch do not."""
    assert bool({*covered([one])} & {*covered([other])}) == one.overlaps(other) == other.overlaps(one)


# ── cutting ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@PROPERTY
@given(WINDOWS, st.floats(0.1, 120))
def test_cut_covers_exactly(whole: Window, length: float) -> None:
    """The pieces cover every second once, oldest first."""
    assert covered([whole]) == covered(whole.cut(timedelta(seconds=length)))


@PROPERTY
@given(WINDOWS, st.floats(1, 120))
def test_cut_pieces_are_short_enough(whole: Window, length: float) -> None:
    """No piece is longer than asked for, and all but the last are as long as whole seconds allow."""
    *others, last = (piece.length.total_seconds() for piece in whole.cut(timedelta(seconds=length)))
    assert {int(length)} >= set(others)
    assert last <= int(length)


@pytest.mark.parametrize("length_s", [0, 0.001, 0.999, 1, 1.999])
def test_cut_makes_no_piece_shorter_than_a_second(length_s: float) -> None:
    """A length below a second, or none, cuts second by second."""
    assert [window(0, 1), window(1, 2), window(2, 3)] == [*window(0, 3).cut(timedelta(seconds=length_s))]


def test_cut_ends_with_what_is_left() -> None:
    """The last piece is shorter when the length does not divide the window."""
    assert [window(0, 4), window(4, 8), window(8, 10)] == [*window(0, 10).cut(timedelta(seconds=4))]


def test_cut_of_a_long_time_by_days() -> None:
    """Ten years by thirty days are 122 windows."""
    years = Window(datetime(2016, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))
    assert 122 == len([*years.cut(timedelta(days=30))])


@PROPERTY
@given(WINDOWS)
def test_halves_cover_exactly(whole: Window) -> None:
    """Two halves cover every second once, older first, and differ by at most a second."""
    halves = whole.halves()
    if len(covered([whole])) == 1:
        assert () == halves
    else:
        older, newer = halves
        assert covered([whole]) == covered(halves)
        assert newer.length - older.length in {timedelta(0), timedelta(seconds=1)}


def test_halving_ends() -> None:
    """Halves of halves end at single seconds, each of them once."""
    found, left = [], [window(0, 1000)]
    while left:
        halves = left[0].halves()
        found += [] if halves else left[:1]
        left[:1] = halves
    assert [window(second, second + 1) for second in range(1000)] == found


# ── from moments to windows ──────────────────────────────────────────────────────────────────────────────────────────


@PROPERTY
@given(MOMENTS, MOMENTS)
def test_span_rounds_down(start: datetime, end: datetime) -> None:
    """A span reaches from the second that its start is in to that of its end, or is nothing."""
    first, last = ((moment - START) // timedelta(seconds=1) for moment in (start, end))
    assert (window(first, last) if first < last else None) == span(start, end)


@pytest.mark.parametrize(("start", "end"), [(0, 0), (0, 0.9), (0.1, 0.9), (5, 4)])
def test_a_span_without_a_whole_second_is_nothing(start: float, end: float) -> None:
    """Moments within one second, and those in the wrong order, make no window."""
    assert None is span(at(start), at(end))


def test_a_span_of_another_zone_is_in_utc() -> None:
    """Moments of any zone make a window in UTC."""
    made = span(START.astimezone(PARIS), at(60).astimezone(PARIS))
    assert "2026-03-01 00:00:00 to 2026-03-01 00:01:00" == str(made)


@PROPERTY
@given(st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(9000, 1, 1)))  # noqa: DTZ001 (the zone follows)
def test_whole_seconds_are_at_most_a_second_earlier(moment: datetime) -> None:
    """Rounding goes down, before 1970 too, and twice is as good as once."""
    aware = moment.replace(tzinfo=PARIS)
    rounded = whole_seconds(aware)
    assert timedelta(0) <= aware - rounded < timedelta(seconds=1)
    assert rounded == whole_seconds(rounded)


# ── gaps ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@PROPERTY
@given(WINDOWS, st.lists(WINDOWS, max_size=6))
def test_gaps_are_the_complement(whole: Window, others: list[Window]) -> None:
    """Gaps are the seconds of the whole that nothing covers: each once, oldest first."""
    assert [second for second in covered([whole]) if second not in covered(others)] == covered(gaps(whole, others))


@PROPERTY
@given(WINDOWS, st.lists(WINDOWS, max_size=6))
def test_gaps_are_as_long_as_they_can_be(whole: Window, others: list[Window]) -> None:
    """Between two gaps something is covered."""
    found = gaps(whole, others)
    assert all(one.end < after.start for one, after in pairwise(found))


@PROPERTY
@given(WINDOWS, st.lists(WINDOWS, max_size=6), st.randoms(use_true_random=False))
def test_gaps_do_not_depend_on_order(whole: Window, others: list[Window], random: Random) -> None:
    """Covered windows may come in any order, overlap and repeat."""
    again = others * 2
    random.shuffle(again)
    assert gaps(whole, others) == gaps(whole, again)


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ([], [(0, 10)]),
        ([(0, 10)], []),
        ([(-5, 15)], []),
        ([(-5, 0), (10, 15)], [(0, 10)]),
        ([(3, 5)], [(0, 3), (5, 10)]),
        ([(3, 5), (5, 7)], [(0, 3), (7, 10)]),
        ([(2, 9), (3, 4)], [(0, 2), (9, 10)]),
        ([(0, 1), (9, 10)], [(1, 9)]),
    ],
)
def test_gaps(others: list[tuple[int, int]], expected: list[tuple[int, int]]) -> None:
    """Windows that touch leave no gap, one inside another counts once, what lies outside does not count."""
    assert [window(*gap) for gap in expected] == gaps(window(0, 10), [window(*other) for other in others])
