"""Where the datasets of an earlier version lie, how one is put into an archive, and how it comes out again."""

from __future__ import annotations

import fcntl
import gzip
import io
import shutil
import tarfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tests import objects, postgres, replica

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BEFORE = Path(__file__).with_name("before")
CONFIG = BEFORE / "reiterate.toml"
PROJECT = BEFORE / "project.json.gz"

ICEBERG = Path("/tmp/reiterate-before-iceberg")

TABLES = (
    *("campaigns", "channels", "custom_event", "email_bounce", "email_click", "email_complaint", "email_open"),
    *("email_send", "email_send_skip", "email_subscribe", "email_unsubscribe", "list_users", "lists", "message_types"),
    *("metadata", "purchase", "templates", "users"),
)
"""Those of the datasets: the documented ones, and events that customers name."""

NEVER_READ = "sms_send"
"""The table that the last run began with, and did not end."""

COMMAND_LINE = "from reiterate.cli import main; main()"
WITH_DLT = f"""
from reiterate.settings import schemes
schemes.SCHEMES['dlt'] = schemes.Scheme('dlt://', warehouse='postgres', driver='psycopg2')
{COMMAND_LINE}
"""
"""The command line with one more kind of destination: PostgreSQL, reached as warehouses are."""


class Place(ABC):
    """A destination below *directory*, or a server's; nothing is there before it is restored or synced into."""

    archive: ClassVar[str]
    program: ClassVar[str] = COMMAND_LINE

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @property
    @abstractmethod
    def url(self) -> str:
        """The destination as a person names it."""

    @property
    @abstractmethod
    def rows(self) -> Path | str | replica.Lake:
        """The same for who reads it back."""

    @property
    def environ(self) -> Mapping[str, str]:
        """What a sync needs to reach it."""
        return {}

    @abstractmethod
    def keep(self) -> None:
        """Write the archive."""

    @abstractmethod
    def restore(self) -> None:
        """Let the destination be what the archive has."""

    @abstractmethod
    def content(self) -> object:
        """Return all that is there, to be compared."""

    def close(self) -> None:  # noqa: B027 (few need it)
        """Let others have it."""

    @abstractmethod
    def own(self, statement: str) -> list[tuple[Any, ...]]:
        """Do *statement* in the database that holds the ledger, and return what it answers."""


class Files(Place):
    """A directory."""

    def keep(self) -> None:
        pack(BEFORE / self.archive, self.content())

    def content(self) -> dict[str, bytes]:
        files = (file for file in sorted(self.directory.rglob("*")) if file.is_file())
        return {str(file.relative_to(self.directory)): file.read_bytes() for file in files}

    def restore(self) -> None:
        for name, content in unpack(BEFORE / self.archive):
            file = self.directory / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)

    def own(self, statement: str) -> list[tuple[Any, ...]]:
        return replica.execute(self.ledger, statement)

    @property
    @abstractmethod
    def ledger(self) -> Path:
        """The DuckDB file that holds the ledger."""


class DuckDB(Files):
    archive = "duckdb.tar.gz"

    @property
    def url(self) -> str:
        return str(self.rows)

    @property
    def rows(self) -> Path:
        return self.directory / "replica.duckdb"

    @property
    def ledger(self) -> Path:
        return self.rows


class Parquet(Files):
    archive = "parquet.tar.gz"
    format = "parquet"

    @property
    def url(self) -> str:
        return f"{self.root.as_uri()}?format={self.format}"

    @property
    def root(self) -> Path:
        return self.directory / "lake"

    @property
    def rows(self) -> replica.Lake:
        return replica.Lake(self.root, self.format)

    @property
    def ledger(self) -> Path:
        return self.root / "iterable" / "_reiterate" / "ledger.duckdb"


class Delta(Parquet):
    archive = "delta.tar.gz"
    format = "delta"


class Iceberg(Parquet):
    """
    A directory that is always the same, for Iceberg's metadata hold whole locations.

    One process at a time has it, until it closes it; another waits.
    """

    archive = "iceberg.tar.gz"
    format = "iceberg"

    def __init__(self, directory: Path) -> None:
        super().__init__(ICEBERG)
        self._lock = ICEBERG.with_suffix(".lock").open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        shutil.rmtree(ICEBERG, ignore_errors=True)
        ICEBERG.mkdir()

    def close(self) -> None:
        self._lock.close()


class Bucket(Place):
    """A directory of the bucket of this process."""

    archive = "bucket.tar.gz"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._url = objects.new_prefix()

    @property
    def url(self) -> str:
        return self._url

    @property
    def rows(self) -> replica.Lake:
        return replica.Lake(self._url, "parquet")

    def keep(self) -> None:
        pack(BEFORE / self.archive, self.content())

    def content(self) -> dict[str, bytes]:
        return {name: objects.get(self._url, name) for name in sorted(objects.names(self._url))}

    def restore(self) -> None:
        for name, content in unpack(BEFORE / self.archive):
            objects.put(self._url, name, content)

    def own(self, statement: str) -> list[tuple[Any, ...]]:
        """Do it in the latest state of the ledger, and put what comes out behind it."""
        latest = max(name for name in objects.names(self._url) if name.endswith(".duckdb.gz"))
        directory, _, number = latest.rpartition("/")
        ledger = self.directory / "ledger.duckdb"
        ledger.write_bytes(gzip.decompress(objects.get(self._url, latest)))
        answer = replica.execute(ledger, statement)
        after = f"{directory}/{int(number.partition('.')[0]) + 1:012}.duckdb.gz"
        objects.put(self._url, after, gzip.compress(ledger.read_bytes()))
        return answer


class PostgreSQL(Place):
    archive = "postgresql.sql.gz"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._url = postgres.new_database()

    @property
    def url(self) -> str:
        return self._url

    @property
    def rows(self) -> str:
        return self._url

    def keep(self) -> None:
        (BEFORE / self.archive).write_bytes(gzip.compress(self.content(), 9, mtime=0))

    def content(self) -> bytes:
        lines = postgres.dump(self._url, "iterable").splitlines(keepends=True)
        # a word that is another in each dump, to be said by a dump alone
        return b"".join(line for line in lines if not line.startswith((b"\\restrict", b"\\unrestrict")))

    def restore(self) -> None:
        postgres.load(self._url, gzip.decompress((BEFORE / self.archive).read_bytes()))

    def own(self, statement: str) -> list[tuple[Any, ...]]:
        return replica.execute(self._url, statement)


class DltOverPostgreSQL(PostgreSQL):
    """The same, reached as warehouses are."""

    archive = "dlt.sql.gz"
    program = WITH_DLT

    @property
    def url(self) -> str:
        return "dlt://"

    @property
    def environ(self) -> Mapping[str, str]:
        return postgres.credentials_of(self._url)


PLACES: Mapping[str, type[Place]] = {
    "DuckDB": DuckDB,
    "PostgreSQL": PostgreSQL,
    "Parquet": Parquet,
    "Delta": Delta,
    "Iceberg": Iceberg,
    "bucket": Bucket,
    "dlt over PostgreSQL": DltOverPostgreSQL,
}


def pack(archive: Path, files: Mapping[str, bytes]) -> None:
    """Write an archive that is the same for the same files."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    archive.write_bytes(gzip.compress(packed.getvalue(), 9, mtime=0))


def unpack(archive: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(archive) as tar:
        for member in tar:
            content = tar.extractfile(member)
            if content is not None:
                yield member.name, content.read()
