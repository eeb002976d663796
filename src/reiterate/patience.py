"""What a destination cannot do now is tried again in a while."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from reiterate.errors import HeldUp
from reiterate.flow import Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from reiterate.api import Pacer
    from reiterate.flow import Task

T = TypeVar("T")

TRIES = 6


def patiently(do: Callable[[], T], task: Task, pacer: Pacer) -> Generator[Waiting, None, T]:
    """
    Return what *do* returns, tried up to 6 times as long as the destination is held up; yield each pause before it.

    :raises HeldUp: when the last try is held up, too
    :raises Stopped: when the sync is asked to stop meanwhile
    """
    for number in range(TRIES - 1):
        try:
            return do()
        except HeldUp as error:
            pause_s = error.pauses_s[number]
            yield Waiting(task, pause_s, f"{error.what} ({error.facts.get('held_by') or error.facts.get('reason')})")
            pacer.pause(pause_s, "", _told, exact=True)
    return do()


def at_once(do: Callable[[], T]) -> T:
    """Return what *do* returns, tried up to 6 times without a pause: for what a stop must not cut short."""
    for _ in range(TRIES - 1):
        try:
            return do()
        except HeldUp:
            continue
    return do()


def _told(_seconds: float, _reason: str) -> None:
    """Say nothing: it was said."""
