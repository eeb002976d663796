"""Anything that JSON can say, over several loads, read back from the destination by ``_reiterate_columns`` alone."""

from __future__ import annotations

import json
import re
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reiterate.shape import CustomFields, Shape, Spelling
from reiterate.sinks import DuckDBSink
from tests import replica
from tests.sinks.batches import Row, load_lines, same, window

ANY_TEXT = st.lists(st.characters(exclude_categories=[]), max_size=12).map("".join)
"""Letter by letter, so that it is the same whatever constants hypothesis finds in the modules that are loaded."""

NAMES = ANY_TEXT | st.sampled_from(
    ["fooBar", "foo_bar", "FooBar", "", "a.b", "a", "price", "price__v_text", "price__v_raw", "xmin", "customFields"]
)
TEXTS = (
    ANY_TEXT
    | st.datetimes().map(lambda moment: f"{moment:%Y-%m-%d %H:%M:%S} +00:00")
    | st.dates().map(str)
    | st.sampled_from(["2025-12-19T22:43:34.134105.000Z", "2026-01-14 06:20:22 -05:00", "NaN", "null", "[1]"])
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=5,
)
LOADS = st.lists(st.lists(st.dictionaries(NAMES, VALUES, max_size=5), min_size=1, max_size=4), min_size=1, max_size=3)
SHAPES = {
    "columns": Shape(),
    "source": Shape(spelling=Spelling.SOURCE),
    "json": Shape(custom_fields=CustomFields.JSON),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@settings(deadline=None, max_examples=20, derandomize=True)
@given(loads=LOADS, again=st.booleans())
def test_anything_can_be_read_back(shape: Shape, loads: list[list[Row]], *, again: bool) -> None:
    """Every value of every row stands in the destination under its source field, exactly, load after load."""
    sent = [
        [{**row, "email": f"{load}.{number}@example.com"} for number, row in enumerate(rows)]
        for load, rows in enumerate(loads)
    ]
    with TemporaryDirectory() as directory:
        file = Path(directory) / "iterable.duckdb"
        task = window("users", "10:00", "11:00")
        task = type(task)(task.table, task.scope, task.write, shape=shape)
        with closing(DuckDBSink(file, "iterable")) as sink:
            for rows in [*sent, *(sent if again else ())]:
                load_lines(sink, task, [f"{json.dumps(row)}\n".encode() for row in rows])
        found = replica.rows(file, "users")
    assert same("users", [_spelled(row) for rows in sent for row in rows]) == replica.counted(found)


def _spelled(row: Row) -> Row:
    """Return a row with NUL and lone surrogates spelled out in its names, as they are recorded."""
    return {_name(name): value for name, value in row.items()}


def _name(name: str) -> str:
    return re.sub("[\0\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", name)
