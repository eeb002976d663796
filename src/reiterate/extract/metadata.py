"""Metadata tables: keys page by page, and a value per key, several at a time."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import quote

from reiterate import exact_json
from reiterate.api import Downloaded
from reiterate.errors import IncompleteRead, MalformedRow, SourceError
from reiterate.flow import Part, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from reiterate.api import Caller
    from reiterate.catalog.model import KeyedValues

Value = TypeVar("Value")
Result = TypeVar("Result")


class Mapper(Protocol):
    """Maps a function over values in several threads; results come in the order of the values."""

    def __call__(self, function: Callable[[Value], Result], values: Iterable[Value], /) -> Iterable[Result]: ...


def parts(task: Task, read: KeyedValues, caller: Caller) -> tuple[Task, ...]:
    """Return one task per metadata table."""
    names = sorted(_texts(caller.json(read.path), "name", read.path))
    return tuple(replace(task, scope=Part("table", name)) for name in names)


def fetch(task: Task, read: KeyedValues, caller: Caller, target: Path, *, pool: Mapper) -> Downloaded:
    """Write the values of the task's metadata table to *target*; return how much that is."""
    if not isinstance(task.scope, Part):
        message = f"metadata is read table by table, not by {task.scope}"
        raise TypeError(message)
    name = str(task.scope.value)
    path = f"{read.path}/{quote(name, safe='')}"

    def value(key: str) -> Any:  # noqa: ANN401 (JSON is any)
        try:
            return caller.json(f"{path}/{quote(key, safe='')}")
        except SourceError as error:
            if error.facts.get("status") == HTTPStatus.NOT_FOUND:
                return None  # removed since its key was listed
            raise

    count = size_bytes = 0
    with target.open("w", encoding="utf-8") as file:
        for row in pool(value, list(dict.fromkeys(_keys(path, caller)))):
            if row is None:
                continue
            if not isinstance(row, dict):
                raise MalformedRow("A metadata value is not an object.", path=path)
            # the name as the list of tables spells it: the scope that a later read replaces
            size_bytes += file.write(f"{exact_json.dumps(task.shape.disguise({**row, 'table': name}))}\n")
            count += 1
            caller.listener.progress(count, size_bytes)
    return Downloaded(count, size_bytes)


def _keys(path: str, caller: Caller) -> Iterator[str]:
    marker = None
    seen = set()
    while True:
        document = caller.json(path, {"nextMarker": marker} if marker else {})
        yield from _texts(document, "key", path)
        marker = document.get("nextMarker")
        if not marker:
            return
        if marker in seen:
            raise IncompleteRead("Iterable's pages lead in a circle.", path=path)
        seen.add(marker)


def _texts(document: Any, field: str, path: str) -> list[str]:  # noqa: ANN401 (JSON is any)
    """Return *field* of each row of ``results``."""
    found = document.get("results") if isinstance(document, dict) else None
    if not isinstance(found, list) or not all(
        isinstance(row, dict) and isinstance(row.get(field), str) for row in found
    ):
        raise MalformedRow(f"An answer has no list `results` of objects with a `{field}`.", path=path)
    return [row[field] for row in found]
