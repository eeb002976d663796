"""What a run did, table by table, added up from its events."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from reiterate.errors import MostRowsGone
from reiterate.flow import Discovered, Failed, Loaded, Refreshed, Skipped, Split, Status, TableSummary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from reiterate.flow import Event, Task


class Tally:
    """What a run did, table by table."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        planned = Counter(task.table for task in tasks)
        self._tables = {table.name: TableSummary(table, left=left) for table, left in planned.items()}

    def note(self, event: Event) -> None:
        match event:
            case Loaded():
                self._note(event, lambda so_far: _with(so_far, event))
            case Discovered(_, parts, _, removed, error):
                self._note(
                    event,
                    lambda so_far: replace(
                        so_far,
                        left=so_far.left - 1 + len(parts),
                        removed=so_far.removed + removed,
                        errors=(*so_far.errors, *([error] if error else [])),
                    ),
                )
            case Split(_, halves):
                self._note(event, lambda so_far: replace(so_far, left=so_far.left - 1 + len(halves)))
            case Refreshed(_, _, before):
                self._note(event, lambda so_far: replace(so_far, left=so_far.left - 1, removed=so_far.removed + before))
            case Skipped(_, error, dropped):
                self._note(event, lambda so_far: replace(so_far, left=so_far.left - 1 - dropped, skipped=error))
            case Failed(_, error):
                self._note(
                    event,
                    lambda so_far: replace(so_far, left=so_far.left - 1, errors=(*so_far.errors, error)),
                )
            case _:
                pass

    def _note(
        self,
        event: Loaded | Discovered | Split | Refreshed | Skipped | Failed,
        change: Callable[[TableSummary], TableSummary],
    ) -> None:
        name = event.task.table.name
        self._tables[name] = change(self._tables[name])

    def complete(self, task: Task) -> bool:
        """Tell whether of its table only *task* is left, and nothing failed."""
        so_far = self._tables[task.table.name]
        return so_far.left == 1 and not so_far.errors and not so_far.skipped

    @property
    def summaries(self) -> tuple[TableSummary, ...]:
        return tuple(sorted(self._tables.values(), key=lambda summary: summary.table.name))

    @property
    def status(self) -> Status:
        if not any(summary.errors for summary in self.summaries):
            nothing = self.summaries and all(summary.skipped for summary in self.summaries)
            if any(summary.newly_rejected for summary in self.summaries):
                return Status.PARTIAL
            return Status.FAILED if nothing else Status.SUCCEEDED
        errors = [error for summary in self.summaries for error in summary.errors]
        # what the brake held was read, and a person decides
        done = any(summary.tasks for summary in self.summaries) or any(isinstance(one, MostRowsGone) for one in errors)
        return Status.PARTIAL if done else Status.FAILED


def _with(so_far: TableSummary, event: Loaded) -> TableSummary:
    return replace(
        so_far,
        tasks=so_far.tasks + len(event.tasks),
        left=so_far.left - len(event.tasks),
        rows=so_far.rows + event.rows,
        added=so_far.added + event.added,
        changed=so_far.changed + event.changed,
        removed=so_far.removed + event.removed,
        size_bytes=so_far.size_bytes + event.size_bytes,
        requests=so_far.requests + event.requests,
        seconds=so_far.seconds + event.seconds,
        discarded=so_far.discarded | {*event.discarded},
        new_columns=so_far.new_columns + event.new_columns,
        rejected=so_far.rejected + event.rejected,
        newly_rejected=so_far.newly_rejected + event.newly_rejected,
        reason=so_far.reason or event.reason * bool(event.newly_rejected),
    )
