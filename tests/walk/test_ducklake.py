"""DuckLakes hold the truth, too, whatever kills the sync, with a catalog in a file and in a server."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

import reiterate
from reiterate.errors import DestinationBusy
from reiterate.flow import RunFinished, Status
from reiterate.simulator import ServerOptions, Simulator, WorldOptions
from tests import postgres, replica
from tests.cli.command import reiterate as command
from tests.conftest import KEY, settings
from tests.walk.test_destinations import STEPS
from tests.walk.test_kill import kill_and_go_on, some_loads, start

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.ducklake

PASSWORD = "hunter2 hunter2"


@pytest.fixture(params=["file", "PostgreSQL"])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A lake that nobody has made yet, by where its catalog is."""
    if request.param == "file":
        return f"ducklake:{tmp_path}/shop.ducklake"
    parts = urlsplit(postgres.new_database())
    words = f"dbname={parts.path[1:]} user={parts.username} host={parse_qs(parts.query)['host'][0]}"
    return f"ducklake:postgres:{words} password='{PASSWORD}'?data_path={tmp_path}/files/"


def sync(simulator: Simulator, destination: str, **others: Any) -> RunFinished:
    *_, last = reiterate.sync(**settings(simulator, destination, **others))
    assert isinstance(last, RunFinished)
    return last


def test_kills_and_syncs(lake: str, kills: int) -> None:
    """
    Kill -9 at random moments, each followed by a run, loses nothing of the documented tables and doubles nothing.

    Another sync adds nothing, a third brings all that changed; the ledger agrees with the rows.
    """
    with Simulator(WorldOptions(days=1, events_per_day=300, seed=2), ServerOptions(api_key=KEY)) as simulator:
        kill_and_go_on(simulator, lake, kills)
        assert {} == replica.differences(lake, simulator)
        again = sync(simulator, lake)
        assert [(0, 0, 0)] * 16 == [(table.added, table.changed, table.removed) for table in again.tables]
        simulator.mutate(fraction=0.02)
        assert Status.SUCCEEDED is sync(simulator, lake).status
        assert {} == replica.differences(lake, simulator)
        assert [] == [table.problems for table in reiterate.verify(**settings(simulator, lake)) if table.problems]


def test_a_second_process(simulator: Simulator, lake: str) -> None:
    """While one sync is at work another is refused, and the first goes on; once it is killed, the next goes on."""
    with start(simulator, lake, "--tables", "email_open") as first:
        some_loads(first, 1)
        with pytest.raises(DestinationBusy):
            sync(simulator, lake, tables="email_open")
        some_loads(first, 1)
        assert first.poll() is None
        first.kill()
        first.communicate()
    assert Status.SUCCEEDED is sync(simulator, lake, tables="email_open").status
    assert {} == replica.differences(lake, simulator, ["email_open"])


def test_by_the_command_line(simulator: Simulator, lake: str) -> None:
    """A lake is tried out, looked at before it is there, and synced like any destination; no password is shown."""
    flags = (
        "--start-date",
        f"{time.strftime('%m/%d/%Y', time.gmtime(simulator.world.start_s))}",
        "--destination",
        lake,
    )
    said = ""
    for name in ("status", "sync", "status", "verify"):
        ended = command(name, *flags, "--tables", "lists,email_open", simulator=simulator)
        assert 0 == ended.status, ended.said
        said += ended.said
    tried = command("destination", "test", lake)
    assert STEPS == tried.out.splitlines()[1:-1]
    assert "hunter2" not in said + tried.said
    assert {} == replica.differences(lake, simulator, ["lists", "email_open"])
