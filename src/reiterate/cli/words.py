"""Numbers, times and tasks in words, and the two places where words go."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table as Grid

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from reiterate.errors import ReiterateError

KILO = 1000
MINUTE_S = 60
HOUR_S = 3600
DAY_S = 86_400


PIPE_WIDTH = 500
"""Wide enough for any row: what a pipe reads is never cut."""


def out() -> Console:
    """Where results go."""
    return Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else PIPE_WIDTH)


def err() -> Console:
    """Where everything goes that is not a result."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def grid(*headings: str, right: Collection[str] = ()) -> Grid:
    """Return an empty table; only its last column breaks where the terminal is narrow."""
    found = Grid(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for heading in headings:
        found.add_column(
            heading, justify="right" if heading in right else "left", no_wrap=heading != headings[-1], overflow="fold"
        )
    return found


def number(count: float) -> str:
    return f"{count:,.0f}"


def size(size_bytes: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size_bytes < KILO:
            return f"{size_bytes:.0f} {unit}" if unit == "B" or size_bytes >= 10 else f"{size_bytes:.1f} {unit}"  # noqa: PLR2004
        size_bytes /= KILO
    return f"{size_bytes:.1f} TB"


def duration(seconds: float) -> str:
    if seconds < MINUTE_S:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"  # noqa: PLR2004
    if seconds < HOUR_S:
        return f"{seconds // MINUTE_S:.0f} min {seconds % MINUTE_S:02.0f} s"
    if seconds < DAY_S:
        return f"{seconds // HOUR_S:.0f} h {seconds % HOUR_S // MINUTE_S:02.0f} min"
    return f"{seconds // DAY_S:.0f} d {seconds % DAY_S // HOUR_S:02.0f} h"


def moment(at: datetime | None) -> str:
    return "never" if at is None else f"{at:%Y-%m-%d %H:%M:%S} UTC"


def error(problem: ReiterateError) -> str:
    return f"Error: {problem}"
