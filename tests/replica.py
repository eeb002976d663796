"""Reading a replica back: from the columns of the destination to the fields of the source, without our own parser."""

from __future__ import annotations

import json
import math
import re
import tempfile
from collections import Counter, defaultdict
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import psycopg
from deltalake import DeltaTable
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table import StaticTable

from reiterate.catalog import DOCUMENTED, TABLES
from reiterate.catalog.model import PERSON, ByEvent, ByFirst, Type, Wire
from tests import objects

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from reiterate.simulator import Simulator

Row = dict[str, Any]

Person = tuple[tuple[str, Any], ...]
"""The fields by which a row names a person, with their values."""

DUCKLAKE = "ducklake:"


@dataclass(frozen=True)
class Lake:
    """A directory of tables in files, on this machine or in a bucket (by its URL), and their format."""

    directory: Path | str
    format: str


def rows(place: Path | str | Lake, table: str, dataset: str = "iterable") -> list[Row]:
    """
    Return the rows of a table, field by field as the source spells them; what is null is left out.

    *place* is a DuckDB file, the address of a PostgreSQL database or a DuckLake, or a directory of files.
    """
    with closing(_connect(place, dataset)) as database:
        columns = database.execute(
            "SELECT column_name, source_field, type FROM _reiterate_columns "
            f"WHERE table_name = '{table}' AND (source_field IS NOT NULL OR column_name = 'custom_fields')"
        ).fetchall()
        chosen = ", ".join(_column(name, type_, place) for name, _, type_ in columns)
        found = database.execute(f"SELECT {chosen} FROM {table}").fetchall()
    return [as_source(columns, row) for row in found]


def as_source(columns: Sequence[tuple[str, str | None, str]], values: Sequence[Any]) -> Row:
    """
    Return a row by the fields of the source, without what is null.

    *columns* are name, source field and type as ``_reiterate_columns`` has them, *values* what stands in them: JSON as
    text, instants and days in ISO form. What has no source field is an object of fields without columns.
    """
    found: Row = {}
    for (name, field, type_), value in zip(columns, values, strict=True):
        if value is None:
            continue
        if field is None:
            found |= dict(_member(*one) for one in json.loads(value, parse_float=exact).items())
        else:
            assert field not in found, f"{field} has two values"
            is_json = type_ == "json" or name.endswith("__v_raw")
            found[field] = json.loads(value, parse_float=exact) if is_json else _one_form(value)
    return found


def _member(name: str, value: Any) -> tuple[str, Any]:
    """Return a field that stands in an object with others; what no database holds is JSON text under a marked name."""
    marked = name.removeprefix("\x1araw ")
    return marked, value if marked == name else json.loads(value, parse_float=exact)


def exact(number: str) -> float | int:
    """Return a number; with all its digits where no double holds it."""
    return found if math.isfinite(found := float(number)) else int(Decimal(number))


def execute(place: Path | str | Lake, statement: str, dataset: str = "iterable") -> list[tuple[Any, ...]]:
    """Do *statement* in the dataset, and return what it answers."""
    with closing(_connect(place, dataset)) as database:
        done = database.execute(statement)
        return done.fetchall() if done.description else []


def _connect(place: Path | str | Lake, dataset: str) -> Any:
    if isinstance(place, Lake):
        return _connect_files(place, dataset)
    if isinstance(place, str) and place.startswith(DUCKLAKE):
        database: Any = duckdb.connect()
        catalog = place.partition("?")[0].replace("'", "''")  # which knows where the files are
        database.execute(f"SET TimeZone = 'UTC'; ATTACH '{catalog}' AS lake; USE lake.{dataset}")
        return database
    if isinstance(place, str):
        database = psycopg.connect(place, autocommit=True)
        database.execute(f"SET TimeZone = 'UTC'; SET search_path = \"{dataset}\"")
        return database
    database = duckdb.connect(str(place))
    database.execute(f"SET TimeZone = 'UTC'; USE {place.stem}.{dataset}")
    return database


def _connect_files(place: Lake, dataset: str) -> Any:
    """Return a database whose views read the files as somebody does who knows nothing but the format."""
    if isinstance(place.directory, str):
        with tempfile.TemporaryDirectory() as copy:
            if place.format != "iceberg":
                objects.download(place.directory, Path(copy))
                return _connect_files(Lake(Path(copy), place.format), dataset)
            objects.download(place.directory, Path(copy), "_reiterate/ledger")
            database = _connect_ledger(Path(copy) / dataset, dataset)
        # Iceberg's metadata hold whole locations, so it is read where it is
        for table in objects.tables(place.directory, dataset):
            database.register(table, iceberg(place.directory, table, dataset).scan().to_arrow())
        return database
    root = place.directory / dataset
    database = _connect_ledger(root, dataset)
    for table in (f"{name}{kept}" for name in TABLES for kept in ("", "_history", "_snapshots")):
        if (root / table).is_dir():
            match place.format:
                case "parquet":
                    files = f"read_parquet('{root / table}/*.parquet', union_by_name = true)"
                    database.execute(f"CREATE TABLE {table} AS FROM {files}")
                case "delta":
                    database.register(table, DeltaTable(str(root / table)).to_pyarrow_table())
                case _:
                    catalog = SqlCatalog("reiterate", uri=f"sqlite:///{place.directory / 'catalog.db'}")
                    database.register(table, catalog.load_table((dataset, table)).scan().to_arrow())
    return database


def _connect_ledger(root: Path, dataset: str) -> Any:
    database = duckdb.connect()
    database.execute(f"SET TimeZone = 'UTC'; ATTACH '{root / '_reiterate' / 'ledger.duckdb'}' AS ledger (READ_ONLY)")
    database.execute(f"CREATE TABLE _reiterate_columns AS FROM ledger.{dataset}._reiterate_columns; DETACH ledger")
    return database


def iceberg(url: str, table: str, dataset: str = "iterable") -> StaticTable:
    """Open a table of a bucket as somebody does who knows its directory alone."""
    options = {"s3.endpoint": objects.address(), "s3.access-key-id": "key", "s3.secret-access-key": "secret"}
    return StaticTable.from_metadata(f"{url.partition('?')[0]}/{dataset}/{table}", options | {"s3.region": "us-east-1"})


def _column(name: str, type_: str, place: Path | str | Lake) -> str:
    escaped = name.replace('"', '""')
    quoted = f'"{escaped}"'
    if type_ == "timestamp":
        if isinstance(place, str) and not place.startswith(DUCKLAKE):
            return f"to_char({quoted}, 'YYYY-MM-DD\"T\"HH24:MI:SS.US')"
        return f"strftime({quoted}, '%Y-%m-%dT%H:%M:%S.%f')"
    return f"{quoted}::VARCHAR" if type_ in {"date", "json"} else quoted


def expected(table: str, truth: Iterable[Row]) -> list[Row]:
    """Return rows of the source as a replica has them: instants in one form, JSON in strings read."""
    return [{field: _value(table, field, value) for field, value in row.items() if value is not None} for row in truth]


def _value(table: str, field: str, value: Any) -> Any:
    known = TABLES[table].field(field)
    if known is None:
        return _one_form(value)
    if known.type is Type.TIMESTAMP and isinstance(value, int):
        return _iso(datetime.fromtimestamp(value // 1000, UTC).replace(microsecond=value % 1000 * 1000))
    if known.type is Type.TIMESTAMP:
        return _one_form(value)
    if known.wire is Wire.JSON_TEXT:
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _one_form(value: Any) -> Any:
    """Return the instant that a text names in one form: fields of the project's own are typed by what they hold."""
    if isinstance(value, str) and (found := INSTANT.fullmatch(value)):
        with suppress(ValueError, OverflowError):
            return _iso(datetime.fromisoformat("".join(found.groups(default=""))))
    return value


INSTANT = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,6})?)(?:\.0+)? ?(Z|[+-]\d\d:?\d\d)")


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")


def counted(found: Iterable[Row]) -> Counter[str]:
    """Count equal rows; 16 and 16.0 are the same number."""
    return Counter(
        json.dumps({field: _number(_one_form(value)) for field, value in row.items()}, sort_keys=True) for row in found
    )


def _number(value: Any) -> Any:
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, int) and abs(value) > MANY_DIGITS and value == _of_double(value):
        return int(float(value))
    return value


MANY_DIGITS = 10**100


def _of_double(value: int) -> int | None:
    """Return the digits with which a double is spelled, as databases do that have decimal numbers alone."""
    try:
        return int(Decimal(repr(float(value))))
    except OverflowError:
        return None


def differences(
    place: Path | str | Lake,
    simulator: Simulator,
    tables: Iterable[str] = DOCUMENTED,
    *,
    renamed: Sequence[tuple[Row, Row]] = (),
) -> dict[str, tuple[int, int]]:
    """
    Return, for each table that differs from the truth, how many rows are missing and how many are too many.

    *renamed* are people who were merged into others or changed their address, each as events named him before and name
    him now. What a replica may still have of the person before is no difference, see ``_former``.
    """
    found = {}
    for table in tables:
        there = rows(place, table)
        truth = counted(expected(table, simulator.truth(table)))
        identity = TABLES[table].identity
        former: Mapping[Person, list[Row]] = {}
        if renamed and isinstance(identity, ByEvent | ByFirst):
            there, former = _former(there, renamed)
        if isinstance(identity, ByEvent):
            # what has an id of its message is known again, and counts once, whoever it is stored under
            there += [row for named in former.values() for row in named if row.get("messageId")]
            former = {person: [row for row in named if not row.get("messageId")] for person, named in former.items()}
            events = counted(_identified(identity, expected(table, simulator.truth(table))))
            stale = (counted(_identified(identity, named)) - events for named in former.values())
            surplus = counted(there) - truth + sum(stale, Counter())
            there += [row for named in former.values() for row in named]
        else:
            surplus = counted(there) - truth + sum((counted(named[1:]) for named in former.values()), Counter())
        if (missing := truth - counted(there)) or surplus:
            found[table] = (missing.total(), surplus.total())
    return found


def _former(there: Sequence[Row], renamed: Sequence[tuple[Row, Row]]) -> tuple[list[Row], dict[Person, list[Row]]]:
    """
    Return the rows under the names that people have now, and, by each name that they had, those under it, renamed.

    Nobody tells a replica of a merge. So the person's profile stays, and so do events that no later window has; of
    events without ``messageId`` that a later window lists again there is one under each name, which changes no more.
    """
    latest = {_person(before): _person(after) for before, after in renamed}
    now, former = [], defaultdict[Person, list[Row]](list)
    for row in there:
        person = first = _person(row)
        while person in latest:
            person = latest[person]
        if person == first:
            now.append(row)
        else:
            former[first].append({**{name: row[name] for name in row if name not in PERSON}, **dict(person)})
    return now, former


def _identified(identity: ByEvent, events: Iterable[Row]) -> Iterator[Row]:
    """Yield what tells *events* apart."""
    fields = {*identity.fields, *PERSON}
    return ({name: value for name, value in row.items() if name in fields} for row in events)


def _person(row: Row) -> Person:
    return tuple((name, row[name]) for name in PERSON if name in row)
