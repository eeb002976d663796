"""
Whether several raw files may be parsed as one: no row of one is the same as a row of another.

The occurrences of an event are counted within what is read at once. Windows never share a second, so the events of two
windows are never the same, unless Iterable answers with rows that were not asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

from reiterate import sql
from reiterate.parse import types
from reiterate.windows import Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reiterate.flow import Batch, RawFile


def apart(database: duckdb.DuckDBPyConnection, batch: Batch, raws: Sequence[RawFile]) -> bool:
    """Return whether that is sure of *raws*, whose lines, as one file, are *batch*."""
    window = batch.task.scope
    if not batch.source_rows:
        return True
    if not isinstance(window, Window) or batch.cursor_range is None:
        return False
    first, last = batch.cursor_range
    if not window.start <= first <= last < window.end:
        return False
    # where no two rows are the same, none of two files are
    return not batch.repeats or _in_place(database, batch, raws)


def _in_place(database: duckdb.DuckDBPyConnection, batch: Batch, raws: Sequence[RawFile]) -> bool:
    """Return whether each row lies in the window of its own file, by the second that its identity has."""
    instant = types.instant_in(f"json_extract(json, '/{batch.task.table.cursor}')")
    paths = sql.listed(sql.literal(raw.path) for raw in raws if raw.size_bytes)
    try:
        found = database.execute(
            f"""SELECT filename, min(second), max(second), count(*) = count(second) FROM (
                SELECT filename, epoch({instant})::BIGINT AS second FROM read_ndjson_objects([{paths}], filename = true)
            ) GROUP BY filename"""
        ).fetchall()
    except duckdb.Error:
        return False
    windows = {str(raw.path): raw.task.scope for raw in raws}
    return all(dated and _holds(windows[file], first, last) for file, first, last, dated in found)


def _holds(window: object, first: int, last: int) -> bool:
    return isinstance(window, Window) and window.start.timestamp() <= first and last < window.end.timestamp()
