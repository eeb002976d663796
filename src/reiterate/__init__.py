"""
Replicates everything an Iterable project holds into a database: nothing lost, nothing twice.

>>> import reiterate
>>> for event in reiterate.sync(api_key="…", start_date="09/01/2026"):  # doctest: +SKIP
...     print(event)
"""

from __future__ import annotations

from reiterate.audit import Verified
from reiterate.errors import ReiterateError
from reiterate.library import (
    Calls,
    Check,
    ConnectionStatus,
    Plan,
    Step,
    TableStatus,
    check,
    plan,
    resync,
    settings,
    status,
    sync,
    tables,
    try_out,
    verify,
)

__all__ = [
    "Calls",
    "Check",
    "ConnectionStatus",
    "Plan",
    "ReiterateError",
    "Step",
    "TableStatus",
    "Verified",
    "check",
    "plan",
    "resync",
    "settings",
    "status",
    "sync",
    "tables",
    "try_out",
    "verify",
]
