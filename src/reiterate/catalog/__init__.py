"""The tables that Reiterate replicates, each declared once as data."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from reiterate.catalog.entities import ENTITIES
from reiterate.catalog.events import EVENTS
from reiterate.catalog.users import USERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reiterate.catalog.model import Table

TABLES: Mapping[str, Table] = MappingProxyType(
    {table.name: table for table in sorted((*ENTITIES, *EVENTS, *USERS), key=lambda table: table.name)}
)
"""Every table by its name, in alphabetical order."""
