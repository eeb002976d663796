"""Half-open spans of UTC time: cut, halve, and find what is not covered. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SECOND = timedelta(seconds=1)


@dataclass(frozen=True, order=True)
class Window:
    """
    The half-open span ``[start, end)`` in whole UTC seconds; never empty.

    Iterable's event times have second precision and its exports take ``start`` inclusive, ``end`` exclusive
    (FACTS.md 7.2, 8.2): a window of whole seconds never splits the rows of one second.
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if any(whole_seconds(moment) != moment or moment.utcoffset() for moment in (self.start, self.end)):
            message = f"a window is made of whole UTC seconds, not of {self.start} to {self.end}"
            raise ValueError(message)
        if self.start >= self.end:
            message = f"a window ends after it starts, not at {self.end} when it starts at {self.start}"
            raise ValueError(message)

    def __str__(self) -> str:
        return f"{self.start:%Y-%m-%d %H:%M:%S} to {self.end:%Y-%m-%d %H:%M:%S}"

    @property
    def length(self) -> timedelta:
        return self.end - self.start

    def overlaps(self, other: Window) -> bool:
        return self.start < other.end and other.start < self.end

    def cut(self, length: timedelta) -> Iterator[Window]:
        """Yield this window in pieces of at most *length*, oldest first, without gap or overlap."""
        step = max(whole_duration(length), SECOND)
        start = self.start
        while start < self.end:
            end = min(start + step, self.end)
            yield Window(start, end)
            start = end

    def halves(self) -> tuple[Window, ...]:
        """Return the two halves of this window, older first; none when it is a single second."""
        middle = self.start + whole_duration(self.length / 2)
        if middle == self.start:
            return ()
        return Window(self.start, middle), Window(middle, self.end)


def whole_seconds(moment: datetime) -> datetime:
    """Return *moment* in UTC, without its fraction of a second."""
    return moment.astimezone(UTC).replace(microsecond=0)


def whole_duration(length: timedelta) -> timedelta:
    return timedelta(seconds=length // SECOND)


def span(start: datetime, end: datetime) -> Window | None:
    """Return the window between two moments, rounded down to whole seconds, or nothing if it would be empty."""
    first, last = whole_seconds(start), whole_seconds(end)
    return Window(first, last) if first < last else None


def gaps(whole: Window, covered: Iterable[Window]) -> list[Window]:
    """Return the parts of *whole* that no window of *covered* touches, oldest first."""
    found = []
    start = whole.start
    for window in sorted(covered):
        if window.start >= whole.end:
            break
        if window.start > start:
            found.append(Window(start, window.start))
        start = max(start, window.end)
    if start < whole.end:
        found.append(Window(start, whole.end))
    return found
