"""The tables that Reiterate replicates, each declared once as data, and the groups in which they are chosen."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from reiterate.catalog.audience import AUDIENCE
from reiterate.catalog.content import CONTENT
from reiterate.catalog.entities import ENTITIES
from reiterate.catalog.events import EVENTS, event_of
from reiterate.catalog.metrics import METRICS
from reiterate.catalog.model import Export
from reiterate.catalog.users import USERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from reiterate.catalog.model import Table

TABLES: Mapping[str, Table] = MappingProxyType(
    {
        table.name: table
        for table in sorted((*ENTITIES, *AUDIENCE, *CONTENT, *METRICS, *EVENTS, *USERS), key=lambda table: table.name)
    }
)
"""Every table by its name, in alphabetical order."""

DOCUMENTED = (
    "campaigns",
    "channels",
    "email_bounce",
    "email_click",
    "email_complaint",
    "email_open",
    "email_send",
    "email_send_skip",
    "email_subscribe",
    "email_unsubscribe",
    "list_users",
    "lists",
    "message_types",
    "metadata",
    "templates",
    "users",
)
"""The tables of the connector that Qlik Talend Cloud documents."""

GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "default": tuple(name for name, table in TABLES.items() if name in DOCUMENTED or table.takes_few_calls),
        "documented": DOCUMENTED,
        "events": tuple(table.name for table in TABLES.values() if not table.changes),
        "entities": tuple(table.name for table in TABLES.values() if table.listed),
        "all": tuple(TABLES),
    }
)
"""Names that stand for several tables; the default are the documented ones, and all that cost few calls."""

NEW = "export:"
"""Stands before the name of a data type that is not in the catalog."""


def table_of(name: str) -> Table:
    """
    Return the table of this name; ``export:NAME`` is that of a data type, which the catalog may not know.

    :raises KeyError: when there is none
    """
    if not name.startswith(NEW):
        return TABLES[name]
    data_type = name.removeprefix(NEW)
    known = (table for table in TABLES.values() if isinstance(table.read, Export) and table.read.exports(data_type))
    return next(known, None) or event_of(data_type)


def tables_of(names: Iterable[str]) -> list[Table]:
    """Return the tables of these names, each once, in alphabetical order."""
    found = {table.name: table for table in map(table_of, names)}
    return [found[name] for name in sorted(found)]
