"""A sync may be killed at any instant; the runs after it end in exactly the truth."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from reiterate.simulator import ServerOptions, Simulator, WorldOptions
from tests import replica
from tests.conftest import KEY

if TYPE_CHECKING:
    from pathlib import Path

KILLS = 20


def start(simulator: Simulator, file: Path) -> subprocess.Popen[str]:
    """Start a sync as a process of its own, in small windows so that there is much to interrupt."""
    start_date = time.strftime("%m/%d/%Y", time.gmtime(simulator.world.start_s))
    options = ["--start-date", start_date, "--window-in-days", "0.25", "--rate-limit-factor", "1000000"]
    return subprocess.Popen(
        [sys.executable, "-m", "reiterate", "sync", "--json-logs", "--destination", str(file), *options],
        env={**os.environ, "ITERABLE_API_KEY": KEY, "ITERABLE_BASE_URL": simulator.url},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_twenty_kills(tmp_path: Path) -> None:
    """20 times kill -9 at random moments, each followed by a run, lose nothing and double nothing."""
    moments = random.Random(20)
    file = tmp_path / "replica.duckdb"
    killed = 0
    with Simulator(WorldOptions(days=6, events_per_day=1500, seed=2), ServerOptions(api_key=KEY)) as simulator:
        for _ in range(KILLS):
            process = start(simulator, file)
            assert process.stdout is not None
            loads = moments.randrange(1, 14)
            for line in process.stdout:
                loads -= json.loads(line)["event"] == "loaded"
                if loads <= 0:
                    break
            time.sleep(moments.uniform(0, 0.15))
            process.send_signal(signal.SIGKILL)
            killed += process.wait() == -signal.SIGKILL
            process.stdout.close()
        with start(simulator, file) as last:
            last.communicate()
        assert last.returncode == 0
        assert replica.differences(file, simulator) == {}
    assert killed == KILLS
