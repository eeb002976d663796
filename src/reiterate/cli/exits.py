"""How commands end: one table, which docs/commands.md repeats."""

from __future__ import annotations

import signal
from enum import IntEnum
from typing import TYPE_CHECKING

from reiterate.errors import DestinationBusy, SettingsError, Unauthorized
from reiterate.flow import RunFinished, Status

if TYPE_CHECKING:
    from collections.abc import Collection

    from reiterate.errors import ReiterateError

SIGNALLED = 128
"""Added to the number of a signal, as shells have it."""


class Exit(IntEnum):
    """The statuses with which commands end; each has its line in docs/commands.md."""

    WELL = 0
    NOTHING_DONE = 1
    WRONG_USAGE = 2
    """wrong usage, settings or API key; nothing changed"""
    LOOK = 3
    """a person should look: something was done, and something was not, or is not as it should be"""
    BUSY = 4
    """another process holds the destination"""
    INTERRUPTED = SIGNALLED + signal.SIGINT
    TERMINATED = SIGNALLED + signal.SIGTERM


def of_signal(number: int) -> Exit:
    return Exit(SIGNALLED + number)


def of_error(error: ReiterateError) -> Exit:
    """Return the status of a command that *error* ended before anything was done."""
    match error:
        case SettingsError() | Unauthorized():
            return Exit.WRONG_USAGE
        case DestinationBusy():
            return Exit.BUSY
        case _:
            return Exit.NOTHING_DONE


def of_errors(errors: Collection[ReiterateError], *, well: int) -> Exit:
    """Return the status of a command that met *errors* and has changed nothing; *well* other things went well."""
    if not errors:
        return Exit.WELL
    if any(isinstance(error, Unauthorized) for error in errors):
        return Exit.WRONG_USAGE
    if well:
        return Exit.LOOK
    statuses = {of_error(error) for error in errors}
    return statuses.pop() if len(statuses) == 1 else Exit.NOTHING_DONE


def of_run(finished: RunFinished, *, stopped_by: int) -> Exit:
    """Return the status of a run that is over; *stopped_by* is the number of the signal that stopped it, if one did."""
    match finished.status:
        case Status.SUCCEEDED:
            return Exit.WELL
        case Status.STOPPED:
            return of_signal(stopped_by)
        case Status.PARTIAL:
            return Exit.LOOK
        case _:
            errors = [error for summary in finished.tables for error in summary.errors]
            return of_errors(errors, well=0) if errors else Exit.NOTHING_DONE
