"""JSON that keeps how numbers are spelled, names that repeat, and bytes that are no UTF-8."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


class Number(str):
    """A number as it is spelled."""

    __slots__ = ()


class Members(list[tuple[str, Any]]):
    """The members of an object, in their order."""


LENIENT = re.compile(
    r'"(?:[^"\\]|\\.)*"|-?\b(?:nan|inf(?:inity)?)\b|(?<![\[{,:\s])\s*,(?=\s*[\]}])', re.IGNORECASE | re.DOTALL
)
"""What DuckDB takes and Python does not, and the strings in which it means nothing."""

TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+)\s*', re.DOTALL)


def loads(text: bytes) -> Any:  # noqa: ANN401 (JSON is any)
    """
    Return a JSON value; a byte that is no UTF-8 becomes a lone surrogate.

    As DuckDB does, it takes a comma before a closing bracket, NaN and the infinities however they are spelled, and
    any depth.

    :raises ValueError: when *text* is no JSON
    """
    decoded = text.decode("utf-8", "surrogateescape")
    try:
        return _loads(decoded)
    except ValueError:
        return _loads(LENIENT.sub(_strict, decoded))


def _loads(text: str) -> Any:  # noqa: ANN401 (JSON is any)
    try:
        return json.loads(
            text, object_pairs_hook=Members, parse_int=Number, parse_float=Number, parse_constant=Number, strict=False
        )
    except RecursionError:
        return _loads_deep(text)


def _loads_deep(text: str) -> Any:  # noqa: ANN401 (JSON is any)
    """Return the same without recursion, for what is nested too deeply for Python."""
    root: list[Any] = []
    open_: list[list[Any]] = [root]
    place = 0
    after = "["  # the last mark, nothing after a value
    while place < len(text):
        if (found := TOKEN.match(text, place)) is None:
            raise ValueError(text[place : place + 80])
        mark, place = found[1], found.end()
        inside = open_[-1]
        wants_name = isinstance(inside, Members) and after in {"{", ","}
        match mark:
            case "{" | "[" if after and not wants_name:
                open_.append(Members() if mark == "{" else [])
                after = mark
            case "}" | "]" if len(open_) > 1 and _closes(mark, inside, after):
                open_.pop()
                _put(open_[-1], inside)
                after = ""
            case "," if not after and len(open_) > 1:
                after = ","
            case ":" if after == '"':
                after = ":"
            case _ if wants_name and mark.startswith('"'):
                inside.append((json.loads(mark, strict=False), None))
                after = '"'
            case _ if after in {"[", ",", ":"} and not wants_name and mark not in {"{", "[", "}", "]", ",", ":"}:
                _put(inside, _loads(mark))
                after = ""
            case _:
                raise ValueError(text[place - len(mark) : place + 80])
    if len(open_) > 1 or len(root) != 1:
        raise ValueError(text[-80:])
    return root[0]


def _closes(mark: str, inside: list[Any], after: str) -> bool:
    opened = "{" if isinstance(inside, Members) else "["
    return opened + mark in {"{}", "[]"} and after in {"", opened}


def _put(inside: list[Any], value: Any) -> None:  # noqa: ANN401 (JSON is any)
    """Add a value to an array, or give it to the name that came before it."""
    if isinstance(inside, Members):
        inside[-1] = (inside[-1][0], value)
    else:
        inside.append(value)


def _strict(found: re.Match[str]) -> str:
    text = found[0]
    if text.startswith('"'):
        return text
    if text.endswith(","):
        return ""
    return "NaN" if text.lower().endswith("nan") else "-" * text.startswith("-") + "Infinity"


def document(text: bytes) -> Any:  # noqa: ANN401 (JSON is any)
    """
    Return a JSON value whose objects are dictionaries, for :func:`dumps` to write as it came.

    :raises ValueError: when *text* is no JSON
    """
    return json.loads(
        text.decode("utf-8", "surrogateescape"),
        object_pairs_hook=of_pairs,
        parse_float=Number,
        parse_constant=Number,
        strict=False,
    )


class Repeating(dict[str, Any]):
    """An object in which a name stands twice: a dictionary of the last values that keeps all *pairs*."""

    def __init__(self, pairs: Sequence[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs

    def __or__(self, others: dict[str, Any]) -> Repeating:  # type: ignore[override]
        return Repeating([pair for pair in self.pairs if pair[0] not in others] + [*others.items()])


def of_pairs(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of all *pairs*."""
    members = dict(pairs)
    return members if len(members) == len(pairs) else Repeating(pairs)


def pairs_of(members: dict[str, Any]) -> Iterable[tuple[str, Any]]:
    """Return all pairs of an object, names that repeat included."""
    return members.pairs if isinstance(members, Repeating) else members.items()


def members(text: bytes) -> Members:
    """
    Return the members of a JSON object, however deeply nested they are.

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
                pairs = [*(pairs_of(members) if isinstance(members, dict) else members)]
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


def is_plain(text: str) -> bool:
    """Return whether it is certain that a text is JSON by the book in which no object has a key twice."""
    try:
        json.loads(text, object_pairs_hook=_once, parse_constant=_refused, strict=False)
    except (ValueError, RecursionError):
        return False
    return True


def _once(members: list[tuple[str, Any]]) -> None:
    if len(members) > 1 and len(dict(members)) < len(members):
        raise ValueError(members)


def _refused(text: str) -> None:
    raise ValueError(text)


def parts(value: Any) -> Iterator[tuple[int, Any]]:  # noqa: ANN401 (JSON is any)
    """Yield every value in a value, itself included, and how many objects and arrays it is in; in no order."""
    left: list[tuple[int, Any]] = [(0, value)]
    while left:
        depth, part = left.pop()
        yield depth, part
        if isinstance(part, Members):
            left += [(depth + 1, member) for _, member in part]
        elif isinstance(part, list):
            left += [(depth + 1, item) for item in part]
