"""
A load that the destination refuses for its data is halved until the rows are found; all others are loaded.

    rows  [───────────────)   refused
          [───────)[──────)   loaded, refused
                   [──)[──)   refused, loaded     each try is undone
                   [)[)       … one row
    then  all but that row, that row as text, and the fact, at once
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reiterate.errors import RowsRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from reiterate.flow import Batch
    from reiterate.ledger import Fact
    from reiterate.parse import Pieces
    from reiterate.sinks import Outcome, Sink

MOST_ROWS = 100
"""So many rows of a load may be refused; of more, the table itself is likelier to be the reason."""


def load(sink: Sink, batch: Batch, fact: Fact, pieces: Callable[[Batch], Pieces]) -> Outcome:
    """
    Load *batch* without the rows that the destination refuses for their data, which it gets as text.

    :raises RowsRefused: when those are more than 100; nothing is kept then
    :raises LoadError: as :meth:`reiterate.sinks.Sink.load`
    """
    try:
        return sink.load(batch, fact)
    except RowsRefused:
        if batch.supposed or not batch.source_rows or not sink.rolls_back:
            raise
    found = pieces(batch)
    refused = _refused_by_themselves(sink, found)
    try:
        rest = found.rest(refused)
        return sink.load(rest, replace(fact, rejected=len(refused)))
    except RowsRefused:
        # rows that are refused only because others are there, as by a unique index
        rest = found.rest(_refused_with_others(sink, found, refused))
    return sink.load(rest, replace(fact, rejected=len(rest.rejected)))


def _refused_by_themselves(sink: Sink, pieces: Pieces) -> list[tuple[int, str]]:
    """Return the rows, and why, that are refused even if no other is loaded."""
    refused: list[tuple[int, str]] = []
    waiting = [(0, pieces.rows)]
    while waiting:
        first, end = waiting.pop()
        if (error := _refusal(sink, pieces.piece(first, end))) is None:
            continue
        if end - first == 1:
            _add(refused, first, error)
            continue
        middle = (first + end) // 2
        waiting += [(middle, end), (first, middle)]
    return refused


def _refused_with_others(sink: Sink, pieces: Pieces, alone: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """Return these rows, and those that are refused if all before them are loaded."""
    refused = [*alone]
    good = 0
    while good < pieces.rows:
        # the longest beginning that is loaded: [good, most] is where it ends
        least, most, error = good, pieces.rows + 1, None
        while most - least > 1:
            middle = (least + most) // 2
            if (found := _refusal(sink, pieces.beginning(middle, refused))) is None:
                least = middle
            else:
                most, error = middle, found
        if error is None or least >= pieces.rows:
            break
        _add(refused, least, error)
        good = least + 1
    return refused


def _add(refused: list[tuple[int, str]], row: int, error: RowsRefused) -> None:
    if len(refused) == MOST_ROWS:
        raise RowsRefused(
            f"The destination refused more than {MOST_ROWS} rows of a load for their data.",
            hint="Look for a constraint, trigger or type that somebody gave the table. Nothing of this load was kept; "
            "the next sync loads it again.",
            **error.facts,
        ) from error
    refused.append((row, str(error.facts.get("reason"))))


def _refusal(sink: Sink, batch: Batch) -> RowsRefused | None:
    try:
        sink.try_out(batch)
    except RowsRefused as error:
        return error
    return None
