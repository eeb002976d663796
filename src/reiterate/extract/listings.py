"""Entities that one endpoint lists, page by page, with the total checked."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, assert_never
from urllib.parse import quote

from reiterate import exact_json
from reiterate.api import Downloaded
from reiterate.catalog.model import Pages
from reiterate.errors import IncompleteRead, MalformedRow, NotOffered, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from reiterate.api import Caller
    from reiterate.catalog.model import AnyOf, Listing
    from reiterate.flow import Task

LISTING_TRIES = 3
"""Pages are not a snapshot: a row created meanwhile moves the others (FACTS.md 6). Then everything is read again."""

PROGRESS_EVERY = 100
"""rows"""

WRAPPED = {"msg", "code", "params"}
"""The members of an answer whose content is ``params`` (FACTS.md 13)."""

Row = dict[str, Any]


def fetch(task: Task, read: Listing, caller: Caller, target: Path) -> Downloaded:
    """
    Write all rows of the listing to *target*; return how much that is.

    :raises IncompleteRead: when the rows disagree with the total that Iterable reports, each time
    """
    return write(task, all_rows(read, caller), caller, target)


def fetch_any(task: Task, read: AnyOf, caller: Caller, target: Path) -> Downloaded:
    """
    Write the rows of all listings that this project has to *target*; return how much that is.

    :raises NotOffered: when it has none of them
    """
    return write(task, _rows_of_any(read, caller), caller, target)


def write(task: Task, found: Iterable[Row], caller: Caller, target: Path) -> Downloaded:
    """Write the rows that are *found* to *target*, disguised as the task wants; return how much that is."""
    count = size_bytes = 0
    with target.open("w", encoding="utf-8") as file:
        for row in found:
            size_bytes += file.write(f"{exact_json.dumps(task.shape.disguise(row))}\n")
            count += 1
            if count % PROGRESS_EVERY == 0:
                caller.listener.progress(count, size_bytes)
    caller.listener.progress(count, size_bytes)
    return Downloaded(count, size_bytes)


def all_rows(read: Listing, caller: Caller) -> Iterator[Row]:
    """
    Yield the rows of all calls, each with the parameters of its call as fields.

    :raises SourceError: as :func:`rows`
    """
    for call in read.calls:
        yield from ({**dict(call), **row} for row in rows(read, caller, dict(call)))


def _rows_of_any(read: AnyOf, caller: Caller) -> Iterator[Row]:
    refusals = []
    for listing in read.listings:
        try:
            yield from all_rows(listing, caller)
        except SourceError as error:
            if error.facts.get("status") != HTTPStatus.BAD_REQUEST:
                raise
            refusals.append(error)
    if len(refusals) == len(read.listings):
        raise NotOffered(**refusals[0].facts)


def rows(read: Listing, caller: Caller, call: Mapping[str, str], *, parent: object = "") -> list[Row]:
    """
    Return the rows of one call, all pages, each row once; *parent* takes its place in the path.

    :raises IncompleteRead: as above
    :raises MalformedRow: when an answer lacks the array or the ids that the endpoint documents
    """
    found: list[Row] = []
    for row in _passes(read, _path(read, parent), caller, call):
        if row is AGAIN:
            found.clear()
        else:
            found.append(row)
    return found


def fetch_of(
    task: Task, read: Listing, caller: Caller, target: Path, *, parent: object, with_fields: Row
) -> Downloaded:
    """
    Write the rows that the listing has for *parent* to *target*, page by page, *with_fields* in each.

    Catalogs have items by the million: no more than their ids is kept in memory.

    :raises IncompleteRead: as above
    """
    count = size_bytes = 0
    with target.open("w", encoding="utf-8") as file:
        for row in _passes(read, _path(read, parent), caller, {}):
            if row is AGAIN:
                file.seek(0)
                file.truncate()
                count = size_bytes = 0
                continue
            size_bytes += file.write(f"{exact_json.dumps(task.shape.disguise({**row, **with_fields}))}\n")
            count += 1
            if count % PROGRESS_EVERY == 0:
                caller.listener.progress(count, size_bytes)
    caller.listener.progress(count, size_bytes)
    return Downloaded(count, size_bytes)


AGAIN: Row = {}
"""Stands in a stream of rows where what came before does not count."""


def _path(read: Listing, parent: object) -> str:
    return read.path.replace("{}", quote(str(parent), safe=""))


def _passes(read: Listing, path: str, caller: Caller, call: Mapping[str, str]) -> Iterator[Row]:
    """Yield the rows of all pages, each row once; ``AGAIN`` where they disagreed with the total and are read anew."""
    if read.pages is Pages.NONE:
        yield from _rows_of(_unwrapped(caller.json(path, call)), read)
        return
    ids: set[Any] = set()
    total = None
    for number in range(LISTING_TRIES):
        if number:
            yield AGAIN
        ids.clear()
        for document in _pages(read, path, caller, call):
            for row in _rows_of(document, read):
                if row[read.id] not in ids:
                    ids.add(row[read.id])
                    yield row
            total = _total(document, read)
        if total is None or total == len(ids):
            return
    raise IncompleteRead(path=path, arrived=len(ids), total=total, **call)


def _pages(read: Listing, path: str, caller: Caller, call: Mapping[str, str]) -> Iterator[Row]:
    match read.pages:
        case Pages.LINKS:
            sort = {"sort": read.sort} if read.sort else {}
            yield from _linked(path, {**call, "page": "1", "pageSize": str(read.page_size), **sort}, caller)
        case Pages.OFFSETS:
            count = 0
            while True:
                document = _unwrapped(caller.json(path, {**call, "limit": str(read.page_size), "offset": str(count)}))
                yield document
                arrived, total = len(_rows_of(document, read)), _total(document, read)
                count += arrived
                if not arrived or (arrived < read.page_size if total is None else count >= total):
                    return
        case Pages.NONE:
            yield _unwrapped(caller.json(path, call))
        case _:
            assert_never(read.pages)


def _linked(path: str, params: Mapping[str, str], caller: Caller) -> Iterator[Row]:
    seen = set()
    first = path
    while True:
        document = _unwrapped(caller.json(path, params))
        yield document
        link = document.get("nextPageUrl") if isinstance(document, dict) else None
        if not link:
            return
        if link in seen:
            raise IncompleteRead("Iterable's pages lead in a circle.", path=first)
        seen.add(link)
        path, params = caller.client.own_path(link)


def _unwrapped(document: Any) -> Any:  # noqa: ANN401 (JSON is any)
    return document["params"] if isinstance(document, dict) and document.keys() == WRAPPED else document


def objects(found: Any, path: str) -> list[Row]:  # noqa: ANN401 (JSON is any)
    """
    Return what should be an object, or an array of them.

    :raises MalformedRow: when it is not
    """
    rows_found = found if isinstance(found, list) else [found]
    if not all(isinstance(row, dict) for row in rows_found):
        raise MalformedRow("An answer is not made of objects.", path=path)
    return rows_found


def _total(document: Row, read: Listing) -> int | None:
    for names in read.totals:
        found: Any = document
        for name in names.split("."):
            found = found.get(name) if isinstance(found, dict) else None
        if found is not None:
            return int(found)
    return None


def _rows_of(document: Any, read: Listing) -> list[Row]:  # noqa: ANN401 (JSON is any)
    found = document
    if read.rows:
        found = document.get(read.rows) if isinstance(document, dict) else None
    match found:
        case dict() if read.rows:
            return [{read.id: name, read.value: value} for name, value in found.items()]
        case dict() if read.id in found:
            return [found]
        case list() if all(isinstance(row, dict) and read.id in row for row in found):
            return found
        case list() if not any(isinstance(row, dict | list) or row is None for row in found):
            return [{read.id: value} for value in found]
        case str() | int() if not read.rows:
            return [{read.id: found}]
        case _:
            what = f"no list `{read.rows}` of objects with an `{read.id}`" if read.rows else f"no `{read.id}`"
            raise MalformedRow(f"An answer has {what}.", path=read.path)
