"""
Rows that an older version added again and again, because it did not see that they were there.

Of those that agree in their key, one is chosen: the latest. In a history each version is kept once, and ends when the
next one began.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reiterate import sql

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

KEY, PLACE, NEXT = map(sql.name, ("row key", "row place", "next version"))
"""Helper columns; no table's column has a space in its name."""


@dataclass(frozen=True)
class Doubled:
    """
    The queries that find and replace rows of a table, called *name*, with the columns *names*.

    *rows* is the table expression of all its rows, *key* gives the expression of what they agree in, by what the table
    is called, *where* is a condition on those rows ``t`` that can be doubled. *latest* is the expression of when a row
    changed, *order* are expressions that tell any two rows apart. A history has the columns *versions*: from, and to.
    """

    name: str
    names: Collection[str]
    rows: str
    key: Callable[[str], str]
    latest: str
    order: Collection[str]
    where: str = "true"
    versions: tuple[str, str] | None = None

    @property
    def number(self) -> str:
        """The query for how many keys are doubled."""
        return f"SELECT count(*) FROM ({self._keys}) AS d"

    @property
    def chosen(self) -> str:
        """The query for the rows that take the place of those whose key is doubled."""
        by = f"PARTITION BY {self.key('t')}"
        texts = [f"{each} DESC" for each in self.order]
        if self.versions is None:
            return self._first(f"{by} ORDER BY {sql.listed([f'{self.latest} DESC NULLS LAST', *texts])}", self.names)
        first, last = map(sql.name, self.versions)
        names = [name for name in self.names if name != self.versions[1]]
        once = self._first(f"{by}, {self.latest} ORDER BY {sql.listed([f't.{first}', *texts])}", names, key=True)
        latest = self.latest.replace("t.", "d.", 1)
        following = f"lead(d.{first}) OVER (PARTITION BY d.{KEY} ORDER BY {latest}, d.{first}) AS {NEXT}"
        end = f"CASE WHEN {NEXT} < {first} THEN {first} ELSE {NEXT} END AS {last}"
        values = [end if name == self.versions[1] else sql.name(name) for name in self.names]
        return f"SELECT {sql.listed(values)} FROM (SELECT d.*, {following} FROM ({once}) AS d) AS e"

    def replaced_by(self, chosen: str) -> str:
        """Return the condition on the rows ``t`` whose place the rows of the table *chosen* take."""
        return f"({self.where} AND {self.key('t')} IN (SELECT {self.key('k')} FROM {chosen} AS k))"

    def _first(self, window: str, names: Collection[str], *, key: bool = False) -> str:
        place = f"row_number() OVER ({window}) AS {PLACE}"
        doubled = f"SELECT t.*, {self.key('t')} AS {KEY}, {place} FROM {self.rows} AS t WHERE {self.where}"
        chosen = [*map(sql.name, names), *([KEY] if key else [])]
        return (
            f"SELECT {sql.listed(chosen)} FROM ({doubled} AND {self.key('t')} IN ({self._keys})) AS c WHERE {PLACE} = 1"
        )

    @property
    def _keys(self) -> str:
        key = self.key("t")
        return (
            f"SELECT {key} AS {KEY} FROM {self.rows} AS t WHERE {self.where} AND {key} IS NOT NULL "
            f"GROUP BY {key} HAVING count(*) > 1"
        )
