"""What is loaded without a look stands in the destination as it does where every row is looked at first."""

from __future__ import annotations

import json
from contextlib import closing, nullcontext
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reiterate.catalog import TABLES
from reiterate.errors import LoadError
from reiterate.flow import Write
from reiterate.parse import Parser, relation
from reiterate.sinks import DuckDBSink
from tests import replica
from tests.sinks.batches import fact, load_lines, window, wire, written_lines

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = st.sampled_from(
    ["", *'ab5"\\é\U0001f600', *["-0", "01", "true", "null", "NaN"], "a\x1fip=b", "a\x1f#2"]
) | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=4)
WHOLES = st.sampled_from([0, 1, -1, 10**18 - 1]) | st.integers(-(10**18) + 1, 10**18 - 1)
LISTS = st.lists(st.integers(0, 9) | TEXTS, max_size=2)
DOCUMENTS = st.sampled_from(["{}", '{"a": 1.50}', "[1, 2]", '{"b":{"c":[null,true]}}', '"text"', "5", '{"Inf":"NaN"}'])
SECONDS = st.sampled_from(["10:00", "10:01"]).map(wire) | st.just("2026-11-01 11:00:00 +01:00")

EVENTS = {
    "email_click": {
        **dict.fromkeys(("messageId", "url", "ip", "userAgent", "city"), TEXTS),
        **dict.fromkeys(("hrefIndex", "campaignId"), WHOLES),
        "isBot": st.booleans(),
    },
    "email_subscribe": {"emailListIds": LISTS, "channelIds": LISTS, "userId": TEXTS, "emailListId": WHOLES},
    "email_send": {"messageId": TEXTS, "transactionalData": DOCUMENTS, "contentId": WHOLES},
}
ODD = [
    *[
        "5",
        "5.0",
        "-0",
        "1e3",
        "NaN",
        "-Infinity",
        "true",
        "null",
        '""',
        '"5"',
        "[]",
        '{"a":[1]}',
        '{"a":NaN}',
        '"yesterday"',
    ],
    *(
        '"\\\\u0000"',
        '"\\u0000"',
        '"\\ud800"',
        '"{\\"a\\":\\"\\\\u0000\\"}"',
        '"{\\"a\\":[NaN]}"',
        "9" * 30,
        '"no document"',
    ),
    *('"2026-11-01T10:00:00Z"', '"2026-11-01 10:00:00.25 +00:00"', '"2026-12-01 10:00:00 +00:00"'),
]
TASKS = {name: window(name, "00:00", "23:59", Write.APPEND) for name in EVENTS}


@st.composite
def answers(draw: st.DrawFn) -> tuple[str, list[dict[str, str]], bool]:
    """Return a table, its rows with each value as it stands in JSON, and whether one value is an odd one."""
    name = draw(st.sampled_from([*EVENTS]))
    always = {"createdAt": SECONDS, "email": st.sampled_from(["a@example.com", "b@example.com"])}
    fields = st.fixed_dictionaries(always, optional=EVENTS[name])
    escaped = draw(st.booleans())
    rows = [
        {field: json.dumps(value, ensure_ascii=escaped) for field, value in row.items()}
        for row in draw(st.lists(fields, min_size=1, max_size=8))
    ]
    rows += draw(st.lists(st.sampled_from(rows), max_size=4))
    if odd := draw(st.booleans()):
        field = draw(st.sampled_from(["createdAt", "email", *EVENTS[name], "unknown"]))
        draw(st.sampled_from(rows))[field] = draw(st.sampled_from(ODD))
    return name, rows, odd


@pytest.mark.oldest
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(answer=answers())
def test_a_look_would_find_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: tuple[str, list[dict[str, str]], bool]
) -> None:
    """Rows as they usually are need no look, and become the same, those that share an identity among them."""
    name, rows, odd = answer
    lines = [b"{%b}\n" % ",".join(f'"{field}":{value}' for field, value in row.items()).encode() for row in rows]
    for file in tmp_path.glob("*.duckdb*"):
        file.unlink(missing_ok=True)
    with closing(DuckDBSink(tmp_path / "looked_at.duckdb", "iterable")) as sink:
        load_lines(sink, TASKS[name], lines)
    with monkeypatch.context() as patch, closing(DuckDBSink(tmp_path / "supposed.duckdb", "iterable")) as sink:
        patch.setattr(relation, "LARGE_BYTES", 0)
        with closing(Parser(sink.spool)) as parser:
            batch = parser.suppose(written_lines(TASKS[name], sink.spool, lines), ())
        assert batch or odd
        try:
            loaded = batch is not None and sink.load(batch, fact(batch)).added == len(rows)
        except LoadError:
            loaded = False
            assert () == sink.columns(TABLES[name])
        assert loaded or odd
    if loaded:
        one, other = (rows_of(tmp_path / file, name) for file in ("supposed.duckdb", "looked_at.duckdb"))
        assert other == one


@pytest.mark.oldest
@pytest.mark.parametrize(
    ("document", "sure"),
    [
        ('{"a":1,"b":{"a":[{"a":2},{"a":null}]}}', True),
        ('[{"a":1},{"a":1,"b":2}]', True),
        ('{"a":1,"a":2}', False),
        ('{"a":{"b":1,"b":2}}', False),
        ('{"a":[{"b":1},{"c":{"d":1,"d":null}}]}', False),
        ('[{"a":1},{"b":1,"b":2}]', False),
        ('{"a":{"b" :1,"b" :2}}', False),
    ],
)
def test_a_key_that_stands_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, document: str, sure: bool) -> None:
    """A document is loaded without a look if no object in it has a key twice, however deep; others are not."""
    monkeypatch.setattr(relation, "LARGE_BYTES", 0)
    row = {"createdAt": "2026-11-01 10:00:00 +00:00", "email": "a@example.com", "transactionalData": document}
    lines = [f"{json.dumps(row)}\n".encode()]
    with closing(DuckDBSink(tmp_path / "x.duckdb", "iterable")) as sink, closing(Parser(sink.spool)) as parser:
        batch = parser.suppose(written_lines(TASKS["email_send"], sink.spool, lines), ())
        assert batch
        with nullcontext() if sure else pytest.raises(LoadError):
            assert 1 == sink.load(batch, fact(batch)).added


def rows_of(file: Path, table: str) -> list[dict[str, Any]]:
    """Return all columns of all rows that have a value."""
    columns = [name for (name,) in replica.execute(file, f"SELECT column_name FROM (DESCRIBE {table})")]
    chosen = ", ".join(f'"{column}"' for column in sorted(columns))
    found = replica.execute(file, f"SELECT {chosen} FROM {table} ORDER BY _event_id")
    return [{name: each for name, each in zip(sorted(columns), row, strict=True) if each is not None} for row in found]
