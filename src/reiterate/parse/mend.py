"""
Lines that databases cannot hold as they are: NUL characters, lone surrogates, bytes that are no UTF-8.

Their values move to a field of their own, as JSON text in plain ASCII, so that nothing of them is lost.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RAW = "\x1araw "
"""Before the name of a field: its values that no database holds as text, as JSON text."""

CHUNK_BYTES = 1 << 22
NUL = b"\\u0000"
UNFIT = re.compile("[\x00\ud800-\udfff]")


def holds_nul(path: Path) -> bool:
    """Return whether the file names a NUL character: JSON allows it, PostgreSQL and others hold none."""
    with path.open("rb") as file:
        tail = b""
        while chunk := file.read(CHUNK_BYTES):
            if NUL in tail + chunk:
                return True
            tail = chunk[-len(NUL) :]
    return False


def mend(path: Path, target: Path) -> None:
    r"""
    Write the lines of *path* to *target*, values that cannot be held under :data:`RAW` names.

    A byte that is no UTF-8 becomes ``\udcXX``. What is no JSON stays as it is, for the parser to refuse.
    """
    with path.open("rb") as lines, target.open("wb") as file:
        file.writelines(map(_mended, lines))


def _mended(line: bytes) -> bytes:
    try:
        members = json.loads(
            line.decode("utf-8", "surrogateescape"),
            object_pairs_hook=_Members,
            parse_int=_Number,
            parse_float=_Number,
            parse_constant=_Number,
            strict=False,
        )
    except ValueError:
        return line
    if not isinstance(members, _Members):
        return line
    return f"{_text(_Members(_fit(members)))}\n".encode()


class _Number(str):
    """A number as it is spelled."""

    __slots__ = ()


class _Members(list[tuple[str, Any]]):
    """The members of an object, in their order."""


def _fit(members: _Members) -> Iterator[tuple[str, Any]]:
    for name, value in members:
        fitting = UNFIT.sub(lambda found: f"\\u{ord(found[0]):04x}", name)
        if UNFIT.search(_text(value, ascii_only=False)):
            yield f"{RAW}{fitting}", _text(value)
        else:
            yield fitting, value


def _text(value: Any, *, ascii_only: bool = True) -> str:  # noqa: ANN401 (JSON is any)
    """Return JSON text; without *ascii_only*, characters stand in it as they are, NUL too."""
    match value:
        case _Number():
            return str(value)
        case _Members():
            inner = (
                f"{_text(name, ascii_only=ascii_only)}:{_text(each, ascii_only=ascii_only)}" for name, each in value
            )
            return f"{{{','.join(inner)}}}"
        case list():
            return f"[{','.join(_text(each, ascii_only=ascii_only) for each in value)}]"
        case str() if not ascii_only:
            return f'"{value}"'
        case _:
            return json.dumps(value)
