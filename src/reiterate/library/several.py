"""One sync into several destinations: Iterable is asked once, each destination keeps its own truth."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from reiterate import rejecting
from reiterate.ledger import common
from reiterate.parse import Parser

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from reiterate.catalog.model import Table
    from reiterate.flow import Batch, Column, Job, Part
    from reiterate.ledger import Fact, Ledger, Refusal
    from reiterate.sinks import Change, Outcome, Run, Sink, TableState
    from reiterate.windows import Window


class Several:
    """
    Loads into all of *sinks* what one of them lacks; what is told is told of the first.

    A load counts for each destination once it has it: where another one refuses, the task fails, and the next sync
    reads it again for all. See :class:`reiterate.sinks.Sink` for what each method promises.
    """

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = sinks
        self._first = sinks[0]
        self._parser = Parser(self._first.spool)
        self._fact: Fact | None = None
        self._outcomes: list[Outcome] = []

    def each(self) -> Sequence[Sink]:
        return self._sinks

    @property
    def spool(self) -> Path:
        return self._first.spool

    @property
    def empty(self) -> bool:
        return all(sink.empty for sink in self._sinks)

    @property
    def most_columns(self) -> int | None:
        return self._first.most_columns

    @property
    def supposes(self) -> bool:
        return False

    def ledger(self) -> Ledger:
        return common([sink.ledger() for sink in self._sinks])

    def doubt(self, latest: datetime) -> int:
        return sum(sink.doubt(latest) for sink in self._sinks)

    def columns(self, table: Table) -> tuple[Column, ...]:
        return self._first.columns(table)

    def load(self, batch: Batch, fact: Fact) -> Outcome:
        if fact != self._fact:
            self._fact, self._outcomes = fact, []
        # where one of them was held up, the load is done again for the others alone
        for sink in self._sinks[len(self._outcomes) :]:
            # columns may differ: each destination has seen its own rows
            columns = sink.columns(batch.task.table)
            here = batch
            if sink is not self._first:
                here = self._parser.parse(batch.raw, columns, most_columns=sink.most_columns)
            self._outcomes.append(rejecting.load(sink, here, fact, self._parser.pieces))
        self._fact = None
        most = max(self._outcomes, key=lambda outcome: outcome.newly_rejected)
        return replace(self._outcomes[0], rejected=most.rejected, newly_rejected=most.newly_rejected)

    @property
    def rolls_back(self) -> bool:
        return False  # each by itself does

    def try_out(self, batch: Batch) -> None:
        self._first.try_out(batch)

    def rejected(self, table: Table) -> int:
        return max(sink.rejected(table) for sink in self._sinks)

    def retain(self, table: Table, parts: Collection[Part]) -> int:
        removed, *_ = [sink.retain(table, parts) for sink in self._sinks]
        return removed

    def accept(self, accepted: Mapping[str, Collection[int]]) -> None:
        for sink in self._sinks:
            sink.accept(accepted)

    def rehearse(self, batch: Batch) -> None:
        self._first.rehearse(batch)

    def rehearse_retain(self, table: Table, parts: Collection[Part]) -> int:
        return self._first.rehearse_retain(table, parts)

    def refresh(self, table: Table) -> None:
        for sink in self._sinks:
            sink.refresh(table)

    def swap(self, table: Table) -> tuple[int, int]:
        swapped, *_ = [sink.swap(table) for sink in self._sinks]
        return swapped

    def drop(self, table: Table) -> None:
        for sink in self._sinks:
            sink.drop(table)

    def refuse(self, refusal: Refusal) -> None:
        for sink in self._sinks:
            sink.refuse(refusal)

    def keep(self, job: Job) -> None:
        for sink in self._sinks:
            sink.keep(job)

    def forget(self, job: Job) -> None:
        for sink in self._sinks:
            sink.forget(job)

    def begin(self, run: Run) -> Sequence[str]:
        return [notice for sink in self._sinks for notice in sink.begin(run)]

    def finish(self, run: Run) -> None:
        for sink in self._sinks:
            sink.finish(run)

    def renew(self) -> None:
        for sink in self._sinks:
            sink.renew()

    def runs(self, limit: int) -> Sequence[Run]:
        return self._first.runs(limit)

    def state(self, table: Table) -> TableState | None:
        return self._first.state(table)

    def changes(self, table: Table) -> Sequence[Change]:
        return self._first.changes(table)

    def count(self, table: Table, scope: Window | Part) -> int:
        return self._first.count(table, scope)

    def doubles(self, table: Table) -> int:
        return self._first.doubles(table)

    def compare(self, batch: Batch) -> tuple[int, int]:
        return self._first.compare(batch)

    def close(self) -> None:
        with ExitStack() as stack:
            for sink in self._sinks:
                stack.callback(sink.close)
            self._parser.close()
