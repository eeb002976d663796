"""Iterable's documented rate limits, as the server counts them (FACTS.md 5)."""

from __future__ import annotations

import re
import time
from collections import Counter, defaultdict, deque
from dataclasses import dataclass
from threading import Lock

LIMITS: tuple[tuple[str, float, float], ...] = (
    # path prefix, calls, seconds; the first that matches applies
    ("/api/export/data.json", 4, 60),
    ("/api/lists/getUsers", 5, 60),
    ("/api/lists/previewUsers", 5, 60),
    ("/api/users/getFields", 3, 1),
    ("/api/campaigns/metrics", 10, 60),
    ("/api/campaigns", 100, 1),
    ("/api/catalogs", 100, 1),
    ("/api/users/forgotten", 3, 1),
    ("/api/users/getSentMessages", 3, 1),
    ("/api/users", 100, 1),
    ("/api/events", 100, 1),
    ("/api/channels", 100, 1),
    ("/api/messageTypes", 100, 1),
    ("/api/templates", 100, 1),
    ("/api/lists", 100, 1),
)

NAMED: tuple[tuple[str, str, float, float], ...] = (
    # method and path, as they are counted; these come first
    (r"GET /api/lists/[^/]+/size", "/api/lists/{id}/size", 5, 60),
    (r"POST /api/templates/[^/]+/preview", "/api/templates/preview", 10, 1),
    (r"POST /api/export/start", "/api/export/start", 1, 1),
    (r"GET /api/export/\d+/files", "/api/export/{jobId}/files", 1, 1),
    (r"DELETE /api/export/\d+", "/api/export/{jobId}", 1, 1),
)


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

    def ask(self, path: str, method: str = "GET") -> Refusal | None:
        """Count a request to *path*; return a refusal if it is one too many and limits are enforced."""
        named = (row[1:] for row in NAMED if re.fullmatch(row[0], f"{method} {path}"))
        found = next(named, None) or next((row for row in LIMITS if path.startswith(row[0])), None)
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
