"""The users of one list: a stream of identifiers, one a line, in no order (FACTS.md 9)."""

from __future__ import annotations

import json
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from reiterate.api import MEMBERS
from reiterate.extract import listings
from reiterate.flow import Part

if TYPE_CHECKING:
    from pathlib import Path

    from reiterate.api import Caller, Downloaded
    from reiterate.catalog.model import ListMembers
    from reiterate.flow import Task


def parts(task: Task, read: ListMembers, caller: Caller) -> tuple[Task, ...]:
    """Return one task per list."""
    names = {row[read.parents.id]: str(row.get("name", "")) for row in listings.rows(read.parents, caller, {})}
    return tuple(
        replace(task, scope=Part(read.parameter, list_id, name), only=())
        for list_id, name in sorted(names.items())
        if not task.only or any(one == str(list_id) or fnmatchcase(name, one) for one in task.only)
    )


def fetch(task: Task, read: ListMembers, caller: Caller, target: Path) -> Downloaded:
    """
    Write the members of the task's list to *target*; return how much that is.

    A line with an ``@`` is an email address; any other is a user id, as projects keyed by user id give them. It is
    taken as it is, but for CR and LF: two that differ by a blank or U+00A0 are two.
    """
    if not isinstance(task.scope, Part):
        message = f"members are read list by list, not by {task.scope}"
        raise TypeError(message)
    scope, shape = task.scope, task.shape

    def row(line: bytes) -> bytes:
        identifier = line.strip(b"\r\n").decode("utf-8", "surrogateescape")
        kind = "email" if "@" in identifier else "userId"
        return f"{json.dumps(shape.disguise({scope.field: scope.value, kind: identifier}))}\n".encode()

    return caller.download(read.path, {read.parameter: str(scope.value)}, target, kind=MEMBERS, rewrite=row)
