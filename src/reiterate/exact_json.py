"""JSON that keeps how numbers are spelled, names that repeat, and bytes that are no UTF-8."""

from __future__ import annotations

import json
from typing import Any


class Number(str):
    """A number as it is spelled."""

    __slots__ = ()


class Members(list[tuple[str, Any]]):
    """The members of an object, in their order."""


def loads(text: bytes) -> Any:  # noqa: ANN401 (JSON is any)
    """
    Return a JSON value; a byte that is no UTF-8 becomes a lone surrogate.

    :raises ValueError: when *text* is no JSON
    """
    return json.loads(
        text.decode("utf-8", "surrogateescape"),
        object_pairs_hook=Members,
        parse_int=Number,
        parse_float=Number,
        parse_constant=Number,
        strict=False,
    )


def document(text: bytes) -> Any:  # noqa: ANN401 (JSON is any)
    """
    Return a JSON value whose objects are dictionaries, for :func:`dumps` to write as it came.

    :raises ValueError: when *text* is no JSON
    """
    return json.loads(text.decode("utf-8", "surrogateescape"), parse_float=Number, parse_constant=Number, strict=False)


def members(text: bytes) -> Members:
    """
    Return the members of a JSON object.

    :raises ValueError: when *text* is no JSON object
    """
    found = loads(text)
    if not isinstance(found, Members):
        raise ValueError(text[:80])  # noqa: TRY004 (as for any text that is not what it should be)
    return found


def dumps(value: Any, *, escaped: bool = True) -> str:  # noqa: ANN401 (JSON is any)
    """Return JSON text in ASCII; unless *escaped*, characters stand in it as they are, which may be no JSON."""
    match value:
        case Number():
            return str(value)
        case Members() | dict():
            pairs = value.items() if isinstance(value, dict) else value
            inner = (f"{dumps(name, escaped=escaped)}:{dumps(member, escaped=escaped)}" for name, member in pairs)
            return f"{{{','.join(inner)}}}"
        case list():
            return f"[{','.join(dumps(each, escaped=escaped) for each in value)}]"
        case str() if not escaped:
            return f'"{value}"'
        case _:
            return json.dumps(value)
