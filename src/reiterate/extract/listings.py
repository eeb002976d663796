"""Entities that one endpoint lists, page by page, with the total checked."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, assert_never
from urllib.parse import quote

from reiterate import exact_json
from reiterate.api import Downloaded, NotAnAnswer
from reiterate.catalog.model import Pages
from reiterate.errors import IncompleteRead, NotOffered, SourceError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping
    from pathlib import Path

    from reiterate.api import Caller, Form
    from reiterate.catalog.model import AnyOf, Listing
    from reiterate.flow import Task

LISTING_TRIES = 5
"""
Pages are not a snapshot: a row that comes or goes meanwhile moves the others (FACTS.md 6). Then all is read again.
"""

MOST_PAGES = 100_000
"""No project has more of anything; with pages of a thousand, these are a hundred million rows."""

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
    :raises BrokenAnswer: when an answer lacks the array, the ids or the total that the endpoint documents
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
            size_bytes += file.write(f"{exact_json.dumps(task.shape.disguise(row | with_fields))}\n")
            count += 1
            if count % PROGRESS_EVERY == 0:
                caller.listener.progress(count, size_bytes)
    caller.listener.progress(count, size_bytes)
    return Downloaded(count, size_bytes)


AGAIN: Row = {}
"""Stands in a stream of rows where what came before does not count."""


def _path(read: Listing, parent: object) -> str:
    return read.path.replace("{}", quote(str(parent), safe=""))


@dataclass(frozen=True)
class Page:
    """One answer of a listing: its rows, the number of all rows if it tells, and the link to the next page if any."""

    rows: list[Row]
    total: int | None
    link: str | None


def page_of(read: Listing) -> Form[Page]:
    """Return the form of an answer of *read*; with links to pages it has the number of all rows, too."""

    def form(answer: Any) -> Page:  # noqa: ANN401 (JSON is any)
        document = _unwrapped(answer)
        rows_found, total = _rows_of(document, read), _total(document, read)
        link = document.get("nextPageUrl") if read.pages is Pages.LINKS else None
        if not isinstance(link, str | None):
            raise NotAnAnswer("An answer has a `nextPageUrl` that is no text.")
        if read.pages is Pages.LINKS and read.totals and total is None:
            raise NotAnAnswer(f"An answer has no `{read.totals[0]}`.")
        return Page(rows_found, total, link or None)

    return form


def _passes(read: Listing, path: str, caller: Caller, call: Mapping[str, str]) -> Iterator[Row]:
    """Yield the rows of all pages, each row once; ``AGAIN`` where pages did not fit together and are read anew."""
    if read.pages is Pages.NONE:
        yield from caller.json(path, call, form=page_of(read)).rows
        return
    error = None
    for number in range(LISTING_TRIES):
        if number:
            yield AGAIN
        error = yield from _pass(read, path, caller, call)
        if error is None:
            return
    if error is not None:
        raise error


def _pass(
    read: Listing, path: str, caller: Caller, call: Mapping[str, str]
) -> Generator[Row, None, IncompleteRead | None]:
    """Yield the rows of all pages; return what does not fit together, as soon as that shows, or nothing."""
    ids: set[Any] = set()
    total = None
    facts = {"path": path, **call}
    for number, page in enumerate(_pages(read, path, caller, call), 1):
        total = page.total if number == 1 else total
        if page.total != total:
            return IncompleteRead(
                "A listing changed while it was read.", **facts, total=total, total_of_page=page.total, page=number
            )
        before = len(ids)
        for row in page.rows:
            if row[read.id] not in ids:
                ids.add(row[read.id])
                yield row
        if len(ids) == before and (page.link or (page.rows and total is None)):
            return IncompleteRead("A page of a listing brings nothing new, and leads on.", **facts, page=number)
        if number == MOST_PAGES:
            return IncompleteRead("Iterable's pages have no end.", **facts, pages=MOST_PAGES)
        if total is not None and len(ids) > total:
            break
    else:
        if total in {None, len(ids)}:
            return None
    return IncompleteRead(**facts, arrived=len(ids), total=total)


def _pages(read: Listing, path: str, caller: Caller, call: Mapping[str, str]) -> Iterator[Page]:
    form = page_of(read)
    match read.pages:
        case Pages.LINKS:
            sort = {"sort": read.sort} if read.sort else {}
            yield from _linked(path, {**call, "page": "1", "pageSize": str(read.page_size), **sort}, caller, form)
        case Pages.OFFSETS:
            count = 0
            while True:
                page = caller.json(path, {**call, "limit": str(read.page_size), "offset": str(count)}, form=form)
                yield page
                count += len(page.rows)
                # a page may be smaller than asked for: without a total, only an empty one is the last
                if not page.rows or (page.total is not None and count >= page.total):
                    return
        case Pages.NONE:
            yield caller.json(path, call, form=form)
        case _:
            assert_never(read.pages)


def _linked(path: str, params: Mapping[str, str], caller: Caller, form: Form[Page]) -> Iterator[Page]:
    seen = set()
    first = path
    while True:
        page = caller.json(path, params, form=form)
        yield page
        if not page.link:
            return
        if page.link in seen:
            raise IncompleteRead("Iterable's pages lead in a circle.", path=first)
        seen.add(page.link)
        path, params = caller.client.own_path(page.link)


def _unwrapped(document: Any) -> Any:  # noqa: ANN401 (JSON is any)
    return document["params"] if isinstance(document, dict) and document.keys() == WRAPPED else document


def _total(document: Any, read: Listing) -> int | None:  # noqa: ANN401 (JSON is any)
    for names in read.totals:
        found = document
        for name in names.split("."):
            found = found.get(name) if isinstance(found, dict) else None
        if found is None:
            continue
        if not isinstance(found, int | str) or isinstance(found, bool) or not str(found).isdecimal():
            raise NotAnAnswer(f"An answer has a `{names}` that is no number.")
        return int(found)
    return None


def _rows_of(document: Any, read: Listing) -> list[Row]:  # noqa: ANN401 (JSON is any)
    """
    Return the rows of an answer.

    :raises NotAnAnswer: when it has none in the form that the endpoint documents
    """
    found = document
    if read.rows:
        found = document.get(read.rows) if isinstance(document, dict) else None
    match found:
        case dict() if read.rows and read.value:
            return [{read.id: name, read.value: value} for name, value in found.items()]
        case dict() if not read.rows and read.id in found:
            return [found]
        case list() if read.rows and not read.plain and all(isinstance(row, dict) for row in found):
            if _told_apart(row.get(read.id) for row in found):
                return found
        case list() if read.rows and read.plain and _told_apart(found):
            return [{read.id: value} for value in found]
        case str() | int() if not read.rows and read.plain and str(found).isdecimal():
            return [{read.id: found}]
        case _:
            pass
    what = f"list `{read.rows}` of rows" if read.rows else "row"
    raise NotAnAnswer(f"An answer has no {what} with `{read.id}`.")


def _told_apart(ids: Iterable[object]) -> bool:
    """Whether all are texts, or all are whole numbers: values that can be compared and put in order."""
    kinds = {type(each) for each in ids}
    return len(kinds) <= 1 and kinds <= {str, int}
