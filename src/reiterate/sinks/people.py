"""
Events whose person has another name now: users who were merged, or whose address changed.

The person is part of ``_event_id``, and Iterable lists the events of a merged user under the one that is left (FACTS.md
14.4). So a window that is read again has rows under new ids for events that are stored under older ones:

    stored  ─► not in the answer (S) ─┐
                                      ├─► the same in all but the person, by order of ids ─► (answered id, stored id)
    answer  ─► not in the table  (N) ─┘

The stored row keeps its id, and takes the values of the answered one. The table and the answer are all it takes, so
each later read finds the same pairs, and nothing is remembered. Two people who are both listed are never paired, for
their ids are in the answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reiterate import sql
from reiterate.catalog.model import PERSON, ByEvent
from reiterate.sinks import keys
from reiterate.windows import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from reiterate.flow import Batch, Column

MESSAGE = "messageId"
ID = sql.name(ByEvent.column)


def may_be_renamed(batch: Batch) -> bool:
    """Return whether *batch* is a window of events that have a message, read whole."""
    table = batch.task.table
    return (
        isinstance(table.identity, ByEvent)
        and MESSAGE in table.identity.fields
        and isinstance(batch.task.scope, Window)
        and batch.source_rows > 0
    )


@dataclass(frozen=True)
class Renamed:
    """
    The queries that find the events of *batch* that the destination has under another id.

    *stored* is the table expression of its rows, *there* the columns that it has, *staged* that of the answered rows;
    *bounds* is a condition that all rows ``t`` fulfil which the batch could touch, *within* the condition that an
    instant lies in the window, *text* the expression of a column's value as text.
    """

    batch: Batch
    stored: str
    there: Collection[str]
    staged: str
    bounds: str
    within: Callable[[str], str]
    text: Callable[[Column, str], str]

    @property
    def unlisted(self) -> str:
        """A query with a row if any event with a message is stored that the answer does not have."""
        return f"SELECT 1 {self._unlisted} LIMIT 1"

    @property
    def pairs(self) -> str:
        """A query for the ids of such events: the one in the answer, and the one that is stored."""
        alike = [f"a{number}" for number, _ in enumerate(self._fields)]
        sides = {
            "n": self._numbered("s", [column.name for column in self.batch.columns], self._new),
            "o": self._numbered("t", self.there, self._unlisted),
        }
        same = sql.listed((f"n.{name} = o.{name}" for name in ["second", *alike, "place"]), " AND ")
        return f"SELECT n.id AS answered, o.id AS stored FROM ({sides['n']}) AS n JOIN ({sides['o']}) AS o ON {same}"

    @property
    def _fields(self) -> list[str]:
        """What two rows of one event agree in, besides the second in which it happened."""
        table = self.batch.task.table
        return [field for field in table.identity.fields if field != table.cursor and field not in PERSON]

    @property
    def _unlisted(self) -> str:
        listed = f"EXISTS (SELECT 1 FROM {self.staged} AS s WHERE s.{ID} = t.{ID})"
        return (
            f"FROM {self.stored} AS t WHERE {self.bounds} AND {self.within(self._cursor('t'))} "
            f"AND {self._has_message('t', self.there)} AND NOT {listed}"
        )

    @property
    def _new(self) -> str:
        known = f"EXISTS (SELECT 1 FROM {self.stored} AS t WHERE {self.bounds} AND t.{ID} = s.{ID})"
        names = [column.name for column in self.batch.columns]
        return (
            f"FROM {self.staged} AS s WHERE {self.within(self._cursor('s'))} "
            f"AND {self._has_message('s', names)} AND NOT {known}"
        )

    def _numbered(self, side: str, there: Collection[str], rows: str) -> str:
        """Return the query for the ids of *rows*, what they agree in, and their place among those that do."""
        second = f"date_trunc('second', {self._cursor(side)})"
        # what is missing counts as a value
        alike = [f"coalesce('=' || {self._value(field, side, there)}, '')" for field in self._fields]
        named = sql.listed(f"{value} AS a{number}" for number, value in enumerate(alike))
        place = f"row_number() OVER (PARTITION BY {sql.listed([second, *alike])} ORDER BY {side}.{ID})"
        return f"SELECT {side}.{ID} AS id, {second} AS second, {named}, {place} AS place {rows}"

    def _has_message(self, side: str, there: Collection[str]) -> str:
        # what is hashed is not empty any more
        empty = {"", self.batch.task.shape.disguise({MESSAGE: ""})[MESSAGE]}
        return f"{self._value(MESSAGE, side, there)} NOT IN ({sql.listed(map(sql.literal, sorted(empty)))})"

    def _value(self, field: str, side: str, there: Collection[str]) -> str:
        found = [column for column in self.batch.columns if column.name in there]
        return keys.value_as_text(field, found, side, self.text)

    def _cursor(self, side: str) -> str:
        table = self.batch.task.table
        name = next(one.name for one in self.batch.columns if one.field == table.cursor and not one.variant)
        return f"{side}.{sql.name(name)}"
