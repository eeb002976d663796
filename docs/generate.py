"""Writes docs/tables.md from the catalog: ``python docs/generate.py``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

import reiterate
from reiterate.catalog.model import ByEvent, ByFields, ByFirst
from reiterate.cli.show import described, drawn

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reiterate.catalog.model import Table

TARGET = Path(__file__).parent / "tables.md"

HEAD = """\
# Tables

Generated from the catalog by `docs/generate.py`; `reiterate tables` and `reiterate tables --json` tell the same.

Fields that a table has besides these, such as a project's own user fields and what Iterable adds later, become columns
when they first arrive. A value that its column cannot hold goes to a second column of the field, named after the first
and its type (`price__v_text`). `_reiterate_columns` in the dataset tells the source field of each column.

"""

JOINS = """
## How they join

An arrow leads from a column to the table that it names; `messageId` joins the events of one message.

"""


def page() -> str:
    """Return the whole page."""
    chosen = [(table, described(table)) for table in reiterate.tables()]
    overview = _grid(
        ("table", "method", "primary key", "replication key", "default", "what it holds"),
        (
            (
                f"[{facts['name']}](#{facts['name']})",
                facts["method"],
                _keys(facts),
                facts["replication_key"] or "",
                "yes" if "default" in facts["groups"] else "",
                facts["about"],
            )
            for _, facts in chosen
        ),
    )
    joins = f"{JOINS}```mermaid\n{drawn(reiterate.tables())}\n```\n"
    return HEAD + overview + joins + "".join(_section(table, facts) for table, facts in chosen)


def _section(table: Table, facts: dict[str, Any]) -> str:
    rows = [
        ("source", f"[`{facts['source']}`]({facts['docs']})"),
        ("limit", facts["limit"]),
        ("cost", facts["cost"]),
        ("groups", ", ".join(facts["groups"])),
        ("method", facts["method"]),
        ("primary key", _keys(facts)),
        ("rows are told apart by", _identity(table)),
        *([("replication key", facts["replication_key"])] if facts["replication_key"] else []),
        *([("each day", f"`{table.name}_snapshots` keeps its rows of each day")] if facts["snapshots"] else []),
    ]
    columns = [(f"`{each['name']}`", each["type"], each["field"] or "", each["about"]) for each in facts["columns"]]
    return (
        f"\n## {facts['name']}\n\n{facts['about']}\n\n{_grid(('', ''), rows)}\n"
        f"{_grid(('column', 'type', 'source field', 'meaning'), columns)}"
    )


def _identity(table: Table) -> str:
    fields = ", ".join(table.identity.fields)
    match table.identity:
        case ByEvent():
            return f"`_event_id`, made of {fields} and [whose event it is](exactness.md#what-tells-two-events-apart)"
        case ByFirst():
            return f"the first that the row has of {fields}"
        case ByFields():
            return fields
        case _:
            assert_never(table.identity)


def _keys(facts: dict[str, Any]) -> str:
    return ", ".join(facts["primary_key"])


def _grid(headings: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [headings, ("---",) * len(headings), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
