"""Three renderings of one stream of events: a live board, plain lines, JSON lines; and the summary behind them."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from rich.live import Live
from rich.progress_bar import ProgressBar

from reiterate.cli import exits, words
from reiterate.cli.exits import Exit
from reiterate.errors import HOPELESS
from reiterate.flow import (
    Discovered,
    Event,
    Failed,
    LaneClosed,
    Loaded,
    Notice,
    Progress,
    Refreshed,
    RunFinished,
    RunStarted,
    Skipped,
    Split,
    Started,
    Status,
    Task,
    Waiting,
)
from reiterate.windows import Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import Console, RenderableType
    from rich.text import Text

    from reiterate.cli.stopping import Stop
    from reiterate.flow import Column, TableSummary

LONG_WAIT_S = 5.0
"""Shorter waits are not worth a line."""


class Renderer(Protocol):
    """Shows events as they come; used as a context."""

    def __enter__(self) -> Renderer: ...

    def __exit__(self, *_: object) -> None: ...

    def show(self, event: Event) -> None: ...


class JsonLines:
    """One JSON object a line on standard output."""

    def __enter__(self) -> JsonLines:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, event: Event) -> None:
        if isinstance(event, Failed) and isinstance(event.error, HOPELESS):
            return  # one reason for all tables; the end of the run says it
        print(json.dumps(as_dict(event), default=str), flush=True)


def as_dict(event: Event) -> dict[str, Any]:
    """Return an event as plain values; instants are UTC in ISO form, sizes in bytes, times in seconds."""
    said: dict[str, Any] = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": _snake(event)}
    if not isinstance(event, RunStarted | Notice | RunFinished):
        said |= {"table": event.task.table.name, "part": str(event.task.scope)}
    match event:
        case RunStarted(run_id, connection, _, tasks):
            return said | {"run_id": run_id, "connection": connection, "tasks": len(tasks)}
        case Notice(text):
            return said | {"text": text}
        case Discovered(_, tasks, fresh, removed, error):
            return said | {
                "tasks": len(tasks),
                "fresh": fresh,
                "removed": removed,
                "error_type": error and type(error).__name__,
                "error": error and str(error),
            }
        case Progress(_, rows, size_bytes):
            return said | {"rows": rows, "bytes": size_bytes}
        case Waiting(_, seconds, reason):
            return said | {"seconds": round(seconds, 3), "reason": reason}
        case Split(_, into, error):
            return said | {"into": [str(task.scope) for task in into], "error": error and str(error)}
        case LaneClosed(_, error):
            return said | {"error": str(error)}
        case Loaded():
            return said | {
                "tasks": len(event.tasks),
                "rows": event.rows,
                "added": event.added,
                "changed": event.changed,
                "removed": event.removed,
                "bytes": event.size_bytes,
                "requests": event.requests,
                "seconds": round(event.seconds, 3),
                "load_seconds": round(event.load_seconds, 3),
                "new_columns": [column.name for column in event.new_columns],
                "discarded": [column.name for column in event.discarded],
                "rejected": event.rejected,
                "newly_rejected": event.newly_rejected,
                "reason": event.reason or None,
            }
        case Refreshed(_, rows, before):
            return said | {"rows": rows, "before": before}
        case Skipped(_, error, dropped):
            return said | {"error_type": type(error).__name__, "error": str(error), "dropped": dropped}
        case Failed(_, error):
            return said | {"error_type": type(error).__name__, "error": str(error)}
        case RunFinished():
            failed = [summary.table.name for summary in event.tables if summary.errors]
            return said | {
                "run_id": event.run_id,
                "status": event.status,
                "seconds": round(event.elapsed_s, 3),
                "rows": event.rows,
                "failed_tables": failed,
                "skipped_tables": [summary.table.name for summary in event.tables if summary.skipped],
                "problems": event.problems,
            }
        case _:
            return said


def _snake(event: Event) -> str:
    name = type(event).__name__
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


class Lines:
    """Plain lines, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, event: Event) -> None:
        if line := _line(event):
            self._console.print(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {line}")


def _line(event: Event) -> str:
    match event:
        case RunStarted(run_id, connection, _, tasks):
            return f"run {run_id} of connection {connection}: {words.number(len(tasks))} tasks"
        case Notice(text):
            return text
        case Discovered(task, tasks, fresh, _, error):
            read = f"; {words.number(fresh)} others were read a short while ago" if fresh else ""
            held = f"; FAILED: {error}" if error else ""
            return f"{task.table.name}: {words.number(len(tasks))} parts{read}{held}"
        case Waiting(task, seconds, reason) if seconds >= LONG_WAIT_S:
            return f"{task}: waiting {words.duration(seconds)}: {reason}"
        case Split(task, into, None):
            return f"{task}: larger than expected, reading it in {len(into)} windows"
        case Split(task, _, error):
            return f"{task}: broke off, reading it in halves: {error}"
        case LaneClosed(_, error):
            return f"export jobs are not used: {error}"
        case Loaded(task):
            return (
                f"{task}: {words.number(event.rows)} rows, {words.number(event.added)} added, "
                f"{words.number(event.changed)} changed, {words.number(event.removed)} removed, "
                f"{words.size(event.size_bytes)} in {words.duration(event.seconds)}"
                + (f"; new columns: {_names(event.new_columns)}" if event.new_columns else "")
                + (f"; left out: {_names(event.discarded)}" if event.discarded else "")
                + (f"; {words.number(event.rejected)} rejected: {event.reason}" if event.rejected else "")
            )
        case Refreshed(task, rows, before):
            return f"{task.table.name}: read anew, {words.number(rows)} rows in place of {words.number(before)}"
        case Skipped(task, error):
            return f"{task.table.name}: not here: {error}"
        case Failed(task, error) if not isinstance(error, HOPELESS):
            return f"{task}: FAILED: {error}"
        case _:
            return ""


def _names(columns: Iterable[Column]) -> str:
    return ", ".join(column.name for column in columns)


@dataclass
class _Lane:
    """One table on the board."""

    total: float = 0.0
    done: float = 0.0
    rows: int = 0
    added: int = 0
    size_bytes: int = 0
    failed: int = 0
    skipped: bool = False
    tasks: int = 0
    finished: int = 0
    arriving: dict[Task, Progress] = field(default_factory=dict)
    waits: dict[Task, str] = field(default_factory=dict)


class Board:
    """A live table: per table its share of the time range, rows, bytes, and what it waits for."""

    def __init__(self, console: Console) -> None:
        self._lanes: dict[str, _Lane] = {}
        self._live = Live(self, console=console, refresh_per_second=5, transient=True)

    def __enter__(self) -> Board:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, event: Event) -> None:
        match event:
            case RunStarted(_, _, _, tasks):
                for task in tasks:
                    self._add(task)
            case Notice(text):
                self._live.console.print(text)
            case Discovered(task, tasks):
                self._end(task)
                for part in tasks:
                    self._add(part)
            case Started(task):
                self._lane(task).waits[task] = "asking Iterable"
            case Waiting(task, _, reason):
                self._lane(task).waits[task] = reason
            case Progress(task):
                self._lane(task).waits.pop(task, None)
                self._lane(task).arriving[task] = event
            case Split(task, halves, _):
                self._end(task)
                for half in halves:
                    self._add(half)
                self._lane(task).done -= _weight(task)
            case Loaded(task):
                for each in event.tasks:
                    self._end(each)
                self._lane(task).rows += event.rows
                self._lane(task).added += event.added
                self._lane(task).size_bytes += event.size_bytes
            case Refreshed(task):
                self._end(task)
            case Skipped(task):
                self._lane(task).skipped = True
            case LaneClosed(task):
                self._lane(task).waits.pop(task, None)
            case Failed(task):
                self._end(task)
                self._lane(task).failed += 1
            case _:
                pass

    def _lane(self, task: Task) -> _Lane:
        return self._lanes.setdefault(task.table.name, _Lane())

    def _add(self, task: Task) -> None:
        lane = self._lane(task)
        lane.total += _weight(task)
        lane.tasks += 1

    def _end(self, task: Task) -> None:
        lane = self._lane(task)
        lane.arriving.pop(task, None)
        lane.waits.pop(task, None)
        lane.done += _weight(task)
        lane.finished += 1

    def __rich__(self) -> RenderableType:
        numbers = ("rows", "added", "size")
        grid = words.grid("table", "progress", *numbers, "", right=numbers)
        for name, lane in sorted(self._lanes.items()):
            rows = lane.rows + sum(progress.rows for progress in lane.arriving.values())
            size_bytes = lane.size_bytes + sum(progress.size_bytes for progress in lane.arriving.values())
            grid.add_row(
                name,
                ProgressBar(total=lane.total or 1, completed=lane.done, width=20),
                words.number(rows),
                words.number(lane.added),
                words.size(size_bytes),
                _doing(lane),
            )
        return grid


def _weight(task: Task) -> float:
    """Return how much of its table a task is: the length of its window in seconds, or one."""
    return task.scope.length.total_seconds() if isinstance(task.scope, Window) else 1.0


def _doing(lane: _Lane) -> str:
    if lane.skipped:
        return "not here"
    if lane.finished == lane.tasks:
        return "failed" if lane.failed else "done"
    if lane.arriving:
        return "reading"
    reasons = Counter(lane.waits.values())
    return f"waiting: {reasons.most_common(1)[0][0]}" if reasons else ""


def follow(events: Iterator[Event], stop: Stop, *, json_logs: bool = False) -> Exit:
    """Render *events* to their end, the way the output wants it; return the status; *stop* knows the signal."""
    console = words.out()
    renderer: Renderer
    if json_logs:
        renderer = JsonLines()
    elif console.is_terminal:
        renderer = Board(console)
    else:
        renderer = Lines(console)
    last: Event | None = None
    with renderer:
        for last in events:
            renderer.show(last)
    if not isinstance(last, RunFinished):
        return Exit.NOTHING_DONE
    if not json_logs:
        summary(last, console)
    return exits.of_run(last, stopped_by=stop.number)


def summary(event: RunFinished, console: Console) -> None:
    """Print what a run did to each table, its new columns, and what failed; or the one reason why nothing was done."""
    if event.hopeless is not None:
        console.print(words.error(event.hopeless))
        return
    numbers = ("read", "added", "changed", "removed", "size", "requests")
    grid = words.grid("table", *numbers, "", right=numbers)
    for one in event.tables:
        grid.add_row(
            one.table.name,
            *(words.number(count) for count in (one.rows, one.added, one.changed, one.removed)),
            words.size(one.size_bytes),
            words.number(one.requests),
            _outcome(one),
        )
    console.print(grid)
    for one in event.tables:
        if one.rejected:
            console.print(_rejected(one))
        if one.new_columns:
            console.print(f"{one.table.name}: new columns: {_names(one.new_columns)}")
        if one.discarded:
            names = _names(sorted(one.discarded, key=lambda column: column.name))
            console.print(f"{one.table.name}: {len(one.discarded)} columns left out by its schema policy: {names}")
    for one in event.tables:
        if one.skipped:
            console.print(f"{one.table.name} is not here, and stays empty: {one.skipped}")
    for problem in event.problems:
        console.print(problem)
    console.print(f"{_STATUS[event.status]} {words.number(event.rows)} rows read in {words.duration(event.elapsed_s)}.")


def _outcome(one: TableSummary) -> str | Text:
    if one.errors:
        return words.bad("failed")
    if one.skipped:
        return "not here"
    return "incomplete" if one.left else words.good("ok")


_STATUS = {
    Status.SUCCEEDED: "All tables are up to date.",
    Status.PARTIAL: "Some tables failed; the next sync reads what is missing.",
    Status.FAILED: "Nothing could be read.",
    Status.STOPPED: "Stopped. What was committed stays; run the same command to go on.",
}


def _rejected(one: TableSummary) -> str:
    rows = f"{words.number(one.rejected)} rows were rejected by the destination"
    if not one.newly_rejected:
        return f"{one.table.name}: {rows}, as before; they stand in _reiterate_rejected_rows"
    new = f"{words.number(one.newly_rejected)} for the first time; the first: {one.reason}"
    return f"{one.table.name}: {rows}, {new}. They stand in _reiterate_rejected_rows, and are tried again."
