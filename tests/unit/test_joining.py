"""Which small files are loaded at once, and what they are then."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reiterate import joining
from reiterate.catalog import TABLES
from reiterate.errors import SpoolError
from reiterate.flow import Part, RawFile, Task, Whole, Write
from reiterate.shape import Policy, Shape
from reiterate.windows import Window
from tests.unit.test_planner import LATER, PROPERTY, START, window

if TYPE_CHECKING:
    from collections.abc import Sequence


def raw(first: float, last: float, size_bytes: int = 100) -> RawFile:
    task = Task(TABLES["email_open"], window(first, last), Write.APPEND)
    path = Path(f"{first}-{last}.ndjson")
    return RawFile(task, path, 2, size_bytes, 1, LATER + timedelta(seconds=first), 0.5, "direct", 0)


FIRST = raw(10, 20)


def spans(raws: Sequence[RawFile]) -> list[tuple[float, float]]:
    windows = [raw.task.scope for raw in raws if isinstance(raw.task.scope, Window)]
    return [((each.start - START).total_seconds(), (each.end - START).total_seconds()) for each in windows]


@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(1, 3)), min_size=1, max_size=12, unique=True), st.integers(0, 11)
)
@PROPERTY
def test_neighbours_follow_each_other(windows: list[tuple[int, int]], chosen: int) -> None:
    """Whatever waits, those that are joined make up one window without gap or overlap, the first one among them."""
    waiting = [raw(start, start + length) for start, length in windows]
    first = waiting[chosen % len(waiting)]
    found = joining.neighbours(first, waiting)
    assert first in found
    assert all(one[1] == other[0] for one, other in pairwise(spans(found)))
    edges = spans(found)[0][0], spans(found)[-1][1]
    assert not [span for span in spans(waiting) if span[1] == edges[0] or span[0] == edges[1]]


def test_as_many_as_a_load_may_be() -> None:
    """No more are joined than can be loaded quickly; the others are loaded next."""
    waiting = [raw(number, number + 1, joining.SMALL_BYTES) for number in range(20)]
    found = joining.neighbours(waiting[5], waiting)
    assert joining.JOINED_BYTES == sum(each.size_bytes for each in found)
    assert [(number, number + 1) for number in range(5, 13)] == spans(found)


@pytest.mark.parametrize(
    "other",
    [
        raw(20, 30, joining.SMALL_BYTES + 1),
        raw(21, 30),
        raw(19, 30),
        replace(raw(20, 30), lane="jobs"),
        *(
            replace(raw(20, 30), task=replace(raw(20, 30).task, **change))
            for change in (
                {"write": Write.MERGE},
                {"table": TABLES["email_click"]},
                {"shape": Shape(only=("email",))},
                {"scope": Part("listId", 1)},
                {"scope": Whole()},
            )
        ),
    ],
)
def test_others_are_left_alone(other: RawFile) -> None:
    """What is large, does not follow, or is read or written otherwise, is loaded by itself."""
    assert (FIRST,) == joining.neighbours(FIRST, [FIRST, other])
    assert (other,) == joining.neighbours(other, [FIRST, other])


@pytest.mark.parametrize(
    "change",
    [
        {"history": True},
        {"snapshots": True},
        {"shape": Shape(policy=Policy.FREEZE)},
        {"shape": Shape(policy=Policy.DISCARD)},
    ],
)
def test_where_each_read_counts(change: dict[str, object]) -> None:
    """Nothing is joined where what rows were is kept, or where the first load says which columns there are."""
    both = [replace(each, task=replace(each.task, **change)) for each in (FIRST, raw(20, 30))]  # type: ignore[arg-type]
    assert (both[0],) == joining.neighbours(both[0], both)


def on_disk(directory: Path, first: float, last: float, lines: bytes) -> RawFile:
    path = directory / f"{first:06.0f}.ndjson"
    path.write_bytes(lines)
    found = path.stat()
    return replace(raw(first, last), path=path, size_bytes=found.st_size, modified_ns=found.st_mtime_ns)


def test_one_file_of_several(tmp_path: Path) -> None:
    """All lines are there, whether or not files end one; numbers add up, and the earliest read says what was seen."""
    raws = [on_disk(tmp_path, 10, 20, b'{"a":1}'), on_disk(tmp_path, 20, 30, b""), on_disk(tmp_path, 30, 40, b"{}\n")]
    raws[2] = replace(raws[2], declared={"a": TABLES["users"].fields[0].type})
    found = joining.joined(raws)
    assert b'{"a":1}\n{}\n' == found.path.read_bytes()
    found.check_unchanged()
    assert window(10, 40) == found.task.scope
    assert (6, 3, raws[0].read_at, 20.5) == (found.rows, found.requests, found.read_at, found.seconds)
    assert raws[2].declared == found.declared
    assert raws[0] is joining.joined(raws[:1])


def test_a_file_that_somebody_changed(tmp_path: Path) -> None:
    """A file that is not as it was read is not joined."""
    raws = [on_disk(tmp_path, 10, 20, b"{}\n"), on_disk(tmp_path, 20, 30, b"{}\n")]
    raws[1].path.write_bytes(b"{}\n{}\n")
    with pytest.raises(SpoolError, match="changed by somebody else"):
        joining.joined(raws)
    raws[1].path.unlink()
    with pytest.raises(SpoolError):
        joining.joined(raws)
