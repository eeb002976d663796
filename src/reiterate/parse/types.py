"""
Which type a JSON value has, whether a column can hold it exactly, and how it gets there: DuckDB SQL, as text.

``j`` stands for an expression of the JSON text of one value (SQL null where the field is missing), ``s`` for one of
its bare text (a string without quotes).
"""

from __future__ import annotations

from enum import IntFlag

from reiterate.catalog.model import Type, Wire

EXACT_DOUBLE = 2**53
"""Beyond it a double does not hold every integer."""


class Kind(IntFlag):
    """What the values of one field were, in one file."""

    TEXT = 1
    INTEGER = 2
    WIDE_INTEGER = 4
    """beyond what a double holds exactly, within 64 bits"""
    DOUBLE = 8
    BOOLEAN = 16
    JSON = 32
    """objects, arrays, and numbers that neither 64 bits nor a double can hold"""
    FITTING = 64
    """whatever it was, its column holds it"""


TYPE_OF = {
    Kind.TEXT: Type.TEXT,
    Kind.JSON: Type.JSON,
    Kind.DOUBLE: Type.DOUBLE,
    Kind.INTEGER: Type.BIGINT,
    Kind.WIDE_INTEGER: Type.BIGINT,
    Kind.BOOLEAN: Type.BOOLEAN,
}
"""The type of a column for each kind; of several kinds, the first here settles the column."""

HOLDS = {
    Type.TEXT: Kind.TEXT,
    Type.BIGINT: Kind.INTEGER | Kind.WIDE_INTEGER,
    Type.DOUBLE: Kind.DOUBLE | Kind.INTEGER,
    Type.BOOLEAN: Kind.BOOLEAN,
    Type.JSON: Kind.TEXT | Kind.INTEGER | Kind.WIDE_INTEGER | Kind.DOUBLE | Kind.BOOLEAN | Kind.JSON,
}
"""The kinds that a column of the type holds exactly."""


def kind(j: str) -> str:
    """Return the kind of a value; 0 for null. A decimal fraction counts as a double, as everywhere in JSON."""
    return f"""(CASE left({j}, 1)
        WHEN '"' THEN {Kind.TEXT:d}
        WHEN '{{' THEN {Kind.JSON:d} WHEN '[' THEN {Kind.JSON:d}
        WHEN 't' THEN {Kind.BOOLEAN:d} WHEN 'f' THEN {Kind.BOOLEAN:d}
        WHEN 'n' THEN 0
        ELSE CASE
            WHEN {j} IS NULL THEN 0
            WHEN regexp_full_match({j}, '-?[0-9]+') THEN CASE
                WHEN TRY_CAST({j} AS BIGINT) IS NULL THEN {Kind.JSON:d}
                WHEN TRY_CAST({j} AS BIGINT) BETWEEN -{EXACT_DOUBLE} AND {EXACT_DOUBLE} THEN {Kind.INTEGER:d}
                ELSE {Kind.WIDE_INTEGER:d} END
            WHEN isfinite(TRY_CAST({j} AS DOUBLE)) OR NOT regexp_matches({j}, '[0-9]') THEN {Kind.DOUBLE:d}
            ELSE {Kind.JSON:d} END
        END)"""


def fits(j: str, type_: Type, wire: Wire) -> str:
    """Return whether a column of *type_* holds the value exactly (a boolean, false for null)."""
    text = f"left({j}, 1) = '\"'"
    bare = f"({j}->>'$')"
    match type_, wire:
        case Type.JSON, Wire.JSON_TEXT:
            return f"({kind(j)} <> 0 AND (NOT {text} OR json_valid({bare})))"
        case Type.BIGINT, _:
            whole = f"regexp_full_match({j}, '-?[0-9]{{1,15}}\\.0')"
            return f"({kind(j)} & {HOLDS[Type.BIGINT]:d} <> 0 OR coalesce({whole}, false))"
        case Type.TIMESTAMP, Wire.EPOCH_MS:
            return f"coalesce({kind(j)} = {Kind.INTEGER:d} OR ({text} AND {instant(bare)} IS NOT NULL), false)"
        case Type.TIMESTAMP, _:
            return f"coalesce({text} AND {instant(bare)} IS NOT NULL, false)"
        case Type.DATE, _:
            return f"coalesce({text} AND {day(bare)} IS NOT NULL, false)"
        case _:
            return f"({kind(j)} & {HOLDS[type_]:d} <> 0)"


def value(j: str, s: str, type_: Type, wire: Wire) -> str:
    """Return a fitting value in the type of its column, from its JSON text or from its bare text."""
    match type_, wire:
        case Type.TEXT, _:
            return s
        case Type.JSON, Wire.JSON_TEXT:
            return f"CASE WHEN left({j}, 1) = '\"' THEN ({j}->>'$')::JSON ELSE {j} END"
        case Type.JSON, _:
            return f"nullif({j}, 'null')::JSON"
        case Type.TIMESTAMP, Wire.EPOCH_MS:
            return f"coalesce(make_timestamptz(TRY_CAST({s} AS BIGINT) * 1000), {instant(s)})"
        case Type.TIMESTAMP, _:
            return instant(s)
        case Type.DATE, _:
            return day(s)
        case _:
            return f"{s}::{SQL_TYPE[type_]}"


def instant(s: str) -> str:
    """Return the instant that a text names with its offset, as events have it or in ISO form; else null."""
    iso = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:?\d\d)"
    return (
        f"coalesce(try_strptime({s}, '%Y-%m-%d %H:%M:%S %z'), "
        f"CASE WHEN regexp_full_match({s}, '{iso}') THEN TRY_CAST({s} AS TIMESTAMPTZ) END)"
    )


def day(s: str) -> str:
    return rf"CASE WHEN regexp_full_match({s}, '\d{{4}}-\d\d-\d\d') THEN TRY_CAST({s} AS DATE) END"


SQL_TYPE = {
    Type.TEXT: "VARCHAR",
    Type.BIGINT: "BIGINT",
    Type.DOUBLE: "DOUBLE",
    Type.BOOLEAN: "BOOLEAN",
    Type.TIMESTAMP: "TIMESTAMP WITH TIME ZONE",
    Type.DATE: "DATE",
    Type.JSON: "JSON",
}
"""DuckDB's name of each type."""


def type_of(kinds: Kind) -> Type:
    """Return the type of a new column for values of *kinds*."""
    return next(type_ for kind_, type_ in TYPE_OF.items() if kinds & kind_)


def rest(kinds: Kind, type_: Type, wire: Wire) -> list[Kind]:
    """Return the kinds that a column does not hold; values known to fit are not among *kinds*."""
    held = Kind(0) if wire is Wire.JSON_TEXT else HOLDS.get(type_, Kind(0))
    return [kind_ for kind_ in TYPE_OF if kinds & kind_ & ~held]
