"""
A dataset in an object store (S3, Google Cloud Storage, Azure Blob Storage), and its ledger as numbered objects.

    _reiterate/ledger/000000000041.duckdb.gz    what was
    _reiterate/ledger/000000000042.duckdb.gz    the ledger as it is

No object is ever written over: the next state is put under the next number, on condition that nobody has. Of two
processes that would go on from one state, one is told that it is too late, and nothing of it counts.
"""

from __future__ import annotations

import contextlib
import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qs, urlsplit

import obstore
from fsspec import AbstractFileSystem  # type: ignore[import-untyped]
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import from_url

from reiterate.errors import LockLost
from reiterate.sinks.lake.storage import OWN, Storage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from obstore import ObjectMeta, PutResult, ReadableFile, UpdateVersion
    from obstore.store import ObjectStore

LEDGER = f"{OWN}/ledger"
KEPT = 10
"""So many states of the ledger stay, for whoever is just reading one."""

PATIENCE = timedelta(seconds=60)
"""How long a store that does not answer is asked again."""

SCHEME = "lake"
"""What files are called where DuckDB reads them, through us."""


class Bucket(Storage):
    """A directory of a bucket, by its *url*; what that leaves out is in the environment, as for the cloud's tools."""

    ERRORS = (BaseError, OSError)

    def __init__(self, url: str, dataset: str) -> None:
        parts = urlsplit(url)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        self._url = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}/{dataset}"
        self._dataset = dataset
        self._heads: dict[str, ObjectMeta] = {}
        self._location = _location(self._url)
        self._options = _options(parts.scheme, query)
        given: dict[str, Any] = {}
        if parts.scheme == "s3":
            given = {name: query[name] for name in ("endpoint", "region") if name in query}
            if provider := _profile():
                given["credential_provider"] = provider
        self.store: ObjectStore = from_url(
            self._url,
            client_options={"allow_http": "AWS_ALLOW_HTTP" in self._options},
            retry_config={"max_retries": 8, "retry_timeout": PATIENCE},
            **given,
        )

    @property
    def dataset(self) -> str:
        return self._dataset

    @property
    def identity(self) -> str:
        """What tells this directory from any other: buckets of two stores may be called alike."""
        return f"{self._url} {self._options.get('AWS_ENDPOINT_URL', '')}"

    @property
    def options(self) -> Mapping[str, str]:
        return self._options

    def url(self, name: str) -> str:
        return f"{self._url}/{name}" if name else self._url

    def location(self, name: str) -> str:
        """Return what a file or directory is called in tables that tell where their files are: as most engines do."""
        return f"{self._location}/{name}"

    def name_at(self, location: str) -> str:
        """Return the name of a file by its location, whatever scheme an engine has written."""
        _, found, name = location.partition(self._location.partition("://")[2] + "/")
        if not found:
            raise FileNotFoundError(location)
        return name

    def read_by(self, name: str) -> str:
        return f"{SCHEME}://{name}"

    def has(self, name: str) -> bool:
        with contextlib.suppress(FileNotFoundError):
            self.head(name)
            return True
        return False

    def head(self, name: str) -> ObjectMeta:
        """Return what the store tells of a file; it is asked once, for nobody else writes here."""
        if name not in self._heads:
            self._heads[name] = obstore.head(self.store, name)
        return self._heads[name]

    def has_directory(self, name: str) -> bool:
        return any(chunk for chunk in obstore.list(self.store, f"{name}/", chunk_size=1))

    def names(self, directory: str) -> list[str]:
        found = obstore.list_with_delimiter(self.store, f"{directory}/")
        return [each["path"].rpartition("/")[2] for each in found["objects"]]

    def size(self, name: str) -> int:
        return self.head(name)["size"]

    def bring(self, file: Path, name: str) -> None:
        self._heads.pop(name, None)
        obstore.put(self.store, name, file)
        file.unlink()

    def put(self, name: str, body: bytes, mode: Literal["create", "overwrite"] | UpdateVersion) -> UpdateVersion:
        """
        Write a file, if none is there, whatever is there, or if that is of one version; return the version of it then.

        :raises AlreadyExistsError: when one is there
        :raises PreconditionError: when it is of another version, or gone
        """
        self._heads.pop(name, None)
        return version(obstore.put(self.store, name, body, mode=mode))

    def move(self, name: str, other: str) -> None:
        self._heads.pop(other, None)
        obstore.copy(self.store, name, other)
        self.remove(name)

    def remove(self, name: str) -> None:
        self._heads.pop(name, None)
        with contextlib.suppress(FileNotFoundError):
            obstore.delete(self.store, name)

    def clear(self, directory: str) -> None:
        for chunk in obstore.list(self.store, f"{directory}/"):
            for each in chunk:
                self.remove(each["path"])


def version(of: ObjectMeta | PutResult) -> UpdateVersion:
    """Return what a store compares when a file may be written over only as it is."""
    found: UpdateVersion = {}
    if tag := of["e_tag"]:
        found["e_tag"] = tag
    if number := of["version"]:
        found["version"] = number
    return found


def _location(url: str) -> str:
    account = os.environ.get("AZURE_STORAGE_ACCOUNT_NAME")
    if not url.startswith("az://") or not account:
        return url
    container, _, path = url.removeprefix("az://").partition("/")
    return f"abfss://{container}@{account}.dfs.core.windows.net/{path}"


def _options(scheme: str, query: Mapping[str, str]) -> dict[str, str]:
    if scheme != "s3":
        return {}
    options = {"aws_conditional_put": "etag"}
    endpoint = query.get("endpoint") or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        options["AWS_ENDPOINT_URL"] = endpoint
        if endpoint.startswith("http://"):
            options["AWS_ALLOW_HTTP"] = "true"
    if "region" in query:
        options["AWS_REGION"] = query["region"]
    return options


def _profile() -> Any:  # noqa: ANN401 (of obstore)
    """Return the credentials of a profile in the files of AWS, where the environment holds none."""
    files = Path(os.environ.get("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials")).expanduser()
    if "AWS_ACCESS_KEY_ID" in os.environ or not ("AWS_PROFILE" in os.environ or files.exists()):
        return None
    from obstore.auth.boto3 import Boto3CredentialProvider  # noqa: PLC0415 (needs boto3, for profiles alone)

    return Boto3CredentialProvider()


class Opened:
    """A file that is being read, in plain bytes: DuckDB before 2.0 takes nothing else for them."""

    def __init__(self, file: ReadableFile) -> None:
        self._file = file
        self.seek, self.tell, self.close = file.seek, file.tell, file.close

    def read(self, size_bytes: int) -> bytes:
        return self._file.read(size_bytes).to_bytes()


class Reader(AbstractFileSystem):  # type: ignore[misc]
    """The files of a bucket, as DuckDB reads them."""

    protocol = SCHEME
    cachable = False

    def __init__(self, bucket: Bucket) -> None:
        super().__init__()
        self._bucket = bucket

    def _open(self, path: str, *_: object, **__: object) -> Opened:
        return Opened(obstore.open_reader(self._bucket.store, self._strip_protocol(path)))

    def info(self, path: str, **_: object) -> dict[str, object]:
        name = self._strip_protocol(path)
        found = self._bucket.head(name)
        return {"name": name, "size": found["size"], "type": "file", "modified": found["last_modified"]}

    def modified(self, path: str) -> object:
        return self.info(path)["modified"]


class Versions:
    """The states of a ledger."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def latest(self) -> tuple[int, bytes | None]:
        """Return the number of the latest state, and the state; nothing, of the number 0, if there was none yet."""
        if not (number := self.number()):
            return 0, None
        return number, bytes(obstore.get(self._bucket.store, _name(number)).bytes())

    def number(self) -> int:
        """Return the number of the latest state."""
        return max(self._numbers(), default=0)

    def put(self, number: int, state: bytes) -> None:
        """
        Let *state* be the ledger from now on, the one after *number* - 1.

        May be done again if it is not known whether it was done.

        :raises LockLost: when another process has gone on from there; nothing is changed then
        """
        lost = LockLost(destination=self._bucket.url(""))
        try:
            self._bucket.put(_name(number), state, mode="create")
        except AlreadyExistsError:
            # perhaps we did, and did not hear of it
            if bytes(obstore.get(self._bucket.store, _name(number)).bytes()) != state:
                raise lost from None
        numbers = self._numbers()
        if numbers[-1] != number:
            # the state after ours was there already, and the one that ours might have been is forgotten
            raise lost
        for old in numbers[:-KEPT]:
            self._bucket.remove(_name(old))

    def _numbers(self) -> list[int]:
        return sorted(int(name.partition(".")[0]) for name in self._bucket.names(LEDGER))


def _name(number: int) -> str:
    return f"{LEDGER}/{number:012}.duckdb.gz"
