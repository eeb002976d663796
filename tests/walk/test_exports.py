"""Every data type of exports arrives exactly, by either lane, and what a project does not offer is no harm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import reiterate
from reiterate.catalog import GROUPS
from reiterate.flow import RunFinished, Status
from reiterate.simulator import ServerOptions, Simulator, WorldOptions
from tests import replica
from tests.conftest import KEY, settings

if TYPE_CHECKING:
    from pathlib import Path

WORLD = WorldOptions(days=3, events_per_day=400, seed=23, project_type="hybrid")
EXPORTS = [*GROUPS["events"], "users"]


def sync(simulator: Simulator, file: Path, **others: object) -> RunFinished:
    *_, last = reiterate.sync(**settings(simulator, file, tables=EXPORTS, **others))
    assert isinstance(last, RunFinished)
    return last


@pytest.mark.parametrize(
    ("denied", "lanes"), [((), {"direct", "jobs"}), (("/api/export/start",), {"direct"})], ids=["jobs", "direct"]
)
def test_all_data_types(tmp_path: Path, denied: tuple[str, ...], lanes: set[str]) -> None:
    """Events of all data types, and users, are those of the project; a second sync adds none; a third what changed."""
    file = tmp_path / "replica.duckdb"
    options = ServerOptions(api_key=KEY, denied=denied, job_seconds=0.05)
    with Simulator(WORLD, options) as simulator:
        assert Status.SUCCEEDED is sync(simulator, file, window_in_days=2).status
        assert {} == replica.differences(file, simulator, EXPORTS)
        assert lanes == {lane for (lane,) in replica.execute(file, "SELECT DISTINCT lane FROM _reiterate_reads")}
        again = sync(simulator, file)
        assert [(0, 0, 0)] * 53 == [(table.added, table.changed, table.removed) for table in again.tables]
        simulator.mutate(fraction=0.05)
        assert Status.SUCCEEDED is sync(simulator, file).status
        assert {} == replica.differences(file, simulator, EXPORTS)
