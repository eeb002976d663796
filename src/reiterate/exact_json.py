"""JSON that keeps how numbers are spelled, names that repeat, and bytes that are no UTF-8."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


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


def dumps(value: Any, *, escaped: bool = True, ordered: bool = False) -> str:  # noqa: ANN401 (JSON is any)
    """
    Return JSON text in ASCII; unless *escaped*, characters stand in it as they are, which may be no JSON.

    If *ordered*, the members of every object are in the order of their names.
    """
    written: list[str] = []
    left: list[Any] = [value]  # no recursion: values may be nested more deeply than calls
    while left:
        match left.pop():
            case _Mark() | Number() as text:
                written.append(text)
            case Members() | dict() as members:
                pairs = [*(members.items() if isinstance(members, dict) else members)]
                if ordered:
                    pairs.sort(key=lambda pair: pair[0])
                left += _enclosed("{}", [(name, _Mark(":"), member) for name, member in pairs])
            case list() as items:
                left += _enclosed("[]", [(item,) for item in items])
            case str() as text if not escaped:
                written.append(f'"{text}"')
            case other:
                written.append(json.dumps(other))
    return "".join(written)


class _Mark(str):
    """What stands between values."""

    __slots__ = ()


def _enclosed(brackets: str, items: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Return all that stands in an object or array, last things first."""
    inner = [part for item in items for part in (_Mark(","), *item)]
    return [_Mark(brackets[0]), *inner[1:], _Mark(brackets[1])][::-1]


def numbers(value: Any) -> Iterator[Number]:  # noqa: ANN401 (JSON is any)
    """Yield every number in a value, in no order."""
    left: list[Any] = [value]
    while left:
        match left.pop():
            case Number() as number:
                yield number
            case Members() as members:
                left += [member for _, member in members]
            case list() as items:
                left += items
            case _:
                pass
