"""A replica equals the project, row by row and field by field, whatever happened in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import reiterate
from reiterate.errors import MostRowsGone
from reiterate.flow import RunFinished, Status
from reiterate.simulator import ServerOptions, Simulator, WorldOptions
from tests import replica
from tests.conftest import KEY, settings

if TYPE_CHECKING:
    from pathlib import Path

    from reiterate.simulator.options import ProjectType


def sync(simulator: Simulator, file: Path, **others: object) -> RunFinished:
    *_, last = reiterate.sync(**settings(simulator, file, **others))
    assert isinstance(last, RunFinished)
    return last


def test_first_second_and_third_sync(tmp_path: Path) -> None:
    """
    60 days of 1,000 events arrive exactly; a second sync adds nothing; a third brings all that changed.

    What only a person may let go, the members of a large list that was deleted, goes with the next.
    """
    file = tmp_path / "replica.duckdb"
    with Simulator(WorldOptions(days=60, events_per_day=1000, seed=3), ServerOptions(api_key=KEY)) as simulator:
        first = sync(simulator, file)
        assert first.status is Status.SUCCEEDED
        assert {} == replica.differences(file, simulator)
        second = sync(simulator, file)
        assert [(0, 0, 0)] * 16 == [(table.added, table.changed, table.removed) for table in second.tables]
        simulator.mutate(fraction=0.01)
        third = sync(simulator, file)
        assert ["list_users"] == [table.table.name for table in third.tables if table.errors]
        assert ["list_users"] == list(replica.differences(file, simulator))
        (held,) = [error for table in third.tables for error in table.errors]
        assert isinstance(held, MostRowsGone)
        fourth = sync(simulator, file, accept=[f"list_users:{held.facts['rows_that_go']}"])
        assert fourth.status is Status.SUCCEEDED
        assert {} == replica.differences(file, simulator)


@pytest.mark.oldest
@pytest.mark.parametrize("project_type", ["email", "hybrid", "userid"])
def test_project_types(tmp_path: Path, project_type: ProjectType) -> None:
    """Projects keyed by email, by user id or by both arrive exactly, changes included."""
    world = WorldOptions(days=2, events_per_day=400, seed=5, project_type=project_type)
    file = tmp_path / "replica.duckdb"
    with Simulator(world, ServerOptions(api_key=KEY)) as simulator:
        sync(simulator, file)
        assert {} == replica.differences(file, simulator)
        simulator.mutate(fraction=0.05)
        sync(simulator, file)
        assert {} == replica.differences(file, simulator)
