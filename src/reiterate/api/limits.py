"""
The documented rate limits, and the one clock that every request waits for.

One limiter per limit is shared by all threads; this module alone sleeps.
"""

from __future__ import annotations

import contextlib
import math
import time
import uuid
from collections import defaultdict
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import count
from threading import Event, Lock
from typing import TYPE_CHECKING, TypeVar

from reiterate.api.shared import Held, Noted
from reiterate.errors import Stopped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from reiterate.api.shared import Shared
    from reiterate.errors import SourceError

Result = TypeVar("Result")

LATENCY_S = 0.5
"""
So long after it was sent a request may reach Iterable, as long as there is no answer; from the answer on it counts from
then, so that no delay on the way makes two requests arrive closer together than the limit allows.
"""

NOTICES_WITHIN_S = 0.25
"""Whoever waits hears within so long that it is in vain."""

JOBS_AT_A_TIME = 4
"""Iterable runs as many for an organisation and lets the others wait (swagger, startExport)."""
LOOKS_FOR_PLACE_S = 2.0

LOCK_TRIES, LOCK_PAUSE_S = 400, 0.005
"""A process holds the lock for a fraction of a millisecond; one that was suspended meanwhile is not waited for."""

DAMAGED = "What this machine's processes had noted of their requests was damaged."
UNSHARED = "This machine's processes cannot note their requests for each other."
ALONE = "Until they can, each keeps Iterable's limits by itself."

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


def _counts(limit: Limit, factor: float) -> bool:
    """Tell whether *limit*, multiplied by *factor*, is worth counting."""
    places, period_s = _pace(limit, factor)
    return places / period_s <= UNLIMITED_PER_S


def _pace(limit: Limit, factor: float) -> tuple[int, float]:
    """
    Return how many calls may pass in a period of how many seconds, if *limit* is multiplied by *factor*.

    Ten times as many calls in a minute are as many in six seconds: the same limit, without rushes. A limit below one
    call a period is one call in a longer one.
    """
    parts = max(int(factor), 1)
    calls, period_s = limit.calls * factor / parts, limit.period_s / parts
    return (int(calls), period_s) if calls >= 1 else (1, period_s / calls)


@dataclass
class _Arrival:
    """A request, by a name that no other of this machine has, until it is known when it has reached Iterable."""

    name: str
    limit: str
    answered: bool = False


class Pacer:
    """
    Lets requests pass as fast as the limits allow, and no faster.

    *factor* multiplies every limit (1.0: as documented) and, above 1, shortens the pauses between retries.
    Once *stop* is set, whoever waits or asks raises :class:`Stopped`. *clock* gives seconds that never go back. What
    other processes ask is *shared*, if it is; where it cannot be, the limits are kept by this process alone.
    """

    def __init__(
        self,
        *,
        factor: float,
        stop: Event,
        clock: Callable[[], float] = time.monotonic,
        shared: Shared | None = None,
    ) -> None:
        self._factor = factor
        self.stop = stop
        self._clock = clock
        self._lock = Lock()
        self._own: dict[str, dict[str, float]] = defaultdict(dict)
        self._remembered: dict[str, list[float]] = defaultdict(list)
        self._rested_from = -math.inf
        self._shared = shared if any(_counts(limit, factor) for limit in LIMITS) else None
        self._process, self._number = uuid.uuid4().hex[:12], count()
        self._run_id = ""
        self._warnings: list[str] = []
        self.hopeless: SourceError | None = None
        """why it is in vain to ask, if it is"""

    def pass_through(self, limit: Limit, waiting: Callable[[float, str], None]) -> Callable[[], None]:
        """
        Return when a request may be sent; call *waiting* with seconds and reason before each pause.

        Whoever has got the answer calls what is returned: then it is known that the request has arrived.
        """
        arrival = _Arrival(f"{self._process}-{next(self._number)}", limit.name)
        self._admit()
        while (wait_s := self._take(limit, arrival)) > 0:
            places, period_s = _pace(limit, self._factor)
            waiting(wait_s, f"limit of {places} requests per {period_s:g} s on {limit.name}")
            self._sleep(wait_s)
        self._admit()
        return lambda: self._answered(arrival)

    def remember(self, limit: Limit, ages_s: Iterable[float]) -> None:
        """Count requests that another machine made so many seconds ago."""
        with self._lock:
            self._remembered[limit.name] += [self._clock() - age_s + LATENCY_S for age_s in ages_s]

    def begin(self, run_id: str) -> None:
        """Let the requests from now on be those of a run."""
        self._run_id = run_id

    def knows(self, run_id: str) -> bool:
        """Tell whether a run was of this machine: its requests are counted anyway."""
        with self._lock:
            return self._sharing(lambda noted: run_id in noted.runs)

    def warnings(self) -> list[str]:
        """Return what a person should know of how limits are kept, and was not told yet."""
        with self._lock:
            found, self._warnings = self._warnings, []
        return found

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

    @contextlib.contextmanager
    def job_place(self, waiting: Callable[[float, str], None]) -> Iterator[None]:
        """Hold one of the places that Iterable has for jobs, as far as this machine's processes take them."""
        with contextlib.ExitStack() as held:
            while not self._holds_place(held):
                waiting(LOOKS_FOR_PLACE_S, f"{JOBS_AT_A_TIME} export jobs at a time")
                self._sleep(LOOKS_FOR_PLACE_S)
            yield

    def _holds_place(self, held: contextlib.ExitStack) -> bool:
        with self._lock:
            shared = self._shared
        if shared is None:
            return True
        try:
            held.enter_context(shared.place(JOBS_AT_A_TIME))
        except Held:
            return False
        except OSError:
            return True  # requests tell a person of it
        return True

    def _answered(self, arrival: _Arrival) -> None:
        """Count a request from its answer on."""
        with self._lock:
            if arrival.answered or arrival.name not in self._own[arrival.limit]:
                return
            arrival.answered = True
            now = self._own[arrival.limit][arrival.name] = self._clock()
            self._sharing(lambda noted: noted.requests.setdefault(arrival.limit, {}).update({arrival.name: now}))

    def _take(self, limit: Limit, arrival: _Arrival) -> float:
        """Take a place among the calls of the last period, or return the seconds until one is free."""
        if not _counts(limit, self._factor):
            return 0.0
        with self._lock:
            return self._sharing(lambda noted: self._place(limit, arrival, noted))

    def _place(self, limit: Limit, arrival: _Arrival, noted: Noted) -> float:
        places, period_s = _pace(limit, self._factor)
        now = self._clock()
        if (rest_s := self._rested_from + LATENCY_S + period_s - now) > 0:
            return rest_s
        # others may keep a limit with a factor of their own; what lies ahead was noted before the machine restarted
        kept_s, latest = max(period_s, limit.period_s), now + LATENCY_S
        stamps = noted.requests.get(limit.name, {}) | self._own[limit.name]
        stamps = {name: min(stamp, latest) for name, stamp in stamps.items() if stamp + kept_s > now}
        self._own[limit.name] = {name: stamps[name] for name in self._own[limit.name] if name in stamps}
        noted.requests[limit.name] = stamps
        counted = (*stamps.values(), *self._remembered[limit.name])
        taken = sorted(stamp for stamp in counted if stamp + period_s > now)
        if len(taken) >= places:
            return taken[-places] + period_s - now
        self._own[limit.name][arrival.name] = stamps[arrival.name] = latest
        if self._run_id and self._run_id not in noted.runs:
            noted.runs.append(self._run_id)
        return 0.0

    def _sharing(self, change: Callable[[Noted], Result]) -> Result:
        """
        Return what *change* makes of what this machine's processes have noted.

        It may be called again, with nothing noted, when that cannot be read or written: this process is alone then.
        """
        if self._shared is not None:
            try:
                with self._opened(self._shared) as noted:
                    if noted.damaged:
                        self._warnings.append(f"{DAMAGED} {ALONE}")
                    return change(noted)
            except OSError as error:
                self._shared = None
                self._warnings.append(f"{UNSHARED} ({error.strerror or error}) {ALONE}")
        return change(Noted())

    @contextlib.contextmanager
    def _opened(self, shared: Shared) -> Iterator[Noted]:
        with contextlib.ExitStack() as opened:
            for left in reversed(range(LOCK_TRIES)):
                try:
                    noted = opened.enter_context(shared.opened())
                    break
                except Held:
                    if not left:
                        raise
                    time.sleep(LOCK_PAUSE_S)
            yield noted

    def _sleep(self, seconds: float) -> None:
        while seconds > 0:
            if self.stop.wait(min(seconds, NOTICES_WITHIN_S)):
                raise Stopped
            self._admit()
            seconds -= NOTICES_WITHIN_S
