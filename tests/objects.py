"""A real S3 over HTTP, one for each process that tests; in a process of its own, for clients hold the interpreter."""

from __future__ import annotations

import atexit
import gzip
import os
import socket
import subprocess
import sys
import time
import urllib.request
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from pathlib import Path

BUCKET = "shop"
NUMBERS = count()
PATIENCE_S = 60


@cache
def address() -> str:
    """Return the address of a server with an empty bucket, which is there until the process ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = "import sys; from moto.server import main; main(sys.argv[1:])"
    server = subprocess.Popen(
        [sys.executable, "-c", code, "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    atexit.register(server.kill)
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    url = f"http://127.0.0.1:{port}"
    os.environ |= {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}
    urllib.request.urlopen(urllib.request.Request(f"{url}/{BUCKET}", method="PUT")).close()
    return url


def new_prefix(format_: str = "parquet") -> str:
    """Return the URL of an empty directory."""
    return f"s3://{BUCKET}/number={next(NUMBERS)}?format={format_}&endpoint={address()}"


def download(url: str, directory: Path, part: str = "") -> None:
    """Bring all that is at *url*, or the *part* of it, into a directory; of the states of ledgers, the latest."""
    for name, body in sorted(_found(url, part)):
        is_state = name.endswith(".duckdb.gz")
        path = (directory / name).parent.with_name("ledger.duckdb") if is_state else directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.decompress(body) if is_state else body)


def remove(url: str, directory: str) -> None:
    """Remove all files of a directory, as a person would."""
    prefix = f"{urlsplit(url).path.lstrip('/')}/{directory}/"
    for key in _keys(prefix):
        client().delete_object(Bucket=BUCKET, Key=key)


def names(url: str) -> list[str]:
    prefix = f"{urlsplit(url).path.lstrip('/')}/"
    return [key.removeprefix(prefix) for key in _keys(prefix)]


def tables(url: str, dataset: str) -> list[str]:
    """Return the names of the directories of tables."""
    found = {name.split("/")[1] for name in names(url) if name.startswith(f"{dataset}/")}
    return sorted(found - {"_reiterate"})


def get(url: str, name: str) -> bytes:
    found: bytes = client().get_object(Bucket=BUCKET, Key=f"{urlsplit(url).path.lstrip('/')}/{name}")["Body"].read()
    return found


def put(url: str, name: str, content: bytes) -> None:
    client().put_object(Bucket=BUCKET, Key=f"{urlsplit(url).path.lstrip('/')}/{name}", Body=content)


def _found(url: str, part: str) -> list[tuple[str, bytes]]:
    return [(name, get(url, name)) for name in names(url) if part in name]


def _keys(prefix: str) -> list[str]:
    pages = client().get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
    return [each["Key"] for page in pages for each in page.get("Contents", [])]


@cache
def client() -> Any:
    """Return the client of the cloud's own maker."""
    return boto3.client("s3", endpoint_url=address())
