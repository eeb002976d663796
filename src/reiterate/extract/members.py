"""The users of one list: a stream of identifiers, one a line, in no order (FACTS.md 9)."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from reiterate.api import Downloaded
from reiterate.errors import SpoolError
from reiterate.extract import listings
from reiterate.flow import Part, Task, Write

if TYPE_CHECKING:
    from pathlib import Path

    from reiterate.api import Caller
    from reiterate.catalog.model import ListMembers


def parts(task: Task, read: ListMembers, caller: Caller) -> tuple[Task, ...]:
    """Return one task per list."""
    names = {row[read.parents.id]: str(row.get("name", "")) for row in listings.rows(read.parents, caller, {})}
    return tuple(
        Task(task.table, Part(read.parameter, list_id, name), Write.REPLACE)
        for list_id, name in sorted(names.items())
        if not task.only or any(one == str(list_id) or fnmatchcase(name, one) for one in task.only)
    )


def fetch(task: Task, read: ListMembers, caller: Caller, target: Path) -> Downloaded:
    """
    Write the members of the task's list to *target*; return how much that is.

    A line with an ``@`` is an email address; any other is a user id, as projects keyed by user id give them.
    """
    if not isinstance(task.scope, Part):
        message = f"members are read list by list, not by {task.scope}"
        raise TypeError(message)
    lines = target.with_suffix(".txt")
    try:
        arrived = caller.download(read.path, {read.parameter: str(task.scope.value)}, lines, json_lines=False)
        if lines.stat().st_size != arrived.size_bytes:
            raise SpoolError("A raw file was changed by somebody else.", file=lines)
        count = size_bytes = 0
        with lines.open(encoding="utf-8") as identifiers, target.open("w", encoding="utf-8") as file:
            for line in identifiers:
                if identifier := line.strip():
                    kind = "email" if "@" in identifier else "userId"
                    size_bytes += file.write(json.dumps({task.scope.field: task.scope.value, kind: identifier}) + "\n")
                    count += 1
    finally:
        lines.unlink(missing_ok=True)
    return Downloaded(count, size_bytes)
