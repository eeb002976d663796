"""How a person or a supervisor stops a run: the first signal asks, the second does not."""

from __future__ import annotations

import contextlib
import signal
from threading import Event
from typing import TYPE_CHECKING

from reiterate.cli import words

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def stoppable() -> Iterator[Event]:
    """
    Hand out a flag that SIGINT (Ctrl-C) and SIGTERM set, so that a load that has begun is not torn apart.

    A second signal ends the process at once, which costs no committed row either.
    """
    stop = Event()

    def ask(_signal: int, _frame: FrameType | None) -> None:
        stop.set()
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        words.err().print("Stopping after the current load; once more to stop at once.")

    before = {number: signal.signal(number, ask) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
