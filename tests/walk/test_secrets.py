"""The API key stands in no output, log, database or state, however a sync fails."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from reiterate.simulator import Fault, ServerOptions, Simulator, WorldOptions

if TYPE_CHECKING:
    from pathlib import Path

KEY = "c0ffee5ecre7c0ffee5ecre7c0ffee55"
ECHO = f'{{"msg": "hdrs: List((Host,api.iterable.com), (Api-Key,{KEY}))", "code": "BadJsonBody"}}'
"""as some bodies have it (FACTS.md 4.2)"""

ALWAYS = ["--start-date", "11/01/2026", "--rate-limit-factor", "1000000"]

WAYS = {
    "wrong key": (ServerOptions(api_key="another"), []),
    "no right": (ServerOptions(api_key=KEY, denied=("/api/",)), []),
    "no right to exports": (ServerOptions(api_key=KEY, denied=("/api/export",)), []),
    "the key echoed in a 400": (ServerOptions(api_key=KEY, faults=(Fault("/*", "status", status=400, body=ECHO),)), []),
    "the key echoed in HTML": (
        ServerOptions(api_key=KEY, faults=(Fault("/*", "status", status=403, body=f"<p>Api-Key: {KEY}</p>"),)),
        [],
    ),
    "the key echoed in rows": (
        ServerOptions(api_key=KEY, faults=(Fault("/api/c*", "status", status=200, body=f"not JSON: {KEY}"),)),
        [],
    ),
    "server errors": (ServerOptions(api_key=KEY, faults=(Fault("/*", "status", status=500, body=ECHO),)), []),
    "resets": (ServerOptions(api_key=KEY, faults=(Fault("/*", "reset"),)), []),
    "a redirection": (
        ServerOptions(api_key=KEY, faults=(Fault("/*", "status", status=302, headers={"Location": f"/?{KEY}"}),)),
        [],
    ),
    "a gateway that is not there": (ServerOptions(api_key=KEY), ["--data-gateway", f"http://u:{KEY}@127.0.0.1:9"]),
    "wrong settings": (ServerOptions(api_key=KEY), ["--region", "Mars"]),
    "a destination that is no database": (ServerOptions(api_key=KEY), ["--destination", "not-a-database.duckdb"]),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("json_logs", [False, True], ids=["lines", "json"])
def test_key_never_shows(tmp_path: Path, way: str, *, json_logs: bool) -> None:
    """After a sync that failed in this way the key stands nowhere but in the environment."""
    options, flags = WAYS[way]
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
        )
    said = done.stdout + done.stderr
    assert done.returncode in {1, 2, 3}
    assert "Traceback" not in said
    assert KEY not in said
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [] == [path for path in files if KEY.encode() in path.read_bytes()]
