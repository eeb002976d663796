"""How a person or a supervisor stops a command: the first signal asks a run to stop, the second does not."""

from __future__ import annotations

import contextlib
import os
import signal
from threading import Event
from typing import TYPE_CHECKING, NoReturn

import click

from reiterate.cli import exits, words
from reiterate.errors import Stopped

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

STOPPING = "Stopping after the current load; once more to stop at once."
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop(Event):
    """A flag that a signal sets; *number* is that of the signal."""

    number: int = signal.SIGINT


@contextlib.contextmanager
def stoppable() -> Iterator[Stop]:
    """
    Hand out a flag that SIGINT (Ctrl-C) and SIGTERM set, so that a load that has begun is not torn apart.

    A second signal ends the process at once, which costs no committed row either.
    """
    stop = Stop()

    def ask(number: int, _frame: FrameType | None) -> None:
        stop.number = number
        stop.set()
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        try:
            words.err().print(STOPPING)
        except RuntimeError:  # the signal came in the middle of a line that is being written
            os.write(2, f"{STOPPING}\n".encode())

    before = {number: signal.signal(number, ask) for number in SIGNALS}
    try:
        yield stop
    except Stopped:
        # before the run had begun
        words.err().print("Stopped.")
        raise click.exceptions.Exit(exits.of_signal(stop.number)) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_on_sigterm() -> None:
    """Let SIGTERM end a command as Ctrl-C does: what is open is closed, and the status tells the signal."""

    def end(number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(exits.of_signal(number))

    signal.signal(signal.SIGTERM, end)
