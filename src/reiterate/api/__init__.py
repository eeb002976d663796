"""Iterable over HTTP: the client, its limits and its retries. Knows no table."""

from __future__ import annotations

from reiterate.api.client import NOTHING, Caller, Client, Downloaded, Listener, Rewrite
from reiterate.api.limits import LIMITS, Limit, Pacer, least_s, limit_of

__all__ = [
    "LIMITS",
    "NOTHING",
    "Caller",
    "Client",
    "Downloaded",
    "Limit",
    "Listener",
    "Pacer",
    "Rewrite",
    "least_s",
    "limit_of",
]
