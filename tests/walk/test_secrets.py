"""The API key stands in no output, log, database or state, however a sync fails."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

import reiterate
from reiterate.flow import RunFinished
from reiterate.simulator import Fault, ServerOptions, Simulator, WorldOptions
from tests.walk.raw import RawServer, answered

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEY = "c0ffee5ecre7c0ffee5ecre7c0ffee55"
ECHO = f'{{"msg": "hdrs: List((Host,api.iterable.com), (Api-Key,{KEY}))", "code": "BadJsonBody"}}'
"""as some bodies have it (FACTS.md 4.2)"""

ALWAYS = ["--start-date", f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}", "--rate-limit-factor", "1000000"]


def faulty(fault: Fault) -> ServerOptions:
    return ServerOptions(api_key=KEY, faults=(fault,))


WELL = ServerOptions(api_key=KEY)

WAYS: dict[str, tuple[int, str, ServerOptions, list[str]]] = {
    # way: exit status, what is said of it, server, flags
    "wrong key": (2, "The API key was refused.", ServerOptions(api_key="another"), []),
    "no right": (1, "no right to this resource", ServerOptions(api_key=KEY, denied=("/api/",)), []),
    "no right to exports": (3, "no right to this resource", ServerOptions(api_key=KEY, denied=("/api/export",)), []),
    "echoed in a 400": (1, "Api-Key,********", faulty(Fault("/*", "status", status=400, body=ECHO)), []),
    "echoed in HTML": (
        1,
        "Api-Key: ********",
        faulty(Fault("/*", "status", status=403, body=f"<p>Api-Key: {KEY}")),
        [],
    ),
    "echoed beside JSON": (
        3,
        "not the JSON",
        faulty(Fault("/api/c*", "status", status=200, body=f"not JSON: {KEY}")),
        [],
    ),
    "server errors": (1, "Iterable had an error.", faulty(Fault("/*", "status", body=ECHO)), []),
    "resets": (1, "Connection reset", faulty(Fault("/*", "reset")), []),
    "cut": (3, "broke off", faulty(Fault("/api/export/*", "cut_row")), ["--tables", "lists,users"]),
    "a redirection": (
        1,
        "redirection",
        faulty(Fault("/*", "status", status=302, headers={"Location": f"/?{KEY}"})),
        [],
    ),
    "no gateway": (1, "data gateway could not be passed", WELL, ["--data-gateway", f"http://u:{KEY}@127.0.0.1:9"]),
    "wrong gateway": (2, "data_gateway cannot be", WELL, ["--data-gateway", f"http://u:{KEY}@127.0.0.1:port"]),
    "wrong settings": (2, "region cannot be 'Mars'", WELL, ["--region", "Mars"]),
    "no database": (2, "cannot be opened", WELL, ["--destination", "not-a-database.duckdb"]),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("json_logs", [False, True], ids=["lines", "json"])
def test_key_never_shows(tmp_path: Path, way: str, *, json_logs: bool) -> None:
    """After a sync that failed in this way the key stands nowhere but in the environment."""
    status, message, options, flags = WAYS[way]
    (tmp_path / "not-a-database.duckdb").write_text("just text, and long enough to look like a file " * 100)
    logs = ["--json-logs"] if json_logs else []
    with Simulator(WorldOptions(days=1, events_per_day=50), options) as simulator:
        done = sync(tmp_path, simulator.url, *flags, *logs)
    said = done.stdout + done.stderr
    assert status == done.returncode
    assert message in said
    assert "Traceback" not in said
    assert [] == left_of(KEY, said, tmp_path)


def sync(directory: Path, address: str, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "reiterate", "sync", *ALWAYS, *flags],
        env={**os.environ, "ITERABLE_API_KEY": KEY, "ITERABLE_BASE_URL": address},
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def left_of(secret: str, said: str, directory: Path) -> list[str]:
    """Return where a dozen letters in a row of *secret* stand: in what was *said*, or in a file of *directory*."""
    texts = {"output": said.encode()} | {
        str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }
    pieces = [secret[at : at + 12].encode() for at in range(len(secret) - 11)]
    return [where for where, text in texts.items() if any(piece in text for piece in pieces)]


TOTAL = '{"campaigns": [], "totalCampaignsCount": "%s"}'

REPEATING: dict[str, Callable[[str], bytes]] = {
    # what a gateway does with the headers that it got
    "in a status line": lambda got: answered("", status=f"500 {got}"),
    "instead of a status": lambda got: answered("", status=f"{got} OK"),
    "instead of an answer": lambda got: got.encode(),
    "as a length": lambda got: answered("{}", headers=f"Content-Length: {got}\r\n"),
    "as the size of a chunk": lambda got: f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{got}\r\n".encode(),
    "as a total": lambda got: answered(TOTAL % got),
    "as a link": lambda got: answered(f'{{"campaigns": [], "totalCampaignsCount": 0, "nextPageUrl": "{got}"}}'),
    "as where to go": lambda got: answered("", status="302 Found", headers=f"Location: /{got}\r\n"),
    "as a time to wait": lambda got: answered("", status="503 Busy", headers=f"Retry-After: {got}\r\n"),
    "broken by lines": lambda got: answered("\n".join(got), status="400 Bad Request"),
    "behind much": lambda got: answered(f"{'-' * 280} {got}", status="400 Bad Request"),
    "at the end of what is read": lambda got: answered(f"{' ' * ((1 << 16) - 20)}{got}", status="400 Bad Request"),
}


@pytest.mark.parametrize("way", REPEATING)
def test_what_a_gateway_repeats_never_shows(tmp_path: Path, way: str) -> None:
    """Wherever a gateway repeats the key that it got, it stands in no log and in no table of the ledger."""

    def answer(request: bytes) -> bytes:
        (line,) = (line for line in request.decode().splitlines() if line.lower().startswith("api-key:"))
        return REPEATING[way](line.partition(":")[2].strip())

    with RawServer(answer) as server:
        done = sync(tmp_path, server.url, "--tables", "campaigns,metadata", "--json-logs")
        assert server.requests
    assert 1 == done.returncode
    assert [] == left_of(KEY, done.stdout + done.stderr, tmp_path)


@pytest.mark.parametrize("way", ["in a status line", "instead of an answer", "broken by lines"])
def test_credentials_of_the_gateway_never_show(tmp_path: Path, way: str) -> None:
    """What a gateway repeats of its own credentials, as it gets them or as a person gave them, shows nowhere."""
    password = "open-sesame-of-the-gate"

    def answer(request: bytes) -> bytes:
        (line,) = (line for line in request.decode().splitlines() if line.lower().startswith("proxy-authorization:"))
        return REPEATING[way](f"{line.split()[-1]} {password}")

    with RawServer(answer) as server:
        gateway = f"http://egress:{password}@{server.host}"
        done = sync(tmp_path, "http://127.0.0.1:1", "--tables", "campaigns,metadata", "--data-gateway", gateway)
        assert server.requests
    assert 1 == done.returncode
    said = done.stdout + done.stderr
    assert [] == left_of(password, said, tmp_path)
    assert [] == left_of(base64.b64encode(f"egress:{password}".encode()).decode(), said, tmp_path)


LINKS = {
    # the host of another server is put in the place of HOST, the API's own in that of API
    "another host": "http://HOST/api/campaigns?page=2",
    "credentials": "@HOST/api/campaigns?page=2",
    "credentials in a URL": "http://API@HOST/api/campaigns?page=2",
    "the API's host as credentials": "http://API:80@HOST/api/campaigns",
    "no scheme": "//HOST/api/campaigns?page=2",
    "three slashes": "///HOST/api/campaigns?page=2",
    "backslashes": "\\\\HOST/api/campaigns?page=2",
    "a backslash behind the API's host": "http://API\\@HOST/api/campaigns",
    "a slash and a backslash": "/\\HOST/api/campaigns?page=2",
    "another scheme": "https://API/api/campaigns?page=2",
    "a file": "file:///api/campaigns",
    "another port": "http://127.0.0.1:1/api/campaigns?page=2",
    "no port": "http://127.0.0.1/api/campaigns?page=2",
    "a port that is none": "http://API99999/api/campaigns",
    "a longer host": "http://API.HOST/api/campaigns",
    "a line break": "http://API/\r\nHost: HOST/api/campaigns",
    "a blank": " http://HOST/api/campaigns",
    "a host with letters of its own": "http://ⓗⓞⓢⓣ/api/campaigns",
    "another path": "http://API/storage/campaigns",
    "a path that goes up": "http://API/api/../storage",
}


@pytest.mark.parametrize("prefix", ["", "/prefix"])
@pytest.mark.parametrize("way", LINKS)
def test_the_key_goes_nowhere_else(tmp_path: Path, way: str, prefix: str) -> None:
    """However the link to a next page is spelled, nothing is sent to another address; the table says why it failed."""

    def answer(_request: bytes) -> bytes:
        link = LINKS[way].replace("HOST", elsewhere.host).replace("API", server.host)
        page = {"campaigns": [{"id": 1}], "totalCampaignsCount": 2, "nextPageUrl": link}
        return answered(json.dumps(page))

    with RawServer(lambda _: answered("{}")) as elsewhere, RawServer(answer) as server:
        finished = ended(tmp_path, server.url + prefix)
        assert [] == elsewhere.requests
        paths = {request.split()[1].partition(b"?")[0].decode() for request in server.requests}
    assert {f"{prefix}/api/campaigns", f"{prefix}/api/channels"} >= paths
    (problem,) = finished.problems
    assert "A link to a next page" in problem


@pytest.mark.parametrize("prefix", ["", "/prefix"])
@pytest.mark.parametrize(
    "link",
    [
        "http://API/api/campaigns?page=2",
        "HTTP://API/api/campaigns?page=2",
        "/api/campaigns?page=2",
        "https://api.iterable.com/api/campaigns?page=2",
        "https://Api.ITERABLE.com.:443/api/campaigns?page=2",
    ],
)
def test_links_to_the_api_are_followed_at_our_own_address(tmp_path: Path, link: str, prefix: str) -> None:
    """A link to the API's host, a proxy's or Iterable's own, with or without its host, leads to the next page."""

    def answer(request: bytes) -> bytes:
        last = b"page=2" in request.split()[1]
        page = {"campaigns": [{"id": 1 + last}], "totalCampaignsCount": 2}
        return answered(json.dumps(page if last else page | {"nextPageUrl": link.replace("API", server.host)}))

    with RawServer(answer) as server:
        finished = ended(tmp_path, server.url + prefix)
    assert [] == finished.problems
    assert 2 == finished.rows


def ended(directory: Path, address: str) -> RunFinished:
    """Return how a sync of campaigns ended that asks *address*."""
    *_, last = reiterate.sync(
        api_key=KEY,
        api_address=address,
        start_date="2026-01-01",
        tables="campaigns",
        rate_limit_factor=1e6,
        destination=str(directory / "replica.duckdb"),
    )
    assert isinstance(last, RunFinished)
    return last
