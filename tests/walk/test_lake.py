"""Directories of files hold the truth, too, in every format, whatever kills the sync."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import reiterate
from reiterate.flow import RunFinished, Status
from reiterate.settings.model import FORMATS
from reiterate.simulator import ServerOptions, Simulator, WorldOptions
from tests import replica
from tests.conftest import KEY, settings
from tests.walk.test_kill import kill_and_go_on

if TYPE_CHECKING:
    from pathlib import Path

KILLS = 10


def url(directory: Path, format_: str) -> str:
    return f"{directory.as_uri()}?format={format_}"


def sync(simulator: Simulator, destination: str) -> RunFinished:
    *_, last = reiterate.sync(**settings(simulator, destination))
    assert isinstance(last, RunFinished)
    return last


@pytest.mark.parametrize("format_", FORMATS)
def test_first_second_and_third_sync(tmp_path: Path, format_: str) -> None:
    """All arrives exactly; a second sync adds nothing; a third brings what changed; the ledger agrees with the rows."""
    place, destination = replica.Lake(tmp_path / "lake", format_), url(tmp_path / "lake", format_)
    with Simulator(WorldOptions(days=2, events_per_day=150, seed=3), ServerOptions(api_key=KEY)) as simulator:
        assert Status.SUCCEEDED is sync(simulator, destination).status
        assert {} == replica.differences(place, simulator)
        second = sync(simulator, destination)
        assert {(0, 0, 0)} == {(table.added, table.changed, table.removed) for table in second.tables}
        simulator.mutate(fraction=0.05)
        assert Status.SUCCEEDED is sync(simulator, destination).status
        assert {} == replica.differences(place, simulator)
        found = list(reiterate.verify(**settings(simulator, destination), source=True, sample=1))
        assert [] == [problem for one in found for problem in one.problems]


@pytest.mark.parametrize("format_", FORMATS)
def test_ten_kills(tmp_path: Path, format_: str) -> None:
    """10 times kill -9 at random moments, each followed by a run, lose nothing and double nothing."""
    place, destination = replica.Lake(tmp_path / "lake", format_), url(tmp_path / "lake", format_)
    with Simulator(WorldOptions(days=2, events_per_day=100, seed=2), ServerOptions(api_key=KEY)) as simulator:
        kill_and_go_on(simulator, destination, KILLS)
        assert {} == replica.differences(place, simulator)
        found = reiterate.verify(**settings(simulator, destination))
        assert [] == [problem for one in found for problem in one.problems]


def test_rows_of_a_file_that_was_removed_come_back(simulator: Simulator, tmp_path: Path) -> None:
    """A file that a person removed is missed by verify, shows in status, and comes back with a resync."""
    place, destination = replica.Lake(tmp_path / "lake", "parquet"), url(tmp_path / "lake", "parquet")
    chosen = settings(simulator, destination, tables="email_open", window_in_days=1)
    assert 1 < len(reiterate.plan(**chosen).tasks)
    for _ in reiterate.sync(**chosen):
        pass
    there = len(replica.rows(place, "email_open"))
    next((tmp_path / "lake" / "iterable" / "email_open").glob("*.parquet")).unlink()
    ((state,),) = ([table.state for table in reiterate.status(**chosen).tables],)
    assert state is not None
    assert there > state.rows
    assert [True] == [bool(one.problems) for one in reiterate.verify(**chosen)]
    for _ in reiterate.resync("email_open", **chosen):
        pass
    assert {} == replica.differences(place, simulator, ["email_open"])
