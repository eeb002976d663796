"""Every data type of exports arrives exactly, by either lane, and what a project does not offer is no harm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import reiterate
from reiterate.catalog import GROUPS
from reiterate.flow import RunFinished, Status
from reiterate.simulator import ServerOptions, Simulator, WorldOptions
from reiterate.simulator.timeline import Timeline
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


def test_a_data_type_that_nobody_knows_yet(tmp_path: Path) -> None:
    """What Iterable adds is replicated by its name, whole and without doubles, and can be read again by its table's."""
    file = tmp_path / "replica.duckdb"
    with Simulator(WorldOptions(days=1, events_per_day=40), ServerOptions(api_key=KEY)) as simulator:
        opens = simulator.truth("email_open")
        simulator.world.timelines["pigeonSend"] = Timeline()
        sent = [{**row, "wing": number % 3, "messageId": None} for number, row in enumerate(opens * 2)]
        simulator.world.add_events("pigeonSend", [{k: v for k, v in row.items() if v is not None} for row in sent])
        chosen = settings(simulator, file, tables="export:pigeonSend,export:emailopen")
        for _ in range(2):
            *_, last = reiterate.sync(**chosen)
            assert isinstance(last, RunFinished)
            assert Status.SUCCEEDED is last.status
            assert ["email_open", "pigeon_send"] == [table.table.name for table in last.tables]
            assert [(len(sent), len(sent))] == replica.execute(
                file, "SELECT count(*), count(DISTINCT _event_id) FROM pigeon_send WHERE wing BETWEEN 0 AND 2"
            )
        *_, last = reiterate.resync("pigeon_send", **chosen)
        assert isinstance(last, RunFinished)
        assert (Status.SUCCEEDED, len(sent), 0) == (last.status, last.rows, sum(table.added for table in last.tables))
        assert ["email_open", "pigeon_send"] == [one.table.name for one in reiterate.status(**chosen).tables]
        assert not [problem for one in reiterate.verify(**chosen, source=True) for problem in one.problems]


@pytest.mark.parametrize("lane", ["direct", "jobs"])
def test_a_data_type_by_its_former_name(tmp_path: Path, lane: str) -> None:
    """A project that knows a renamed data type by its older name alone is asked by that (FACTS 8.6)."""
    file = tmp_path / "replica.duckdb"
    world = WorldOptions(days=3, events_per_day=400, seed=4, not_offered=("unknownSession", "rcsSend"))
    denied = ("/api/export/start",) if lane == "direct" else ()
    with Simulator(world, ServerOptions(api_key=KEY, denied=denied)) as simulator:
        *_, last = reiterate.sync(**settings(simulator, file, tables="unknown_session,rcs_send,sms_send"))
        assert isinstance(last, RunFinished)
        assert Status.SUCCEEDED is last.status
        assert ["rcs_send"] == [summary.table.name for summary in last.tables if summary.skipped]
        assert {} == replica.differences(file, simulator, ["unknown_session", "sms_send"])
        assert [] == replica.rows(file, "rcs_send")
