"""
Which type a JSON value has, whether a column can hold it exactly, and how it gets there: DuckDB SQL, as text.

``j`` stands for an expression of the JSON text of one value (SQL null where the field is missing), ``s`` for one of
its bare text (a string without quotes).
"""

from __future__ import annotations

from enum import IntFlag

from reiterate.catalog.model import Type, Wire
from reiterate.parse.mend import NUL

LONGEST_INSTANT = 64
"""No instant is spelled in more characters."""

USUAL_INSTANT = "%Y-%m-%d %H:%M:%S %z"
"""as events have it"""

LENGTH_OF_DAY = 12
"""``"2026-01-14"`` in JSON; no instant is as short."""

FIRST_MS, LAST_MS = -62_135_596_800_000, 253_402_300_799_999
"""The first millisecond of the year 1, and the last of 9999."""

EXACT_DOUBLE = 2**53
"""Beyond it a double does not hold every integer."""


QUOTE = '"'

CONTROL = r"\u00"
"""How a control character begins in the JSON text of a value, the common ones apart: NUL and separators among them."""

NOT_FINITE = r"[\[:,]\s*-?(NaN|Inf)"
"""Where a number that is none may stand in an object or array."""


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
    TIMESTAMP = 128
    """a text that names an instant with its offset"""
    DATE = 256
    """a text that names a day"""
    UNFIT = 512
    """an object or array in which numbers seem to be that JSON does not know"""


TEXTS = Kind.TEXT | Kind.TIMESTAMP | Kind.DATE
"""Whatever is a string in JSON."""


TYPE_OF = {
    Kind.TEXT: Type.TEXT,
    Kind.TIMESTAMP: Type.TEXT,
    Kind.DATE: Type.TEXT,
    Kind.JSON: Type.JSON,
    Kind.DOUBLE: Type.DOUBLE,
    Kind.INTEGER: Type.BIGINT,
    Kind.WIDE_INTEGER: Type.BIGINT,
    Kind.BOOLEAN: Type.BOOLEAN,
}
"""The type of a column that holds each kind beside others; of several kinds, the first here settles the column."""

ALONE = {Kind.TIMESTAMP: Type.TIMESTAMP, Kind.DATE: Type.DATE}
"""The type of a new column whose texts are all of one of these kinds."""

HOLDS = {
    Type.TEXT: TEXTS,
    Type.TIMESTAMP: Kind.TIMESTAMP,
    Type.DATE: Kind.DATE,
    Type.BIGINT: Kind.INTEGER | Kind.WIDE_INTEGER,
    Type.DOUBLE: Kind.DOUBLE | Kind.INTEGER,
    Type.BOOLEAN: Kind.BOOLEAN,
    Type.JSON: TEXTS | Kind.INTEGER | Kind.WIDE_INTEGER | Kind.DOUBLE | Kind.BOOLEAN | Kind.JSON,
}
"""The kinds that a column of the type holds exactly."""


def kind(j: str, *, text: bool = True) -> str:
    """
    Return the kind of a value; 0 for null. A decimal fraction counts as a double, as everywhere in JSON.

    What most values are is told by their first characters, which costs next to nothing; each branch of a CASE is only
    worked out for the rows that come to it. Where the value cannot be a *text*, the expression is much shorter, which
    counts for small files.
    """
    kind_of_text = f"WHEN {_begins(j, QUOTE)} THEN {_kind_of_text(j)}" if text else ""
    return f"""(CASE
        WHEN {j} IS NULL THEN 0
        {kind_of_text}
        WHEN {_nested(j)} THEN {Kind.JSON:d} + {unfit(j)}
        WHEN {_begins(j, "t")} OR {_begins(j, "f")} THEN {Kind.BOOLEAN:d}
        WHEN {_begins(j, "n")} THEN 0
        WHEN contains({j}, '.') AND isfinite(TRY_CAST({j}::VARCHAR AS DOUBLE)) THEN {Kind.DOUBLE:d}
        WHEN regexp_full_match({j}, '-?[0-9]+') THEN CASE
            WHEN TRY_CAST({j}::VARCHAR AS BIGINT) IS NULL THEN {Kind.JSON:d}
            WHEN TRY_CAST({j}::VARCHAR AS BIGINT) BETWEEN -{EXACT_DOUBLE} AND {EXACT_DOUBLE} THEN {Kind.INTEGER:d}
            ELSE {Kind.WIDE_INTEGER:d} END
        WHEN isfinite(TRY_CAST({j} AS DOUBLE)) OR NOT regexp_matches({j}, '[0-9]') THEN {Kind.DOUBLE:d}
        ELSE {Kind.JSON:d}
        END)"""


def _kind_of_text(j: str) -> str:
    # days and instants begin with a digit
    return f"""CASE
        WHEN {j}::VARCHAR < '"0' OR {j}::VARCHAR >= '":' THEN {Kind.TEXT:d}
        WHEN substring({j}, 6, 1) <> '-' OR strlen({j}) > {LONGEST_INSTANT} THEN {Kind.TEXT:d}
        WHEN strlen({j}) = {LENGTH_OF_DAY} THEN
            CASE WHEN {day(f"substring({j}, 2, 10)")} IS NOT NULL THEN {Kind.DATE:d} ELSE {Kind.TEXT:d} END
        WHEN {instant_in(j)} IS NOT NULL THEN {Kind.TIMESTAMP:d}
        ELSE {Kind.TEXT:d} END"""


def _begins(j: str, character: str) -> str:
    """Return whether a value begins with an ASCII character; null for null."""
    return f"({j}::VARCHAR >= '{character}' AND {j}::VARCHAR < '{chr(ord(character) + 1)}')"


def _nested(j: str) -> str:
    return f"({_begins(j, '{')} OR {_begins(j, '[')})"


def unfit(j: str) -> str:
    """Return the kind ``UNFIT`` for an object or array in which numbers seem to be that JSON does not know; else 0."""
    return f"""(CASE
        WHEN NOT contains({j}, 'NaN') AND NOT contains({j}, 'Inf') THEN 0
        WHEN {_nested(j)} AND regexp_matches({j}, '{NOT_FINITE}') THEN {Kind.UNFIT:d}
        ELSE 0 END)"""


def fits(j: str, type_: Type, wire: Wire) -> str:
    """Return whether a column of *type_* holds the value exactly (a boolean, false for null)."""
    text = f"coalesce({_begins(j, QUOTE)}, false)"
    bare = f"({j}->>'$')"
    match type_, wire:
        case Type.JSON, Wire.JSON_TEXT:
            # a text without those letters needs no closer look
            strange = f"contains({j}, 'u0000') OR contains({j}, 'NaN') OR contains({j}, 'Inf')"
            fine = f"NOT contains({bare}, '{NUL}') AND NOT regexp_matches({bare}, '{NOT_FINITE}')"
            return f"""(CASE
                WHEN NOT {text} THEN coalesce({j}::VARCHAR <> 'null', false)
                WHEN {strange} THEN json_valid({bare}) AND {fine}
                ELSE json_valid({bare}) END)"""
        case Type.JSON, _:
            return f"coalesce({j}::VARCHAR <> 'null', false)"
        case Type.TEXT, _:
            return text
        case Type.BIGINT, _:
            whole = f"coalesce(regexp_full_match({j}, '-?[0-9]{{1,15}}\\.0'), false)"
            careful = f"({kind(j, text=False)} & {HOLDS[Type.BIGINT]:d} <> 0 OR {whole})"
            quick = f"regexp_full_match({j}, '-?[0-9]{{1,18}}')"
            return f"(CASE WHEN {text} THEN false WHEN {quick} THEN true ELSE {careful} END)"
        case Type.TIMESTAMP, Wire.EPOCH_MS:
            whole = f"{kind(j)} = {Kind.INTEGER:d} AND TRY_CAST({j} AS BIGINT) BETWEEN {FIRST_MS} AND {LAST_MS}"
            return f"coalesce(({whole}) OR ({text} AND {instant(bare)} IS NOT NULL), false)"
        case Type.TIMESTAMP, _:
            return f"(CASE WHEN {text} THEN {instant_in(j)} IS NOT NULL ELSE false END)"
        case Type.DATE, _:
            return f"(CASE WHEN {text} THEN {day(bare)} IS NOT NULL ELSE false END)"
        case _:
            return f"(NOT {text} AND {kind(j, text=False)} & {HOLDS[type_]:d} <> 0)"


def surely(j: str, type_: Type, wire: Wire) -> str | None:
    """
    Return a quick condition, null for null, under which a column of *type_* holds the value, and so does any database.

    What does not fulfil it needs a closer look; for some types there is nothing that is quick.
    """
    match type_, wire:
        case Type.TEXT, _:
            return f"(starts_with({j}, '{QUOTE}') AND NOT contains({j}, '{CONTROL}'))"
        case Type.BIGINT, _:
            return f"regexp_full_match({j}, '0|-?[1-9][0-9]{{0,17}}')"
        case Type.BOOLEAN, _:
            return f"{j}::VARCHAR IN ('true', 'false')"
        case Type.TIMESTAMP, Wire.PLAIN:
            return f"CASE WHEN {j} IS NOT NULL THEN {instant_in(j)} IS NOT NULL END"
        case _:
            return None


def clearly(j: str, s: str, type_: Type, wire: Wire) -> str:
    """
    Return a condition, true or null for null, under which a column of *type_*, and any database, holds the value.

    A text that should be a document may still be none: to read it as one fails then.
    """
    # only of a string the text is shorter than its JSON: by two quotes, and by what each escape takes
    text = f"strlen({j}) <> strlen({s})"
    match type_, wire:
        case Type.TEXT, _:
            plain = f"coalesce(strlen({j}) - strlen({s}), 2) = 2"
            return f"CASE WHEN {plain} THEN true ELSE {text} AND NOT contains({s}, chr(0)) END"
        case Type.JSON, Wire.JSON_TEXT:
            odd = f"CASE WHEN contains({s}, 'NaN') OR contains({s}, 'Inf') THEN regexp_matches({s}, '{NOT_FINITE}') END"
            return f"({text} AND NOT contains({s}, '{NUL}') AND NOT coalesce({odd}, false))"
        case _:
            fine = f"{fits(j, type_, wire)} AND {unfit(j)} = 0 AND NOT contains({j}, '{NUL}')"
            return surely(j, type_, wire) or f"CASE WHEN {j} IS NOT NULL THEN {fine} END"


def value(j: str, s: str, type_: Type, wire: Wire) -> str:
    """Return a fitting value in the type of its column, from its JSON text or from its bare text."""
    match type_, wire:
        case Type.TEXT, _:
            return s
        case Type.JSON, Wire.JSON_TEXT:
            return f"CASE WHEN {_begins(j, QUOTE)} THEN ({j}->>'$')::JSON ELSE {j} END"
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
    """
    Return the instant that a text names with its offset, as events have it or in ISO form; else null.

    Instants before the year 1 and after 9999, in UTC, count as none: most programs cannot hold them.
    """
    fraction = r"\.\d{1,6}0*"
    iso = rf"\d{{4}}-\d\d-\d\d[T ]\d\d:\d\d:\d\d({fraction})? ?(Z|[+-]\d\d:?\d\d)"
    # some are exported with a second fraction, of nothing (FACTS.md 7.2)
    mangled = rf"(\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d{fraction})\.0+Z"
    utc = f"regexp_matches({s}, '(Z|[+-]00:?00)$')"
    # a year in fewer digits is not read as one
    held = (
        f"substring({s}, 8, 1) = '-' AND ({s} BETWEEN '0001-01-02' AND '9999-12-31' "
        f"OR ({s} BETWEEN '0001' AND '9999-12-31T24' AND {utc}))"
    )
    return (
        f"CASE WHEN {held} THEN coalesce(try_strptime({s}, '{USUAL_INSTANT}'), "
        rf"CASE WHEN regexp_full_match({s}, '{iso}') "
        rf"THEN TRY_CAST(regexp_replace({s}, ' ([Z+-])', '\1') AS TIMESTAMPTZ) "
        f"WHEN regexp_full_match({s}, '{mangled}') "
        rf"THEN TRY_CAST(regexp_replace({s}, '{mangled}', '\1Z') AS TIMESTAMPTZ) END) END"
    )


def instant_in(j: str) -> str:
    """Return the instant that a text names, as JSON text: for the most usual spelling without taking it out."""
    return f"""coalesce({usual_instant_in(j)}, {instant(f"({j}->>'$')")})"""


def usual_instant_in(j: str) -> str:
    """Return the instant that a text names in the most usual spelling, as JSON text; else null."""
    usual = f"substring({j}, 9, 1) = '-' AND {j}::VARCHAR >= '\"0001-01-02' AND {j}::VARCHAR < '\"9999-12-31'"
    return f"""CASE WHEN {usual} THEN try_strptime({j}, '"{USUAL_INSTANT}"') END"""


def day(s: str) -> str:
    """Return the day that a text names; else null."""
    return rf"CASE WHEN {s} >= '0001' AND regexp_full_match({s}, '\d{{4}}-\d\d-\d\d') THEN TRY_CAST({s} AS DATE) END"


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


def type_of(kinds: Kind, declared: Type | None = None) -> Type:
    """Return the type of a new column for values of *kinds*: as the source *declared* it, if that holds any of them."""
    if declared is not None and kinds & HOLDS[declared]:
        return declared
    if (alone := ALONE.get(kinds & TEXTS)) is not None:
        return alone
    return next(type_ for kind_, type_ in TYPE_OF.items() if kinds & kind_)


def rest(kinds: Kind, type_: Type, wire: Wire) -> list[Kind]:
    """Return the kinds that a column does not hold; values known to fit are not among *kinds*."""
    held = Kind(0) if wire is Wire.JSON_TEXT else HOLDS.get(type_, Kind(0))
    return [kind_ for kind_ in TYPE_OF if kinds & kind_ & ~held]
