"""
Reiterate from Python: what an Airflow or Dagster task calls, and what the command line renders.

Every function takes the settings as keyword arguments, under the names that they have in ``reiterate.toml``; what is
not given comes from the environment and from the file, as on the command line. No replication logic lives here.
"""

from __future__ import annotations

from reiterate.library.looks import Calls, Check, ConnectionStatus, Plan, TableStatus, check, plan, status, verify
from reiterate.library.opening import settings, tables
from reiterate.library.syncing import resync, sync
from reiterate.library.trying import Step, try_out

__all__ = [
    "Calls",
    "Check",
    "ConnectionStatus",
    "Plan",
    "Step",
    "TableStatus",
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
