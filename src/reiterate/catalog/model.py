"""
What a table is: where its rows come from, what tells them apart, and which fields are known.

A table is a row of data (``entities.py``, ``events.py``, ``users.py``); nothing about a table stands anywhere else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

DOCS = "https://api.iterable.com/api/docs"

JOIN = re.compile(r"joins to (\w+)\.(\w+)")
"""How the words about a field tell where it leads."""


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


class Pages(StrEnum):
    """How an endpoint hands out more rows than one answer holds (FACTS.md 6)."""

    NONE = "none"
    """one answer has them all"""
    LINKS = "links"
    """``page`` and ``pageSize``, and a link to the next page in each answer"""
    OFFSETS = "offsets"
    """``offset`` and ``limit``"""


@dataclass(frozen=True)
class Listing:
    """
    Rows from one endpoint that answers with a JSON object.

    *rows* names its member with the rows: an array of objects that all have an *id*; or, if *plain*, an array of
    values, each the *id* of a row; or, with a *value*, an object, whose names are *id* and whose values are *value*.
    Without it, the answer is the row, which has the *id*, or, if *plain*, may be that, as a whole number. Catalogs wrap
    their answers in ``params`` (FACTS.md 13).

    *totals* are the names under which an answer in pages carries the number of all rows, *page_size* how many rows a
    page may have, *sort* their order, where pages have one. *calls* are the fixed parameters of each call it takes to
    see everything; they become fields of the rows.
    """

    path: str
    rows: str = ""
    id: str = "id"
    plain: bool = False
    value: str = ""
    pages: Pages = Pages.NONE
    totals: tuple[str, ...] = ()
    page_size: int = 1000
    sort: str = "+id"
    calls: tuple[tuple[tuple[str, str], ...], ...] = ((),)


@dataclass(frozen=True)
class AnyOf:
    """Rows from several endpoints, not all of which every project has: what refuses with a 400 has no rows here."""

    listings: tuple[Listing, ...]

    @property
    def path(self) -> str:
        return self.listings[0].path


@dataclass(frozen=True)
class PerParent:
    """
    What *listing* has for each row of *parents*.

    The parent's id takes the place of ``{}`` in the path, and stands in our rows as *field*, beside the parent's fields
    that they *inherit*. Only parents whose fields are as in *where* have rows. With *parts* each parent is a task of
    its own; else all are read together.
    """

    parents: Listing
    listing: Listing
    field: str
    inherit: tuple[str, ...] = ()
    where: tuple[tuple[str, str], ...] = ()
    parts: bool = False

    @property
    def path(self) -> str:
        return self.listing.path


@dataclass(frozen=True)
class Figures:
    """
    Rows of a CSV about several rows of *parents* at once, the id of each as *parameter*.

    Its columns are the fields, *id* that with the id of the parent; what a row has beyond the header goes to the field
    *surplus* (FACTS.md 10).
    """

    path: str
    parameter: str
    parents: Listing
    id: str = "id"
    surplus: str = "surplus"


@dataclass(frozen=True)
class Contents:
    """
    The content of each template, in each language, by a path for each medium.

    *listed* lists templates, with their *medium*; *others* lists what names templates that cannot be listed (FACTS.md
    12). A template with an id of the customer's own tells its languages at *locales*.
    """

    listed: Listing
    others: Listing
    path: str
    media: tuple[tuple[str, str], ...]
    """medium, and what takes the place of ``{}`` in the path"""
    locales: str
    medium: str = "messageMedium"


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


Read = Export | Listing | AnyOf | PerParent | Figures | Contents | ListMembers | KeyedValues


@dataclass(frozen=True)
class ByFields:
    """Rows that agree in all *fields* are one row; what is missing counts as a value."""

    fields: tuple[str, ...]


@dataclass(frozen=True)
class ByFirst:
    """
    Rows that agree in the first of *fields* that they have are one row; a number counts as its text.

    A field with an empty text is one that a row does not have. A row that has none is told apart by all that it holds,
    and its occurrence: by ``_content_id``, a column that appears with the first such row.
    """

    column: ClassVar[str] = "_content_id"
    fields: tuple[str, ...]


@dataclass(frozen=True)
class ByEvent:
    """
    Rows are told apart by ``_event_id``: a hash of *fields* and of the occurrence among rows that agree in them.

    Iterable gives events no id, and two of one person in one second are two (FACTS.md 8.3). *fields* are those that
    do not change once an event has happened.
    """

    column: ClassVar[str] = "_event_id"
    fields: tuple[str, ...]


PERSON = ("email", "itblUserId", "userId")
"""Whose event it is: the first that the row has."""

Identity = ByFields | ByFirst | ByEvent


@dataclass(frozen=True)
class Table:
    """
    One table of the replica.

    *key* and *cursor* are the documented primary key and replication key (source spelling); *identity* is what really
    tells rows apart. A table without a cursor is read and replaced as a whole; one with a cursor is merged. Of a table
    with *snapshots* the rows of each day are kept, unless a person does not want that. A table that *may_shrink* loses
    most of its rows in the ordinary course of things.
    """

    name: str
    about: str
    key: tuple[str, ...]
    identity: Identity
    read: Read
    fields: tuple[Field, ...]
    docs: str
    cursor: str | None = None
    snapshots: bool = False
    may_shrink: bool = False

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
            case AnyOf(listings):
                return ", ".join(f"GET {listing.path}" for listing in listings)
            case PerParent(_, Listing(path), field):
                return f"GET {path.replace('{}', f'{{{field}}}')}"
            case Figures(path, parameter):
                return f"GET {path}?{parameter}="
            case Contents(_, _, path):
                return f"GET {path.replace('{}', '{medium}')}?templateId="
            case ListMembers(path, parameter):
                return f"GET {path}?{parameter}="
            case KeyedValues(path):
                return f"GET {path}/{{table}}/{{key}}"

    @property
    def cost(self) -> str:
        """How many calls a sync takes, for people."""
        match self.read:
            case Export():
                return "a request, or an export job, for each window"
            case Listing(pages=pages, page_size=page_size, calls=calls):
                count = "a call" if len(calls) == 1 else f"{len(calls)} calls"
                return count if pages is Pages.NONE else f"{count}, and one more for each {page_size:,} rows"
            case AnyOf(listings):
                return f"{len(listings)} calls"
            case PerParent(parents):
                return f"a call for each row of {parents.path}"
            case Figures(_, _, parents):
                return f"a call for about 100 rows of {parents.path}, as an address holds"
            case Contents():
                return "a call for each template, and for each of its languages"
            case ListMembers(_, _, parents):
                return f"a call for each row of {parents.path}"
            case KeyedValues():
                return "a call for each key"

    @property
    def joins(self) -> list[tuple[Field, tuple[str, str]]]:
        """The fields that lead to other tables, each with the table and the column (snake_case) that it leads to."""
        found = ((field, JOIN.search(field.about)) for field in self.fields)
        return [(field, (join[1], join[2])) for field, join in found if join]

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
        return isinstance(self.read, Listing | AnyOf)

    def knows(self, field: str | None) -> bool:
        """Return whether a column of *field* needs no explanation: it is technical, or in the catalog."""
        return field is None or self.field(field) is not None

    def field(self, name: str) -> Field | None:
        return next((field for field in self.fields if field.name == name), None)
