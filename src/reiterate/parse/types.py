"""
Which type a JSON value has, whether a column can hold it exactly, and how it gets there: DuckDB SQL, as text.

``j`` stands for an expression of the JSON text of one value (SQL null where the field is missing), ``s`` for one of
its bare text (a string without quotes).
"""

from __future__ import annotations

from enum import IntFlag

from reiterate.catalog.model import Type, Wire
from reiterate.parse.mend import NUL
from reiterate.sql import name

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

NOT_FINITE = r"-?(?i:nan|inf(inity)?)"
BEYOND = r"-?[0-9.]*([0-9][eE][+-]?[0-9]{5,}|[0-9]{1000}[0-9.eE+-]*)"
REFUSED = rf"(^|[\[:,])\s*({NOT_FINITE}|{BEYOND})\s*($|[,\]}}])"
"""
Numbers that some database refuses in an object or array, or in a column of JSON: those that are none, and those that
``jsonb`` may not hold with all their digits. In a string there may seem to be one.
"""

DANGLING = r",\s*[\]}]"
"""A comma that DuckDB takes, and nobody else."""

MANY = 5_000
"""As many objects and arrays may be nested too deeply for some database."""


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
    """beside JSON: there seems to be something inside that some database refuses, or loses"""
    NOT_FINITE = 1024
    """beside a double: no number, or an infinity"""


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
        WHEN {j}::VARCHAR = 'null' THEN 0
        WHEN contains({j}, '.') AND isfinite(TRY_CAST({j}::VARCHAR AS DOUBLE)) THEN {Kind.DOUBLE:d}
        WHEN regexp_full_match({j}, '-?[0-9]+') THEN CASE
            WHEN TRY_CAST({j}::VARCHAR AS BIGINT) IS NULL THEN {Kind.JSON:d} + {_beyond(j)}
            WHEN TRY_CAST({j}::VARCHAR AS BIGINT) BETWEEN -{EXACT_DOUBLE} AND {EXACT_DOUBLE} THEN {Kind.INTEGER:d}
            ELSE {Kind.WIDE_INTEGER:d} END
        WHEN NOT regexp_matches({j}, '[0-9]') THEN {Kind.DOUBLE | Kind.NOT_FINITE:d}
        WHEN isfinite(TRY_CAST({j} AS DOUBLE)) THEN {Kind.DOUBLE:d}
        ELSE {Kind.JSON:d} + {_beyond(j)}
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


def unfit(j: str, wire: Wire = Wire.PLAIN) -> str:
    """
    Return the kind ``UNFIT`` for JSON in which there seems to be what some database refuses, or loses; else 0.

    Of JSON inside a string that fits, only keys that stand twice are not known yet.
    """
    if wire is Wire.JSON_TEXT:
        bare = f"({j}->>'$')"
        return f"(CASE WHEN {_plain_document(bare)} THEN 0 ELSE {Kind.UNFIT:d} END)"
    return f"""(CASE
        WHEN regexp_matches({j}, '{REFUSED}') THEN {Kind.UNFIT:d}
        WHEN NOT {_nested(j)} THEN 0
        WHEN {_openings(j)} > {MANY} THEN {Kind.UNFIT:d}
        WHEN {_plain(j)} THEN 0
        ELSE {Kind.UNFIT:d} END)"""


def not_finite(j: str) -> str:
    """Return the kind ``NOT_FINITE`` for a number that is none, or infinite; else 0."""
    return f"(CASE WHEN regexp_full_match({j}, '{NOT_FINITE}') THEN {Kind.NOT_FINITE:d} ELSE 0 END)"


def _beyond(j: str) -> str:
    """Return the kind ``UNFIT`` for a number that some database refuses; else 0."""
    return f"(CASE WHEN regexp_matches({j}, '{REFUSED}') THEN {Kind.UNFIT:d} ELSE 0 END)"


def _openings(j: str) -> str:
    return f"CASE WHEN strlen({j}) > {2 * MANY} THEN {_times(j, '[')} + {_times(j, '{')} ELSE 0 END"


def _times(j: str, text: str) -> str:
    """Return how often a text of ASCII characters stands in another."""
    return f"(strlen({j}) - strlen(replace({j}, '{text}', ''))) // {len(text)}"


def _plain(j: str) -> str:
    """
    Return whether it is certain that no object has a key twice, in *j* or inside: true of most.

    That is so if the different keys of each object in it are, added up, as many as there are colons behind quotes.
    """
    keys = _times(j, QUOTE + ":")
    one = name("a value")  # no field's column has this name, which would come first
    # to ask values that are no objects for their keys takes most of the time
    objects = f"list_filter(json_extract({j}, '$..*'), lambda {one}: starts_with({one}, '{{'))"
    inside = f"list_sum(list_transform({objects}, lambda {one}: list_unique(json_keys({one}))))"
    return f"(NOT contains({j}, '{{') OR list_unique(json_keys({j})) + coalesce({inside}, 0) = {keys})"


def _plain_document(s: str) -> str:
    """Return the same for a text that is JSON, if it is; there may be something between a quote and a colon."""
    apart = f"regexp_matches({s}, '{QUOTE}\\s')"
    return f"(CASE WHEN NOT json_valid({s}) THEN true WHEN {apart} THEN false ELSE {_plain(s)} END)"


def fits(j: str, type_: Type, wire: Wire) -> str:
    """Return whether a column of *type_* holds the value exactly (a boolean, false for null)."""
    text = f"coalesce({_begins(j, QUOTE)}, false)"
    bare = f"({j}->>'$')"
    match type_, wire:
        case Type.JSON, Wire.JSON_TEXT:
            return f"""(CASE
                WHEN NOT {text} THEN coalesce({j}::VARCHAR <> 'null', false)
                WHEN NOT json_valid({bare}) THEN false
                ELSE {_sound(bare)} END)"""
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


def _sound(s: str) -> str:
    """Return whether every database holds a valid JSON text as it is."""
    return f"""(CASE
        WHEN contains({s}, '{NUL}') OR regexp_matches({s}, '{REFUSED}|{DANGLING}') THEN false
        ELSE {_openings(s)} <= {MANY} END)"""


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
            return f"({text} AND {_sound(s)} AND {_plain_document(s)})"
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

    Instants before the year 1 and after 9999, in UTC, count as none: most programs cannot hold them. So do texts that
    only resemble one: hour 24, second 60, an offset of a day and more, other spaces.
    """
    fraction = r"\.\d{1,6}0*"
    clock = r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d"
    offset = r"Z|[+-]([01]\d|2[0-3])(:?[0-5]\d)?"
    iso = rf"\d{{4}}-\d\d-\d\d[T ]{clock}({fraction})? ?({offset})"
    # some are exported with a second fraction, of nothing (FACTS.md 7.2)
    mangled = rf"(\d{{4}}-\d\d-\d\dT{clock}{fraction})\.0+Z"
    return (
        rf"CASE WHEN NOT coalesce({_of_years_1_to_9999(s)}, false) THEN NULL WHEN regexp_full_match({s}, '{iso}') "
        rf"THEN TRY_CAST(regexp_replace({s}, ' ([Z+-])', '\1') AS TIMESTAMPTZ) "
        f"WHEN regexp_full_match({s}, '{mangled}') "
        rf"THEN TRY_CAST(regexp_replace({s}, '{mangled}', '\1Z') AS TIMESTAMPTZ) END"
    )


def instant_of_identity(s: str) -> str:
    """Return the same as identities of events have it, which never change: what resembles an instant counts as one."""
    fraction = r"\.\d{1,6}0*"
    iso = rf"\d{{4}}-\d\d-\d\d[T ]\d\d:\d\d:\d\d({fraction})? ?(Z|[+-]\d\d:?\d\d)"
    mangled = rf"(\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d{fraction})\.0+Z"
    return (
        f"CASE WHEN {_of_years_1_to_9999(s)} THEN coalesce(try_strptime({s}, '{USUAL_INSTANT}'), "
        rf"CASE WHEN regexp_full_match({s}, '{iso}') "
        rf"THEN TRY_CAST(regexp_replace({s}, ' ([Z+-])', '\1') AS TIMESTAMPTZ) "
        f"WHEN regexp_full_match({s}, '{mangled}') "
        rf"THEN TRY_CAST(regexp_replace({s}, '{mangled}', '\1Z') AS TIMESTAMPTZ) END) END"
    )


def _of_years_1_to_9999(s: str) -> str:
    # a year in fewer digits is not read as one
    utc = f"regexp_matches({s}, '(Z|[+-]00:?00)$')"
    return (
        f"substring({s}, 8, 1) = '-' AND ({s} BETWEEN '0001-01-02' AND '9999-12-31' "
        f"OR ({s} BETWEEN '0001' AND '9999-12-31T24' AND {utc}))"
    )


def instant_in(j: str) -> str:
    """Return the instant that a text names, as JSON text: for the most usual spelling without taking it out."""
    return f"""coalesce({usual_instant_in(j)}, {instant(f"({j}->>'$')")})"""


def usual_instant_in(j: str) -> str:
    """Return the instant that a text names in the most usual spelling, as JSON text; else null."""
    # two spaces would be read as one, hour 24 as the next day, an offset of a day and more as one
    offset = rf"""({j} LIKE '%+00:00"' OR regexp_matches({j}, '[+-]([01]\d|2[0-3]):[0-5]\d"$'))"""
    spelled = f"""{j} LIKE '"____-__-__ __:__:__ ___:__"' AND NOT contains({j}, '  ') AND {offset}"""
    usual = f"{spelled} AND substring({j}, 13, 2) < '24'"
    held = f"{j}::VARCHAR >= '\"0001-01-02' AND {j}::VARCHAR < '\"9999-12-31'"
    return f"""CASE WHEN {usual} AND {held} THEN try_strptime({j}, '"{USUAL_INSTANT}"') END"""


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
