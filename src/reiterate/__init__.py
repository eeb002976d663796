"""
Replicates everything an Iterable project holds into a database: nothing lost, nothing twice.

>>> import reiterate
>>> for event in reiterate.sync(api_key="…", start_date="09/01/2026"):  # doctest: +SKIP
...     print(event)
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING

from reiterate.errors import ReiterateError

if TYPE_CHECKING:
    from reiterate.audit import Verified
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

_ROOMS = dict.fromkeys(__all__, "reiterate.library") | {"Verified": "reiterate.audit"}


def __getattr__(name: str) -> object:
    """Load what a public name needs when it is first asked for: ``--help`` needs neither DuckDB nor HTTP."""
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(importlib.import_module(_ROOMS[name]), name)
    return found


class _Package(ModuleType):
    """``reiterate.settings`` is a function, though a package of that name is imported behind it."""

    @property
    def settings(self) -> object:
        return __getattr__("settings")

    @settings.setter
    def settings(self, package: object) -> None:
        """Python binds a package to its name when it is first imported; here it does not take the function's place."""


sys.modules[__name__].__class__ = _Package


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
