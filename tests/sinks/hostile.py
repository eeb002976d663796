"""Values and names that are hard to keep, as data."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests import replica

if TYPE_CHECKING:
    from tests.sinks.batches import Row

CORPUS: dict[str, list[bytes]] = {
    "integers beyond 64 bits": [
        rb"9223372036854775807",
        rb"9223372036854775808",
        rb"-9223372036854775808",
        rb"-9223372036854775809",
        rb"123456789012345678901234567890",
    ],
    "integers that no double holds": [rb"9007199254740993", rb"0.5", rb"-9007199254740993", rb"7"],
    "numbers that are none": [rb"NaN", rb"Infinity", rb"-Infinity", rb"1.5"],
    "numbers that are none, in objects": [rb'{"a":NaN}', rb"[1,-Infinity]", rb"[1.5]", rb'["NaN, :NaN"]'],
    "numbers that are none, beside objects": [rb"NaN", rb"-Infinity", rb'{"a":1}', rb'{"a":NaN,"b":[Infinity]}'],
    "keys that stand twice": [rb'{"a":2,"a":1}', rb'[{"b":{"a":2,"a":1}}]', rb'{"a":{"a":{"a":1}}}'],
    "numbers of many digits": [rb'{"a":1e1000}', rb'{"a":"3e12345"}', b"[" + b"9" * 1_000 + b"]"],
    "numbers beyond doubles": [rb"1e400", rb"-1e400", rb"1.7976931348623157e308", rb"5e-324"],
    "NUL": [rb'"a\u0000b"', rb'"\u0000"', rb'"\\u0000"', rb'"plain"', rb'{"a":"\u0000"}', rb'{"\u0000":1}'],
    "lone surrogates": [rb'"\ud83d"', rb'"\ude00\ud83d"', rb'["\udfff"]', rb'"\ud83d\ude00"'],
    "bytes that are no UTF-8": [b'"caf\xe9"', b'"\xff\xfe"', b'["\xc3"]', '"café"'.encode()],
    "10 MB": [b'"' + b"x" * 10_000_000 + b'"'],
    "texts": [
        rb'""',
        rb'" "',
        rb'"null"',
        rb'"O' + b"'" + rb'Neil \"q\" \\ ;--"',
        '"😀\\n\\t\\u0001\\u007f"'.encode(),
        rb'"\ufffe"',
    ],
    "all types in one field": [rb"1", rb"1.5", rb"true", rb'"x"', rb'{"a":1}', rb"[]", rb'"2026-01-14"', rb"null"],
    "instants": [
        rb'"2026-01-14 06:20:22 +00:00"',
        rb'"2026-01-14 06:20:22 +0000"',
        rb'"2026-01-14 06:20:22 -05:00"',
        rb'"2026-01-14T06:20:22.123Z"',
        rb'"2025-12-19T22:43:34.134105.000Z"',
    ],
    "instants and what is none": [
        rb'"2026-01-14 06:20:22 +00:00"',
        rb'"2026-02-30 06:20:22 +00:00"',
        rb'"2026-01-14 06:20:22"',
        rb'"10000-01-01 00:00:00 +00:00"',
        rb'"soon"',
        rb"1768371622000",
    ],
    "days": [rb'"2026-01-14"', rb'"0001-01-01"', rb'"9999-12-31"'],
    "days and what is none": [rb'"2026-01-14"', rb'"2026-02-30"', rb'"0000-01-01"', rb'"14.01.2026"', rb"20260114"],
    "empty objects": [rb"{}", rb"[]", rb'{"":{}}', rb"[null]"],
    "deep": [b"[" * 500 + b"]" * 500],
}
"""Values of one field, as JSON spells them; each in a row of its own."""

NAMES = (
    "",
    " ",
    ".",
    "a.b",
    "a b",
    "a_b",
    "aB",
    "A.B",
    'say "hi"',
    "it's",
    "a;b--",
    "a,b",
    "a\\b",
    "a/b~c",
    "$1",
    "%s",
    "?",
    "[0]",
    "{}",
    "😀",
    "é",
    "e\u0301",
    "ß",
    "ẞ",
    "İ",
    "\u0001",
    "\n",
    "_",
    "__",
    "_a",
    "1",
    "x" * 300,
    "x" * 299 + "y",
    "é" * 300,
    "fooBar",
    "foo_bar",
    "FooBar",
    "Industry",
    "industry",
    "price",
    "price__v_text",
    "price__v_raw",
    "price__V_json",
    *("select", "table", "user", "rowid", "ctid", "xmin", "tableoid", "filename", "json", "line", "r", "v"),
    *("_event_id", "_dlt_id", "_dlt_load_id", "custom_fields", "customFields", "raw rows", "same row"),
)
"""Names of fields, all of which may stand in one row."""


def rows(name: str) -> tuple[list[bytes], list[Row]]:
    """Return the lines of a case, a user for each value, and what they say."""
    values = CORPUS[name]
    lines = [b'{"email":"%d@example.com","the value":%b}\n' % (number, value) for number, value in enumerate(values)]
    return lines, [loads(line) for line in lines]


def loads(line: bytes) -> Row:
    """Return what a line says; bytes that are no UTF-8 are lone surrogates, numbers beyond doubles have all digits."""
    text = line.decode("utf-8", "surrogateescape")
    row: Row = json.loads(text, parse_float=replica.exact, strict=False)
    return row
