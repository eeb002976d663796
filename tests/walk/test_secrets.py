"""The API key stands in no output, log, database or state, however a sync fails."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from reiterate.simulator import Fault, ServerOptions, Simulator, WorldOptions

if TYPE_CHECKING:
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
        done = subprocess.run(
            [sys.executable, "-m", "reiterate", "sync", *ALWAYS, *flags, *logs],
            env={**os.environ, "ITERABLE_API_KEY": KEY, "ITERABLE_BASE_URL": simulator.url},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    said = done.stdout + done.stderr
    assert status == done.returncode
    assert message in said
    assert "Traceback" not in said
    assert KEY not in said
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [] == [path for path in files if KEY.encode() in path.read_bytes()]
