"""Object stores hold the truth, too, whatever kills the sync."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

import reiterate
from reiterate.flow import RunFinished, Status
from reiterate.settings.model import FORMATS
from reiterate.simulator import ServerOptions, Simulator, WorldOptions
from tests import objects, replica
from tests.cli.command import reiterate as command
from tests.conftest import KEY, settings
from tests.walk.test_kill import kill_and_go_on

if TYPE_CHECKING:
    from pathlib import Path

TABLES = ("campaigns", "email_open", "list_users", "lists", "metadata", "users")
"""some of each kind of read; a bucket does not know one table from another"""


def sync(simulator: Simulator, destination: str) -> RunFinished:
    *_, last = reiterate.sync(**settings(simulator, destination, tables=[*TABLES]))
    assert isinstance(last, RunFinished)
    assert [] == [*last.problems]
    return last


@pytest.mark.parametrize("format_", FORMATS)
def test_kills_and_syncs(format_: str, kills: int) -> None:
    """Kills at random moments lose and double nothing; a later sync brings what changed, another nothing."""
    destination = objects.new_prefix(format_)
    place = replica.Lake(destination, format_)
    with Simulator(WorldOptions(days=1, events_per_day=100, seed=2), ServerOptions(api_key=KEY)) as simulator:
        kill_and_go_on(simulator, destination, kills, "--tables", ",".join(TABLES))
        assert {} == replica.differences(place, simulator, TABLES)
        simulator.mutate(fraction=0.05)
        assert Status.SUCCEEDED is sync(simulator, destination).status
        assert {} == replica.differences(place, simulator, TABLES)
        assert {(0, 0, 0)} == {
            (table.added, table.changed, table.removed) for table in sync(simulator, destination).tables
        }
        found = reiterate.verify(**settings(simulator, destination, tables=[*TABLES]))
        assert [] == [problem for one in found for problem in one.problems]


def test_on_the_command_line(simulator: Simulator, tmp_path: Path) -> None:
    """A bucket is tried out, synced into and looked at; no secret is shown; nothing stays of the trial."""
    destination = objects.new_prefix("delta")
    start = time.strftime("%m/%d/%Y", time.gmtime(simulator.world.start_s))
    flags = ("--start-date", start, "--destination", destination, "--tables", "lists,channels")
    tried = command("destination", "test", destination)
    assert 0 == tried.status, tried.said
    for name in ("sync", "status", "verify"):
        done = command(name, *flags, simulator=simulator)
        assert 0 == done.status, done.said
        assert "secret" not in done.said
    assert {} == replica.differences(replica.Lake(destination, "delta"), simulator, ["lists", "channels"])
