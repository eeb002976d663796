"""Iterable's documented rate limits, as the server counts them (FACTS.md 5)."""

from __future__ import annotations

import time
from collections import Counter, defaultdict, deque
from dataclasses import dataclass
from threading import Lock

LIMITS: tuple[tuple[str, float, float], ...] = (
    # path prefix, calls, seconds; the first that matches applies
    ("/api/export/data.json", 4, 60),
    ("/api/lists/getUsers", 5, 60),
    ("/api/users/getFields", 3, 1),
    ("/api/campaigns", 100, 1),
    ("/api/channels", 100, 1),
    ("/api/messageTypes", 100, 1),
    ("/api/templates", 100, 1),
    ("/api/lists", 100, 1),
)

SIZE_LIMIT = ("/api/lists/{id}/size", 5.0, 60.0)


@dataclass(frozen=True)
class Refusal:
    """A request over a limit, with the message that Iterable gives for it."""

    message: str


class Limits:
    """Counts requests in a sliding window for each limit."""

    def __init__(self, *, factor: float, enforced: bool) -> None:
        self._factor = factor
        self._enforced = enforced
        self._passed: dict[str, deque[float]] = defaultdict(deque)
        self._lock = Lock()
        self.requests: Counter[str] = Counter()
        self.exceeded: Counter[str] = Counter()

    def ask(self, path: str) -> Refusal | None:
        """Count a request to *path*; return a refusal if it is one too many and limits are enforced."""
        found = SIZE_LIMIT if path.endswith("/size") else next((row for row in LIMITS if path.startswith(row[0])), None)
        if found is None:
            return None
        prefix, calls, period_s = found
        allowed = calls * self._factor
        with self._lock:
            now = time.monotonic()
            passed = self._passed[prefix]
            while passed and passed[0] <= now - period_s:
                passed.popleft()
            self.requests[prefix] += 1
            if len(passed) < allowed:
                passed.append(now)
                return None
            self.exceeded[prefix] += 1
        if not self._enforced:
            return None
        period = "minute" if period_s == 60 else "second"
        # the blank before the quote is recorded (FACTS.md 4.2)
        return Refusal(f"Exceeded rate limit of {float(allowed)} per {period} for endpoint: {prefix}, project: 48210 ")
