"""Iterable over HTTP: the client, its limits and its retries. Knows no table."""

from __future__ import annotations

from reiterate.api.bodies import NotAnAnswer
from reiterate.api.client import NOTHING, Caller, Client, Downloaded, Form, Listener, Rewrite
from reiterate.api.clock import Clock
from reiterate.api.limits import JOBS_AT_A_TIME, LIMITS, Limit, Pacer, least_s, limit_of
from reiterate.api.lines import MEMBERS, ROWS, Kind
from reiterate.api.shared import Shared, state_directory

__all__ = [
    "JOBS_AT_A_TIME",
    "LIMITS",
    "MEMBERS",
    "NOTHING",
    "ROWS",
    "Caller",
    "Client",
    "Clock",
    "Downloaded",
    "Form",
    "Kind",
    "Limit",
    "Listener",
    "NotAnAnswer",
    "Pacer",
    "Rewrite",
    "Shared",
    "least_s",
    "limit_of",
    "state_directory",
]
