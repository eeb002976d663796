"""
The command line on a machine whose clock is wrong: ``python wrong_clock.py SECONDS AFTER ARGUMENT…``.

The clock is right for the first AFTER seconds, and then SECONDS ahead (behind, if negative), as on a machine that
slept, or whose clock was set. Time that only passes (``time.monotonic``) is right, as it is there.
"""

from __future__ import annotations

import datetime as dt
import sys
import time
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

right_time = time.time


class _Kind(type):
    """Lets whatever is a moment be one of these."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, datetime)


def set_clock(wrong_by: Callable[[], float]) -> None:
    """Let the clock be wrong by so many seconds."""

    class WrongDatetime(datetime, metaclass=_Kind):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(seconds=wrong_by())

    dt.datetime = WrongDatetime  # type: ignore[misc]
    time.time = lambda: right_time() + wrong_by()


def main() -> None:
    """Run the command line with such a clock."""
    seconds, after_s, began = float(sys.argv[1]), float(sys.argv[2]), time.monotonic()
    set_clock(lambda: seconds if time.monotonic() - began >= after_s else 0.0)
    del sys.path[0]  # this directory
    sys.argv[:] = ["reiterate", *sys.argv[3:]]

    from reiterate.cli import main as reiterate  # noqa: PLC0415 (whose clock is wrong from the start)

    reiterate()


if __name__ == "__main__":
    main()
