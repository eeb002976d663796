"""The types that Iterable declares for fields of the project's own: ``GET /api/users/getFields`` (FACTS.md 14.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reiterate.api import NotAnAnswer
from reiterate.catalog.model import Type

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reiterate.api import Caller

TYPES = {
    "string": Type.TEXT,
    "long": Type.BIGINT,
    "double": Type.DOUBLE,
    "boolean": Type.BOOLEAN,
    "date": Type.TIMESTAMP,
    "geo_location": Type.JSON,
    "object": Type.JSON,
    "nested": Type.JSON,
}
"""Arrays carry no mark: a field that is declared ``long`` may hold lists of them."""


def declared(path: str, caller: Caller) -> Mapping[str, Type]:
    """
    Return the declared type of each field; fields of unknown type are left out.

    :raises SourceError: when Iterable does not tell
    """
    return caller.json(path, form=_types)


def _types(answer: Any) -> Mapping[str, Type]:  # noqa: ANN401 (JSON is any)
    fields = answer.get("fields") if isinstance(answer, dict) else None
    if not isinstance(fields, dict) or not all(isinstance(type_, str) for type_ in fields.values()):
        raise NotAnAnswer("An answer does not list the fields of users.")
    return {field: TYPES[type_] for field, type_ in fields.items() if type_ in TYPES}
