"""
The lines of an answer, looked at while they pass: is each one of what was asked for?

At 300 MB a second there is no time to parse a line. The beginnings of all lines of a chunk are taken at once, and only
a line that begins as no row of an export does, or as an error object does, is looked at closely.
"""

from __future__ import annotations

import io
import json
import re
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING

from reiterate.api.bodies import BEGINS_BYTES, CHUNK_BYTES, NotAnAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LONGEST_ROW = 1 << 24
"""Bytes; DuckDB reads no longer line of JSON."""
LONGEST_MEMBER = 4_096
"""Bytes; an address has at most 254, a user id 52 (FACTS.md 14.2)."""

BOM = b"\xef\xbb\xbf"
ERROR, ERROR_AND_PARAMS = {"msg", "code"}, {"msg", "code", "params"}
"""The members of Iterable's error object (FACTS.md 4.1); no row of an export has these and no others."""

_HEAD: Callable[[bytes], bytes] = itemgetter(slice(6))
_ERROR_HEADS = {b'{"msg"', b'{"code', b'{"para'}
_OBJECT = re.compile(rb'\{\s*"')
_SUSPECT = {b"<", b"{", b"[", b'"', b" ", b"\t", BOM[:1]}
_TAG = re.compile(rb"<(!|\?|/?[a-z][a-z0-9]*[\s/>])", re.IGNORECASE)


def is_error(document: object) -> bool:
    """Return whether a JSON value is Iterable's error object, and nothing else."""
    return isinstance(document, dict) and document.keys() in (ERROR, ERROR_AND_PARAMS)


def check_rows(lines: list[bytes]) -> None:
    """
    Make sure that no line is markup, text, or an error object; whether a row is whole, the parser finds out.

    :raises NotAnAnswer: when one is
    """
    heads = {head for head in set(map(_HEAD, lines)) if head in _ERROR_HEADS or not head.startswith(b'{"')}
    for number, line in enumerate(lines) if heads else ():
        if line[:6] in heads and (what := _not_a_row(line.removeprefix(BOM).strip())):
            raise NotAnAnswer(what, came=_from(lines, number))


def _not_a_row(line: bytes) -> str:
    if line and not _OBJECT.match(line):
        return "A line of an export is no row."
    if b'"msg"' in line and b'"code"' in line and is_error(_parsed(line)):
        return "An export holds an error object instead of a row."
    return ""


def check_members(lines: list[bytes]) -> None:
    """
    Make sure that no line is markup or JSON; any other text may be a user's id.

    :raises NotAnAnswer: when one is
    """
    for number, line in enumerate(lines):
        if line[:1] in _SUSPECT and (what := _not_a_member(line.removeprefix(BOM).strip())):
            raise NotAnAnswer(what, came=_from(lines, number))


def _not_a_member(line: bytes) -> str:
    if _TAG.match(line):
        return "A list holds markup instead of a member."
    if line in {b"{", b"["} or (line[:1] in {b"{", b"[", b'"'} and _parsed(line) is not None):
        return "A list holds JSON instead of a member."
    return ""


def _from(lines: list[bytes], number: int) -> bytes:
    return b"".join(lines[number:])[:BEGINS_BYTES]


def _parsed(line: bytes) -> object:
    try:
        document: object = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return document


@dataclass(frozen=True)
class Kind:
    """What the lines of an answer should be: how that is *checked*, and how many bytes one may have."""

    check: Callable[[list[bytes]], None]
    longest: int
    objects: bool
    """whether a last line without a line break proves by its syntax that it is whole"""


ROWS = Kind(check_rows, LONGEST_ROW, objects=True)
MEMBERS = Kind(check_members, LONGEST_MEMBER, objects=False)


@dataclass
class Lines:
    """The lines that have passed; *count* has the last one, too, if it has no line break, once all have passed."""

    kind: Kind
    count: int = 0
    _rest: list[bytes] = field(default_factory=list)
    _rest_bytes: int = 0

    def passing(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """
        Yield *chunks* as they are, each after a look at the lines that end in it.

        :raises NotAnAnswer: when a line is not of this kind, or too long
        """
        for chunk in chunks:
            self._look(chunk)
            yield chunk
        if self._rest:
            self.count += 1
            self._check([b"".join(self._rest)])

    @property
    def open_end(self) -> bool:
        """Whether the last line has no line break."""
        return bool(self._rest)

    def _look(self, chunk: bytes) -> None:
        # whoever searches for line breaks finds them three times as fast as ``bytes.count``, which looks at each byte
        lines = io.BytesIO(chunk).readlines()
        rest = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
        if lines and self._rest:
            lines[0] = b"".join((*self._rest, lines[0]))
        if lines:
            self.count += len(lines)
            self._rest, self._rest_bytes = [], 0
            self._check(lines)
        if rest:
            self._rest.append(rest)
            self._rest_bytes += len(rest)
            self._check_length(self._rest_bytes)

    def _check(self, lines: list[bytes]) -> None:
        # of longer lines than a chunk, only the first can have ended
        self._check_length(max(map(len, lines)) if self.kind.longest < CHUNK_BYTES else len(lines[0]))
        self.kind.check(lines)

    def _check_length(self, size_bytes: int) -> None:
        if size_bytes > self.kind.longest:
            raise NotAnAnswer(f"A line of an answer is longer than {self.kind.longest:,} bytes.", came=None)
