"""The columns of a table, by those that it has and by the kinds of the values that come."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from reiterate.catalog.model import Field, Type, Wire
from reiterate.errors import SchemaFrozen
from reiterate.flow import Column
from reiterate.parse import columns, types
from reiterate.parse.mend import NUL, RAW
from reiterate.parse.types import Kind
from reiterate.shape import CustomFields, Policy

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from reiterate.catalog.model import Table
    from reiterate.flow import Task


@dataclass(frozen=True)
class Settled:
    """A column, and which values of its field go there: those that fit the field's first column, or the *rest*."""

    column: Column
    wire: Wire
    main: Column
    rest: bool
    """whether some values of the field do not fit its first column"""


def documents(table: Table) -> frozenset[str]:
    """Return the fields of *table* that hold JSON inside a string."""
    return frozenset(field.name for field in table.fields if field.wire is Wire.JSON_TEXT)


class Plan:
    """The columns of one table, before and after a file was looked at."""

    together: frozenset[str] = frozenset()
    """fields without a column of their own that share one as an object, once all is settled"""

    def __init__(
        self, task: Task, there: tuple[Column, ...], declared: Mapping[str, Type], most_columns: int | None
    ) -> None:
        self._table = task.table
        self._most_columns = most_columns
        self._shape = task.shape
        self._declared = declared
        self._there = {*there}
        needed = task.table.needed
        self._known = [
            column
            for column in columns.with_catalog(task.table, there, task.shape)
            if column.field is None or column.field in needed or task.shape.wants(column.field)
        ]
        self._main = {column.field: column for column in self._known if column.field is not None and not column.variant}

    def main(self, field: str) -> Column | None:
        """Return the known column of a field, if there is one."""
        return self._main.get(field)

    def surely(self, field: str, j: str) -> str | None:
        """Return a quick condition under which the known column of a field holds a value; None if there is none."""
        main = self._main.get(field)
        return None if main is None else types.surely(j, main.type, self._wire(field))

    def sure_kind(self, field: str) -> Kind:
        """Return what values are that fulfil the quick condition."""
        return Kind.BOOLEAN if self._main[field].type is Type.BOOLEAN else Kind.FITTING

    def holds(self, field: str, j: str, s: str) -> str:
        """Return the condition, not false for null, under which the known column of a field holds a value."""
        return types.clearly(j, s, self._main[field].type, self._wire(field))

    def kind(self, field: str, j: str) -> str:
        """Return the expression that tells what a value is, and whether its known column holds it."""
        main = self._main.get(field)
        if main is None or main.type in {Type.DOUBLE, Type.BOOLEAN}:
            return types.kind(j)
        fits = types.fits(j, main.type, self._wire(field))
        fitting = f"{Kind.FITTING:d}"
        if main.type is Type.JSON:
            fitting = f"{fitting} + {types.unfit(j, self._wire(field))} + {types.not_finite(j)}"
        other = types.kind(j, text=main.type is not Type.TEXT)
        return f"CASE WHEN {j} IS NULL THEN 0 WHEN {fits} THEN {fitting} ELSE {other} END"

    def not_finite(self, kinds: Mapping[str, Kind], settled: Iterable[Settled]) -> frozenset[str]:
        """Return the fields with NaN or infinities among their values for which there is no column of numbers."""
        objects = {one.main.field for one in settled if one.main.type is Type.JSON} | self.together
        return frozenset(field for field, kind in kinds.items() if kind & Kind.NOT_FINITE and field in objects)

    def suspected(self, field: str, j: str) -> tuple[str, str]:
        """Return the JSON text of a value that seems to be unfit, and the condition that it does."""
        wire = self._wire(field)
        nul = f"contains({j}, '{NUL}')"
        text = f"CASE WHEN {nul} THEN {j} ELSE {j}->>'$' END" if wire is Wire.JSON_TEXT else j
        return text, f"{j} IS NOT NULL AND ({nul} OR {types.unfit(j, wire)} <> 0)"

    def settle(self, kinds: dict[str, Kind], *, by_content: bool = False) -> tuple[list[Settled], tuple[Column, ...]]:
        """
        Return all columns of the table, the known ones, then the new ones that *kinds* ask for, and those left out.

        If rows are told apart *by content*, there is a column for that.

        :raises SchemaFrozen: when there are new ones that may not be
        """
        found = {column.name: column for column in self._known}
        raw = {field.removeprefix(RAW) for field in kinds if field.startswith(RAW)}
        kinds = {field: kind for field, kind in kinds.items() if not field.startswith(RAW)} | {
            field: kinds.get(field, Kind(0)) for field in raw
        }
        filled = {field for field, kind in kinds.items() if kind or field in raw}
        new = filled - self._main.keys()
        self.together = self._without_column(new, found.values(), kinds, raw)
        if self.together:
            found.setdefault(columns.CUSTOM_FIELDS.name, columns.CUSTOM_FIELDS)
            kinds = {field: kind for field, kind in kinds.items() if field not in self.together}
            raw -= self.together
            new -= self.together
        mains = dict(self._main)
        # fields that are declared and did not come yet have their names, too: the order of arrival does not matter
        expected = [field for field in self._declared if field not in self._main]
        names = columns.named({*new, *expected}, found.keys(), self._shape)
        for field in sorted(new):
            kind = kinds[field] or Kind.TEXT
            mains[field] = Column(names[field], types.type_of(kind, self._declared.get(field)), field)
            found[names[field]] = mains[field]
        for field in raw:
            beside = columns.raw(mains[field])
            found.setdefault(beside.name, beside)
        rest = {
            field: types.rest(kinds.get(field, Kind(0)), main.type, self._wire(field)) for field, main in mains.items()
        }
        for field, left in rest.items():
            for kind in left:
                beside = columns.variant(mains[field], types.TYPE_OF[kind])
                found.setdefault(beside.name, beside)
        if by_content:
            beside = columns.content_id(found.values())
            found.setdefault(beside.name, beside)
        discarded = self._refused(found.values(), filled)
        return [
            Settled(
                column,
                wire=self._wire(column.field),
                main=column if column.field is None else mains[column.field],
                rest=column.field is not None and bool(rest.get(column.field)),
            )
            for column in found.values()
            if column not in discarded
        ], tuple(column for column in discarded if column.field is None or column.field in filled)

    def _without_column(
        self, new: set[str], found: Collection[Column], kinds: Mapping[str, Kind], raw: Collection[str]
    ) -> frozenset[str]:
        """Return the new fields that get no column of their own: by a person's wish, or for want of room."""
        if self._shape.custom_fields is CustomFields.JSON:
            return frozenset(new)
        if self._most_columns is None:
            return frozenset()
        room = self._most_columns - len(found)
        wanted = {field: self._columns_of(field, kinds[field], raw) for field in sorted(new)}
        if sum(wanted.values()) <= room:
            return frozenset()
        room -= columns.CUSTOM_FIELDS not in found
        # in alphabetical order, so that the order of arrival does not matter
        return frozenset(
            field for field, needed in zip(wanted, accumulate(wanted.values()), strict=True) if needed > room
        )

    def _columns_of(self, field: str, kinds: Kind, raw: Collection[str]) -> int:
        """Return how many columns a new field has, those for values of other types included."""
        type_ = types.type_of(kinds or Kind.TEXT, self._declared.get(field))
        others = {types.TYPE_OF[kind] for kind in types.rest(kinds, type_, self._wire(field))}
        return 1 + len(others) + (field in raw)

    def _refused(self, wanted: Iterable[Column], filled: Collection[str]) -> list[Column]:
        """Return the columns that a table that is there may not get; a table that is new gets all."""
        if self._shape.policy is Policy.EVOLVE or not self._there:
            return []
        needed = self._table.needed
        refused = [
            column
            for column in wanted
            if column not in self._there and (column.variant or column.field not in needed) and not column.tells_content
        ]
        changes = [column.name for column in refused if column.field is None or column.field in filled]
        if changes and self._shape.policy is Policy.FREEZE:
            raise SchemaFrozen(table=self._table.name, new_columns=", ".join(changes))
        return refused

    def _wire(self, field: str | None) -> Wire:
        known = self._table.field(field) if field is not None else None
        return (known or Field("")).wire
