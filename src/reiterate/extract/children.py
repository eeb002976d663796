"""What endpoints have for each row of another: one call, or one listing, for each parent."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

from reiterate.errors import BrokenAnswer, NotOffered, SourceError
from reiterate.extract import listings
from reiterate.flow import Part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from reiterate.api import Caller, Downloaded
    from reiterate.catalog.model import PerParent
    from reiterate.extract.listings import Row
    from reiterate.extract.metadata import Mapper
    from reiterate.flow import Task

Value = TypeVar("Value")
Result = TypeVar("Result")

GONE = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND)
"""What Iterable answers about something that is not there (FACTS.md 4.2)."""


def parents(read: PerParent, caller: Caller) -> list[Row]:
    """Return the rows that have children, by their id."""
    found = {
        row[read.parents.id]: row
        for row in listings.all_rows(read.parents, caller)
        if all(str(row.get(field)) == value for field, value in read.where)
    }
    return [found[key] for key in sorted(found)]


def parts(task: Task, read: PerParent, caller: Caller) -> tuple[Task, ...]:
    """Return one task per parent."""
    return tuple(
        replace(task, scope=Part(read.field, row[read.parents.id], str(row.get("name", ""))))
        for row in parents(read, caller)
    )


def fetch(task: Task, read: PerParent, caller: Caller, target: Path, *, pool: Mapper) -> Downloaded:
    """
    Write the rows of the task's parent, or of all parents, to *target*; return how much that is.

    :raises SourceError: when a parent that is still listed is refused
    """
    if isinstance(task.scope, Part):
        parent = task.scope.value
        named = {read.field: parent}
        return listings.fetch_of(task, read.listing, caller, target, parent=parent, with_fields=named)
    found = still_there(
        lambda parent: _children(read, caller, parent),
        parents(read, caller),
        again=lambda: parents(read, caller),
        key=read.parents.id,
        pool=pool,
    )
    return listings.write(task, (row for rows in found for row in rows), caller, target)


def until_broken(function: Callable[[Value], Result]) -> Callable[[Value], Result]:
    """
    Return *function*, which raises at once what a call of it in any thread met that was no answer.

    Threads go on with all values, and a page of maintenance would answer each of them.
    """
    broken: list[BrokenAnswer] = []

    def guarded(value: Value) -> Result:
        if broken:
            raise broken[0]
        try:
            return function(value)
        except BrokenAnswer as error:
            broken.append(error)
            raise

    return guarded


def _children(read: PerParent, caller: Caller, parent: Row) -> list[Row]:
    named = {read.field: parent[read.parents.id]}
    inherited = {field: parent[field] for field in read.inherit if field in parent}
    return [
        {**inherited, **row, **named} for row in listings.rows(read.listing, caller, {}, parent=parent[read.parents.id])
    ]


def still_there(
    of_one: Callable[[Row], Any], found: Iterable[Row], *, again: Callable[[], list[Row]], key: str, pool: Mapper
) -> Iterator[Any]:
    """
    Yield what *of_one* makes of each row that is *found*, leaving out those that are gone by then.

    One that Iterable says is not there, and that it lists *again* all the same, is an error: nothing is left out of
    what Iterable has.
    """

    @until_broken
    def tried(row: Row) -> tuple[Any, SourceError | None]:
        try:
            return of_one(row), None
        except SourceError as error:
            if error.facts.get("status") not in GONE or isinstance(error, NotOffered):
                raise
            return None, error

    rows = list(found)
    refused = {}
    for row, (made, error) in zip(rows, pool(tried, rows), strict=True):
        if error is None:
            yield made
        else:
            refused[row[key]] = error
    if refused:
        for row in again():
            if row[key] in refused:
                raise refused[row[key]]
