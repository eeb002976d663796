"""What becomes of the lines of an answer: one oddity a case, and then anything at all."""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reiterate.catalog import TABLES
from reiterate.catalog.model import ByEvent, Type
from reiterate.errors import MalformedRow
from reiterate.flow import Column
from reiterate.parse import identity
from reiterate.parse.columns import EVENT_ID, with_catalog
from reiterate.shape import CustomFields, Shape
from tests.golden import reading

if TYPE_CHECKING:
    from reiterate.flow import Batch
    from reiterate.parse import Parser

INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,6})?(\.000)?(Z| ?[+-]\d\d:?\d\d)")
CASES = sorted((Path(__file__).parent / "cases").glob("*.json"))


def column(name: str, type: str, field: str, *, variant: bool = False) -> Column:  # noqa: A002 (as the case spells it)
    return Column(name, Type(type), field, variant=variant)


@pytest.fixture(params=CASES, ids=lambda path: path.stem)
def case(request: pytest.FixtureRequest) -> dict[str, Any]:
    """A case: *table*, *known* columns, *columns* that join them, *rows*, and the *lines* that they come from."""
    path: Path = request.param
    found: dict[str, Any] = json.loads(path.read_text())
    found["known"] = tuple(column(**each) for each in found.get("known", ()))
    lines = path.with_suffix(".ndjson").read_bytes().splitlines(keepends=True)
    return {**found, "lines": [line for line in lines if line.strip()]}


def parse(parser: Parser, spool: Path, case: dict[str, Any], lines: list[bytes]) -> tuple[Batch, list[reading.Row]]:
    return reading.parse(parser, spool, reading.task(case["table"]), b"".join(lines), case["known"])


@pytest.mark.oldest
def test_case(parser: Parser, spool: Path, case: dict[str, Any]) -> None:
    """The rows arrive as the case says, in the columns that it names."""
    batch, rows = parse(parser, spool, case, case["lines"])
    before = with_catalog(TABLES[case["table"]], case["known"])
    assert {*before, *(column(**each) for each in case["columns"])} == {*batch.columns}
    assert reading.ordered(case["rows"]) == reading.ordered(rows)
    assert len(case["lines"]) == batch.source_rows


def test_order_does_not_matter(parser: Parser, spool: Path, case: dict[str, Any]) -> None:
    """Neither the order of the lines nor that of their keys changes a row or a column."""
    order = random.Random(7)
    lines = []
    for line in order.sample(case["lines"], len(case["lines"])):
        members = json.loads(line, object_pairs_hook=_Members, parse_int=_Number, parse_float=_Number)
        lines.append(f"{_text(_Members(order.sample(members, len(members))))}\n".encode())
    batch, rows = parse(parser, spool, case, case["lines"])
    again, rows_again = parse(parser, spool, case, lines)
    assert {*batch.columns} == {*again.columns}
    assert reading.ordered(rows) == reading.ordered(rows_again)


class _Number(str):
    """A number as it is spelled."""

    __slots__ = ()


class _Members(list[tuple[str, Any]]):
    """The members of an object, in their order."""


def _text(value: Any) -> str:
    match value:
        case _Number():
            return str(value)
        case _Members():
            return "{" + ",".join(f"{_text(name)}:{_text(member)}" for name, member in value) + "}"
        case list():
            return f"[{','.join(map(_text, value))}]"
        case _:
            return json.dumps(value, ensure_ascii=False)


# ── _event_id ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_event_ids_are_those_of_the_contract(parser: Parser, spool: Path, case: dict[str, Any]) -> None:
    """An ``_event_id`` is what docs/exactness.md says, counted by other means than ours."""
    table = TABLES[case["table"]]
    if not isinstance(table.identity, ByEvent):
        assert EVENT_ID not in parse(parser, spool, case, case["lines"])[0].columns
        return
    identities = Counter(_identity(table.name, table.identity.fields, json.loads(line)) for line in case["lines"])
    expected = {_md5(text, nth) for text, times in identities.items() for nth in range(1, times + 1)}
    _, rows = parse(parser, spool, case, case["lines"])
    assert expected == {row["_event_id"] for row in rows}
    assert len(case["lines"]) == len(expected)


def _identity(table: str, fields: tuple[str, ...], row: reading.Row) -> str:
    parts = [f"{field}={_as_text(field, row[field])}" for field in fields if row.get(field) is not None]
    who = next(
        (_as_text(name, row[name]) for name in ("email", "itblUserId", "userId") if row.get(name) is not None), None
    )
    return "\x1f".join([table, *parts, *([f"who={who}"] if who is not None else [])])


def _as_text(field: str, value: Any) -> str:
    if field == "createdAt" and INSTANT.fullmatch(value):
        return str(
            int(datetime.fromisoformat(value.replace(".000Z", "Z").replace(" +", "+").replace(" -", "-")).timestamp())
        )
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _md5(text: str, nth: int) -> str:
    return hashlib.md5((text if nth == 1 else f"{text}\x1f#{nth}").encode()).hexdigest()


ALIKE = st.sampled_from([None, "a", "b", "5", 5, 5.0, True, "true", [5], "[5]", "a\x1fip=b", "a\x1fwho=b", 'a"\\'])
SECONDS = ["2026-03-14 09:26:53 +00:00", "2026-03-14T09:26:53Z", "2026-03-14 10:26:53 +01:00", "1773480413", "a", None]
EVENTS = {
    name: st.fixed_dictionaries(
        {"createdAt": st.sampled_from(SECONDS)},
        optional={field: ALIKE for field in (*identity.fields(TABLES[name]), "city") if field != "createdAt"},
    )
    for name in ("email_open", "email_click", "email_subscribe")
}


@settings(deadline=None, max_examples=40, derandomize=True)
@given(
    st.sampled_from(sorted(EVENTS)).flatmap(lambda name: st.tuples(st.just(name), st.lists(EVENTS[name], max_size=6)))
)
def test_what_is_the_same_is_told_apart(parser: Parser, spool: Path, drawn: tuple[str, list[reading.Row]]) -> None:
    """Events that are the same are counted, however their values are spelled; no others are."""
    name, sent = drawn
    identities = Counter(_identity(name, TABLES[name].identity.fields, row) for row in sent)
    expected = [_md5(text, nth) for text, times in identities.items() for nth in range(1, times + 1)]
    _, rows = reading.parse(parser, spool, reading.task(name), reading.lines(sent))
    assert sorted(expected) == sorted(row["_event_id"] for row in rows)


# ── what is no row ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "line",
    [
        b"not JSON",
        b"<html><body>502 Bad Gateway</body></html>",
        b'{"id": 2',
        b'{"id": 2, "name": "cut of',
        b'{"id": 2} {"id": 3}',
        b'["id", 2]',
        b'"id"',
        b"2",
        b"null",
        b"{'id': 2}",
    ],
)
def test_what_is_no_object_is_refused(parser: Parser, spool: Path, line: bytes) -> None:
    """A line that is no JSON object fails its file with the table's name; the parser goes on with the next file."""
    good = b'{"id": 1, "name": "one"}\n'
    for content in (line + b"\n", good + line + b"\n" + good, good + line):
        with pytest.raises(MalformedRow, match="channels"):
            reading.parse(parser, spool, reading.task("channels"), content)
    assert [{"id": 1, "name": "one"}] == reading.parse(parser, spool, reading.task("channels"), good)[1]


def test_an_empty_answer_is_no_row(parser: Parser, spool: Path) -> None:
    """Nothing, or empty lines alone, are no rows, and no columns but those of the catalog."""
    for content in (b"", b"\n\n"):
        batch, rows = reading.parse(parser, spool, reading.task("email_open"), content)
        assert ([], 0) == (rows, batch.source_rows)
        assert with_catalog(TABLES["email_open"], ()) == batch.columns


# ── anything at all ──────────────────────────────────────────────────────────────────────────────────────────────────

MOMENTS = st.datetimes().map(lambda moment: f"{moment:%Y-%m-%d %H:%M:%S} +00:00")
DAYS = st.dates().map(str)
TEXTS = st.text(st.characters(exclude_categories=[]), max_size=20) | MOMENTS | DAYS
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
FIELDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20) | st.sampled_from(
    ["price", "Price", "price ", "a.b", "a_b", "_event_id", "__v_text", "price__v_text", ""]
)
ROWS = st.lists(st.dictionaries(FIELDS, VALUES, max_size=5), min_size=1, max_size=6)


@settings(deadline=None, max_examples=50, derandomize=True)
@given(st.lists(ROWS, min_size=1, max_size=3))
def test_nothing_is_dropped(parser: Parser, spool: Path, answers: list[list[reading.Row]]) -> None:
    """Every value of every field of every row stands in one column of that field, exactly, answer after answer."""
    known: tuple[Column, ...] = ()
    for answer in answers:
        sent = [{**row, "email": f"{n}@example.com"} for n, row in enumerate(answer)]
        batch, rows = reading.parse(parser, spool, reading.task("users"), reading.lines(sent), known)
        known = batch.columns
        assert len({each.name.lower() for each in known}) == len(known)
        by_email = {row["email"]: row for row in rows}
        for row in sent:
            assert {field: _instant(value) for field, value in row.items() if value is not None} == {
                field: _instant(value) for field, value in _source(by_email[row["email"]], known).items()
            }


def _source(row: reading.Row, columns: tuple[Column, ...]) -> reading.Row:
    """Return the row as Iterable sent it."""
    types = {each.name: each for each in columns}
    found: reading.Row = {}
    for name, value in row.items():
        field = types[name].field
        assert field is not None
        assert field not in found
        found[field] = json.loads(value) if types[name].type is Type.JSON or name.endswith("__v_raw") else value
    return found


def _instant(value: Any) -> Any:
    """Return the instant that a text names, however it is spelled; any other value as it is."""
    if isinstance(value, str) and INSTANT.fullmatch(spelled := f"{value}:00" if value.endswith("+00") else value):
        with suppress(ValueError):
            return datetime.fromisoformat(re.sub(r" (?=[+-])", "", spelled))
    return value


# ── what databases cannot hold ───────────────────────────────────────────────────────────────────────────────────────

HOSTILE = {
    b'"caf\xe9"': '"caf\\udce9"',
    b'"\xff\xfe"': '"\\udcff\\udcfe"',
    b'"lone \\ud83d surrogate"': '"lone \\ud83d surrogate"',
    b'"nul \\u0000"': '"nul \\u0000"',
    b'{"a":"\xe9","b":' + b"[" * 900 + b"]" * 900 + b"}": '{"a":"\\udce9","b":' + "[" * 900 + "]" * 900 + "}",
    b'{"a":["\\udfff",1.50,null]}': '{"a":["\\udfff",1.50,null]}',
    b'"tab\there"': None,
    b'{"a":NaN}': '{"a":NaN}',
    b'[1,{"b":[-Infinity]}]': '[1,{"b":[-Infinity]}]',
    b'{"a" : -inf , "b":[nan,]}': '{"a":-Infinity,"b":[NaN]}',
    b'{"a":1,"a":2}': '{"a":1,"a":2}',
    b'{"a":1,"\\u0061":2}': '{"a":1,"a":2}',
    b'{"x":[[{"y":{"k":1,"k":null}}]]}': '{"x":[[{"y":{"k":1,"k":null}}]]}',
    b'{"a":1e99999}': '{"a":1e99999}',
    b"[" + b"9" * 20_000 + b"]": "[" + "9" * 20_000 + "]",
    b"[" * 5_001 + b"]" * 5_001: "[" * 5_001 + "]" * 5_001,
    b'{"a":"\xff","b":' + b"[" * 5_000 + b"]" * 5_000 + b"}": '{"a":"\\udcff","b":' + "[" * 5_000 + "]" * 5_000 + "}",
}

FIT = [
    b'{"a":"x,NaN,y","b":"[Infinity]","c":"1e99999"}',
    b'[{"k":1},{"k":1},{"k":{"k":{"k":2}}}]',
    b'{"a\\":1":1,"b":"{\\"b\\":1,\\"b\\":2}"}',
    b'{"a":"3e12345","b":["a3e123456789"]}',
    b'{"a":1e300,"b":123456789012345678901234567890}',
]
"""Objects that only look as if some database refused them."""


@pytest.mark.parametrize(("value", "raw"), HOSTILE.items())
def test_what_no_database_holds_is_kept_as_json_text(
    parser: Parser, spool: Path, value: bytes, raw: str | None
) -> None:
    """Such values stand in a column of their own, the rows and values beside them as ever."""
    good = b'{"id": 1, "name": "one", "own": 2.5}\n'
    line = b'{"id": 2, "name": ' + value + b', "own": "\\ud83d\\ude00"}\n'
    batch, rows = reading.parse(parser, spool, reading.task("channels"), good + line)
    name = {"name__v_raw": raw} if raw else {"name": json.loads(value, strict=False)}
    assert [{"id": 1, "name": "one", "own__v_double": 2.5}, {"id": 2, "own": "\U0001f600", **name}] == sorted(
        rows, key=lambda row: row["id"]
    )
    fields = {each.name: each.field for each in batch.columns}
    assert raw is None or "name" == fields["name__v_raw"]


@pytest.mark.parametrize("value", FIT)
def test_what_only_looks_unfit(parser: Parser, spool: Path, value: bytes) -> None:
    """Strings that resemble numbers or keys, and keys that stand once in each object, are kept as objects."""
    line = b'{"id": 1, "name": "one", "own": ' + value + b"}\n"
    for wide in (b"", b'{"id": 2, "own": {"a":NaN}}\n'):
        _, rows = reading.parse(parser, spool, reading.task("channels"), line + wide)
        assert json.loads(value) == next(json.loads(row["own"]) for row in rows if row["id"] == 1)


@pytest.mark.parametrize(("first", "column"), [(b'{"a":1}', "own__v_raw"), (b"1.5", "own")])
def test_infinities_beside_objects(parser: Parser, spool: Path, first: bytes, column: str) -> None:
    """NaN and the infinities are numbers among numbers; in a column of objects, known or new, they are raw."""
    lines = [b'{"id": 1, "own": %b}\n' % first]
    lines += [b'{"id": %d, "own": %b}\n' % one for one in enumerate((b"NaN", b"-Infinity", b"inf", b"nan"), 2)]
    expected = {2: "NaN", 3: "-Infinity", 4: "Infinity", 5: "NaN"}
    known: tuple[Column, ...] = ()
    for content in (b"".join(lines), b"".join(lines[1:])):
        batch, rows = reading.parse(parser, spool, reading.task("channels"), content, known)
        known = batch.columns
        found = {row["id"]: row[column] for row in rows if row["id"] > 1}
        assert expected == found if column != "own" else [*map(float, expected.values())][1:3] == [found[3], found[4]]


def test_fields_that_share_a_column(parser: Parser, spool: Path) -> None:
    """In the object of fields without columns, what no database holds stands as JSON text; the rest as ever."""
    shape = Shape(custom_fields=CustomFields.JSON)
    line = b'{"id":1,"a":NaN,"b":{"c":1,"c":2},"d":{"e":"x:NaN"},"f":1e99999,"g":1.5}\n'
    task = replace(reading.task("channels"), shape=shape)
    _, (row,) = reading.parse(parser, spool, task, line)
    marked = {"a": "NaN", "b": '{"c":1,"c":2}', "f": "1e99999"}
    expected = {f"\x1araw {name}": text for name, text in marked.items()} | {"d": {"e": "x:NaN"}, "g": 1.5}
    assert expected == json.loads(row["custom_fields"])


RESEMBLING = [
    *("2025-02-30 06:20:22 +00:00", "2026-01-14 06:20:22 +25:99", "2026-01-14T06:20:22+05:60", "2026-13-01"),
    *("2026-01-14 24:00:00 +00:00", "2026-01-14T24:00:00Z", "2026-06-30 23:59:60 +00:00", "2026-02-29", "2026-1-4"),
    *("infinity", "-infinity", "now", "today", "epoch", "12026-01-14 06:20:22 +00:00", "-2026-01-14 06:20:22 +00:00"),
    *("2026-01-14 6:20:22 +00:00", "2026-01-14  6:20:22 +00:00", "2026-01-14 06:20:2  +00:00", " 2026-01-14"),
    *("2026-01-14 06:20:22 +00:00 ", "2026-01-14 06:20:22 +00:00:30", "2026-01-14 06:20:22", "20260114"),
    *(
        "0000-01-01",
        "0000-01-01 00:00:00 +00:00",
        "10000-01-01",
        "2026-01-14 06:20:22 UTC",
        "2026-01-14T06:20:22.1234567Z",
    ),
]


@pytest.mark.parametrize("text", RESEMBLING)
def test_text_that_resembles_an_instant_or_a_day(parser: Parser, spool: Path, text: str) -> None:
    """Such text stays text, in a new column and in a known one of instants."""
    sent = [{"email": "a@example.com", "own": text, "signupDate": text}]
    _, (row,) = reading.parse(parser, spool, reading.task("users"), reading.lines(sent))
    assert {"email": "a@example.com", "own": text, "signup_date__v_text": text} == row


def test_events_whose_instant_resembles_one(parser: Parser, spool: Path) -> None:
    """The identity of an event never changes: an hour 24 counts in it as the next day's first, as it always did."""
    sent = [{"email": "a@b.c", "createdAt": "2026-03-13 24:00:00 +00:00", "messageId": "m"}]
    _, (row,) = reading.parse(parser, spool, reading.task("email_open"), reading.lines(sent))
    assert "2026-03-13 24:00:00 +00:00" == row["created_at__v_text"]
    assert _md5("email_open\x1fcreatedAt=1773446400\x1fmessageId=m\x1fwho=a@b.c", 1) == row["_event_id"]


def test_events_that_differ_in_such_values_are_different(parser: Parser, spool: Path) -> None:
    """What tells events apart counts as it came, and one that is the same has the same ``_event_id``."""
    line = '{{"email":"a@example.com","createdAt":"2026-03-14 09:26:53 +00:00","messageId":"{}"}}\n'
    content = "".join(line.format(text) for text in ("m\\u0000", "m\\u0001", "m\\ud800", "m\\ud800")).encode()
    _, rows = reading.parse(parser, spool, reading.task("email_open"), content)
    assert 4 == len({row["_event_id"] for row in rows})
    _, again = reading.parse(parser, spool, reading.task("email_open"), content)
    assert {row["_event_id"] for row in rows} == {row["_event_id"] for row in again}


def test_what_is_too_deep_to_mend(parser: Parser, spool: Path) -> None:
    """Values nested too deeply for Python arrive beside values that no database holds."""
    deep = "[" * 5000 + "]" * 5000
    content = f'{{"id":1,"deep":{deep}}}\n{{"id":2,"name":"\\u0000"}}\n'.encode()
    _, rows = reading.parse(parser, spool, reading.task("channels"), content)
    assert [{"id": 1, "deep": deep}, {"id": 2, "name__v_raw": '"\\u0000"'}] == reading.ordered(rows)


def test_json_text_that_no_database_holds(parser: Parser, spool: Path) -> None:
    """JSON in a string stays a string where NUL or NaN is in it, whether or not its column is there."""
    known: tuple[Column, ...] = ()
    kept = ['{"a":"\\u0000"}', '{"a":NaN}', "no JSON"]
    for _ in range(2):
        sent = [{"email": f"{n}@example.com", "transactionalData": text} for n, text in enumerate([*kept, '{"a":1}'])]
        batch, rows = reading.parse(parser, spool, reading.task("email_send"), reading.lines(sent), known)
        known = batch.columns
        assert {*kept} == {row["transactional_data__v_text"] for row in rows if "transactional_data__v_text" in row}
        assert ['{"a":1}'] == [row["transactional_data"] for row in rows if "transactional_data" in row]


@pytest.mark.parametrize("value", [b'"x\\\\u0000y"', b'{"k":"x\\\\u0000y"}', b'["\\\\u0000"]'])
def test_what_only_looks_like_nul(parser: Parser, spool: Path, value: bytes) -> None:
    """A backslash before u0000 is text like any other, in a field that is new and in one that is known."""
    line = b'{"email":"a@example.com","profileUpdatedAt":"2026-01-14 06:20:22 +00:00","note":%b}\n' % value
    known: tuple[Column, ...] = ()
    for _ in range(2):
        batch, (row,) = reading.parse(parser, spool, reading.task("users"), line, known)
        known = batch.columns
        expected = json.loads(value)
        assert expected == (row["note"] if isinstance(expected, str) else json.loads(row["note"]))


@pytest.mark.oldest
def test_wide_and_long_rows(parser: Parser, spool: Path) -> None:
    """2,000 keys in a row, and a text of 10 MB, arrive as they are."""
    wide = {"email": "a@example.com", **{f"field {n}": n for n in range(2000)}}
    long = {"email": "b@example.com", "long": "x" * 10_000_000}
    for row in (wide, long):
        batch, (found,) = reading.parse(parser, spool, reading.task("users"), reading.lines([row]))
        assert row == _source(found, batch.columns)
