"""What databases behind a server share: raw files lie on this machine, and a DuckDB here reads them."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from abc import abstractmethod
from pathlib import Path

import duckdb

from reiterate import sql
from reiterate.errors import SettingsError
from reiterate.sinks.duckdb import CONFIG
from reiterate.sinks.relational import RelationalSink


class ServerSink(RelationalSink):
    """A schema of a database that other machines reach, too; the spool lies below the directory of temporary files."""

    def __init__(self, schema: str, dataset: str, shown: object, *, read_only: bool) -> None:
        super().__init__(schema, dataset, shown)
        self._read_only = read_only
        self._reader = duckdb.connect(config=CONFIG)
        self._reader.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")

    @property
    @abstractmethod
    def _place(self) -> str:
        """What tells this database from any other."""

    @property
    def spool(self) -> Path:
        """A directory of its own for each dataset, below that of temporary files (``TMPDIR``)."""
        place = f"{self._place}/{self.dataset}"
        return Path(tempfile.gettempdir()) / f"reiterate-{hashlib.sha256(place.encode()).hexdigest()[:16]}.spool"

    def _make_spool(self) -> None:
        # whoever wrote there is dead: the dataset is ours
        shutil.rmtree(self.spool, ignore_errors=True)
        try:
            self.spool.mkdir(mode=0o700)
        except OSError as error:
            raise SettingsError(
                "The directory for raw files cannot be made.",
                hint="Let TMPDIR name a directory that you may write, and remove what is in its place.",
                directory=self.spool,
                reason=error.strerror,
            ) from error
        self._reader.execute(f"SET temp_directory = {sql.literal(self.spool)}")

    def close(self) -> None:
        if not self._read_only:
            shutil.rmtree(self.spool, ignore_errors=True)
        self._reader.close()
