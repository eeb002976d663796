"""
Lines that databases cannot hold as they are: NUL characters, lone surrogates, bytes that are no UTF-8, and objects
and arrays in which something stands that some databases refuse, or lose without a word.

Their values move to a field of their own, as JSON text in plain ASCII, so that nothing of them is lost.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from reiterate import exact_json

if TYPE_CHECKING:
    from collections.abc import Container, Iterator
    from pathlib import Path

RAW = "\x1araw "
"""Before the name of a field: its values that no database holds as text, as JSON text."""

NUL = r"\u0000"
NOT_FINITE = {"NaN", "Infinity", "-Infinity"}
UNFIT = re.compile("[\x00\ud800-\udfff]")

MOST_DIGITS = 16_383
"""PostgreSQL's ``jsonb`` holds no longer fraction (and eight times as many digits before it)."""

BEYOND = re.compile(rf"[eE]\+?0*[1-9][0-9]{{4,}}|[0-9]{{{MOST_DIGITS + 1}}}")
"""Numbers that ``jsonb`` refuses, for it keeps every digit."""

EXPONENT = re.compile(r"[eE]\+?[0-9]{5}")
"""Where one of these may be, without a number of too many digits."""

MOST_NESTED = 5_000
"""PostgreSQL reads about twice as many objects and arrays in each other, if nobody changed its ``max_stack_depth``."""


def mend(path: Path, target: Path, *, finite: Container[str] = (), documents: Container[str] = ()) -> None:
    r"""
    Write the lines of *path* to *target*, values that cannot be held under :data:`RAW` names.

    A byte that is no UTF-8 becomes ``\udcXX``. What is no JSON stays as it is, for the parser to refuse. NaN and the
    infinities are values that a column of numbers holds; inside objects and arrays, and in fields that are to be
    *finite*, they cannot be held. Nor can an object that has a key twice, in the texts of fields that are *documents*,
    too. All values of a name that repeats in a row become one list.
    """
    with path.open("rb") as lines, target.open("wb") as file:
        file.writelines(_mended(line, finite, documents) for line in lines)


def _mended(line: bytes, finite: Container[str], documents: Container[str]) -> bytes:
    try:
        members = exact_json.members(line)
    except ValueError:
        return line
    fitting = exact_json.Members(_fit(members, finite, documents))
    return f"{exact_json.dumps(fitting)}\n".encode()


def _fit(members: exact_json.Members, finite: Container[str], documents: Container[str]) -> Iterator[tuple[str, Any]]:
    times = Counter(name for name, _ in members)
    for name, value in dict(members).items():
        fitting = escaped(name)
        if times[name] > 1:
            yield f"{RAW}{fitting}", exact_json.dumps([each for other, each in members if other == name])
        elif (
            not fits(value)
            or (fitting in finite and _is_not_finite(value))
            or (fitting in documents and isinstance(value, str) and _repeats(value))
        ):
            yield f"{RAW}{fitting}", exact_json.dumps(value)
        else:
            yield fitting, value


def escaped(text: str) -> str:
    """Return *text* with what no database holds spelled out."""
    return UNFIT.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _is_not_finite(value: Any) -> bool:  # noqa: ANN401 (JSON is any)
    return isinstance(value, exact_json.Number) and value in NOT_FINITE


def _repeats(document: str) -> bool:
    """Return whether an object has a key twice in a text that may be JSON."""
    try:
        parts = exact_json.parts(exact_json.loads(document.encode("utf-8", "surrogateescape")))
    except ValueError:
        return False
    return any(isinstance(part, exact_json.Members) and _has_twice(part) for _, part in parts)


def _has_twice(members: exact_json.Members) -> bool:
    return len({name for name, _ in members}) < len(members)


def is_fit(text: str) -> bool:
    """Return whether every database holds the value of a JSON text that has no lone surrogates."""
    if NUL not in text and len(text) <= MOST_DIGITS and not EXPONENT.search(text) and exact_json.is_plain(text):
        return True  # as most are
    return fits(exact_json.loads(text.encode()))


def fits(value: Any) -> bool:  # noqa: ANN401 (JSON is any)
    """Return whether every database holds a value, NaN and the infinities by themselves included."""
    return all(_fits(part, depth) for depth, part in exact_json.parts(value))


def _fits(part: Any, depth: int) -> bool:  # noqa: ANN401 (JSON is any)
    match part:
        case exact_json.Number():
            return not BEYOND.search(part) and not (depth and _is_not_finite(part))
        case exact_json.Members():
            return depth < MOST_NESTED and not _has_twice(part) and not any(UNFIT.search(name) for name, _ in part)
        case list():
            return depth < MOST_NESTED
        case str():
            return not UNFIT.search(part)
        case _:
            return True
