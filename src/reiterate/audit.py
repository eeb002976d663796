"""
Whether a destination holds what its ledger says, and what Iterable has.

    ledger ─► rows that every read added and removed ─┐
    destination ─► rows that are there ───────────────┼─► problems
    Iterable ─► rows of sampled windows (--source) ───┘
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

from reiterate import extract, planner
from reiterate.catalog.model import ByEvent, Export
from reiterate.errors import SourceError
from reiterate.flow import Part, Task, Write
from reiterate.windows import Window, gaps, span

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from reiterate.api import Client
    from reiterate.catalog.model import Table
    from reiterate.errors import ReiterateError
    from reiterate.ledger import Ledger
    from reiterate.parse import Parser
    from reiterate.settings import Reading
    from reiterate.shape import Shape
    from reiterate.sinks import Change, Sink

SAMPLE = timedelta(days=1)
"""No sampled window is longer."""


@dataclass(frozen=True)
class Verified:
    """
    How one table stands.

    *problems* say what is wrong, *notes* what is worth knowing and is not. *sampled* windows were compared with
    Iterable. *error* says why nothing could be compared.
    """

    table: Table
    rows: int = 0
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    sampled: int = 0
    error: ReiterateError | None = None


def with_ledger(table: Table, sink: Sink, ledger: Ledger) -> Verified:
    """
    Compare the rows of *table* with what its reads added and removed.

    What only facts of *ledger* claim that are in doubt, as those of a time that has not come, was not read for sure.

    Where they differ, events are compared window by window, for they keep their instant (windows that overlap count
    as one), and tables of parts part by part.
    """
    if (state := sink.state(table)) is None:
        return Verified(table, notes=("not read yet",))
    problems = []
    if doubles := sink.doubles(table):
        problems.append(f"{doubles} rows repeat the identity of another")
    changes = sink.changes(table)
    if (loaded := sum(change.rows for change in changes)) != state.rows:
        problems.append(f"{state.rows} rows, where {loaded} were loaded")
        for scope, expected in _balance(table, changes):
            if (found := sink.count(table, scope)) != expected:
                problems.append(f"{found} rows in {scope}, where {expected} were loaded{_advice(table, scope)}")
    if claimed := ledger.claimed(table.name):
        problems.append(
            f"{claimed} reads were noted at a time that has not come, by a clock that was ahead; a sync reads again"
        )
    notes = (
        (f"{rejected} rows were rejected, see _reiterate_rejected_rows",) if (rejected := sink.rejected(table)) else ()
    )
    return Verified(table, state.rows, tuple(problems), notes)


def _advice(table: Table, scope: Window | Part) -> str:
    if not isinstance(scope, Window):
        return ""
    to = scope.end.date() + timedelta(days=1)
    return f" (reiterate resync {table.name} --from {scope.start:%m/%d/%Y} --to {to:%m/%d/%Y})"


def _balance(table: Table, changes: Sequence[Change]) -> Iterator[tuple[Window | Part, int]]:
    """Yield each scope that can be counted by itself, and how many rows its reads have left there."""
    if isinstance(table.identity, ByEvent):
        for window, found in _together(changes):
            yield window, sum(change.rows for change in found)
    for part in sorted({change.part for change in changes if change.part}, key=str):
        yield part, sum(change.rows for change in changes if change.part == part)


def _together(changes: Iterable[Change]) -> Iterator[tuple[Window, list[Change]]]:
    """Yield the changes of windows that overlap, and the time that they cover together, oldest first."""
    together: list[Change] = []
    covered: Window | None = None
    for change in sorted((change for change in changes if change.window), key=lambda change: str(change.window)):
        window = change.window
        if window is None:
            continue
        if covered is not None and window.start < covered.end:
            covered = Window(covered.start, max(covered.end, window.end))
        else:
            if covered is not None:
                yield covered, together
            covered, together = window, []
        together.append(change)
    if covered is not None:
        yield covered, together


def samples(table: Table, reading: Reading, ledger: Ledger, *, number: int, now: datetime) -> list[Window]:
    """Return *number* windows of settled time, the same all day."""
    whole = span(reading.start, now)
    if whole is None or not isinstance(table.read, Export):
        return []
    unsettled = [task.scope for task in planner.plan([table], lambda _: reading, ledger, now=now)]
    settled = gaps(whole, [scope for scope in unsettled if isinstance(scope, Window)])
    pieces = [piece for window in settled for piece in window.cut(SAMPLE)]
    chosen = Random(f"{table.name} {now:%Y-%m-%d}").sample(pieces, min(number, len(pieces)))  # noqa: S311 (no secret)
    return sorted(chosen)


def with_source(
    table: Table,
    windows: Sequence[Window],
    sink: Sink,
    client: Client,
    parser: Parser,
    *,
    shape: Shape,
    directory: Path,
) -> Verified:
    """Read *windows* from Iterable again, and compare each row's identity with the destination."""
    problems: list[str] = []
    notes: list[str] = []
    rows = 0
    for number, window in enumerate(windows):
        task = Task(table, window, Write.MERGE, shape=shape)
        try:
            raw = extract.fetch(task, client.caller(), directory / f"{table.name}-{number}.ndjson", pool=map)
            batch = parser.parse(raw, sink.columns(table), most_columns=sink.most_columns)
        except SourceError as error:
            return Verified(table, rows, tuple(problems), tuple(notes), number, error)
        missing, only_here = sink.compare(batch)
        rows += batch.source_rows
        if missing:
            problems.append(f"{missing} rows of Iterable are missing in {window}{_advice(table, window)}")
        if only_here and isinstance(table.identity, ByEvent):
            notes.append(f"{only_here} rows in {window} are no longer at Iterable")
        raw.path.unlink()
    return Verified(table, rows, tuple(problems), tuple(notes), len(windows))
