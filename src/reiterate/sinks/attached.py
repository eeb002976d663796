"""
MotherDuck and DuckLake: databases that DuckDB itself speaks to, by an extension.

Rows and facts go in one transaction, as into a file; a lease keeps a second process out, for neither has a lock that
dies with its holder.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

import duckdb

from reiterate import sql
from reiterate.errors import DestinationBusy, SettingsError
from reiterate.secret import HIDDEN
from reiterate.sinks import making, spools
from reiterate.sinks.duckdb import CONFIG, DuckDBDatabase
from reiterate.sinks.lease import LeasedSink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reiterate.secret import Secret

SECRETS = re.compile(r"(password|token|secret)=('(?:[^'\\]|\\.|'')*'?|[^\s&;]*)", re.IGNORECASE)

NOBODY_MADE_IT = "creating a new DuckLake is explicitly disabled"
"""What DuckLake says of a catalog in a server that is not there, to whoever only looks."""


class AttachedSink(DuckDBDatabase, LeasedSink):
    """
    A schema of a database in MotherDuck (``md:NAME``) or of a DuckLake (``ducklake:CATALOG[?data_path=DIRECTORY]``).

    A sink that is *read_only* only tells what is there.

    :raises SettingsError: when it cannot be attached, or the extension is missing
    :raises DestinationBusy: when another process holds the dataset
    """

    def __init__(self, url: Secret, dataset: str, *, shown: str, read_only: bool = False, run_id: str = "") -> None:
        self._place = _place(url)
        database = duckdb.connect(config=CONFIG)
        try:
            _attach(database, url, shown, read_only=read_only)
            super().__init__(database, dataset, shown, read_only=read_only, run_id=run_id)
            if not read_only:
                self._set_up()
        except BaseException:
            database.close()
            raise

    def _set_up(self) -> None:
        self._do(f"CREATE SCHEMA IF NOT EXISTS {self._schema}")
        self._check_version()  # a lease changes the dataset, too
        self._make_lease()
        with self._transaction():
            self._make_own_tables()
        self._make_spool()

    @property
    def _spools(self) -> Path:
        return spools.below_tmpdir(self._place, self.dataset)

    def _let_go(self) -> None:
        if not self._read_only:
            self._end_lease()
        super()._let_go()

    @contextlib.contextmanager
    def _atomic(self) -> Iterator[None]:
        # DuckLake commits nothing that removes rows of a table into which somebody has put others meanwhile
        with self._aside_lock, super()._atomic():
            self._renew_lease()
            yield

    def _check_aside(self, rows: Callable[[str], list[tuple[Any, ...]]]) -> None:
        self._check_lease(rows)

    def _reason(self, error: Exception) -> str:
        return _said(error)


def _place(url: Secret) -> str:
    """Return what tells a database from any other, no secret in it: a file lies where the working directory says."""
    place = SECRETS.sub("", url.reveal().partition("?")[0])
    kind, _, rest = place.partition(":")
    return f"{kind}:{Path(rest).resolve()}" if kind == "ducklake" and ":" not in rest else place


def _attach(database: duckdb.DuckDBPyConnection, url: Secret, shown: str, *, read_only: bool) -> None:
    """Attach what *url* names and work in it; to look at a lake that nobody has made is to look at nothing."""
    database.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
    database.execute(f"SET temp_directory = {sql.literal(tempfile.gettempdir())}")
    place, _, query = url.reveal().partition("?")
    options = {name: values[-1] for name, values in parse_qs(query).items()}
    catalog = unquote(place.partition(":")[2])
    if place.startswith("ducklake:") and ":" not in catalog and not read_only:
        making.make(Path(catalog))
    try:
        if place.startswith("md:"):
            if token := options.get("motherduck_token"):
                database.execute("LOAD motherduck")
                database.execute(f"SET motherduck_token = {sql.literal(token)}")
            database.execute(f"ATTACH {sql.literal(place)}")
            database.execute(f"USE {sql.name(place.removeprefix('md:'))}")
            return
        details = [f"DATA_PATH {sql.literal(options['data_path'])}"] if "data_path" in options else []
        details += ["READ_ONLY"] if read_only else []
        behind = f" ({sql.listed(details)})" if details else ""
        database.execute(f"ATTACH {sql.literal(unquote(place))} AS lake{behind}; USE lake")
    except duckdb.Error as error:
        if not (read_only and NOBODY_MADE_IT in str(error)):
            raise _refused(error, shown) from None


def _said(error: Exception) -> str:
    """Return what DuckDB says without secrets; why DuckLake committed nothing stands in its second line."""
    first, _, rest = str(error).partition("\n")
    lines = [first, *rest.splitlines()[:1]] if "commit" in first else [first]
    return SECRETS.sub(rf"\1={HIDDEN}", " ".join(lines))[:300]


def _refused(error: duckdb.Error, shown: str) -> SettingsError | DestinationBusy:
    reason = _said(error)
    if "Could not set lock" in str(error):
        return DestinationBusy(destination=shown, reason=reason)
    if "extension" in str(error).lower():
        return SettingsError(
            "DuckDB lacks the extension for this destination.",
            hint="DuckDB downloads it by itself where it may reach extensions.duckdb.org; elsewhere, install the "
            "file with INSTALL 'FILE' for this very version of DuckDB.",
            destination=shown,
            version=duckdb.__version__,
            reason=reason,
        )
    return SettingsError(
        "The destination cannot be opened.",
        hint="Check its address, and the token or credentials.",
        destination=shown,
        reason=reason,
    )
