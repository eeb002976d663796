"""Reading the lines of a raw file as values, by DuckDB: each field as JSON text or as bare text."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import duckdb

from reiterate import sql

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from duckdb import DuckDBPyConnection

ROWS = sql.name("raw rows")

CONTENTS = sql.name("raw contents")

SAMPLE_ROWS = 4_000
"""Looked at twice, by one processor: when fields are asked for, and when DuckDB reads the file."""
RENAMED = re.compile(r"_\d+$")

Form = Literal["JSON", "VARCHAR", "BIGINT", "DOUBLE", "BOOLEAN"]


@dataclass(frozen=True)
class Scan:
    """
    The lines of *path*; *forms* says how each field is read: as JSON text, as bare text, or as a number or boolean.

    What is read as a number or boolean must be one in every row.

    DuckDB finds all fields in one pass over a line, but has no place for an empty name nor for names that differ by
    case alone: those are looked up one by one. That, and whoever wants a *whole* line beside its fields, takes longer.

    *contents* is a file of the md5 of some lines, each with the hash of what the row holds.

    If *complete*, the forms must be those of :func:`fields_of_sample`, all JSON, and all be used by the query: then it
    fails when a row has any other field.
    """

    path: Path
    forms: Mapping[str, Form]
    whole: bool = False
    complete: bool = False
    contents: Path | None = None

    @property
    def source(self) -> str:
        """A table expression with the columns that :meth:`json` and :meth:`text` refer to."""
        if self.complete:
            return f"{_sampled(self.path)} AS {ROWS}"
        if not self._by_line:
            # DuckDB would guess whether there are objects, and make a column of a directory that is called name=value
            plain = "records=true, hive_partitioning=false"
            return f"read_ndjson({sql.literal(self.path)}, columns={self._types}, {plain}) AS {ROWS}"
        lines = f"read_ndjson_objects({sql.literal(self.path)})"
        if not self._at_once:
            return f"(SELECT json AS line FROM {lines}) AS {ROWS}{self._joined}"
        structure = json.dumps({field: self.forms[field] for field in self._at_once})
        values = f"json_transform(json, {sql.literal(structure)}) AS v"
        return f"(SELECT json AS line, {values} FROM {lines}) AS {ROWS}{self._joined}"

    @property
    def _joined(self) -> str:
        """What joins the hashes of rows to their lines."""
        if self.contents is None:
            return ""
        hashes = f"read_ndjson({sql.literal(self.contents)}, columns={{'line': 'VARCHAR', 'id': 'VARCHAR'}})"
        return f" LEFT JOIN {hashes} AS {CONTENTS} ON {CONTENTS}.line = md5({ROWS}.line::VARCHAR)"

    @property
    def content(self) -> str:
        """The expression of the hash of what a row holds, null for those whose lines are not in *contents*."""
        return "NULL::VARCHAR" if self.contents is None else f"{CONTENTS}.id"

    @property
    def line(self) -> str:
        """The expression of a whole line."""
        if not self.whole:
            message = "fields are read without their lines"
            raise KeyError(message)
        return f"{ROWS}.line"

    def json(self, field: str) -> str:
        """Return the expression of a field's JSON text; it must be read in that form."""
        if self.forms[field] != "JSON":
            message = f"{field} is read as {self.forms[field]}"
            raise KeyError(message)
        return self._found(field) or f"json_extract({ROWS}.line, {_pointer(field)})"

    def text(self, field: str) -> str:
        """Return the expression of a field's bare text: a string without quotes, anything else as in JSON."""
        if self.forms[field] == "JSON":
            return f"({self.json(field)}->>'$')"
        return self._found(field) or f"json_extract_string({ROWS}.line, {_pointer(field)})"

    def value(self, field: str) -> str:
        """Return the expression of a field's value in the form in which it is read."""
        return self._found(field) or f"{self.text(field)}::{self.forms[field]}"

    def _found(self, field: str) -> str:
        if field not in self._at_once:
            return ""
        return f"{ROWS}.v.{sql.name(field)}" if self._by_line else f"{ROWS}.{sql.name(field)}"

    @property
    def _types(self) -> str:
        types = (f"{sql.literal(field)}: '{form}'" for field, form in self.forms.items())
        return f"{{{', '.join(types)}}}"

    @cached_property
    def _by_line(self) -> bool:
        return self.whole or self.contents is not None or not self.forms or len(self._at_once) < len(self.forms)

    @cached_property
    def _at_once(self) -> frozenset[str]:
        spellings = Counter(field.lower() for field in self.forms)
        return frozenset(field for field in self.forms if field and spellings[field.lower()] == 1)


def fields_of_sample(database: DuckDBPyConnection, path: Path) -> tuple[str, ...] | None:
    """
    Return the fields that the first rows have, in alphabetical order; None if a scan of them could not be complete.

    :raises duckdb.Error: when lines are no JSON objects
    """
    described = database.execute(f"DESCRIBE SELECT * FROM {_sampled(path)}").fetchall()
    names = [str(name) for name, *_ in described]
    spellings = {name.lower() for name in names}
    # DuckDB numbers names that differ by case alone
    doubtful = any(RENAMED.sub("", name).lower() in spellings - {name.lower()} for name in names)
    return None if doubtful or any("\0" in name for name in names) else tuple(sorted(names))


def _sampled(path: Path, rows: int | None = None) -> str:
    """Return the table expression of lines whose fields DuckDB finds out from the first *rows* (else many)."""
    options = "records=true, hive_partitioning=false, field_appearance_threshold=0, map_inference_threshold=-1"
    return f"read_ndjson({sql.literal(path)}, sample_size={rows or SAMPLE_ROWS}, maximum_depth=1, {options})"


def notices_others(database: DuckDBPyConnection, directory: Path) -> bool:
    """Return whether this version of DuckDB refuses rows with a field that the first ones did not have."""
    path = directory / "unseen.ndjson"
    path.write_text('{"a":1}\n{"a":2,"b":3}\n', encoding="ascii")
    try:
        database.execute(f"SELECT count(a) FROM {_sampled(path, rows=1)}").fetchall()
    except duckdb.InvalidInputException:
        return True
    finally:
        path.unlink()
    return False


def _pointer(field: str) -> str:
    escaped = field.replace("~", "~0").replace("/", "~1")
    return sql.literal(f"/{escaped}")
