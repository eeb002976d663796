"""The direct lane: one window of an export data type, streamed by one request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reiterate.windows import Window

if TYPE_CHECKING:
    from pathlib import Path

    from reiterate.api import Caller, Downloaded
    from reiterate.catalog.model import Export
    from reiterate.flow import Task

TIME_FORMAT = "%Y-%m-%d %H:%M:%S +00:00"
"""swagger: ``yyyy-MM-dd HH:mm:ss [ZZ]``"""


def fetch(task: Task, read: Export, caller: Caller, target: Path) -> Downloaded:
    """
    Write the rows of the task's window to *target*; return how much that is.

    :raises ExportCut: when the stream breaks off each time; a smaller window may pass
    """
    if not isinstance(task.scope, Window):
        message = f"an export is read by windows, not by {task.scope}"
        raise TypeError(message)
    return caller.download(read.path, window_params(read, task.scope), target, json_lines=True)


def window_params(read: Export, window: Window) -> dict[str, str]:
    """Return the parameters of a request for *window*: start inclusive, end exclusive (FACTS.md 8.2)."""
    return {
        "dataTypeName": read.data_type,
        "startDateTime": window.start.strftime(TIME_FORMAT),
        "endDateTime": window.end.strftime(TIME_FORMAT),
    }
