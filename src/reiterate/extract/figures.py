"""Metrics: a CSV about as many campaigns or experiments at a time as an address can name (FACTS.md 10)."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from reiterate.catalog.model import Type
from reiterate.errors import MalformedRow
from reiterate.exact_json import Number
from reiterate.extract import listings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from reiterate.api import Caller, Downloaded
    from reiterate.catalog.model import Figures, Table
    from reiterate.extract.listings import Row
    from reiterate.flow import Task

LONGEST_ADDRESS = 2048
"""Characters; a longer one is refused with a 414 (FACTS.md 4.2)."""

NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
TEXTS = {Type.TEXT, Type.TIMESTAMP}

Params = list[tuple[str, str]]


def fetch(task: Task, read: Figures, caller: Caller, target: Path) -> Downloaded:
    """
    Write the figures of all parents to *target*; return how much that is.

    :raises MalformedRow: when an answer is no CSV with a header
    """
    return listings.write(task, _rows(task.table, read, caller), caller, target)


def batches(read: Figures, caller: Caller) -> list[Params]:
    """Return the parameters of each call that it takes to ask about all parents."""
    ids = sorted(row[read.parents.id] for row in listings.all_rows(read.parents, caller))
    found: list[Params] = []
    room = 0
    for one in ids:
        pair = (read.parameter, str(one))
        needed = len(urlencode([pair])) + 1
        if needed > room:
            found.append([])
            room = LONGEST_ADDRESS - len(caller.client.address) - len(read.path)
        found[-1].append(pair)
        room -= needed
    return found


def _rows(table: Table, read: Figures, caller: Caller) -> Iterator[Row]:
    for params in batches(read, caller):
        yield from parsed(caller.text(read.path, params), table, read)


def parsed(text: str, table: Table, read: Figures) -> Iterator[Row]:
    """
    Yield the rows of a CSV; empty cells are left out, and numbers are numbers unless the column is one of texts.

    A name may stand several times in the header (FACTS.md 10): the first cell that is not empty counts, and others that
    differ go to fields with a number behind the name.
    """
    header, *lines = [*csv.reader(io.StringIO(text), strict=True)] or [[]]
    if not header:
        raise MalformedRow("An answer with figures has no header.", path=read.path)
    texts = {field.name for field in table.fields if field.type in TEXTS}
    for line in lines:
        row: Row = {}
        for name, cell in zip(header, line, strict=False):
            if cell:
                _put(row, name or read.surplus, cell if name in texts else _value(cell))
        if surplus := line[len(header) :]:
            row[read.surplus] = surplus
        if row:
            yield row


def _put(row: Row, name: str, value: Any) -> None:  # noqa: ANN401 (JSON is any)
    names, number = name, 1
    while row.get(names, value) != value:
        number += 1
        names = f"{name} {number}"
    row[names] = value


def _value(cell: str) -> str:
    return Number(cell) if NUMBER.fullmatch(cell) else cell
