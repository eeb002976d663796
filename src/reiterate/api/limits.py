"""
The documented rate limits, and the one clock that every request waits for.

One limiter per limit is shared by all threads; this module alone sleeps.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from dataclasses import dataclass
from fnmatch import fnmatchcase
from threading import Event, Lock
from typing import TYPE_CHECKING

from reiterate.errors import Stopped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from reiterate.errors import SourceError

LATENCY_S = 0.5
"""
So long after it was sent a request may reach Iterable, unless the answer came earlier: a place counts as taken from
then on, so that no delay on the way makes two requests arrive closer together than the limit allows.
"""

NOTICES_WITHIN_S = 0.25
"""Whoever waits hears within so long that it is in vain."""

UNLIMITED_PER_S = 1_000
"""Above so many calls a second a limit is not worth counting."""


@dataclass(frozen=True)
class Limit:
    """At most *calls* requests to paths that start as one of the globs *paths*, in any *period_s* seconds."""

    name: str
    paths: tuple[str, ...]
    calls: int
    period_s: float
    silence_s: float = 60.0
    """no byte for so long, and an answer counts as broken off"""

    def __str__(self) -> str:
        return f"{self.calls:g} requests in {self.period_s:g} s ({self.name})"


LIMITS = (
    # swagger, rate limit of each method; FACTS.md 5
    Limit("exports", ("/api/export/data.json",), 4, 60),
    Limit("export jobs", ("/api/export/start",), 1, 1),
    Limit("export files", ("/api/export/",), 1, 1),
    Limit(
        "list members", ("/api/lists/getUsers",), 5, 60, silence_s=600.0
    ),  # a million users take 80 minutes, FACTS.md 9
    Limit("list sizes", ("/api/lists/*/size",), 5, 60),
    Limit("user fields", ("/api/users/getFields",), 3, 1),
    Limit("forgotten users", ("/api/users/forgotten",), 3, 1),
    Limit("campaign metrics", ("/api/campaigns/metrics",), 10, 60),
    Limit("campaigns", ("/api/campaigns",), 100, 1),
    Limit("channels", ("/api/channels",), 100, 1),
    Limit("message types", ("/api/messageTypes",), 100, 1),
    Limit("lists", ("/api/lists",), 100, 1),
    Limit("templates", ("/api/templates",), 100, 1),
    Limit("catalogs", ("/api/catalogs",), 100, 1),
    # no limit is documented for these; the one of their neighbours is kept out of politeness
    Limit("metadata", ("/api/metadata",), 100, 1),
    Limit("journeys", ("/api/journeys",), 100, 1),
    Limit("snippets", ("/api/snippets",), 100, 1),
    Limit("webhooks", ("/api/webhooks",), 100, 1),
    Limit("experiments", ("/api/experiments",), 100, 1),
)
"""The first whose path matches applies."""

NO_LIMIT = Limit("other", ("/",), 100, 1)


def limit_of(path: str) -> Limit:
    """Return the limit that a request to *path* counts against."""
    return next((limit for limit in LIMITS if any(fnmatchcase(path, f"{each}*") for each in limit.paths)), NO_LIMIT)


def least_s(limit: Limit, calls: int, *, factor: float) -> float:
    """Return the least time (seconds) that *limit*, multiplied by *factor*, lets so many calls take."""
    places, period_s = _pace(limit, factor)
    return max(calls - 1, 0) // places * period_s


def _pace(limit: Limit, factor: float) -> tuple[int, float]:
    """
    Return how many calls may pass in a period of how many seconds, if *limit* is multiplied by *factor*.

    Ten times as many calls in a minute are as many in six seconds: the same limit, without rushes. A limit below one
    call a period is one call in a longer one.
    """
    parts = max(int(factor), 1)
    calls, period_s = limit.calls * factor / parts, limit.period_s / parts
    return (int(calls), period_s) if calls >= 1 else (1, period_s / calls)


@dataclass(order=True)
class _Arrival:
    """When a request has reached Iterable at the latest, on the pacer's clock."""

    latest: float = 0.0


class Pacer:
    """
    Lets requests pass as fast as the limits allow, and no faster.

    *factor* multiplies every limit (1.0: as documented) and, above 1, shortens the pauses between retries.
    Once *stop* is set, whoever waits or asks raises :class:`Stopped`. *clock* gives seconds that never go back.
    """

    def __init__(self, *, factor: float, stop: Event, clock: Callable[[], float] = time.monotonic) -> None:
        self._factor = factor
        self.stop = stop
        self._clock = clock
        self._lock = Lock()
        self._arrivals: dict[str, list[_Arrival]] = defaultdict(list)
        self._rested_from = -math.inf
        self.hopeless: SourceError | None = None
        """why it is in vain to ask, if it is"""

    def pass_through(self, limit: Limit, waiting: Callable[[float, str], None]) -> Callable[[], None]:
        """
        Return when a request may be sent; call *waiting* with seconds and reason before each pause.

        Whoever has got the answer calls what is returned: then it is known that the request has arrived.
        """
        arrival = _Arrival()
        self._admit()
        while (wait_s := self._take(limit, arrival)) > 0:
            places, period_s = _pace(limit, self._factor)
            waiting(wait_s, f"limit of {places} requests per {period_s:g} s on {limit.name}")
            self._sleep(wait_s)
        self._admit()
        return lambda: self._answered(arrival)

    def remember(self, limit: Limit, ages_s: Iterable[float]) -> None:
        """Count requests that an earlier process made so many seconds ago."""
        with self._lock:
            self._arrivals[limit.name] += [_Arrival(self._clock() - age_s + LATENCY_S) for age_s in ages_s]

    def rest(self) -> None:
        """Let nobody pass for a period of each limit: an earlier process may have used it up until now."""
        self._rested_from = self._clock()

    def pause(self, seconds: float, reason: str, waiting: Callable[[float, str], None], *, exact: bool) -> None:
        """Wait before a retry: *exact* when Iterable named the time, else shortened by the factor."""
        pause_s = seconds if exact else seconds / max(self._factor, 1.0)
        waiting(pause_s, reason)
        self._sleep(pause_s)

    def give_up(self, error: SourceError) -> None:
        """Let nobody ask any more: whoever waits or asks raises *error*, which would be the answer."""
        self.hopeless = error

    def _admit(self) -> None:
        self.check()
        if self.hopeless is not None:
            raise self.hopeless

    def least_s(self, limit: Limit, calls: int) -> float:
        """Return the least time (seconds) that so many calls take."""
        return least_s(limit, calls, factor=self._factor)

    def check(self) -> None:
        if self.stop.is_set():
            raise Stopped

    def _answered(self, arrival: _Arrival) -> None:
        arrival.latest = min(arrival.latest, self._clock())

    def _take(self, limit: Limit, arrival: _Arrival) -> float:
        """Take a place among the calls of the last period, or return the seconds until one is free."""
        places, period_s = _pace(limit, self._factor)
        if places / period_s > UNLIMITED_PER_S:
            return 0.0
        with self._lock:
            now = self._clock()
            if (rest_s := self._rested_from + LATENCY_S + period_s - now) > 0:
                return rest_s
            taken = sorted(each for each in self._arrivals[limit.name] if each.latest + period_s > now)
            self._arrivals[limit.name] = taken
            if len(taken) >= places:
                return taken[-places].latest + period_s - now
            arrival.latest = now + LATENCY_S
            taken.append(arrival)
            return 0.0

    def _sleep(self, seconds: float) -> None:
        while seconds > 0:
            if self.stop.wait(min(seconds, NOTICES_WITHIN_S)):
                raise Stopped
            self._admit()
            seconds -= NOTICES_WITHIN_S
