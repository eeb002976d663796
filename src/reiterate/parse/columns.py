"""Which column holds which source field: names, collisions, variants."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from itertools import chain
from typing import TYPE_CHECKING

from reiterate.catalog.model import ByEvent, Type
from reiterate.flow import Column

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from reiterate.catalog.model import Table

EVENT_ID = Column("_event_id", Type.TEXT, None)

LONGEST_NAME = 48
"""PostgreSQL cuts names at 63 bytes; the longest variant suffix takes 14."""

VARIANTS = {
    Type.TEXT: "text",
    Type.BIGINT: "bigint",
    Type.DOUBLE: "double",
    Type.BOOLEAN: "bool",
    Type.JSON: "json",
}
"""What a variant column is called after its type: ``price__v_text``, dlt's convention."""

RAW_SUFFIX = "__v_raw"


def snake_case(field: str) -> str:
    """
    Return the column name of a source field: ASCII letters, digits and single underscores, at most 48 characters.

    ``createdAt`` → ``created_at``, ``itblInternal.emailDomain`` → ``itbl_internal_email_domain``,
    ``receivedSMSDisclaimer`` → ``received_sms_disclaimer``. A name that loses all its letters, or is too long, ends in
    a hash of the field.
    """
    ascii_only = unicodedata.normalize("NFKD", field).encode("ascii", "ignore").decode()
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", ascii_only)
    name = re.sub(r"_+", "_", re.sub(r"[^A-Za-z0-9_]", "_", parted)).rstrip("_").lower()
    if name[:1].isdigit():
        name = f"_{name}"
    if not name:
        return f"x_{_hash(field)}"
    return name if len(name) <= LONGEST_NAME else _hashed(name, field)


def _hash(field: str, digits: int = 6) -> str:
    return hashlib.sha256(field.encode("utf-8", "surrogatepass")).hexdigest()[:digits]


def _hashed(name: str, field: str, digits: int = 6) -> str:
    return f"{name[: LONGEST_NAME - 1 - digits].rstrip('_')}_{_hash(field, digits)}"


def first_columns(table: Table) -> tuple[Column, ...]:
    """Return the columns that *table* has before any row was seen."""
    technical = (EVENT_ID,) if isinstance(table.identity, ByEvent) else ()
    return technical + tuple(Column(snake_case(field.name), field.type, field.name) for field in table.fields)


def with_catalog(table: Table, known: tuple[Column, ...]) -> tuple[Column, ...]:
    """Return the columns that the destination has, and those that the catalog knows besides."""
    fields = {column.field for column in known}
    taken = {column.name for column in known}
    missing = [column for column in first_columns(table) if column.field not in fields]
    return known + tuple(
        Column(free_name(column.name, column.field or "", taken), column.type, column.field) for column in missing
    )


def named(fields: Iterable[str], taken: Collection[str]) -> dict[str, str]:
    """
    Return a column name for each new source field, none of them in *taken*.

    Where names meet, the field that is spelled like its column comes first, then alphabetical order; the others get a
    hash of the field behind their name.
    """
    names: dict[str, str] = {}
    used = set(taken)
    for field in sorted(fields, key=lambda field: (snake_case(field) != field, field)):
        names[field] = free_name(snake_case(field), field, used)
        used.add(names[field])
    return names


def free_name(name: str, field: str, taken: Collection[str]) -> str:
    """Return *name*, or the name with as much of the field's hash behind it as sets it apart from those *taken*."""
    candidates = chain([name], (_hashed(name, field, digits) for digits in range(6, LONGEST_NAME)))
    return next(candidate for candidate in candidates if candidate not in taken)


def raw(main: Column) -> Column:
    """Return the column beside *main* for values that no database holds as text, as JSON text."""
    return Column(f"{main.name}{RAW_SUFFIX}", Type.TEXT, main.field, variant=True)


def is_raw(column: Column) -> bool:
    return column.variant and column.name.endswith(RAW_SUFFIX)


def variant(main: Column, kind: Type) -> Column:
    """Return the column beside *main* for values of another type."""
    return Column(f"{main.name}__v_{VARIANTS[kind]}", kind, main.field, variant=True)
