"""
What a table is: where its rows come from, what tells them apart, and which fields are known.

A table is a row of data (``entities.py``, ``events.py``, ``users.py``); nothing about a table stands anywhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

DOCS = "https://api.iterable.com/api/docs"


class Type(StrEnum):
    """The type of a column, the same for every destination."""

    TEXT = "text"
    BIGINT = "bigint"
    """64-bit signed integer"""
    DOUBLE = "double"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"
    """an instant, in UTC, to the microsecond"""
    DATE = "date"
    JSON = "json"


class Wire(StrEnum):
    """How a value travels when its JSON form does not tell its type."""

    PLAIN = "plain"
    """as the JSON value of its type; timestamps as text, ``2017-09-28 20:37:41 +00:00`` (FACTS.md 7.2)"""
    EPOCH_MS = "epoch_ms"
    """a timestamp as an integer, milliseconds since 1970 (FACTS.md 7.2)"""
    JSON_TEXT = "json_text"
    """a JSON document inside a string (FACTS.md 8.4, ``transactionalData``)"""


@dataclass(frozen=True)
class Field:
    """A known field of the source: its name as Iterable spells it, and the type of its column."""

    name: str
    type: Type = Type.TEXT
    about: str = ""
    wire: Wire = Wire.PLAIN


@dataclass(frozen=True)
class Export:
    """
    Rows from ``GET /api/export/data.json``, by windows of the replication key.

    *data_type* is ``dataTypeName`` as the swagger spells it (``emailUnSubscribe``, FACTS.md 8.6), *formerly* what it
    was called before, *declares* the path that tells the types of the project's own fields, where there is one.
    """

    data_type: str
    path: str = "/api/export/data.json"
    declares: str = ""
    formerly: str = ""

    def exports(self, data_type: str) -> bool:
        """Whether this is the data type; Iterable does not tell case apart (FACTS.md 8.6)."""
        return data_type.lower() in {self.data_type.lower(), self.formerly.lower()}


@dataclass(frozen=True)
class Listing:
    """
    Rows from one endpoint that answers with a JSON object, *rows* naming its array.

    With *total*, the name of the count that the answer carries, the endpoint has pages (FACTS.md 6). *calls* are
    the fixed parameters of each call it takes to see everything; they become fields of the rows.
    """

    path: str
    rows: str
    total: str | None = None
    id: str = "id"
    calls: tuple[tuple[tuple[str, str], ...], ...] = ((),)


@dataclass(frozen=True)
class ListMembers:
    """
    One identifier a line from *path*, once for each row of *parents* (FACTS.md 9).

    A line with an ``@`` is an email address, any other a user id: projects keyed by user id answer with user ids.
    """

    path: str
    parameter: str
    parents: Listing


@dataclass(frozen=True)
class KeyedValues:
    """Metadata: *path* lists its tables, ``path/table`` the keys of one, ``path/table/key`` a value (FACTS.md 13)."""

    path: str


Read = Export | Listing | ListMembers | KeyedValues


@dataclass(frozen=True)
class ByFields:
    """Rows that agree in all *fields* are one row; what is missing counts as a value."""

    fields: tuple[str, ...]


@dataclass(frozen=True)
class ByFirst:
    """Rows that agree in the first of *fields* that they have are one row."""

    fields: tuple[str, ...]


@dataclass(frozen=True)
class ByEvent:
    """
    Rows are told apart by ``_event_id``: a hash of *fields* and of the occurrence among rows that agree in them.

    Iterable gives events no id, and two of one person in one second are two (FACTS.md 8.3). *fields* are those that
    do not change once an event has happened.
    """

    fields: tuple[str, ...]


PERSON = ("email", "itblUserId", "userId")
"""Whose event it is: the first that the row has."""

Identity = ByFields | ByFirst | ByEvent


@dataclass(frozen=True)
class Table:
    """
    One table of the replica.

    *key* and *cursor* are the documented primary key and replication key (source spelling); *identity* is what really
    tells rows apart. A table without a cursor is read and replaced as a whole; one with a cursor is merged.
    """

    name: str
    about: str
    key: tuple[str, ...]
    identity: Identity
    read: Read
    fields: tuple[Field, ...]
    docs: str
    cursor: str | None = None

    @property
    def method(self) -> str:
        """``CDC`` (incremental) or ``full``, as the documented connector calls them."""
        return "full" if self.cursor is None else "CDC"

    @property
    def endpoint(self) -> str:
        """The API call that the rows come from, for people."""
        match self.read:
            case Export(data_type, path):
                return f"GET {path}?dataTypeName={data_type}"
            case Listing(path):
                return f"GET {path}"
            case ListMembers(path, parameter):
                return f"GET {path}?{parameter}="
            case KeyedValues(path):
                return f"GET {path}/{{table}}/{{key}}"

    @property
    def needed(self) -> frozenset[str]:
        """The fields without which rows could not be told apart or placed in time."""
        person = PERSON if isinstance(self.identity, ByEvent) else ()
        return frozenset((*self.key, *self.identity.fields, *person, *([self.cursor] if self.cursor else [])))

    @property
    def clear(self) -> frozenset[str]:
        """The fields of :attr:`needed` that must be seen as they are: times, and ids that are no person's."""
        return self.needed - {*PERSON} - ({*self.identity.fields} if isinstance(self.identity, ByEvent) else set()) | (
            {self.cursor} if self.cursor else set()
        )

    @property
    def changes(self) -> bool:
        """Whether rows may change or go once they are there; events stay as they are."""
        return not isinstance(self.identity, ByEvent)

    @property
    def listed(self) -> bool:
        """Whether the table is read whole by each sync."""
        return not isinstance(self.read, Export)

    @property
    def takes_few_calls(self) -> bool:
        """Whether a sync asks but a handful of times, whatever the project holds, and not where calls are scarce."""
        return isinstance(self.read, Listing)

    def knows(self, field: str | None) -> bool:
        """Return whether a column of *field* needs no explanation: it is technical, or in the catalog."""
        return field is None or self.field(field) is not None

    def field(self, name: str) -> Field | None:
        return next((field for field in self.fields if field.name == name), None)
