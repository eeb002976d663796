"""Iterable's limits hold for all that a machine asks, one run after the other or at once, whether it fails or not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.command import reiterate as command
from tests.conftest import KEY
from tests.walk.raw import RawServer, answered

FACTOR = 20
PERIOD_S, CALLS = 60 / FACTOR, 4
FLAGS = ("--start-date", f"{time.strftime('%Y-%m-%d')}", "--tables", "email_open,email_click,email_send,users")
EXPORT = b"GET /api/export/data.json"


class Refusing:
    """A project that refuses all exports, and notes when they were asked for."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    def __call__(self, request: bytes) -> bytes:
        if request.startswith(EXPORT):
            self.asked.append(time.monotonic())
            return answered(json.dumps({"msg": "No.", "code": "BadParams"}), status="400 Bad Request")
        if b"/api/export/start" in request:
            return answered(json.dumps({"msg": "insufficient privileges"}), status="401 Unauthorized")
        return answered(json.dumps({"channels": []}))

    def most_in_a_period(self) -> int:
        return max(sum(first <= at < first + PERIOD_S - 0.05 for at in self.asked) for first in self.asked)


def test_one_run_after_the_other(tmp_path: Path) -> None:
    """Syncs that fail, dry runs and tests of the connection, one after the other, keep a limit together."""
    project = Refusing()
    with RawServer(project) as server:
        for said in ("sync", "sync --dry-run", "connection test", "sync"):
            ended = command(
                *said.split(),
                *FLAGS,
                ITERABLE_API_KEY=KEY,
                ITERABLE_BASE_URL=server.url,
                REITERATE_RATE_LIMIT_FACTOR=str(FACTOR),
            )
            assert 1 == ended.status, ended.said
    assert len(project.asked) >= 3 * CALLS
    assert CALLS == project.most_in_a_period()
    assert [] == [path for path in tmp_path.rglob("*") if KEY.encode() in path.name.encode()]


@pytest.mark.parametrize("flags", [(), ("--dry-run",)], ids=["syncs", "dry runs"])
def test_runs_at_once(flags: tuple[str, ...]) -> None:
    """Three at once, into destinations of their own, keep it, too."""
    project = Refusing()
    with RawServer(project) as server:
        reach = {"ITERABLE_API_KEY": KEY, "ITERABLE_BASE_URL": server.url, "REITERATE_RATE_LIMIT_FACTOR": str(FACTOR)}
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", "reiterate", "sync", *FLAGS, *flags, "--destination", f"{number}.duckdb"],
                env={**os.environ, **reach},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for number in range(3)
        ]
        assert [1, 1, 1] == [process.wait(60) for process in processes]
    assert len(project.asked) >= 3 * CALLS
    assert CALLS == project.most_in_a_period()


def test_a_home_that_cannot_be_written_to(tmp_path: Path) -> None:
    """A state directory that cannot be made is a notice in the logs, and the sync goes on."""
    (tmp_path / "file").write_text("in the way")
    with RawServer(Refusing()) as server:
        ended = command(
            *("sync", "--json-logs", *FLAGS),
            ITERABLE_API_KEY=KEY,
            ITERABLE_BASE_URL=server.url,
            REITERATE_RATE_LIMIT_FACTOR=str(FACTOR),
            XDG_STATE_HOME=str(tmp_path / "file"),
        )
    notices = [event["text"] for event in map(json.loads, ended.out.splitlines()) if event["event"] == "notice"]
    assert 1 == sum("cannot note their requests" in notice for notice in notices)
    assert Path("iterable.duckdb").exists()
