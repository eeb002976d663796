"""What a value is, and what holds it: the SQL that takes short cuts against the same without any."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reiterate.catalog.model import Type, Wire
from reiterate.parse import types
from reiterate.parse.mend import NUL
from reiterate.parse.types import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BARE = "(j->>'$')"
NESTED = f"{Kind.JSON:d}"
KIND = f"""CASE left(j, 1)
    WHEN '"' THEN CASE
        WHEN {types.day(BARE)} IS NOT NULL THEN {Kind.DATE:d}
        WHEN {types.instant(BARE)} IS NOT NULL THEN {Kind.TIMESTAMP:d}
        ELSE {Kind.TEXT:d} END
    WHEN '{{' THEN {NESTED} WHEN '[' THEN {NESTED}
    WHEN 't' THEN {Kind.BOOLEAN:d} WHEN 'f' THEN {Kind.BOOLEAN:d}
    WHEN 'n' THEN 0
    ELSE CASE
        WHEN j IS NULL THEN 0
        WHEN contains(j, '.') AND isfinite(TRY_CAST(j AS DOUBLE)) THEN {Kind.DOUBLE:d}
        WHEN regexp_full_match(j, '-?[0-9]+') THEN CASE
            WHEN TRY_CAST(j AS BIGINT) IS NULL THEN {Kind.JSON:d}
            WHEN abs(TRY_CAST(j AS HUGEINT)) <= {types.EXACT_DOUBLE} THEN {Kind.INTEGER:d}
            ELSE {Kind.WIDE_INTEGER:d} END
        WHEN NOT regexp_matches(j, '[0-9]') THEN {Kind.DOUBLE | Kind.NOT_FINITE:d}
        WHEN isfinite(TRY_CAST(j AS DOUBLE)) THEN {Kind.DOUBLE:d}
        ELSE {Kind.JSON:d} END
    END"""
"""As a person would spell it."""

DOCUMENT = f"json_valid({BARE}) AND NOT contains({BARE}, '{NUL}') AND NOT regexp_matches({BARE}, '{types.REFUSED}')"
SURE = f"{~int(Kind.UNFIT)}"
"""All of a kind but what only seems to be."""
FITS = {
    (Type.TEXT, Wire.PLAIN): "left(j, 1) = '\"'",
    (Type.BIGINT, Wire.PLAIN): f"({KIND}) IN ({Kind.INTEGER:d}, {Kind.WIDE_INTEGER:d}) "
    r"OR regexp_full_match(j, '-?[0-9]{1,15}\.0')",
    (Type.DOUBLE, Wire.PLAIN): f"({KIND}) IN ({Kind.INTEGER:d}, {Kind.DOUBLE:d}, {Kind.DOUBLE | Kind.NOT_FINITE:d})",
    (Type.BOOLEAN, Wire.PLAIN): f"({KIND}) = {Kind.BOOLEAN:d}",
    (Type.TIMESTAMP, Wire.PLAIN): f"left(j, 1) = '\"' AND {types.instant(BARE)} IS NOT NULL",
    (Type.DATE, Wire.PLAIN): f"left(j, 1) = '\"' AND {types.day(BARE)} IS NOT NULL",
    (Type.JSON, Wire.PLAIN): f"({KIND}) <> 0",
    (Type.JSON, Wire.JSON_TEXT): f"({KIND}) <> 0 AND (left(j, 1) <> '\"' OR ({DOCUMENT}))",
}

PIECES = [
    "0",
    "1",
    "9",
    "-",
    "+",
    ".",
    ":",
    " ",
    "T",
    "Z",
    '"',
    "\\",
    "\t",
    "é",
    "٣",
    "{",
    "}",
    "[",
    "]",
    "u0000",
    "NaN",
]
DAYS = st.sampled_from(["2026-02-28", "2026-02-30", "0000-01-01", "0001-01-01", "9999-12-31", "1700-07-04"])
TIMES = st.sampled_from(["00:00:00", "23:59:59", "24:00:00", "12:30:00.5", "12:30:00.123456000", "12:30:00.12.000"])
OFFSETS = st.sampled_from(["Z", " Z", "+00:00", " +00:00", "+0530", " -08:00", "", " +00", "UTC"])
TEXTS = (
    st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
    | DAYS
    | st.builds("{}{}{}{}".format, DAYS, st.sampled_from([" ", "T", "\t", "  "]), TIMES, OFFSETS)
    | st.builds("{}{}".format, DAYS, st.sampled_from(PIECES))
    | st.sampled_from(["NaN", "-Infinity", '{"a": NaN}', '{"a": "\\u0000"}', '["u0000", "NaN"]', "[-Inf]", "null", "5"])
)
NUMBERS = st.integers(-(2**70), 2**70).map(str) | st.sampled_from(
    [
        *("0", "-0", "0.1", "5.0", "-5.0", "1234567890123456.0", "1e5", "1E400", "-1.5e-400"),
        *("123456789012345678", "9007199254740993", "9223372036854775807", "9223372036854775808"),
        *("-9223372036854775808", "NaN", "Infinity", "-Infinity"),
    ]
)
VALUES = st.recursive(
    TEXTS.map(json.dumps) | NUMBERS | st.sampled_from(["true", "false", "null"]),
    lambda inner: (
        st.lists(inner, max_size=2).map(lambda items: f"[{', '.join(items)}]")
        | st.builds("{{{}: {}}}".format, TEXTS.map(json.dumps), inner)
    ),
    max_leaves=3,
)


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with closing(duckdb.connect()) as database:
        database.execute("SET TimeZone = 'UTC'")
        yield database


def answers(database: duckdb.DuckDBPyConnection, file: Path, values: list[str], asked: list[str]) -> list[Any]:
    """Return what *asked* says about each of *values*, read as the parser reads them."""
    file.write_text("".join(f'{{"j": {value}}}\n' for value in values))
    source = f"read_ndjson('{file}', columns={{'j': 'JSON'}}, records=true)"
    return database.execute(f"SELECT j::VARCHAR, {', '.join(asked)} FROM {source}").fetchall()


@settings(max_examples=200, deadline=None, derandomize=True)
@given(values=st.lists(VALUES, min_size=1, max_size=40))
def test_short_cuts_change_no_answer(
    database: duckdb.DuckDBPyConnection, tmp_path_factory: pytest.TempPathFactory, values: list[str]
) -> None:
    """Every value has the kind, and fits into the columns, that it would without any short cut."""
    file = tmp_path_factory.getbasetemp() / "values.ndjson"
    asked = [KIND, *(f"coalesce({fits}, false)" for fits in FITS.values())]
    short = [f"{types.kind('j')} & {SURE}", *(types.fits("j", type_, wire) for type_, wire in FITS)]
    assert answers(database, file, values, asked) == answers(database, file, values, short)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(values=st.lists(TEXTS.map(json.dumps), min_size=1, max_size=40))
def test_instants_as_they_stand_in_json(
    database: duckdb.DuckDBPyConnection, tmp_path_factory: pytest.TempPathFactory, values: list[str]
) -> None:
    """A text names the same instant in its quotes and without."""
    file = tmp_path_factory.getbasetemp() / "values.ndjson"
    whole, bare = (f"epoch_us({instant})" for instant in (types.instant_in("j"), types.instant(BARE)))
    assert answers(database, file, values, [bare]) == answers(database, file, values, [whole])
