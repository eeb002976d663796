"""The catalog is what the connector documents, and whole in itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reiterate.api import LIMITS, limit_of
from reiterate.catalog import GROUPS, TABLES, table_of
from reiterate.catalog.model import ByEvent, Export, Listing, ListMembers, Type, Wire
from reiterate.parse import first_columns
from reiterate.simulator import ServerOptions, Simulator, WorldOptions
from tests.conftest import KEY
from tests.simulator.client import DATA_TYPES
from tests.simulator.conftest import END
from tests.simulator.test_simulator import RECORDED

if TYPE_CHECKING:
    from reiterate.catalog.model import Table

DOCUMENTED = {
    # table: method, primary key, replication key
    "campaigns": ("CDC", ("id",), "updatedAt"),
    "channels": ("full", ("id",), None),
    "email_bounce": ("CDC", ("email",), "createdAt"),
    "email_click": ("CDC", ("email",), "createdAt"),
    "email_complaint": ("CDC", ("email",), "createdAt"),
    "email_open": ("CDC", ("email",), "createdAt"),
    "email_send": ("CDC", ("email",), "createdAt"),
    "email_send_skip": ("CDC", ("email",), "createdAt"),
    "email_subscribe": ("CDC", ("email",), "createdAt"),
    "email_unsubscribe": ("CDC", ("email",), "createdAt"),
    "list_users": ("full", ("email", "listId"), None),
    "lists": ("full", ("id",), None),
    "message_types": ("full", ("id",), None),
    "metadata": ("full", ("table", "key"), None),
    "templates": ("CDC", ("templateId",), "updatedAt"),
    "users": ("CDC", ("email",), "profileUpdatedAt"),
}

ALL = pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)


def test_the_documented_tables() -> None:
    """Every documented table is there, with its method, primary key and replication key."""
    found = {name: TABLES[name] for name in GROUPS["documented"]}
    assert {name: (table.method, table.key, table.cursor) for name, table in found.items()} == DOCUMENTED


def test_exports_are_the_data_types_of_the_swagger() -> None:
    """There is a table for each of its 53 data types, and no other export; all are spelled letter by letter."""
    assert 53 == len(DATA_TYPES)
    assert {
        table.name: table.read.data_type for table in TABLES.values() if isinstance(table.read, Export)
    } == DATA_TYPES


@ALL
def test_keys_are_known_fields(table: Table) -> None:
    """Whatever a table is keyed, told apart or resumed by is a field that it is known to have."""
    known = {field.name for field in table.fields}
    assert {*table.key, *table.identity.fields} <= known
    if table.cursor is not None:
        cursor = table.field(table.cursor)
        assert cursor is not None
        assert cursor.type is Type.TIMESTAMP
        assert not isinstance(table.identity, ByEvent) or table.identity.fields[0] == table.cursor


@ALL
def test_fields_are_declared_once(table: Table) -> None:
    """No field, and no column, stands twice; what travels in a form of its own has the type for it."""
    assert len({field.name for field in table.fields}) == len(table.fields)
    columns = [column.name for column in first_columns(table)]
    assert len({*columns}) == len(columns)
    types = {Wire.EPOCH_MS: Type.TIMESTAMP, Wire.JSON_TEXT: Type.JSON}
    assert all(types.get(field.wire, field.type) is field.type for field in table.fields)


@ALL
def test_words(table: Table) -> None:
    """Every table says what it holds in a sentence, links to its API method, and no meaning breaks a line."""
    assert table.about.endswith(".")
    assert table.docs.startswith("https://api.iterable.com/api/docs#")
    assert all("|" not in field.about and "\n" not in field.about for field in table.fields)
    assert all(field.about.endswith(".") for field in table.fields if field.about)


@ALL
def test_every_table_has_a_documented_limit(table: Table) -> None:
    """No table is read beside the limits."""
    assert limit_of(table.read.path) in LIMITS


def test_joins_lead_somewhere() -> None:
    """Where a field says that it joins to a column, that column exists."""
    joins = [join for table in TABLES.values() for _, join in table.joins]
    assert joins
    assert len(joins) == sum("joins to" in field.about for table in TABLES.values() for field in table.fields)
    for table, column in joins:
        assert column in {each.name for each in first_columns(TABLES[table])}


@pytest.mark.parametrize("name", [name for name, table in TABLES.items() if isinstance(table.read, Export)])
def test_fields_are_the_recorded_ones(name: str) -> None:
    """Every field that is known of an export is declared, with its type; JSON in a string is JSON (schema.json)."""
    types = {"string": "text", "integer": "bigint", "number": "double", "itbl_datetime": "timestamp"}
    wanted = {
        field: types.get(type_.rstrip("!"), type_.rstrip("!")) for field, type_ in RECORDED[name]["fields"].items()
    }
    declared = {field.name: field.type.value for field in TABLES[name].fields if field.wire is not Wire.JSON_TEXT}
    told = {"transactionalData", "deviceInfo"}
    assert {field: type_ for field, type_ in wanted.items() if field not in told} == {
        field: type_ for field, type_ in declared.items() if field in wanted
    }


@pytest.mark.parametrize(
    ("data_type", "table"),
    [
        ("emailUnSubscribe", "email_unsubscribe"),
        ("emailunsubscribe", "email_unsubscribe"),
        ("WHATSAPPSEND", "whatsapp_send"),
        ("anonSession", "unknown_session"),
        ("AnonSession", "unknown_session"),
        ("whatsAppRead", "whatsapp_read"),
        ("smsUnSubscribe", "sms_unsubscribe"),
        ("voiceCall", "voice_call"),
    ],
)
def test_data_types_by_name(data_type: str, table: str) -> None:
    """A data type is found by any spelling and by its older name; one that is new is called like the known ones."""
    assert table == table_of(f"export:{data_type}").name


def test_the_api_knows_every_table() -> None:
    """What the catalog asks for, the API answers: each path and data type, in the spelling that it has here."""
    with Simulator(WorldOptions(days=1, events_per_day=4000, end=END), ServerOptions(api_key=KEY)) as simulator:
        fields = {name: {field for row in simulator.truth(name) for field in row} for name in TABLES}
    assert ["export_jobs"] == [name for name in TABLES if not fields[name]]  # no job was started
    for table in (table for table in TABLES.values() if fields[table.name]):
        known = {field.name for field in table.fields}
        assert {*table.key} & known & fields[table.name]
        # of lists and message types there is one or the other, by the type of the project
        identity = {*table.identity.fields} - {"userListIds", "messageTypeIds"}
        assert not isinstance(table.identity, ByEvent) or identity <= fields[table.name]
        match table.read:
            case Listing() as read:
                assert read.id in fields[table.name]
            case ListMembers() as read:
                assert read.parameter in fields[table.name]
            case _:
                assert table.cursor is None or table.cursor in fields[table.name]
