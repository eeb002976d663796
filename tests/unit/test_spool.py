"""The spool never holds more than it may, and nobody waits on it for ever."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import settings as how
from hypothesis import strategies as st

from reiterate.api import Pacer
from reiterate.catalog import TABLES
from reiterate.errors import ExportCut, Stopped
from reiterate.flow import Part, Task, Write
from reiterate.spool import Spool
from tests.unit.test_planner import window

if TYPE_CHECKING:
    from collections.abc import Sequence

LIMIT = 100


def opens(number: int) -> Task:
    return Task(TABLES["email_open"], window(number, number + 1), Write.MERGE)


def members(number: int) -> Task:
    return Task(TABLES["list_users"], Part("listId", number), Write.REPLACE)


def arrive(spool: Spool, tasks: Sequence[tuple[Task, Sequence[int]]]) -> Counter[str]:
    """Let *tasks* arrive side by side, growing as said, each loaded when it is whole; return how they ended."""
    ended: Counter[str] = Counter()

    def one(task: Task, sizes: Sequence[int]) -> None:
        try:
            for size_bytes in sizes:
                spool.hold(task, size_bytes)
            ended["whole"] += 1
        except ExportCut:
            ended["gave way"] += 1
        spool.release(task)

    threads = [Thread(target=one, args=each, daemon=True) for each in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert not any(thread.is_alive() for thread in threads)
    return ended


def spool() -> Spool:
    return Spool(LIMIT, Pacer(factor=1.0, stop=Event()))


@given(st.lists(st.lists(st.integers(1, 90), min_size=1, max_size=4).map(sorted), min_size=1, max_size=8))
@how(deadline=None, max_examples=60, derandomize=True)
def test_nobody_waits_for_ever(sizes: list[list[int]]) -> None:
    """However tasks grow, each ends: most whole, some by giving way; one that is alone never gives way."""
    ended = arrive(spool(), [(opens(number), each) for number, each in enumerate(sizes)])
    assert len(sizes) == ended.total()
    assert ended["whole"] >= 1


def test_the_largest_window_gives_way() -> None:
    """When all wait, the largest window gives way, and the others, lists above all, go on."""
    place = spool()
    place.hold(members(1), 60)
    place.hold(opens(1), 30)
    with pytest.raises(ExportCut):
        arrive_and_raise(place)


def arrive_and_raise(place: Spool) -> None:
    """Let the list wait in a thread of its own, and the window in this one."""
    waiting = Thread(target=place.hold, args=(members(1), 80), daemon=True)
    waiting.start()
    try:
        place.hold(opens(1), 40)
    finally:
        waiting.join(timeout=20)
    assert not waiting.is_alive()


def test_what_never_fits_is_told() -> None:
    """A task that alone is too large gives way at once, and is told how to make room."""
    with pytest.raises(ExportCut, match="do not fit") as told:
        spool().hold(members(1), LIMIT + 1)
    assert "spool_in_gb" in str(told.value)


def test_a_file_of_ours_takes_only_what_is_free() -> None:
    """What is made beside raw files has room, or is not made; when it goes, others come."""
    place = spool()
    place.hold(opens(1), 60)
    together, another = Path("together"), Path("another")
    assert not place.take(together, 41)
    assert place.take(together, 40)
    assert not place.take(another, 1)
    place.release(together)
    place.hold(opens(2), 30)
    assert place.take(another, 10)


def test_a_stop_ends_the_wait() -> None:
    """Who waits for room does not hold up a stop."""
    stop = Event()
    place = Spool(LIMIT, Pacer(factor=1.0, stop=stop))
    place.hold(opens(1), 90)
    stop.set()
    with pytest.raises(Stopped):
        place.hold(opens(2), 20)
