"""Numbers, times and tasks in words, and the two places where words go."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from reiterate.printable import printable

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from rich.console import RenderableType

    from reiterate.errors import ReiterateError

KILO = 1000
MINUTE_S = 60
HOUR_S = 3600
DAY_S = 86_400


PIPE_WIDTH = 500
"""Wide enough for any row: what a pipe reads is never cut."""


class Terminal(Console):
    """
    A terminal, file or pipe on which any text can be shown.

    What is printed is text, never markup: source text may hold brackets. A text is one line, and its control characters
    are spelled. Colours are given as ``style``.
    """

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 (as rich has it)
        super().__init__(highlight=False, markup=False, emoji=False, soft_wrap=True, **options)

    def print(self, *objects: Any, **options: Any) -> None:  # noqa: ANN401 (as rich has it)
        super().print(*(printable(each) if isinstance(each, str) else each for each in objects), **options)

    def json(self, value: object) -> None:
        """Print *value* as JSON in ASCII, which any terminal and any program reads."""
        self.file.write(f"{json.dumps(value, indent=2, default=str)}\n")


class Grid(Table):
    """A table whose cells are text, as a terminal prints it."""

    def add_row(self, *cells: RenderableType | None, **options: Any) -> None:  # noqa: ANN401 (as rich has it)
        super().add_row(*(Text(printable(cell)) if isinstance(cell, str) else cell for cell in cells), **options)


def out() -> Terminal:
    """Where results go."""
    return Terminal(width=None if sys.stdout.isatty() else PIPE_WIDTH)


def err() -> Terminal:
    """Where everything goes that is not a result."""
    return Terminal(stderr=True)


def complain(problem: str) -> None:
    """Tell what went wrong, if there is anybody to tell it to."""
    with contextlib.suppress(OSError, ValueError):
        err().print(f"Error: {problem}")


def prepare() -> None:
    """
    Let standard streams take any text: a letter that their encoding lacks is spelled, and one that is closed takes all.

    No file that is opened later gets the number of a closed stream, to which libraries may write.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            # closed by the end of the process
            setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8", closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


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


def good(word: str) -> Text:
    return Text(word, "green")


def bad(word: str) -> Text:
    return Text(word, "red")
