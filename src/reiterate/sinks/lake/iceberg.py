"""Iceberg on this machine: the catalog is a database of SQLite beside the datasets."""

from __future__ import annotations

import time
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from pyiceberg.catalog.sql import SqlCatalog
from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError

from reiterate.sinks.lake.snapshots import KEPT, KEPT_SNAPSHOTS, Snapshots

if TYPE_CHECKING:
    from datetime import timedelta

    from reiterate.sinks.lake.change import Change
    from reiterate.sinks.lake.storage import Local

CLOCK_S = 1
"""So far apart may be the clock and the times that a file system keeps."""


class Iceberg(Snapshots):
    """Iceberg tables in ``catalog.db``."""

    ERRORS: ClassVar[tuple[type[Exception], ...]] = (*Snapshots.ERRORS, SQLAlchemyError)

    def __init__(self, place: Local, *, kept: timedelta = KEPT, kept_snapshots: int = KEPT_SNAPSHOTS) -> None:
        super().__init__(place, kept=kept, kept_snapshots=kept_snapshots)
        self._root = place.root.absolute()

    @cached_property
    def _catalog(self) -> SqlCatalog:
        # it makes its file, so the directory must be there
        uri = URL.create("sqlite", database=str(self._root.parent / "catalog.db"))
        return SqlCatalog("reiterate", uri=uri.render_as_string(), warehouse=self._root.parent.as_uri())

    def apply(self, change: Change) -> None:
        began = time.time()
        self._catalog.create_namespace_if_not_exists(self.place.dataset)
        super().apply(change)
        metadata = f"{change.table}/metadata"
        for path in self._root.joinpath(metadata).iterdir():
            if path.stat().st_mtime >= began - CLOCK_S:
                self.place.sync(f"{metadata}/{path.name}")
        self.place.sync(metadata)

    def _uri(self, *names: str) -> str:
        return self._root.joinpath(*names).as_uri()
