"""Metadata tables: keys page by page, and a value per key, several at a time."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import quote

from reiterate import exact_json
from reiterate.api import Downloaded, NotAnAnswer
from reiterate.errors import IncompleteRead, SourceError
from reiterate.extract.children import until_broken
from reiterate.extract.listings import MOST_PAGES
from reiterate.flow import Part, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from reiterate.api import Caller, Form
    from reiterate.catalog.model import KeyedValues

Value = TypeVar("Value")
Result = TypeVar("Result")


class Mapper(Protocol):
    """Maps a function over values in several threads; results come in the order of the values."""

    def __call__(self, function: Callable[[Value], Result], values: Iterable[Value], /) -> Iterable[Result]: ...


def parts(task: Task, read: KeyedValues, caller: Caller) -> tuple[Task, ...]:
    """Return one task per metadata table."""
    names = sorted(caller.json(read.path, form=table_names))
    return tuple(replace(task, scope=Part("table", name)) for name in names)


def fetch(task: Task, read: KeyedValues, caller: Caller, target: Path, *, pool: Mapper) -> Downloaded:
    """Write the values of the task's metadata table to *target*; return how much that is."""
    if not isinstance(task.scope, Part):
        message = f"metadata is read table by table, not by {task.scope}"
        raise TypeError(message)
    name = str(task.scope.value)
    path = f"{read.path}/{quote(name, safe='')}"

    @until_broken
    def value(key: str) -> dict[str, Any] | None:
        try:
            return caller.json(f"{path}/{quote(key, safe='')}", form=_value_of(key))
        except SourceError as error:
            if error.facts.get("status") == HTTPStatus.NOT_FOUND:
                return None  # removed since its key was listed
            raise

    count = size_bytes = 0
    with target.open("w", encoding="utf-8") as file:
        for row in pool(value, list(dict.fromkeys(_keys(path, caller)))):
            if row is None:
                continue
            # the name as the list of tables spells it: the scope that a later read replaces
            size_bytes += file.write(f"{exact_json.dumps(task.shape.disguise(row | {'table': name}))}\n")
            count += 1
            caller.listener.progress(count, size_bytes)
    return Downloaded(count, size_bytes)


def _value_of(key: str) -> Form[dict[str, Any]]:
    def form(answer: Any) -> dict[str, Any]:  # noqa: ANN401 (JSON is any)
        if not isinstance(answer, dict) or answer.get("key") != key or "value" not in answer:
            raise NotAnAnswer("An answer is not the value of the metadata key that was asked for.")
        return answer

    return form


def _keys(path: str, caller: Caller) -> Iterator[str]:
    """
    Yield the keys of all pages, each once.

    :raises IncompleteRead: when the pages have no end
    """
    marker = ""
    seen: set[str] = set()
    for _ in range(MOST_PAGES):
        keys, marker = caller.json(path, {"nextMarker": marker} if marker else {}, form=_page_of_keys)
        fresh = [key for key in dict.fromkeys(keys) if key not in seen]
        yield from fresh
        if not marker:
            return
        if not fresh:
            raise IncompleteRead("Iterable's pages lead in a circle.", path=path)
        seen.update(fresh)
    raise IncompleteRead("Iterable's pages have no end.", path=path, pages=MOST_PAGES)


def _page_of_keys(answer: Any) -> tuple[list[str], str]:  # noqa: ANN401 (JSON is any)
    marker = answer.get("nextMarker") if isinstance(answer, dict) else None
    if not isinstance(marker, str | None):
        raise NotAnAnswer("An answer has a `nextMarker` that is no text.")
    return _texts(answer, "key"), marker or ""


def table_names(answer: Any) -> list[str]:  # noqa: ANN401 (JSON is any)
    """
    Return the names of metadata tables in an answer.

    :raises NotAnAnswer: when it does not list them
    """
    return _texts(answer, "name")


def _texts(document: Any, field: str) -> list[str]:  # noqa: ANN401 (JSON is any)
    """Return *field* of each row of ``results``."""
    found = document.get("results") if isinstance(document, dict) else None
    if not isinstance(found, list) or not all(
        isinstance(row, dict) and isinstance(row.get(field), str) for row in found
    ):
        raise NotAnAnswer(f"An answer has no list `results` of objects with a `{field}`.")
    return [row[field] for row in found]
