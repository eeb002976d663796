"""
What tells the rows of a table apart, as DuckDB SQL over a scan.

``_event_id`` is a contract with people's warehouses: the md5 (hex) of the table's name and ``field=value`` of each
identifying field that is not null, in the catalog's order, joined by the unit separator (U+001F). The instant counts
in whole seconds since 1970; lists and objects as compact JSON. From the second occurrence of the same on, ``#2``,
``#3``, … follows.

``_content_id`` tells a row apart that has none of the fields which should: it is the md5 (hex) of its fields as compact
JSON in ASCII, the members of every object in the order of their names, nulls left out. From the second such row on,
``#2``, ``#3``, … follows.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, assert_never

from reiterate import exact_json, sql
from reiterate.catalog.model import PERSON, ByEvent, ByFields, ByFirst, Type, Wire
from reiterate.parse import types
from reiterate.parse.mend import RAW

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from reiterate.catalog.model import Table
    from reiterate.parse.scan import Scan

SEPARATOR = "chr(31)"
WHO = "who"
SEPARATOR_IN_JSON = r"\u001"
"""Before the last digit, whether that is spelled ``f`` or ``F``."""


def fields(table: Table) -> tuple[str, ...]:
    """Return the source fields that the identity of a row of *table* is made of."""
    if isinstance(table.identity, ByEvent):
        return (*table.identity.fields, *PERSON)
    return table.identity.fields


def expression(table: Table, scan: Scan) -> str:
    """
    Return a text that is the same for rows that are the same, occurrences apart.

    Rows of a table that is told apart by the first of several fields may have none of them: then it is the hash of what
    they hold, or null in a scan without such hashes.
    """
    match table.identity:
        case ByEvent():
            return of_event(table, dict(_there(fields(table), scan)))
        case ByFields(identifying):
            return _joined("", _there(identifying, scan))
        case ByFirst():
            return f"coalesce({first(table, scan)}, {scan.content})"
        case _:
            assert_never(table.identity)


def first(table: Table, scan: Scan) -> str:
    """Return the first of the fields that a row has, by its place among those of *table*; null if it has none."""
    there = dict(_there(fields(table), scan))
    texts = (f"'{place}' || nullif({there[field]}, '')" for place, field in enumerate(fields(table)) if field in there)
    return f"coalesce({sql.listed([*texts, 'NULL::VARCHAR'])})"


def content_id(row: Mapping[str, Any]) -> str:
    """Return the ``_content_id`` of a row by its fields, values as :mod:`reiterate.exact_json` has them."""
    held = {name: value for name, value in row.items() if value is not None}
    text = exact_json.dumps(held, ordered=True)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def occurring(content: str, occurrence: str) -> str:
    """Return the ``_content_id`` of a row whose content occurs for the time that *occurrence* says, from 1."""
    return f"CASE WHEN {occurrence} > 1 THEN concat({content}, '#', {occurrence}) ELSE {content} END"


def of_event(table: Table, texts: Mapping[str, str], *, instant: str = "") -> str:
    """
    Return the same for events, of which *texts* are the identifying fields that they have.

    An expression of their *instant*, if every row has one, makes less work.
    """
    values = [
        (field, _event_value(texts[field], field, table, instant)) for field in table.identity.fields if field in texts
    ]
    if person := [texts[field] for field in PERSON if field in texts]:
        values.append((WHO, f"coalesce({sql.listed(person)})"))
    return _joined(table.name, values)


def likeness(table: Table, scan: Scan, sure: Collection[str] = ()) -> tuple[str, str]:
    """
    Return a hash in which rows that are the same agree, if for all rows of the scan a condition holds; and that.

    For events it costs a fraction of the identity itself: texts are compared as they stand in JSON. So the condition is
    that what should be text is text (a number might read the same), that the instant is one (else its text might read
    like that of another), and that no value holds what may be a separator. Of *sure* fields all that is known.
    """
    if isinstance(table.identity, ByFirst):
        # null is no identity
        return f"hash({first(table, scan)})", f"{first(table, scan)} IS NOT NULL"
    if not isinstance(table.identity, ByEvent):
        return f"hash({expression(table, scan)})", "true"
    there = [field for field in fields(table) if field in scan.forms]
    if table.cursor not in there or any(f"{RAW}{field}" in scan.forms for field in fields(table)):
        return "NULL", "false"
    texts = {field for field in there if (known := table.field(field)) is not None and known.type is Type.TEXT}
    values = {field: scan.json(field) if field in texts else scan.text(field) for field in there}
    person = [values.pop(field) for field in PERSON if field in there]
    values[table.cursor] = f"epoch({types.instant_in(scan.json(table.cursor))})::BIGINT"
    conditions = [f"{values[table.cursor]} IS NOT NULL"]
    for field in there:
        if field in sure:
            continue
        j = scan.json(field)
        is_text = types.fits(j, Type.TEXT, Wire.PLAIN) if field in texts else "true"
        conditions.append(f"({j} IS NULL OR ({is_text} AND NOT contains({j}, '{SEPARATOR_IN_JSON}')))")
    who = [f"coalesce({sql.listed(person)})"] if person else []
    return f"hash({sql.listed([*values.values(), *who])})", sql.listed(conditions, " AND ")


def _there(identifying: Iterable[str], scan: Scan) -> Iterator[tuple[str, str]]:
    """Yield the fields that the file has, each with the expression of its text."""
    for field in identifying:
        texts = [scan.text(form) for form in (field, f"{RAW}{field}") if form in scan.forms]
        if texts:
            yield field, texts[0] if len(texts) == 1 else f"coalesce({sql.listed(texts)})"


def _event_value(text: str, field: str, table: Table, instant: str) -> str:
    if field != table.cursor:
        return text
    if instant:
        return f"epoch({instant})::BIGINT::VARCHAR"
    return f"coalesce(epoch({types.instant_of_identity(text)})::BIGINT::VARCHAR, {text})"


def _joined(first: str, values: Iterable[tuple[str, str]]) -> str:
    parts = [sql.literal(first)]
    for field, value in values:
        name = f"{SEPARATOR} || {sql.literal(f'{field}=')}"
        # what is null is left out
        parts += [f"CASE WHEN {value} IS NOT NULL THEN {name} END", value]
    return f"concat({sql.listed(parts)})"


def event_id(identity: str, occurrence: str = "1") -> str:
    """Return the expression of ``_event_id`` for an identity and the number of its occurrence, from 1."""
    if occurrence == "1":
        return f"md5({identity})"
    return (
        f"md5(CASE WHEN {occurrence} > 1 THEN concat({identity}, {SEPARATOR}, '#', {occurrence}) ELSE {identity} END)"
    )
