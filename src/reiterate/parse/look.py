"""What the rows of a raw file hold: how many there are, of which time, of which kinds, and whether all differ."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any

from reiterate import sql
from reiterate.parse import identity, types
from reiterate.parse.mend import NUL, RAW
from reiterate.parse.scan import Scan
from reiterate.parse.types import Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    from duckdb import DuckDBPyConnection

    from reiterate.catalog.model import Table
    from reiterate.parse.plan import Plan

WIDE = 100
"""For more fields there is no memory for an expression each."""

MANY = 500
"""More fields are looked at in turn."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Look:
    """What the rows of one file hold."""

    rows: int
    distinct: bool
    """whether it is sure that no two rows are the same"""
    cursor_range: tuple[datetime, datetime] | None
    kinds: dict[str, Kind]


class Looks:
    """Looks at raw files; remembers which fields of which tables hold unusual values."""

    def __init__(self) -> None:
        self._unusual: set[tuple[str, str]] = set()

    def look(
        self,
        database: DuckDBPyConnection,
        table: Table,
        path: Path,
        plan: Plan,
        fields: Sequence[str],
        others: Collection[str] | None = None,
    ) -> Look:
        """
        Look at every value of every row once, and at those of fields with unusual values twice.

        No row may have more than *fields* and *others*, if those are given.
        """
        if others is None and len(fields) > MANY:
            return self._look_in_turn(database, table, path, plan, fields)
        complete = others is not None
        scan = Scan(path, dict.fromkeys([*fields, *(others or ())], "JSON"), complete=complete)
        cursor = table.cursor
        instant = types.instant_in(scan.json(cursor)) if cursor and cursor in fields else "NULL::TIMESTAMPTZ"
        sure = {} if len(fields) > WIDE else self._surely(table, plan, scan, fields)
        ordered, kinds_of, kinds = _kinds(plan, scan, [field for field in fields if field not in sure], nul=complete)
        expressions = [
            "count(*)",
            "count(DISTINCT same)",
            "coalesce(bool_and(clear), true)",
            "epoch_us(min(instant))",
            "epoch_us(max(instant))",
            "count(instant)",
            *kinds,
            *(f"[count(s{number}), count(*) FILTER (NOT s{number})]" for number, _ in enumerate(sure)),
            *(f"count(o{number})" for number, _ in enumerate(others or ())),
        ]
        same, clear = identity.likeness(table, scan, sure)
        rows_of = [
            *(f"{same} AS same", f"{clear} AS clear", f"{instant} AS instant", *kinds_of),
            *(f"{condition} AS s{number}" for number, condition in enumerate(sure.values())),
            *(f"{scan.json(field)} AS o{number}" for number, field in enumerate(others or ())),
        ]
        rows, different, clear, first, last, dated, *found = _of_all(database, expressions, rows_of, scan)
        known = dict(zip(ordered, map(Kind, found), strict=False))
        unusual = []
        for field, (there, others_there) in zip(sure, found[len(ordered) :], strict=False):
            known[field] = plan.sure_kind(field) if there else Kind(0)
            if others_there:
                unusual.append(field)
        if unusual:
            self._unusual.update((table.name, field) for field in unusual)
            closer = Scan(path, dict.fromkeys(unusual, "JSON"))
            ordered, kinds_of, kinds = _kinds(plan, closer, unusual, nul=complete)
            known |= zip(ordered, map(Kind, _of_all(database, kinds, kinds_of, closer)), strict=True)
        return Look(
            rows=rows,
            distinct=clear and different == rows and not {*unusual}.intersection(identity.fields(table)),
            cursor_range=(_moment(first), _moment(last)) if rows and dated == rows else None,
            kinds=known,
        )

    def _look_in_turn(
        self, database: DuckDBPyConnection, table: Table, path: Path, plan: Plan, fields: Sequence[str]
    ) -> Look:
        """Look at a few fields at a time: a pass over the file takes time, all fields at once too much memory."""
        needed = {*identity.fields(table), *(f"{RAW}{field}" for field in identity.fields(table)), table.cursor}
        first = [field for field in fields if field in needed]
        others = [field for field in fields if field not in needed]
        found = self.look(database, table, path, plan, first)
        kinds = dict(found.kinds)
        for some in _in_turn(others, MANY):
            scan = Scan(path, dict.fromkeys(some, "JSON"))
            ordered, kinds_of, kinds_found = _kinds(plan, scan, some, nul=False)
            kinds |= zip(ordered, map(Kind, _of_all(database, kinds_found, kinds_of, scan)), strict=True)
        return replace(found, kinds={field: kinds[field] for field in fields})

    def _surely(self, table: Table, plan: Plan, scan: Scan, fields: Sequence[str]) -> dict[str, str]:
        """Return the quick conditions that the values of fields should fulfil, where there are any and they did yet."""
        found = {field: plan.surely(field, scan.json(field)) for field in fields}
        return {
            field: condition
            for field, condition in found.items()
            if condition is not None and (table.name, field) not in self._unusual
        }


def _of_all(
    database: DuckDBPyConnection, expressions: Iterable[str], of_rows: Iterable[str], scan: Scan
) -> tuple[Any, ...]:
    """Return aggregates of what is worked out for each row."""
    query = f"SELECT {sql.listed(expressions)} FROM (SELECT {sql.listed(of_rows)} FROM {scan.source})"
    found: tuple[Any, ...] = database.execute(query).fetchall()[0]
    return found


def _kinds(plan: Plan, scan: Scan, fields: Sequence[str], *, nul: bool) -> tuple[list[str], list[str], list[str]]:
    """
    Return *fields* in an order, expressions of the kinds of a row's values, and those of all kinds that each field has.

    Values in which a *nul* may be are unfit, if nobody has looked for it in the whole lines.

    Thousands of fields would make thousands of long expressions, for which there is no memory: then one stands for all
    values of a sort, which takes longer for each value.
    """

    def kind_of(field: str, j: str) -> str:
        kind = plan.kind(field, j)
        return f"({kind} | CASE WHEN contains({j}, '{NUL}') THEN {Kind.UNFIT:d} ELSE 0 END)" if nul else kind

    if len(fields) <= WIDE:
        of_rows = [f"{kind_of(field, scan.json(field))} AS k{number}" for number, field in enumerate(fields)]
        return [*fields], of_rows, [f"coalesce(bit_or(k{number}), 0)" for number, _ in enumerate(fields)]
    # a name that no field's column has, for that would come first
    one = sql.name("one value")
    sorts: dict[str, list[str]] = defaultdict(list)
    for field in fields:
        sorts[kind_of(field, one)].append(field)
    of_rows = [
        f"list_transform([{sql.listed(map(scan.json, of_a_sort))}], lambda {one}: {kind}) AS k{number}"
        for number, (kind, of_a_sort) in enumerate(sorts.items())
    ]
    of_fields = [
        f"coalesce(bit_or(k{number}[{place}]), 0)"
        for number, of_a_sort in enumerate(sorts.values())
        for place, _ in enumerate(of_a_sort, 1)
    ]
    return [*chain(*sorts.values())], of_rows, of_fields


def _in_turn(fields: Sequence[str], number: int) -> Iterator[Sequence[str]]:
    """Yield *number* of *fields* at a time."""
    yield from (fields[start : start + number] for start in range(0, len(fields), number))


def _moment(epoch_us: int) -> datetime:
    return EPOCH + timedelta(microseconds=epoch_us)
