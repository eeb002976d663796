"""
The walk: plan, read in a few threads, load in this one, say what happens.

    plan ─► tasks ─┬─► reader ─► raw file ─┐
                   ├─► reader ─► raw file ─┼─► parse ─► load ─► Loaded
                   └─► reader ─► raw file ─┘

Readers wait for Iterable's limits, each kind of request for its own, so slow ones do not hold back the others.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from reiterate import joining, planner, rejecting
from reiterate.api import limit_of
from reiterate.errors import (
    HOPELESS,
    BrokenAnswer,
    ConnectionLost,
    ExportCut,
    HeldUp,
    JobsRefused,
    LoadError,
    LockLost,
    MostRowsGone,
    SourceError,
    Stopped,
)
from reiterate.flow import (
    Discovered,
    Event,
    Failed,
    Job,
    LaneClosed,
    Loaded,
    Notice,
    Part,
    Progress,
    RawFile,
    Refreshed,
    RunFinished,
    RunStarted,
    Skipped,
    Split,
    Started,
    Status,
    Task,
    Waiting,
    Whole,
    Write,
)
from reiterate.ledger import Fact, Ledger, Refusal
from reiterate.parse import Parser
from reiterate.patience import at_once, patiently
from reiterate.readers import Arrived, Parts, Readers, Refused, contact
from reiterate.tally import Tally
from reiterate.windows import Window

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator
    from datetime import datetime
    from threading import Event as Flag

    from reiterate.api import Client, Pacer
    from reiterate.catalog.model import Table
    from reiterate.errors import ReiterateError
    from reiterate.flow import Batch
    from reiterate.sinks import Outcome, Run, Sink

CUTS_IN_A_ROW = 64
"""
A table whose exports broke off so often, none coming through, is given up for this run: halved 22 times, a window of
30 days is a single second, so this is more than two seconds that cannot be read cost.
"""


BROKEN_IN_A_ROW = 3
"""A table is given up for this run after so many tasks whose answers were none: it is maintenance, or a portal."""

EVERYTHING = "*"
"""Among tables that are given up."""


@dataclass(frozen=True)
class Walk:
    """
    What a run needs: an open sink, a client, and a flag that stops it.

    At most *spool_bytes* of raw files lie on the spool at a time.
    """

    sink: Sink
    client: Client
    stop: Flag
    spool_bytes: int

    def now(self) -> datetime:
        """Return what Iterable's clock has reached at least."""
        return self.client.clock.now()

    def ledger(self) -> Ledger:
        """Return the facts; those of a time that has not come are in doubt."""
        return self.sink.ledger().until(self.client.clock.latest())


Plan = Callable[[], tuple[Sequence[Task], Sequence[Job]]]
"""What is to be done, and jobs that nobody waits for; asked for once Iterable's time is known."""


def run(walk: Walk, plan: Plan, record: Run, *, refreshed: Sequence[Table] = ()) -> Iterator[Event]:
    """
    Do the tasks of *plan*, and yield what happens; the last event is RunFinished. Jobs nobody waits for are cancelled.

    Tables that are *refreshed* are read into tables beside them, which take their place once all was read.

    A task whose export breaks off is done in halves. A task that fails leaves a gap in the ledger, which the next run
    plans again; the others go on. Closing the iterator, or an interrupt, stops the readers; what is committed stays.

    :raises ConnectionMismatch: when the destination holds the data of another connection
    :raises LockLost: when another process has taken over the destination; nothing more is written then
    :raises SourceError: when Iterable, or the way there, refuses everything, and there was nothing to do
    """
    began = time.monotonic()
    swaps = [Task(table, Whole(), Write.REPLACE) for table in refreshed]
    tally = Tally(())
    notices = [*walk.sink.begin(record)]
    status, holds = Status.STOPPED, True
    try:
        hopeless = contact(walk.client)
        if hopeless is None:
            notices += _doubts(walk)
        tasks, left_over = plan()
        tally = Tally([*tasks, *swaps])
        yield RunStarted(record.run_id, record.connection, record.started_at, (*tasks, *swaps))
        yield from map(Notice, notices)
        if hopeless is None:
            for swap in swaps:
                yield from patiently(partial(walk.sink.refresh, swap.table), swap, walk.client.pacer)
            work = _events(walk, tasks, record.run_id, left_over)
        else:
            work = _given_up(tasks, hopeless)
        # whatever happens, readers have left before the destination is told how it ended
        with closing(work) as events:
            for event in chain(events, _swapped(walk, filter(tally.complete, swaps))):
                tally.note(event)
                yield event
                yield from map(Notice, walk.client.warnings())
        yield from map(Notice, walk.client.warnings())
        status = tally.status
    except Stopped:
        pass
    except SourceError:
        status = Status.FAILED
        raise
    except LockLost:
        holds = False
        raise
    finally:
        walk.stop.set()
        elapsed_s = time.monotonic() - began
        finished_at = record.started_at + timedelta(seconds=elapsed_s)
        finished = RunFinished(record.run_id, status, finished_at, elapsed_s, tally.summaries)
        ended = replace(
            record,
            finished_at=finished.at,
            status=status,
            rows=finished.rows,
            message="; ".join(finished.problems),
        )
        # whoever has taken over has recorded how this run ended
        if holds:
            at_once(partial(walk.sink.finish, ended))
    yield finished


def _doubts(walk: Walk) -> Iterator[str]:
    """Let facts of a time that has not come count no more; yield how many."""
    if doubted := walk.sink.doubt(walk.client.clock.latest()):
        yield (
            f"{doubted} reads were noted at a time that has not come yet, by a clock that was ahead: what they read is "
            "read again."
        )


def _given_up(tasks: Sequence[Task], error: SourceError) -> Generator[Event, None, None]:
    """Yield that none of *tasks* can be done, for one reason."""
    if not tasks:
        raise error
    yield from (Failed(task, error) for task in tasks)


def _events(walk: Walk, tasks: Sequence[Task], run_id: str, left_over: Sequence[Job]) -> Generator[Event, None, None]:
    readers = Readers(walk.client, walk.sink, walk.sink.spool, spool_bytes=walk.spool_bytes, meanwhile=walk.sink.renew)
    with ExitStack() as opened:
        opened.enter_context(closing(readers))
        readers.give_up(left_over)
        readers.add(tasks)
        # while the first answers arrive
        parser = opened.enter_context(closing(Parser(walk.sink.spool)))
        cuts: Counter[str] = Counter()
        broken: Counter[str] = Counter()
        given_up: dict[str, HeldUp] = {}
        for report in readers:
            match report:
                case Parts(task, parts):
                    if not parts:
                        yield from _leave_empty(walk, parser, task, run_id)
                    yield from _discovered(walk, readers, task, parts)
                case Arrived(raws) if held_up := (given_up.get(raws[0].task.table.name) or given_up.get(EVERYTHING)):
                    yield from _unloaded(raws, held_up)
                case Arrived(raws):
                    cuts[raws[0].task.table.name] = broken[raws[0].task.table.name] = 0
                    yield from (Split(task, pieces, None) for task, pieces in readers.cut(raws[0].task.table))
                    for event in _loads(walk, parser, raws, run_id):
                        yield event
                        if isinstance(event, Failed) and isinstance(event.error, HeldUp):
                            yield from _give_up(readers, event.task.table, event.error, given_up)
                case Refused(_, Stopped() | LockLost() as error):
                    raise error
                case Refused(task, JobsRefused() as error):
                    if readers.close_jobs():
                        yield LaneClosed(task, error)
                    readers.add((replace(task, job=None),), first=True)
                case Refused(task, error) if planner.may_be_missing(task, error, walk.ledger()):
                    yield from _leave_empty(walk, parser, task, run_id)
                    yield Skipped(task, error, len(readers.drop(task.table)))
                case Refused(task, error):
                    if isinstance(error, HOPELESS):
                        walk.client.pacer.give_up(error)
                    cuts[task.table.name] += isinstance(error, ExportCut)
                    broken[task.table.name] += isinstance(error, BrokenAnswer)
                    hopeless = cuts[task.table.name] >= CUTS_IN_A_ROW or broken[task.table.name] >= BROKEN_IN_A_ROW
                    yield from _refused(readers, task, error, given_up=hopeless)
                    _note_refusal(walk, task, error, run_id)
                case Started() | Progress() | Waiting() as event:
                    yield event


def _swapped(walk: Walk, swaps: Iterable[Task]) -> Iterator[Refreshed | Failed | Waiting]:
    for task in swaps:
        try:
            before, rows = yield from patiently(partial(walk.sink.swap, task.table), task, walk.client.pacer)
        except LockLost:
            raise
        except LoadError as error:
            yield Failed(task, error)
        else:
            yield Refreshed(task, rows, before)


def _refused(readers: Readers, task: Task, error: ReiterateError, *, given_up: bool) -> Iterator[Event]:
    if isinstance(error, ExportCut) and not given_up and (halves := task.halves()):
        readers.add(halves, first=True)
        yield Split(task, halves, error)
        return
    yield Failed(task, error)
    if isinstance(error, HOPELESS):
        yield from (Failed(other, error) for other in readers.drop())
    elif given_up:
        yield from (Failed(other, error) for other in readers.drop(task.table))


def _note_refusal(walk: Walk, task: Task, error: ReiterateError, run_id: str) -> None:
    """Let the next run know which part could not be read; an error that stops everything says nothing about a part."""
    if (part := planner.part_name(task)) is not None and not isinstance(error, HOPELESS):
        walk.sink.refuse(Refusal(run_id, task.table.name, part, walk.now(), str(error)))


def _discovered(
    walk: Walk, readers: Readers, task: Task, parts: tuple[Task, ...]
) -> Iterator[Discovered | Failed | Waiting]:
    """
    Read the parts of a table that are due; what stands of parts that are no longer listed goes.

    Where the brake holds that, the parts that are listed are read all the same.
    """
    held, removed = None, 0
    listed = [part.scope for part in parts if isinstance(part.scope, Part)]
    try:
        removed = yield from patiently(partial(walk.sink.retain, task.table, listed), task, walk.client.pacer)
    except LockLost:
        raise
    except MostRowsGone as error:
        held = error
    except LoadError as error:
        yield Failed(task, error)
        return
    round_s = walk.client.pacer.least_s(limit_of(task.table.read.path), len(parts))
    due = planner.parts_due(parts, walk.ledger(), round_s=round_s, now=walk.now())
    readers.add(due)
    yield Discovered(task, tuple(due), len(parts) - len(due), removed, held)


def _leave_empty(walk: Walk, parser: Parser, task: Task, run_id: str) -> Iterator[Waiting]:
    """Make a table of which there is nothing to read, so that queries and models find its columns."""
    if walk.sink.columns(task.table):
        return
    path = walk.sink.spool / f"{task.table.name}.ndjson"
    path.touch()
    whole = replace(task, scope=Whole(), write=Write.MERGE, job=None)
    raw = RawFile(whole, path, 0, 0, 0, walk.now(), 0.0, "direct", path.stat().st_mtime_ns)
    yield from load(walk.sink, parser, (raw,), run_id, walk.client.pacer)


def _loads(walk: Walk, parser: Parser, raws: Sequence[RawFile], run_id: str) -> Iterator[Loaded | Failed | Waiting]:
    """Load *raws* at once; if that does not work, in halves, so that only what cannot be loaded fails."""
    outcome = yield from load(walk.sink, parser, raws, run_id, walk.client.pacer)
    if isinstance(outcome, Failed) and isinstance(outcome.error, HeldUp):
        # a part of it would wait as long
        yield from _unloaded(raws, outcome.error)
        return
    if isinstance(outcome, Loaded) or len(raws) == 1:
        yield outcome
        return
    for some in (raws[: len(raws) // 2], raws[len(raws) // 2 :]):
        walk.client.pacer.check()
        yield from _loads(walk, parser, some, run_id)


def _give_up(readers: Readers, table: Table, error: HeldUp, given_up: dict[str, HeldUp]) -> Iterator[Failed]:
    """Note what is not loaded any more in this run: a table, or, without a connection, anything; drop what waits."""
    everything = isinstance(error, ConnectionLost)
    given_up[EVERYTHING if everything else table.name] = error
    yield from (Failed(task, error) for task in readers.drop(None if everything else table))


def _unloaded(raws: Sequence[RawFile], error: HeldUp) -> Iterator[Failed]:
    for raw in raws:
        raw.path.unlink(missing_ok=True)
        yield Failed(raw.task, error)


def load(
    sink: Sink, parser: Parser, raws: Sequence[RawFile], run_id: str, pacer: Pacer
) -> Generator[Waiting, None, Loaded | Failed]:
    """
    Load *raws*, one or neighbours, at once; all files go then, but several that cannot be loaded at once stay.

    :raises LockLost: when another process has taken over the destination
    """
    began = time.monotonic()
    task = raws[0].task
    try:
        raw = joining.joined(raws)
        task = raw.task
        # of several windows it must be seen that no row of one is a row of another
        loaded = _supposed(sink, parser, raw, run_id) if len(raws) == 1 else None
        if loaded is None:
            batch = parser.parse(raw, sink.columns(task.table), most_columns=sink.most_columns)
            if len(raws) > 1 and not parser.apart(batch, raws):
                return Failed(task, SourceError("Windows that were read by themselves hold the same rows."))
            load_them = partial(rejecting.load, sink, batch, _fact(batch, run_id), parser.pieces)
            loaded = batch, (yield from patiently(load_them, task, pacer))
        batch, outcome = loaded
    except LockLost:
        raise
    except (SourceError, LoadError) as error:
        return Failed(task, error)
    finally:
        path = joining.path_of(raws)
        for file in path.parent.glob(f"{path.stem}.*"):
            file.unlink(missing_ok=True)
    for each in raws:
        each.path.unlink(missing_ok=True)
    return Loaded(
        task=task,
        rows=batch.source_rows,
        added=outcome.added,
        changed=outcome.changed,
        removed=outcome.removed,
        size_bytes=raw.size_bytes,
        requests=raw.requests,
        seconds=raw.seconds,
        load_seconds=time.monotonic() - began,
        new_columns=outcome.new_columns,
        discarded=batch.discarded,
        rejected=len(outcome.rejected),
        newly_rejected=outcome.newly_rejected,
        reason=next((row.reason for row in outcome.rejected), ""),
        joined=tuple(each.task for each in raws) if len(raws) > 1 else (),
    )


def _supposed(sink: Sink, parser: Parser, raw: RawFile, run_id: str) -> tuple[Batch, Outcome] | None:
    """Load *raw* without a look at its rows first, where that can be; return nothing, with nothing loaded, if not."""
    batch = parser.suppose(raw, sink.columns(raw.task.table)) if sink.supposes else None
    if batch is None:
        return None
    try:
        return batch, sink.load(batch, _fact(batch, run_id))
    except LockLost:
        raise
    except LoadError:
        parser.doubt(raw.task.table)
        return None


def _fact(batch: Batch, run_id: str) -> Fact:
    task, raw = batch.task, batch.raw
    return Fact(
        run_id=run_id,
        table=task.table.name,
        window=task.scope if isinstance(task.scope, Window) else None,
        part=planner.part_name(task),
        read_at=raw.read_at,
        rows=batch.source_rows,
        size_bytes=raw.size_bytes,
        requests=raw.requests,
        seconds=raw.seconds,
        lane=raw.lane,
    )
