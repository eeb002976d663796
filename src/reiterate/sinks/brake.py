"""The brake: a read that replaces takes most rows of a table, or of a part, only if a person says so."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from reiterate.errors import MostRowsGone

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from reiterate.catalog.model import Table
    from reiterate.flow import Part

LEAST_ROWS = 100
"""What has fewer rows may lose them all."""

MOST = 90
"""Percent of its rows that a table, or a part of it, may lose."""


class Brake:
    """
    What a run may take from tables: up to ``MOST`` percent of a table, and of each part of it, that has ``LEAST_ROWS``.

    More goes if its exact number is *accepted* for the table. Parts are replaced one by one, so what a run has taken
    from others of the same table counts, too.
    """

    def __init__(self, accepted: Mapping[str, Collection[int]]) -> None:
        self._accepted = accepted
        self._gone: Counter[str] = Counter()
        self._had: dict[str, int] = {}

    def may_hold(self, table: Table, gone: int) -> bool:
        """Return whether *gone* more rows are so many that their table has to be counted."""
        return not table.may_shrink and gone > 0 and _most(LEAST_ROWS, self._gone[table.name] + gone)

    def hold(
        self,
        table: Table,
        gone: int,
        *,
        of_table: Callable[[], int],
        losses: Iterable[tuple[int, int]] = (),
        part: Part | None = None,
    ) -> None:
        """
        Let *gone* more rows of *table* go; *of_table* counts how many it has before they do.

        *losses* are the rows that its parts have, each with the number of those that go.

        :raises MostRowsGone: when they are too many
        """
        if not self.may_hold(table, gone):
            return
        if table.name not in self._had:
            self._had[table.name] = of_table() + self._gone[table.name]
        rows = self._had[table.name]
        of_run = (rows, self._gone[table.name] + gone)
        if not any(_most(*loss) for loss in (of_run, *losses)) or gone in self._accepted.get(table.name, ()):
            return
        raise MostRowsGone(
            table=table.name,
            part=part,
            rows_of_table=rows,
            rows_that_go=gone,
            accepted=", ".join(map(str, sorted(self._accepted.get(table.name, ())))) or None,
            hint=f"They stay. If they are gone for good at Iterable: reiterate sync --accept {table.name}:{gone}",
        )

    def went(self, table: Table, gone: int) -> None:
        """Note that *gone* rows of *table* are gone, and committed."""
        self._gone[table.name] += gone


def _most(rows: int, gone: int) -> bool:
    return rows >= LEAST_ROWS and gone * 100 > rows * MOST
