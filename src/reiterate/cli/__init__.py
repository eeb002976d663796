"""The command line: reads flags, calls the library, renders what it yields."""

from __future__ import annotations

from reiterate.cli.app import main

__all__ = ["main"]
