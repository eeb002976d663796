"""How commands end."""

from __future__ import annotations

from reiterate.flow import Status

NOTHING_DONE = 1
WRONG_USAGE = 2
SOME_FAILED = 3
INTERRUPTED = 130
"""128 and the number of SIGINT, as shells have it."""

EXIT = {
    Status.SUCCEEDED: 0,
    Status.FAILED: NOTHING_DONE,
    Status.PARTIAL: SOME_FAILED,
    Status.STOPPED: INTERRUPTED,
}
"""The exit status for each way that a run ends."""
