"""
Lines that databases cannot hold as they are: NUL characters, lone surrogates, bytes that are no UTF-8.

Their values move to a field of their own, as JSON text in plain ASCII, so that nothing of them is lost.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from reiterate import exact_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RAW = "\x1araw "
"""Before the name of a field: its values that no database holds as text, as JSON text."""

NUL = r"\u0000"
UNFIT = re.compile("[\x00\ud800-\udfff]")


def mend(path: Path, target: Path) -> None:
    r"""
    Write the lines of *path* to *target*, values that cannot be held under :data:`RAW` names.

    A byte that is no UTF-8 becomes ``\udcXX``. What is no JSON stays as it is, for the parser to refuse.
    """
    with path.open("rb") as lines, target.open("wb") as file:
        file.writelines(map(_mended, lines))


def _mended(line: bytes) -> bytes:
    try:
        members = exact_json.members(line)
    except ValueError:
        return line
    return f"{exact_json.dumps(exact_json.Members(_fit(members)))}\n".encode()


def _fit(members: exact_json.Members) -> Iterator[tuple[str, Any]]:
    for name, value in members:
        fitting = UNFIT.sub(lambda found: f"\\u{ord(found[0]):04x}", name)
        if UNFIT.search(exact_json.dumps(value, escaped=False)):
            yield f"{RAW}{fitting}", exact_json.dumps(value)
        else:
            yield fitting, value
