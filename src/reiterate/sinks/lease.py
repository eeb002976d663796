"""
One process at a time, where the database has no lock that dies with its holder: a row with an expiry.

A holder writes the row when it opens the dataset, with its run as soon as it has one, renews it while it waits, and
makes sure in the transaction of each change that it still stands there. Whoever finds it expired, or of a dead process
of the same machine, takes over; whoever finds another one in its place has lost the right to write.
"""

from __future__ import annotations

import contextlib
import os
import socket
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from reiterate import sql
from reiterate.catalog.model import Type
from reiterate.errors import DestinationBusy, LoadError, LockLost
from reiterate.sinks.relational import EPOCH, RelationalSink

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    Rows = Callable[[str], list[tuple[Any, ...]]]

LEASE_TABLE = "_reiterate_lease"
LEASE_COLUMNS: Mapping[str, Type] = {"holder": Type.TEXT, "until": Type.TIMESTAMP, "run_id": Type.TEXT}
LEASE = timedelta(minutes=10)
"""How long a process that was killed on another machine keeps others out."""

RENEWED = LEASE / 10
"""Whoever waits renews it as often: nothing that takes less than nine tenths of it lets it expire."""


class LeasedSink(RelationalSink):
    """A dataset that one process at a time may hold."""

    _holder: str = ""
    """who we are; nobody before there is a lease"""
    _renewed_at: datetime = EPOCH

    def _make_lease(self) -> None:
        """
        Hold the dataset from now on.

        Of two who try at once, one sees both and steps back, or finds at its next commit that the other was later.
        """
        self._holder = new_holder()
        self._make_as_wide(LEASE_TABLE, LEASE_COLUMNS)
        now = datetime.now(UTC)
        for holder, until, _ in self._lease(self._rows):
            if until > now and not is_dead(holder):
                raise DestinationBusy(
                    destination=self._shown,
                    dataset=self.dataset,
                    host=holder.partition(":")[0],
                    until=f"{until:%H:%M} UTC",
                )
        names = sql.listed(map(sql.name, LEASE_COLUMNS))
        values = sql.listed(map(sql.literal, (self._holder, now + LEASE, self._run_id)))
        self._do(f"DELETE FROM {self._name(LEASE_TABLE)} WHERE true")
        self._do(f"INSERT INTO {self._name(LEASE_TABLE)} ({names}) VALUES ({values})")
        self._check_lease()
        self._renewed_at = now

    def _start(self, run_id: str) -> None:
        if run_id != self._run_id:
            with self._transaction():
                self._do(f"UPDATE {self._name(LEASE_TABLE)} SET run_id = {sql.literal(run_id)} WHERE {self._is_ours()}")
        super()._start(run_id)

    def renew(self) -> None:
        if datetime.now(UTC) - self._renewed_at > RENEWED:
            with self._transaction():
                """Each transaction renews it."""

    def _renew_lease(self) -> None:
        """
        Hold it for longer; at the start of each transaction.

        :raises LockLost: when another process has taken over
        """
        now = datetime.now(UTC)
        self._do(f'UPDATE {self._name(LEASE_TABLE)} SET "until" = {sql.literal(now + LEASE)} WHERE {self._is_ours()}')
        self._check_lease()
        self._renewed_at = now

    def _is_ours(self) -> str:
        return f"holder = {sql.literal(self._holder)}"

    def _check_lease(self, rows: Rows | None = None) -> None:
        """
        Make sure that nobody else has taken over; *rows* of a query come from the connection of the caller, if given.

        :raises LockLost: when another process has
        """
        found = [(holder, run_id) for holder, _, run_id in self._lease(rows or self._rows)]
        if found != [(self._holder, self._run_id)]:
            raise LockLost(
                destination=self._shown, dataset=self.dataset, its_run=next((run_id for _, run_id in found), None)
            )

    def _end_lease(self) -> None:
        with contextlib.suppress(LoadError, *self.ERRORS):
            self._do(f"DELETE FROM {self._name(LEASE_TABLE)} WHERE {self._is_ours()}")

    def _lease(self, rows: Rows) -> Sequence[tuple[str, datetime, str | None]]:
        found = rows(f"""SELECT holder, {self._us('"until"')}, run_id FROM {self._name(LEASE_TABLE)}""")
        return [(holder, EPOCH + timedelta(microseconds=until_us), run_id) for holder, until_us, run_id in found]


def new_holder() -> str:
    """Return a name for this process that no other holder has."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4()}.{_begun(os.getpid())}"


def is_dead(holder: str) -> bool:
    """Tell whether a holder was a process of this machine that is gone."""
    host, pid, rest = holder.split(":")
    if host != socket.gethostname() or os.name != "posix":
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    # a machine that was started anew gives its numbers anew; in a container, each program may be number 1
    began = rest.partition(".")[2]
    return bool(began) and began != _begun(int(pid))


def _begun(pid: int) -> str:
    """Return when a process was begun, in clock ticks since the machine was; nothing where the system does not tell."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""
