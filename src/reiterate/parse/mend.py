"""
Lines that databases cannot hold as they are: NUL characters, lone surrogates, bytes that are no UTF-8.

Their values move to a field of their own, as JSON text in plain ASCII, so that nothing of them is lost.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from reiterate import exact_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RAW = "\x1araw "
"""Before the name of a field: its values that no database holds as text, as JSON text."""

NUL = r"\u0000"
NOT_FINITE = {"NaN", "Infinity", "-Infinity"}
UNFIT = re.compile("[\x00\ud800-\udfff]")


def mend(path: Path, target: Path, *, finite: bool = False) -> None:
    r"""
    Write the lines of *path* to *target*, values that cannot be held under :data:`RAW` names.

    A byte that is no UTF-8 becomes ``\udcXX``. What is no JSON stays as it is, for the parser to refuse. NaN and the
    infinities are values that a column of numbers holds, unless all are to be *finite*; inside objects and arrays they
    cannot be held. All values of a name that repeats in a row become one list.
    """
    with path.open("rb") as lines, target.open("wb") as file:
        file.writelines(_mended(line, finite=finite) for line in lines)


def _mended(line: bytes, *, finite: bool) -> bytes:
    try:
        members = exact_json.members(line)
        return f"{exact_json.dumps(exact_json.Members(_fit(members, finite=finite)))}\n".encode()
    except (ValueError, RecursionError):  # or nested too deeply for Python
        return line


def _fit(members: exact_json.Members, *, finite: bool) -> Iterator[tuple[str, Any]]:
    times = Counter(name for name, _ in members)
    for name, value in dict(members).items():
        fitting = UNFIT.sub(lambda found: f"\\u{ord(found[0]):04x}", name)
        if times[name] > 1:
            yield f"{RAW}{fitting}", exact_json.dumps([each for other, each in members if other == name])
        elif _fits(value, finite=finite):
            yield fitting, value
        else:
            yield f"{RAW}{fitting}", exact_json.dumps(value)


def _fits(value: Any, *, finite: bool) -> bool:  # noqa: ANN401 (JSON is any)
    if isinstance(value, exact_json.Number):
        return not finite or value not in NOT_FINITE
    text = exact_json.dumps(value, escaped=False)
    return not UNFIT.search(text) and NOT_FINITE.isdisjoint(exact_json.numbers(value))
