"""
Iterable's clock, as the ``Date`` of its answers tells it: the clock of facts.

A machine's clock may be hours off, or jump while a run goes on; what was read must not be noted as read up to a time
that Iterable has not reached. So every instant here is a lower bound of Iterable's time::

    machine   sends ●─────────────────● receives ─────────▶ now
                     ╲               ╱
    Iterable          ╲────● Date ──╱         now ≥ Date + time since it was received
                                             sent ≥ Date - time from sending to receiving
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

UNDATED = timedelta(minutes=1)
"""What the machine's clock counts less, where no ``Date`` says how wrong it is."""

WORTH_A_WARNING = timedelta(minutes=1)

EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)
LATEST_AHEAD = timedelta(days=366)
"""
A ``Date`` before the one, or so far beyond the machine's clock, is none: clocks that were never set say 1970 or 2000,
and windows would be asked for up to the year 9999. A machine's clock may have lost months, not more: nobody's
certificate would be valid.
"""

PRECISION = timedelta(seconds=1)
"""of a ``Date``, which has no fraction"""


@dataclass(frozen=True)
class Sent:
    """The moment before a request, on each clock; *least* is the least that Iterable's could be by earlier answers."""

    mark_s: float
    machine: datetime
    steady: datetime
    """the machine's, without its jumps forward"""
    least: datetime | None


@dataclass(frozen=True)
class Answered:
    """
    What an answer says about time.

    Iterable had reached *read_at* when the request was sent, and *until* when it answered: what happened before
    *read_at* may be in the answer, and nothing that happens after *until* is.
    """

    read_at: datetime
    until: datetime

    def least(self, other: Answered | None) -> Answered:
        """Return what holds for both answers."""
        if other is None:
            return self
        return Answered(min(self.read_at, other.read_at), min(self.until, other.until))


class Clock:
    """
    Iterable's clock; shared by all threads. *machine* gives aware UTC, *monotonic* seconds that never go back.

    Where answers have no ``Date``, or come from a cache, the machine's clock counts, less a minute, and its jumps
    forward after the start do not count.
    """

    def __init__(self, machine: Callable[[], datetime], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._machine = machine
        self._monotonic = monotonic
        self._lock = Lock()
        self._began = machine(), monotonic()
        self._told: tuple[datetime, float] | None = None
        self._took = timedelta()
        self._warnings: list[str] = []
        self._warned: set[str] = set()

    def now(self) -> datetime:
        """Return what Iterable's clock has reached at least; before any answer, what the machine's clock says."""
        least = self._least(self._monotonic())
        if least is not None:
            return least
        return self._steady() - UNDATED if "undated" in self._warned else self._steady()

    def latest(self) -> datetime:
        """Return what Iterable's clock may have reached at most: a fact of a later time is none."""
        least = self._least(self._monotonic())
        return self._machine() if least is None else least + PRECISION + self._took

    def sending(self) -> Sent:
        mark_s = self._monotonic()
        return Sent(mark_s, self._machine(), self._steady(), self._least(mark_s))

    def answered(self, headers: Mapping[str, str], sent: Sent) -> Answered:
        """Return what the *headers* of an answer say about time; later instants go by the latest answer with a date."""
        received_s, machine = self._monotonic(), self._machine()
        took = timedelta(seconds=received_s - sent.mark_s)
        date, age = _date(headers, latest=machine + LATEST_AHEAD), _age(headers)
        if date is None or age is not None:
            return self._undated(sent, date, age)
        with self._lock:
            self._told, self._took = (date, received_s), took
        self._compare(sent.machine, date, machine)
        sent_at = date - took if sent.least is None else max(date - took, sent.least)
        # by the earlier of both clocks, for a gateway's may be ahead, too
        return Answered(min(date, sent.machine, sent_at), date)

    def warnings(self) -> list[str]:
        """Return what a person should know of the clocks and was not told yet: each kind of trouble once."""
        with self._lock:
            found, self._warnings = self._warnings, []
        return found

    def _undated(self, sent: Sent, date: datetime | None, age: timedelta | None) -> Answered:
        how = "without a date" if age is None else "from a cache"
        self._warn(
            "undated",
            f"Answers of Iterable come {how}: the clock of this machine counts, less a minute. If it is ahead, rows of "
            "the last hours may be missing.",
        )
        until = self.now() - (age or timedelta())
        read_at = (sent.steady - UNDATED if sent.least is None else sent.least) - (age or timedelta())
        if date is not None:
            until = min(until, date)
        return Answered(min(read_at, until), until)

    def _compare(self, sent: datetime, date: datetime, received: datetime) -> None:
        """Compare the machine's clock with a *date* that lies between sending and receiving, however long that took."""
        if sent - date > WORTH_A_WARNING + PRECISION:
            self._warn("differs", _difference(sent - date, "ahead of"))
        elif date - received > WORTH_A_WARNING:
            self._warn("differs", _difference(date - received, "behind"))

    def _warn(self, kind: str, text: str) -> None:
        with self._lock:
            if kind not in self._warned:
                self._warned.add(kind)
                self._warnings.append(text)

    def _least(self, mark_s: float) -> datetime | None:
        with self._lock:
            if self._told is None:
                return None
            date, received_s = self._told
        return date + timedelta(seconds=max(mark_s - received_s, 0.0))

    def _steady(self) -> datetime:
        """Return the machine's time, or, if it jumped forward since the start, what it would be had it not."""
        began, mark_s = self._began
        return min(self._machine(), began + timedelta(seconds=self._monotonic() - mark_s))


def _date(headers: Mapping[str, str], *, latest: datetime) -> datetime | None:
    """Return the ``Date``, the earliest if there are several; nothing where it is none that can be."""
    found = None
    with contextlib.suppress(ValueError, TypeError, OverflowError, IndexError):
        dates = [parsedate_to_datetime(each) for each in _dates(headers.get("Date", ""))]
        found = min((date if date.tzinfo else date.replace(tzinfo=UTC)).astimezone(UTC) for date in dates)
    return found if found is not None and EARLIEST <= found <= latest else None


def _dates(header: str) -> list[str]:
    """Return the dates of a header in which the HTTP library joins those of its name by commas; each has a comma."""
    parts = header.split(",")
    return [header] if len(parts) % 2 else [",".join(pair) for pair in zip(parts[::2], parts[1::2], strict=True)]


def _age(headers: Mapping[str, str]) -> timedelta | None:
    """Return how long a cache had the answer, if one had it; a year at most."""
    if (age := headers.get("Age")) is None:
        return None
    with contextlib.suppress(ValueError):
        return timedelta(seconds=min(max(int(age), 0), 365 * 86400))
    return timedelta()


def _difference(by: timedelta, where: str) -> str:
    hours, seconds = divmod(round(by.total_seconds()), 3600)
    length = f"{hours} h {seconds // 60:02d} min" if hours else f"{seconds // 60} min {seconds % 60:02d} s"
    return (
        f"The clock of this machine is {length} {where} Iterable's. What is read is noted by Iterable's; set this "
        "machine's right."
    )
