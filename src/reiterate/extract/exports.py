"""The direct lane: one window of an export data type, streamed by one request."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from reiterate.api import ROWS
from reiterate.catalog.model import ByFirst
from reiterate.shape import matches
from reiterate.windows import Window

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from reiterate.api import Caller, Downloaded, Rewrite
    from reiterate.catalog.model import Export
    from reiterate.flow import Task

LONGEST_FIELDS = 1500
"""An address may have 2,048 bytes (FACTS.md 4.2)."""

UNCLEAR = {*"*?[],_"}
"""In the name of a field that the catalog does not know."""

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
    params = {**window_params(read, task.scope), **wanted_fields(task)}
    return caller.download(read.path, params, target, kind=ROWS, rewrite=rewriting(task))


def rewriting(task: Task) -> Rewrite | None:
    """Return what hides values on the way to the disk, if any are to be hidden."""
    if not task.shape.hashed:
        return None
    identity = task.table.identity
    bare = identity.fields if isinstance(identity, ByFirst) else ()
    return replace(task.shape, bare=bare).disguise_line


def window_params(read: Export, window: Window) -> dict[str, str]:
    """Return the parameters of a request for *window*: start inclusive, end exclusive (FACTS.md 8.2)."""
    return {
        "dataTypeName": read.data_type,
        "startDateTime": window.start.strftime(TIME_FORMAT),
        "endDateTime": window.end.strftime(TIME_FORMAT),
    }


def wanted_fields(task: Task) -> dict[str, str]:
    """
    Return the parameters that keep unwanted fields from travelling.

    Globs, and names that may be column names, cannot be asked for, nor more than an address can hold; what comes all
    the same is left out when it is parsed.
    """
    shape, needed = task.shape, task.table.needed
    known = {field.name for field in task.table.fields}
    chosen = _named(shape.only, known)
    if chosen and not _unclear(chosen - known):
        return _asked("onlyFields", {field for field in chosen if shape.wants(field)} | needed)
    return _asked(
        "omitFields", {field for field in _named(shape.omitted, known) if not _unclear({field} - known)} - needed
    )


def _named(patterns: Collection[str], known: Collection[str]) -> set[str]:
    """Return the fields that *patterns* name: those of the catalog, and whatever pattern means none of them."""
    own = {each for each in patterns if not any(matches(field, [each]) for field in known)}
    return own | {field for field in known if matches(field, patterns)}


def _unclear(names: Collection[str]) -> bool:
    return any(UNCLEAR & {*each} for each in names)


def _asked(parameter: str, fields: Collection[str]) -> dict[str, str]:
    asked = ",".join(sorted(fields))
    return {parameter: asked} if fields and len(quote(asked)) <= LONGEST_FIELDS else {}
