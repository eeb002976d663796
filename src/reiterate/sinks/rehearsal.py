"""A sink that writes nothing, to see what a sync would change about the columns of a destination."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reiterate.ledger import Ledger
from reiterate.sinks.contract import Change, Outcome, Run, Sink, TableState

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from reiterate.catalog.model import Table
    from reiterate.flow import Batch, Column, Job, Part
    from reiterate.ledger import Fact, Refusal
    from reiterate.windows import Window


class Rehearsal:
    """
    Looks like *sink*, if there is one; what is loaded changes only what :meth:`columns` says from then on.

    Raw files lie in *spool*. See :class:`reiterate.sinks.Sink` for what each method promises.
    """

    def __init__(self, sink: Sink | None, spool: Path) -> None:
        self._sink = sink
        self._spool = spool
        self._columns: dict[str, tuple[Column, ...]] = {}

    @property
    def spool(self) -> Path:
        return self._spool

    @property
    def empty(self) -> bool:
        return self._sink is None or self._sink.empty

    @property
    def most_columns(self) -> int | None:
        return self._sink.most_columns if self._sink else None

    @property
    def supposes(self) -> bool:
        return False

    def ledger(self) -> Ledger:
        return self._sink.ledger().without_jobs() if self._sink else Ledger()

    def doubt(self, latest: datetime) -> int:  # noqa: ARG002
        return 0

    def columns(self, table: Table) -> tuple[Column, ...]:
        if table.name not in self._columns:
            return self._sink.columns(table) if self._sink else ()
        return self._columns[table.name]

    def load(self, batch: Batch, fact: Fact) -> Outcome:  # noqa: ARG002 (as the contract has it)
        table = batch.task.table
        if self._sink:
            self._sink.rehearse(batch)
        there = self.columns(table)
        self._columns[table.name] = batch.columns
        if not there:
            return Outcome(0, 0, 0, tuple(column for column in batch.columns if not table.knows(column.field)))
        return Outcome(0, 0, 0, tuple(column for column in batch.columns if column not in there))

    @property
    def rolls_back(self) -> bool:
        return False

    def try_out(self, batch: Batch) -> None:
        """Try nothing."""

    def rejected(self, table: Table) -> int:
        return self._sink.rejected(table) if self._sink else 0

    def retain(self, table: Table, parts: Collection[Part]) -> int:
        return self.rehearse_retain(table, parts)

    def accept(self, accepted: Mapping[str, Collection[int]]) -> None:
        if self._sink:
            self._sink.accept(accepted)

    def rehearse(self, batch: Batch) -> None:
        if self._sink:
            self._sink.rehearse(batch)

    def rehearse_retain(self, table: Table, parts: Collection[Part]) -> int:
        return self._sink.rehearse_retain(table, parts) if self._sink else 0

    def refresh(self, table: Table) -> None:
        """Let it be."""

    def swap(self, table: Table) -> tuple[int, int]:  # noqa: ARG002
        return 0, 0

    def drop(self, table: Table) -> None:
        """Let it be."""

    def refuse(self, refusal: Refusal) -> None:
        """Note nothing."""

    def keep(self, job: Job) -> None:
        """Note nothing."""

    def forget(self, job: Job) -> None:
        """Note nothing."""

    def begin(self, run: Run) -> Sequence[str]:  # noqa: ARG002
        return ()

    def finish(self, run: Run) -> None:
        """Note nothing."""

    def renew(self) -> None:
        """Hold nothing."""

    def runs(self, limit: int) -> Sequence[Run]:
        return self._sink.runs(limit) if self._sink else []

    def state(self, table: Table) -> TableState | None:
        return self._sink.state(table) if self._sink else None

    def changes(self, table: Table) -> Sequence[Change]:
        return self._sink.changes(table) if self._sink else []

    def count(self, table: Table, scope: Window | Part) -> int:
        return self._sink.count(table, scope) if self._sink else 0

    def doubles(self, table: Table) -> int:
        return self._sink.doubles(table) if self._sink else 0

    def compare(self, batch: Batch) -> tuple[int, int]:
        return self._sink.compare(batch) if self._sink else (batch.source_rows, 0)

    def close(self) -> None:
        """Let go of nothing: whoever opened the sink closes it."""
