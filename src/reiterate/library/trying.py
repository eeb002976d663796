"""Trying a destination out: what a sync needs of it, done once to a small table that goes again."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reiterate.catalog.model import ByEvent, Export, Field, Table, Type
from reiterate.errors import LoadError, ReiterateError
from reiterate.flow import RawFile, Task, Write
from reiterate.ledger import Fact
from reiterate.parse import Parser
from reiterate.settings import destination
from reiterate.sinks import sink_at
from reiterate.windows import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reiterate.settings import Destination
    from reiterate.sinks import Outcome, Sink

PROBE = Table(
    name="_reiterate_probe",
    about="What `destination test` writes, and removes again.",
    key=("id",),
    identity=ByEvent(("createdAt", "id")),
    read=Export("probe"),
    fields=(Field("id", Type.BIGINT), Field("createdAt", Type.TIMESTAMP), Field("document", Type.JSON)),
    docs="",
    cursor="createdAt",
)
DAY = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))
ROWS: tuple[dict[str, Any], ...] = (
    {"id": 1, "createdAt": "2026-01-01 08:00:00 +00:00", "document": {"größe": [1, None, "😀"]}},
    {"id": 2**60, "createdAt": "2026-01-01 09:00:00 +00:00", "text": 'it\'s "quoted",\nand broken'},
)
LATER: tuple[dict[str, Any], ...] = (
    ROWS[0] | {"document": {"größe": "L"}},
    {"id": 3, "createdAt": "2026-01-01 10:00:00 +00:00", "fieldThatIsNew": 2.5},
)


@dataclass(frozen=True)
class Step:
    """One thing that a sync does to a destination, and why it could not be done, if so."""

    name: str
    error: ReiterateError | None = None


def try_out(
    url: str | None = None, dataset: str | None = None, *, config: Path | str | None = None
) -> tuple[Destination, Iterator[Step]]:
    """
    Return the destination at *url*, or named so in the file, and the steps of trying it out, done one by one.

    A probe table is written, merged into, read and dropped in the dataset. A file or directory that was made for it
    goes again; elsewhere the ledger's own tables stay, empty.

    :raises SettingsError: when *url* or *dataset* are wrong
    """
    found = destination(url, dataset, file=None if config is None else Path(config), environ=os.environ)
    return found, _steps(found)


def _steps(found: Destination) -> Iterator[Step]:
    made = _to_be_made(found)
    try:
        sink = sink_at(found)
    except ReiterateError as error:
        yield Step("open", error)
        return
    with closing(sink):
        yield Step("open")
        try:
            for name, step in STEPS.items():
                step(sink)
                yield Step(name)
        except ReiterateError as error:
            yield Step(name, error)
        finally:
            sink.drop(PROBE)
            # while nobody else may write there; somebody may have synced just before
            if made and not sink.runs(1):
                _remove(made)


def _to_be_made(found: Destination) -> Path | None:
    """Return the file, or the outermost directory, that is not there yet and will be; nothing where there is none."""
    match found.kind:
        case "duckdb":
            return None if os.path.lexists(found.path) else found.path
        case "file":
            root = found.path / found.dataset
            missing = [path for path in (root, *root.parents) if not os.path.lexists(path)]
            return missing[-1] if missing else None
        case _:
            return None


def _remove(made: Path) -> None:
    """Remove what was made, and what stands beside it."""
    if made.is_dir():
        shutil.rmtree(made, ignore_errors=True)
        return
    for file in (made, made.with_name(f"{made.name}.wal")):
        with contextlib.suppress(OSError):  # Windows keeps files that are open
            file.unlink()


def _load(sink: Sink, write: Write, rows: tuple[dict[str, Any], ...]) -> Outcome:
    path = sink.spool / "probe.ndjson"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    there, now = path.stat(), datetime.now(UTC)
    task = Task(PROBE, DAY, write)
    raw = RawFile(task, path, len(rows), there.st_size, 0, now, 0.0, "probe", there.st_mtime_ns)
    with closing(Parser(sink.spool)) as parser:
        batch = parser.parse(raw, sink.columns(PROBE), most_columns=sink.most_columns)
    return sink.load(batch, Fact("probe", PROBE.name, DAY, None, now, len(rows), there.st_size, 0, 0.0, "probe"))


def _expect(wanted: object, found: object) -> None:
    if wanted != found:
        raise LoadError(
            "The destination does not do what was asked of it.", hint="Please report this.", wanted=wanted, found=found
        )


def _write(sink: Sink) -> None:
    sink.drop(PROBE)
    outcome = _load(sink, Write.APPEND, ROWS)
    _expect((2, 0, 0), (outcome.added, outcome.changed, outcome.removed))


def _merge(sink: Sink) -> None:
    outcome = _load(sink, Write.MERGE, LATER)
    _expect((1, 1, 0), (outcome.added, outcome.changed, outcome.removed))
    _expect(["field_that_is_new"], [column.name for column in outcome.new_columns])


def _read(sink: Sink) -> None:
    state = sink.state(PROBE)
    _expect((3, datetime(2026, 1, 1, 10, tzinfo=UTC)), state and (state.rows, state.newest))
    _expect(0, sink.doubles(PROBE))


def _drop(sink: Sink) -> None:
    sink.drop(PROBE)
    _expect(None, sink.state(PROBE))


STEPS: dict[str, Callable[[Sink], None]] = {
    "make a table and write": _write,
    "add a column and merge": _merge,
    "read": _read,
    "drop": _drop,
}
