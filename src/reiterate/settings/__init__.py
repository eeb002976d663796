"""Connections and destinations: frozen values, from arguments, environment and file; secrets hide themselves."""

from __future__ import annotations

from reiterate.secret import Secret
from reiterate.settings.load import Loaded, day, destination, load, own_settings, span_of
from reiterate.settings.model import (
    API_ADDRESSES,
    Connection,
    Destination,
    Gateway,
    Reading,
    TableSettings,
    describe,
    duration,
)

__all__ = [
    "API_ADDRESSES",
    "Connection",
    "Destination",
    "Gateway",
    "Loaded",
    "Reading",
    "Secret",
    "TableSettings",
    "day",
    "describe",
    "destination",
    "duration",
    "load",
    "own_settings",
    "span_of",
]
