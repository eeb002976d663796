"""Which column holds which source field: names, collisions, variants."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

from reiterate.catalog.model import ByEvent, ByFirst, Type
from reiterate.flow import Column
from reiterate.shape import LONGEST_NAME, Shape, Spelling, hashed_name, snake_case

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from reiterate.catalog.model import Table

EVENT_ID = Column(ByEvent.column, Type.TEXT, None)

CONTENT_ID = Column(ByFirst.column, Type.TEXT, None)
"""What tells apart rows that have none of the fields which do; see :class:`reiterate.catalog.model.ByFirst`."""

CUSTOM_FIELDS = Column("custom_fields", Type.JSON, None)
"""Fields that the catalog does not know, as one object, where a person wants them so."""

RESERVED = {
    CONTENT_ID.name,
    CUSTOM_FIELDS.name,
    *("ctid", "tableoid", "xmin", "xmax", "cmin", "cmax"),  # PostgreSQL's own columns
    *("_dlt_id", "_dlt_load_id"),
}
"""Names that no field's column gets, in any destination."""

PLAIN = Shape()

VARIANTS = {
    Type.TEXT: "text",
    Type.BIGINT: "bigint",
    Type.DOUBLE: "double",
    Type.BOOLEAN: "bool",
    Type.JSON: "json",
}
"""What a variant column is called after its type: ``price__v_text``, dlt's convention."""

RAW_SUFFIX = "__v_raw"


def first_columns(table: Table, shape: Shape = PLAIN) -> tuple[Column, ...]:
    """Return the columns that *table* has before any row was seen."""
    technical = (EVENT_ID,) if isinstance(table.identity, ByEvent) else ()
    return technical + tuple(
        Column(_name(field.name, shape), Type.TEXT if shape.hashes(field.name) else field.type, field.name)
        for field in table.fields
        if shape.wants(field.name) or field.name in table.needed
    )


def with_catalog(table: Table, known: tuple[Column, ...], shape: Shape = PLAIN) -> tuple[Column, ...]:
    """Return the columns that the destination has, and those that the catalog knows besides."""
    fields = {column.field for column in known}
    taken = {column.name for column in known}
    missing = [column for column in first_columns(table, shape) if column.field not in fields]
    return known + tuple(replace(column, name=free_name(column.name, column.field or "", taken)) for column in missing)


def named(fields: Iterable[str], taken: Collection[str], shape: Shape = PLAIN) -> dict[str, str]:
    """
    Return a column name for each new source field, none of them in *taken*.

    Where names meet, the field that is spelled like its column comes first, then alphabetical order; the others get a
    hash of the field behind their name.
    """
    names: dict[str, str] = {}
    used = set(taken)
    for field in sorted(fields, key=lambda field: (_name(field, shape) != field, field)):
        names[field] = free_name(_name(field, shape), field, used)
        used.add(names[field])
    return names


def _name(field: str, shape: Shape) -> str:
    # two underscores in a row are those before the suffix of a variant
    if shape.spelling is Spelling.SOURCE and 0 < len(field.encode()) <= LONGEST_NAME and "__v_" not in field.lower():
        return field
    return snake_case(field)


def free_name(name: str, field: str, taken: Collection[str]) -> str:
    """Return *name*, or the name with as much of the field's hash behind it as sets it apart from those *taken*."""
    used = RESERVED | {each.lower() for each in taken}  # databases do not tell case apart
    candidates = chain([name], (hashed_name(name, field, digits) for digits in range(6, LONGEST_NAME)))
    return next(candidate for candidate in candidates if candidate.lower() not in used)


def content_id(known: Collection[Column]) -> Column:
    """Return the column that ``_content_id`` has, or gets, in a table with the columns *known*."""
    there = (column for column in known if column.tells_content)
    # a table of an older version may have a field's column of that name
    taken = {column.name for column in known} - {CONTENT_ID.name}
    own = any(column.name == CONTENT_ID.name and column.field is not None for column in known)
    return next(there, replace(CONTENT_ID, name=free_name(CONTENT_ID.name, "", taken)) if own else CONTENT_ID)


def raw(main: Column) -> Column:
    """Return the column beside *main* for values that no database holds as text, as JSON text."""
    return Column(f"{main.name}{RAW_SUFFIX}", Type.TEXT, main.field, variant=True)


def is_raw(column: Column) -> bool:
    return column.variant and column.name.endswith(RAW_SUFFIX)


def variant(main: Column, kind: Type) -> Column:
    """Return the column beside *main* for values of another type."""
    return Column(f"{main.name}__v_{VARIANTS[kind]}", kind, main.field, variant=True)
