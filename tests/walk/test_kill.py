"""A sync may be killed at any instant; the runs after it end in exactly the truth."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING

import duckdb

from reiterate.simulator import Fault, ServerOptions, Simulator, WorldOptions
from tests import replica
from tests.conftest import KEY

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

KILLS = 20
STOPS_WITHIN_S = 10
PROGRAM = ("-m", "reiterate")


def start(
    simulator: Simulator, file: Path | str, *flags: str, program: Sequence[str] = PROGRAM
) -> subprocess.Popen[str]:
    """Start a sync as a process of its own, in small windows so that there is much to interrupt."""
    start_date = time.strftime("%m/%d/%Y", time.gmtime(simulator.world.start_s))
    options = ["--start-date", start_date, "--window-in-days", "0.25", "--rate-limit-factor", "1000000"]
    return subprocess.Popen(
        [sys.executable, *program, "sync", "--json-logs", "--destination", str(file), *options, *flags],
        env={**os.environ, "ITERABLE_API_KEY": KEY, "ITERABLE_BASE_URL": simulator.url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def some_loads(process: subprocess.Popen[str], loads: int) -> None:
    """Return once so many tasks are loaded, or the process has ended."""
    assert process.stdout is not None
    for line in process.stdout:
        loads -= json.loads(line)["event"] == "loaded"
        if loads <= 0:
            return


def kill_and_go_on(
    simulator: Simulator, place: Path | str, kills: int, *flags: str, program: Sequence[str] = PROGRAM
) -> None:
    """Kill a sync (-9) at *kills* random moments, each followed by another; the last one ends by itself, and well."""
    moments = random.Random(kills)
    killed = 0
    for _ in range(kills):
        with start(simulator, place, *flags, program=program) as process:
            some_loads(process, moments.randrange(1, 9))
            time.sleep(moments.uniform(0, 0.15))
            process.send_signal(signal.SIGKILL)
            process.communicate()
        killed += process.returncode == -signal.SIGKILL
    with start(simulator, place, *flags, program=program) as last:
        last.communicate()
    assert (kills, 0) == (killed, last.returncode)


def test_twenty_kills(tmp_path: Path) -> None:
    """20 times kill -9 at random moments of a sync, each followed by a run, lose nothing and double nothing."""
    file = tmp_path / "replica.duckdb"
    with Simulator(WorldOptions(days=4, events_per_day=500, seed=2), ServerOptions(api_key=KEY)) as simulator:
        kill_and_go_on(simulator, file, KILLS)
        assert {} == replica.differences(file, simulator)


def test_asked_to_stop(tmp_path: Path) -> None:
    """Ctrl-C and SIGTERM end a sync cleanly at any moment: it says how to go on, and the next one goes on."""
    moments = random.Random(6)
    file = tmp_path / "replica.duckdb"
    with Simulator(WorldOptions(days=2, events_per_day=500, seed=4), ServerOptions(api_key=KEY)) as simulator:
        for number in (signal.SIGINT, signal.SIGTERM) * 3:
            with start(simulator, file) as process:
                some_loads(process, moments.randrange(1, 10))
                time.sleep(moments.uniform(0, 0.15))
                process.send_signal(number)
                out, err = process.communicate()
            assert 128 + number == process.returncode
            assert "Stopping after the current load; once more to stop at once.\n" == err
            assert "stopped" == json.loads(out.splitlines()[-1])["status"]
        with start(simulator, file) as last:
            last.communicate()
        assert 0 == last.returncode
        assert {} == replica.differences(file, simulator)
    with closing(duckdb.connect(str(file), read_only=True)) as database:
        statuses = database.execute("SELECT status FROM replica.iterable._reiterate_runs ORDER BY started_at")
        assert [("stopped",)] * 6 + [("succeeded",)] == statuses.fetchall()


def test_asked_to_stop_at_many_instants(tmp_path: Path) -> None:
    """Ctrl-C ends a sync soon and in words, at whatever instant it comes; jobs are being noted at most of them."""
    with Simulator(WorldOptions(days=4, events_per_day=2000, seed=5), ServerOptions(api_key=KEY)) as simulator:
        for number in range(8):
            with start(simulator, tmp_path / f"{number}.duckdb", "--tables", "events") as process:
                assert process.stdout is not None
                process.stdout.readline()
                time.sleep(number * 0.05)
                asked = time.monotonic()
                process.send_signal(signal.SIGINT)
                _, err = process.communicate()
            assert (130, "Stopping after the current load; once more to stop at once.\n") == (process.returncode, err)
            assert time.monotonic() - asked < STOPS_WITHIN_S


def test_stop_does_not_wait_for_iterable(tmp_path: Path) -> None:
    """A sync that waits for an answer stops all the same."""
    fault = Fault("/api/export/data.json", "slow", seconds=60)
    with (
        Simulator(WorldOptions(days=1, events_per_day=50), ServerOptions(api_key=KEY, faults=(fault,))) as simulator,
        start(simulator, tmp_path / "replica.duckdb", "--tables", "channels,email_open") as process,
    ):
        some_loads(process, 1)
        asked = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.communicate()
        assert 130 == process.returncode
        assert time.monotonic() - asked < 10


def test_an_unforeseen_error_while_threads_run() -> None:
    """An error that nobody expected ends the process at once with a line that says so, whatever threads do."""
    code = """
import click, threading, time
from reiterate.cli import app, main

def fail():
    threading.Thread(target=time.sleep, args=(60,)).start()
    raise RuntimeError("no such luck")

app.app.add_command(click.Command("fail", callback=fail))
main()
"""
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code, "fail"], capture_output=True, text=True, check=False)
    assert (1, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith("Error: This failed in an unforeseen way. (reason=RuntimeError: no such luck, at=")
    assert 1 == len(done.stderr.splitlines())
    assert time.monotonic() - began < STOPS_WITHIN_S
