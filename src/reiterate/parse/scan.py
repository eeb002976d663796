"""Reading the lines of a raw file as values, by DuckDB: each field as JSON text or as bare text."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from reiterate import sql

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Scan:
    """
    The lines of *path*; *forms* says for each field whether it is read as JSON text (true) or as bare text (false).

    ``json_transform`` finds all fields in one pass over a line, but has no place for an empty name nor for names that
    differ by case alone: those are looked up one by one.
    """

    path: Path
    forms: Mapping[str, bool]

    @property
    def source(self) -> str:
        """A table expression with the columns that :meth:`json` and :meth:`text` refer to."""
        lines = f"read_ndjson_objects({sql.literal(self.path)})"
        if not self._at_once:
            return f"(SELECT json AS line FROM {lines})"
        structure = json.dumps({field: "JSON" if self.forms[field] else "VARCHAR" for field in self._at_once})
        return f"(SELECT json AS line, json_transform(json, {sql.literal(structure)}) AS v FROM {lines})"

    def json(self, field: str) -> str:
        """Return the expression of a field's JSON text; it must be read in that form."""
        if not self.forms[field]:
            message = f"{field} is read as bare text"
            raise KeyError(message)
        if field in self._at_once:
            return f"v.{sql.name(field)}"
        return f"json_extract(line, {_pointer(field)})"

    def text(self, field: str) -> str:
        """Return the expression of a field's bare text: a string without quotes, anything else as in JSON."""
        if self.forms[field]:
            return f"({self.json(field)}->>'$')"
        if field in self._at_once:
            return f"v.{sql.name(field)}"
        return f"json_extract_string(line, {_pointer(field)})"

    @cached_property
    def _at_once(self) -> frozenset[str]:
        spellings = Counter(field.lower() for field in self.forms)
        return frozenset(field for field in self.forms if field and spellings[field.lower()] == 1)


def _pointer(field: str) -> str:
    escaped = field.replace("~", "~0").replace("/", "~1")
    return sql.literal(f"/{escaped}")
