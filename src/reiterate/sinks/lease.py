"""
One process at a time, where the database has no lock that dies with its holder: a row with an expiry.

A holder writes the row when it opens the dataset, renews it with each commit, and makes sure in the same transaction
that it is still alone. Whoever finds it expired, or of a dead process of the same machine, takes over.
"""

from __future__ import annotations

import contextlib
import os
import socket
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from reiterate import sql
from reiterate.catalog.model import Type
from reiterate.errors import DestinationBusy, LoadError
from reiterate.sinks.relational import EPOCH, RelationalSink

if TYPE_CHECKING:
    from collections.abc import Sequence

LEASE_TABLE = "_reiterate_lease"
LEASE_COLUMNS = {"holder": Type.TEXT, "until": Type.TIMESTAMP}
LEASE = timedelta(minutes=10)
"""How long a process that was killed on another machine keeps others out."""


class LeasedSink(RelationalSink):
    """A dataset that one process at a time may hold."""

    _holder: str = ""
    """who we are; nobody before there is a lease"""

    def _make_lease(self) -> None:
        """
        Hold the dataset from now on.

        Of two who try at once, one sees both and steps back, or finds at its next commit that the other was later.
        """
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4()}"
        if not self._there(LEASE_TABLE):
            self._make(LEASE_TABLE, LEASE_COLUMNS)
        now = datetime.now(UTC)
        for holder, until in self._lease():
            if until > now and not is_dead(holder):
                raise DestinationBusy(
                    destination=self._shown,
                    dataset=self.dataset,
                    host=holder.partition(":")[0],
                    until=f"{until:%H:%M} UTC",
                )
        lease, end = self._name(LEASE_TABLE), sql.literal(now + LEASE)
        self._do(f"DELETE FROM {lease} WHERE true")
        self._do(f'INSERT INTO {lease} (holder, "until") VALUES ({sql.literal(self._holder)}, {end})')
        self._check_lease()

    def _renew_lease(self) -> None:
        """
        Hold it for longer; at the start of each transaction.

        :raises DestinationBusy: when another process has taken over
        """
        self._do(
            f'UPDATE {self._name(LEASE_TABLE)} SET "until" = {sql.literal(datetime.now(UTC) + LEASE)} '
            f"WHERE holder = {sql.literal(self._holder)}"
        )
        self._check_lease()

    def _check_lease(self) -> None:
        if [holder for holder, _ in self._lease()] != [self._holder]:
            raise DestinationBusy(
                "Another process has taken over the destination.", destination=self._shown, dataset=self.dataset
            )

    def _end_lease(self) -> None:
        with contextlib.suppress(LoadError, *self.ERRORS):
            self._do(f"DELETE FROM {self._name(LEASE_TABLE)} WHERE holder = {sql.literal(self._holder)}")

    def _lease(self) -> Sequence[tuple[str, datetime]]:
        found = self._rows(f"""SELECT holder, {self._us('"until"')} FROM {self._name(LEASE_TABLE)}""")
        return [(holder, EPOCH + timedelta(microseconds=until_us)) for holder, until_us in found]


def is_dead(holder: str) -> bool:
    """Tell whether a holder was a process of this machine that is gone."""
    host, pid, _ = holder.split(":")
    if host != socket.gethostname() or os.name != "posix":
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
