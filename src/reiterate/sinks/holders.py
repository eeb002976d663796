"""Who holds locks in PostgreSQL, so that a person knows whom to ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reiterate import sql
from reiterate.sinks.relational import FRESH

if TYPE_CHECKING:
    from collections.abc import Sequence

SHOWN = 3
"""So many are named, the oldest transactions first: one of them began the queue."""

DEFINITIONS = ("ALTER", "CREATE", "DROP", "TRUNCATE")
"""Statements that wait even for those who only read."""


def query(dataset: str, table: str | None, statement: str) -> str:
    """Return the query for those who hold locks on *table*, or any of *dataset*, that *statement* could wait for."""
    names = sql.listed(map(sql.literal, (table, f"{table}_history", f"{table}_snapshots", f"{FRESH}{table}")))
    of_table = f"c.relname IN ({names})" if table else "true"
    mode = "true" if statement.startswith(DEFINITIONS) else "l.mode <> 'AccessShareLock'"
    return f"""SELECT DISTINCT a.xact_start, a.pid, a.usename::text, a.application_name, a.state,
            extract(epoch FROM now() - a.xact_start)::int
        FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid) JOIN pg_class AS c ON c.oid = l.relation
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE l.granted AND a.pid <> pg_backend_pid() AND a.backend_type = 'client backend'
        AND n.nspname = {sql.literal(dataset)} AND {of_table} AND {mode}
        ORDER BY a.xact_start LIMIT {SHOWN}"""


def in_words(rows: Sequence[tuple[Any, ...]]) -> str:
    """Return what the rows of the query say."""
    return "; ".join(_holder(*values) for _, *values in rows) or "nobody any more"


def _holder(pid: int, user: str | None, application: str | None, state: str | None, seconds: int | None) -> str:
    facts = [f"user {user}", f"application {application}"] if application else [f"user {user}"]
    facts += [f"{state} for {seconds} s"] if state and seconds is not None else []
    return f"process {pid} ({', '.join(facts)})"
