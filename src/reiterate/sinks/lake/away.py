"""
Tables in files of a bucket; the ledger is a database of this machine, and counts as soon as its state is in the bucket.

    load ─► files ─► staged in the bucket ─► ledger: fact and change ─► its next state put ─► make the change
                                                                              │
                                                                              └─ only now the load counts
"""

from __future__ import annotations

import contextlib
import gzip
import os
import secrets
import shutil
import socket
import tempfile
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING

import duckdb

from reiterate import sql
from reiterate.errors import LoadError, LockLost, SettingsError
from reiterate.sinks import spools
from reiterate.sinks.duckdb import connect
from reiterate.sinks.lake.bucket import Bucket, Reader, Versions
from reiterate.sinks.lake.sink import Files
from reiterate.sinks.lake.tables import FULL_BYTES
from reiterate.sinks.lease import LEASE, LeasedSink, is_dead
from reiterate.sinks.relational import first_line

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from reiterate.sinks.lake.change import Format

RENEWED = LEASE / 2
"""Whoever has not put a state for so long makes sure first that he is alone."""


class BucketSink(Files, LeasedSink):
    """
    A dataset in a bucket.

    A state of the ledger follows the one that was fetched, or is refused, so two processes never interleave; a lease in
    it keeps a second one out from the start. After a state that may or may not have been put, the ledger is fetched
    anew: the bucket alone says what counts.

    :raises SettingsError: when the bucket cannot be reached, or holds tables of another format
    :raises DestinationBusy: when another process holds the dataset
    """

    def __init__(
        self, files: Format, *, read_only: bool = False, full_bytes: int = FULL_BYTES, run_id: str = ""
    ) -> None:
        if not isinstance(files.place, Bucket):
            raise TypeError(files.place)
        self._bucket = files.place
        self._states = Versions(self._bucket)
        self._publishing = RLock()
        self._put_at = datetime.now(UTC)
        self._stale = self._lost = False
        self._prefix = f"reiterate-{sha256(self._bucket.identity.encode()).hexdigest()[:16]}"
        self._work = Path(tempfile.mkdtemp(prefix=f"{self._prefix}-{os.getpid()}-"))
        try:
            self._fetch()
            ledger, staging = self._work / "ledger.duckdb", self._work / "staged"
            super().__init__(files, ledger, staging, read_only=read_only, full_bytes=full_bytes, run_id=run_id)
            self._read_from_bucket()
        except BaseException:
            shutil.rmtree(self._work, ignore_errors=True)
            raise
        self._shown = self._bucket.url("")

    def _fetch(self) -> None:
        """Let the ledger be what the bucket has."""
        try:
            self._latest, state = self._states.latest()
        except Bucket.ERRORS as error:
            raise SettingsError(
                "The destination cannot be opened.",
                hint="Check its address, the credentials in the environment, and that they may list, read, write and "
                "delete there; see docs/destinations.md.",
                destination=self._bucket.url(""),
                reason=first_line(error),
            ) from error
        ledger = self._work / "ledger.duckdb"
        ledger.unlink(missing_ok=True)
        ledger.with_suffix(".duckdb.wal").unlink(missing_ok=True)
        if state is None:
            duckdb.connect(str(ledger)).close()
        else:
            ledger.write_bytes(gzip.decompress(state))

    def _make_own_tables(self) -> None:
        self._shown = self._bucket.url("")
        self._check_format()
        super()._make_own_tables()
        self._make_lease()

    def _is_in_place(self) -> bool:
        # the ledger's file is nobody else's; the bucket says what counts
        return True

    @property
    def _spools(self) -> Path:
        return spools.below_tmpdir(self._bucket.identity, self.dataset)

    def _make_spool(self) -> None:
        for left in self._work.parent.glob(f"{self._prefix}-*-*"):
            if is_dead(f"{socket.gethostname()}:{left.name.split('-')[2]}:"):
                shutil.rmtree(left, ignore_errors=True)
        super()._make_spool()

    def _read_from_bucket(self) -> None:
        # a file of plain Parquet may be replaced within the second in which it was made
        self._database.execute("SET enable_external_file_cache = false")
        self._database.register_filesystem(Reader(self._bucket))

    def _let_go(self) -> None:
        if self._holder and not self._lost and not self._stale:
            self._end_lease()
            with contextlib.suppress(LoadError, *self.ERRORS):
                self._publish()
        super()._let_go()
        shutil.rmtree(self._work, ignore_errors=True)

    # ── files that go before the next state counts ───────────────────────────────────────────────────────────────────

    def _drop_table(self, table: str) -> None:
        self._check_state()
        super()._drop_table(table)

    def _put_in_place(self, table: str, fresh: str, columns: Collection[str]) -> None:
        self._check_state()
        super()._put_in_place(table, fresh, columns)

    def _check_state(self) -> None:
        """
        Make sure that the ledger in the bucket is still ours.

        :raises LockLost: when another process has gone on from it
        """
        with self._publishing:
            self._lost = self._lost or self._states.number() != self._latest
            if self._lost:
                raise LockLost(destination=self._shown)

    # ── the state of the ledger ──────────────────────────────────────────────────────────────────────────────────────

    def _settle(self) -> None:
        self._make_sure()
        super()._settle()

    @contextlib.contextmanager
    def _of_ledger(self) -> Iterator[None]:
        with super()._of_ledger():
            if self._checked:
                self._renew_lease()
            yield
        self._publish()

    def _do_aside(self, *statements: str) -> None:
        with self._publishing:
            super()._do_aside(*statements)
            self._publish()

    def renew(self) -> None:
        with self._publishing:
            self._make_sure()

    def _make_sure(self) -> None:
        """Go on from what the bucket has, and only while nobody else does."""
        if self._lost:
            raise LockLost(destination=self._shown)
        with self._publishing:
            if self._stale:
                self._database.close()
                self._fetch()
                self._database = connect(self.path, read_only=False)
                self._read_from_bucket()
                self._stale = False
                self._check_lease()
            if datetime.now(UTC) - self._put_at > RENEWED:
                self._renew_lease()
                self._publish()

    def _publish(self) -> None:
        """Let the ledger count as it is now."""
        with self._publishing:
            if self._lost:
                raise LockLost(destination=self._shown)
            if self._stale:
                raise LoadError(
                    "The state of the ledger in the bucket is not known.",
                    hint="The next load fetches it anew.",
                    destination=self._shown,
                )
            try:
                self._states.put(self._latest + 1, self._state())
            except LockLost:
                self._lost = True
                raise
            except BaseException:
                self._stale = True
                raise
            self._latest += 1
            self._put_at = datetime.now(UTC)

    def _state(self) -> bytes:
        """Return the ledger as it is now, whatever else is under way in this process."""
        # one that was detached may be held by others for a while, so the next is another file of another name
        name = f"state_{secrets.token_hex(8)}"
        file = self._work / f"{name}.duckdb"
        log = file.with_name(f"{file.name}.wal")
        try:
            with self._database.cursor() as cursor:
                cursor.execute(f"ATTACH {sql.literal(file)} AS {name} (BLOCK_SIZE 16384)")
                try:
                    cursor.execute(f"COPY FROM DATABASE ledger TO {name}")
                    # detaching writes to the file only if nobody has looked at it meanwhile, such as by the
                    # information schema; this waits until nobody does
                    cursor.execute(f"FORCE CHECKPOINT {name}")
                    if log.exists():
                        raise LoadError("The state of the ledger could not be written.", destination=self._shown)
                    return gzip.compress(file.read_bytes(), 1, mtime=0)
                finally:
                    cursor.execute(f"DETACH {name}")
        finally:
            file.unlink(missing_ok=True)
            log.unlink(missing_ok=True)
