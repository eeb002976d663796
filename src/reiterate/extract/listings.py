"""Entities that one endpoint lists, page by page, with the total checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reiterate import exact_json
from reiterate.api import Downloaded
from reiterate.errors import IncompleteRead, MalformedRow

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from reiterate.api import Caller
    from reiterate.catalog.model import Listing
    from reiterate.flow import Task

PAGE_SIZE = 1000
"""The largest that Iterable gives; without a page size it gives 20, without a warning (FACTS.md 6)."""

LISTING_TRIES = 3
"""Pages are not a snapshot: a row created meanwhile moves the others (FACTS.md 6). Then everything is read again."""

Row = dict[str, Any]


def fetch(task: Task, read: Listing, caller: Caller, target: Path) -> Downloaded:
    """
    Write all rows of the listing to *target*; return how much that is.

    :raises IncompleteRead: when the rows disagree with the total that Iterable reports, each time
    """
    count = size_bytes = 0
    with target.open("w", encoding="utf-8") as file:
        for call in read.calls:
            for row in rows(read, caller, dict(call)):
                size_bytes += file.write(f"{exact_json.dumps(task.shape.disguise({**dict(call), **row}))}\n")
                count += 1
            caller.listener.progress(count, size_bytes)
    return Downloaded(count, size_bytes)


def rows(read: Listing, caller: Caller, call: Mapping[str, str]) -> list[Row]:
    """
    Return the rows of one call, all pages, each row once.

    :raises IncompleteRead: as above
    :raises MalformedRow: when an answer lacks the array or the ids that the endpoint documents
    """
    if read.total is None:
        return _rows_of(caller.json(read.path, call), read)
    found: dict[Any, Row] = {}
    total = None
    for _ in range(LISTING_TRIES):
        found.clear()
        for document in _pages(read, caller, call):
            found.update((row[read.id], row) for row in _rows_of(document, read))
            total = document.get(read.total)
        if total is None or total == len(found):
            return list(found.values())
    raise IncompleteRead(path=read.path, arrived=len(found), total=total, **call)


def _pages(read: Listing, caller: Caller, call: Mapping[str, str]) -> Iterator[Row]:
    path, params = read.path, {**call, "page": "1", "pageSize": str(PAGE_SIZE), "sort": "+id"}
    seen = set()
    while True:
        document = caller.json(path, params)
        yield document
        link = document.get("nextPageUrl")
        if not link:
            return
        if link in seen:
            raise IncompleteRead("Iterable's pages lead in a circle.", path=read.path)
        seen.add(link)
        path, params = caller.client.own_path(link)


def _rows_of(document: Any, read: Listing) -> list[Row]:  # noqa: ANN401 (JSON is any)
    found = document.get(read.rows) if isinstance(document, dict) else None
    if not isinstance(found, list) or not all(isinstance(row, dict) and read.id in row for row in found):
        raise MalformedRow(f"An answer has no list `{read.rows}` of objects with an `{read.id}`.", path=read.path)
    return found
