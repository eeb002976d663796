"""Metrics: a CSV about as many campaigns or experiments at a time as an address can name (FACTS.md 10)."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from reiterate.api import NotAnAnswer
from reiterate.catalog.model import Type
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
DIGITS = re.compile(r"[0-9]+")
TEXTS = {Type.TEXT, Type.TIMESTAMP}

Params = list[tuple[str, str]]


def fetch(task: Task, read: Figures, caller: Caller, target: Path) -> Downloaded:
    """
    Write the figures of all parents to *target*; return how much that is.

    :raises BrokenAnswer: when an answer is no CSV with a header
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
        yield from caller.text(read.path, params, form=lambda text: [*parsed(text, table, read)])


def parsed(text: str, table: Table, read: Figures) -> Iterator[Row]:
    """
    Yield the rows of a CSV; empty cells are left out, and numbers are numbers unless the column is one of texts.

    A name may stand several times in the header (FACTS.md 10): the first cell that is not empty counts, and others that
    differ go to fields with a number behind the name.

    :raises NotAnAnswer: when it is none, or lacks the ids by which its rows are told apart
    """
    header, *lines = lines_of(text, read)
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


def lines_of(text: str, read: Figures) -> list[list[str]]:
    """
    Return the cells of each line of a CSV: the header first, then lines each of which is about some parent.

    :raises NotAnAnswer: when it is none
    """
    try:
        lines = [*csv.reader(io.StringIO(text), strict=True)]
    except csv.Error as error:
        raise NotAnAnswer("An answer with figures is no CSV.") from error
    if not lines or read.id not in lines[0]:
        raise NotAnAnswer(f"An answer with figures has no header with `{read.id}`.")
    place = lines[0].index(read.id)
    for line in lines[1:]:
        if any(line) and not (len(line) > place and DIGITS.fullmatch(line[place])):
            came = ",".join(line).encode("utf-8", "replace")
            raise NotAnAnswer(f"A line of figures has no number as its `{read.id}`.", came=came)
    return lines


def _put(row: Row, name: str, value: Any) -> None:  # noqa: ANN401 (JSON is any)
    names, number = name, 1
    while row.get(names, value) != value:
        number += 1
        names = f"{name} {number}"
    row[names] = value


def _value(cell: str) -> str:
    return Number(cell) if NUMBER.fullmatch(cell) else cell
