"""
Who may write to a dataset of PostgreSQL: the one row of ``_reiterate_lease``.

    claim ──► the row is ours ──► change: [ SELECT … FOR SHARE, is it still? ─► … ] ──► … ──► release
                │                    ▲
                │ dead, or expired   │ no: give up
                └──► another claim: [ advisory lock, the row is theirs ]

A claim waits for whatever change is under way, and each change that comes after it finds another holder. Nothing of it
belongs to a session: behind a pooler that hands out a connection for each transaction (PgBouncer), it holds as well.

A holder is dead when its process is, if that was of this machine; when the server's end of its connection is gone, if
there was no pooler between; or when it has not renewed the row for ten minutes. In the first two cases, nobody waits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg import errors

from reiterate import sql
from reiterate.errors import DestinationBusy, LockLost
from reiterate.sinks.lease import LEASE, LEASE_TABLE, is_dead, new_holder

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

CLAIM_WAIT_S = 10
"""How long a second process waits for the first; one that was killed is there until the server notices."""

LOCK_WAIT_S = 5
"""No statement waits longer for a lock of somebody else."""

LOCAL_SETTINGS = {
    "TimeZone": "UTC",
    "lock_timeout": f"{LOCK_WAIT_S}s",
    # a transaction is ours to end, however long the file takes that is brought into it
    "idle_in_transaction_session_timeout": "0",
    # a statement of a process that was killed ends, where the server can tell
    "client_connection_check_interval": "1000",
}
"""What holds inside of a transaction; a session may be somebody else's afterwards."""

BACKEND = """(SELECT pid || ' ' || coalesce(extract(epoch FROM backend_start)::text, '') FROM pg_stat_activity
    WHERE pid = pg_backend_pid())"""

IS_GONE = """backend IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM pg_stat_activity AS a WHERE a.pid = split_part(l.backend, ' ', 1)::int
    AND coalesce(extract(epoch FROM a.backend_start)::text, '') IN (split_part(l.backend, ' ', 2), ''))"""


def set_up(connection: Connection) -> None:
    """Begin a transaction with what holds inside of it."""
    values = sql.listed(f"({sql.literal(name)}, {sql.literal(value)})" for name, value in LOCAL_SETTINGS.items())
    connection.execute(
        f"SELECT set_config(name, value, true) FROM (VALUES {values}) AS s(name, value) "
        "WHERE current_setting(name, true) IS NOT NULL".encode()
    )


class Fence:
    """
    The right of a run to write to a dataset.

    Every connection that is given may be another one; each method but :meth:`hold` makes a transaction of its own.
    """

    def __init__(self, schema: str, dataset: str, shown: object, run_id: str) -> None:
        self.run_id = run_id
        self._schema = schema
        self._dataset = dataset
        self._shown = shown
        self._holder = new_holder()
        self._table = f"{schema}.{sql.name(LEASE_TABLE)}"
        # versions before 0.2.0 hold this lock in their session
        place = sql.literal(f"reiterate {dataset}")
        self._key = f"hashtextextended({place}, 0)"

    def claim(self, connection: Connection) -> None:
        """
        Let the dataset be ours; make its schema, if need be.

        :raises DestinationBusy: when another process holds it, and still does after some time
        """
        busy = self._try_to_claim(connection)
        for _ in range(CLAIM_WAIT_S):
            if busy is None:
                return
            connection.execute("SELECT pg_sleep(1)")
            busy = self._try_to_claim(connection)
        if busy is not None:
            raise busy

    def _try_to_claim(self, connection: Connection) -> DestinationBusy | None:
        with connection.transaction():
            set_up(connection)
            ((alone,),) = connection.execute(f"SELECT pg_try_advisory_xact_lock({self._key})".encode()).fetchall()
            if not alone:
                return self._busy()
            self._make_table(connection)
            found = connection.execute(
                f"""SELECT holder, "until" <= now(), {IS_GONE}, to_char("until" AT TIME ZONE 'UTC', 'HH24:MI "UTC"')
                    FROM {self._table} AS l FOR UPDATE""".encode()
            ).fetchall()
            for holder, expired, gone, until in found:
                if not (expired or gone or is_dead(holder)):
                    return self._busy(host=holder.partition(":")[0], until=until)
            connection.execute(f"DELETE FROM {self._table}".encode())
            connection.execute(
                f"""INSERT INTO {self._table} (holder, run_id, "until", backend)
                    VALUES ({sql.literal(self._holder)}, {sql.literal(self.run_id)}, {_until()}, {_backend(connection)})
                """.encode()
            )
            return None

    def _busy(self, **facts: str) -> DestinationBusy:
        return DestinationBusy(destination=self._shown, dataset=self._dataset, **facts)

    def _make_table(self, connection: Connection) -> None:
        there = connection.execute(
            f"""SELECT array_agg(column_name::text) FROM information_schema.columns
                WHERE table_catalog = current_database() AND table_schema = {sql.literal(self._dataset)}
                AND table_name = {sql.literal(LEASE_TABLE)}""".encode()
        ).fetchall()[0][0]
        if there and {"holder", "until", "run_id", "backend"} <= {*there}:
            return
        named = connection.execute(f"SELECT 1 FROM pg_namespace WHERE nspname = {sql.literal(self._dataset)}".encode())
        if not named.fetchall():
            connection.execute(f"CREATE SCHEMA {self._schema}".encode())
        connection.execute(
            f'CREATE TABLE IF NOT EXISTS {self._table} (holder TEXT, "until" TIMESTAMP WITH TIME ZONE)'.encode()
        )
        for column in ("run_id", "backend"):
            connection.execute(f"ALTER TABLE {self._table} ADD COLUMN IF NOT EXISTS {column} TEXT".encode())

    def hold(self, connection: Connection) -> None:
        """
        Keep everybody else from taking over until the end of the transaction that *connection* is in.

        :raises LockLost: when somebody has
        """
        try:
            connection.execute(f"SELECT pg_advisory_xact_lock_shared({self._key})".encode())
        except errors.LockNotAvailable:
            raise self._lost() from None
        self._check(connection.execute(f"SELECT holder, run_id FROM {self._table} FOR SHARE".encode()).fetchall())

    def _check(self, found: list[tuple[Any, ...]]) -> None:
        if found != [(self._holder, self.run_id)]:
            raise self._lost(**({"its_run": str(found[0][1])} if found else {}))

    def _lost(self, **facts: str) -> LockLost:
        return LockLost(destination=self._shown, dataset=self._dataset, **facts)

    def renew(self, connection: Connection, *, run_id: str = "") -> None:
        """
        Hold the dataset for longer, as *run_id* if given; return once what an earlier connection of ours did has ended.

        :raises LockLost: when somebody has taken over
        """
        with connection.transaction():
            set_up(connection)
            # whoever comes back must not find the row before the server has dealt with the connection that broke
            self._check(connection.execute(f"SELECT holder, run_id FROM {self._table} FOR UPDATE".encode()).fetchall())
            connection.execute(
                f"""UPDATE {self._table} SET "until" = {_until()}, backend = {_backend(connection)},
                    run_id = {sql.literal(run_id or self.run_id)}""".encode()
            )
        self.run_id = run_id or self.run_id

    def release(self, connection: Connection) -> None:
        with connection.transaction():
            set_up(connection)
            connection.execute(f"DELETE FROM {self._table} WHERE holder = {sql.literal(self._holder)}".encode())


def _until() -> str:
    return f"now() + interval '{LEASE.total_seconds():.0f} seconds'"


def _backend(connection: Connection) -> str:
    """
    Return the expression of the server's process that serves us, as long as we live.

    A pooler invents the number that it tells, and gives us another process each time.
    """
    ((pid,),) = connection.execute("SELECT pg_backend_pid()").fetchall()
    return BACKEND if pid == connection.info.backend_pid else "NULL"
