"""All that the API lets one read arrives as the project has it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import reiterate
from reiterate.catalog import GROUPS, TABLES
from reiterate.flow import RunFinished, Status
from reiterate.shape import snake_case
from reiterate.simulator import Fault, ServerOptions, Simulator, WorldOptions
from tests import replica
from tests.conftest import KEY, settings

if TYPE_CHECKING:
    from reiterate.simulator.options import ProjectType


def sync(simulator: Simulator, file: Path, **others: object) -> RunFinished:
    *_, last = reiterate.sync(**settings(simulator, file, **others))
    assert isinstance(last, RunFinished)
    return last


@pytest.mark.parametrize("project_type", ["email", "hybrid", "userid"])
def test_every_entity(tmp_path: Path, project_type: ProjectType) -> None:
    """Every entity equals the project's, at first, when nothing changed, and when much did."""
    file = tmp_path / "replica.duckdb"
    world = WorldOptions(days=1, events_per_day=100, seed=5, project_type=project_type)
    with Simulator(world, ServerOptions(api_key=KEY)) as simulator:
        first = sync(simulator, file, tables="entities")
        assert (Status.SUCCEEDED, []) == (first.status, first.problems)
        assert {} == replica.differences(file, simulator, GROUPS["entities"])
        second = sync(simulator, file, tables="entities")
        assert {(0, 0, 0)} == {(table.added, table.changed, table.removed) for table in second.tables}
        simulator.mutate(fraction=0.05)
        assert Status.SUCCEEDED is sync(simulator, file, tables="entities").status
        assert {} == replica.differences(file, simulator, GROUPS["entities"])


def test_everything(tmp_path: Path) -> None:
    """A sync of all tables equals the truth in each; the list of export jobs is that of before the jobs."""
    file = tmp_path / "replica.duckdb"
    with Simulator(WorldOptions(days=3, events_per_day=400, seed=8), ServerOptions(api_key=KEY)) as simulator:
        assert Status.SUCCEEDED is sync(simulator, file, tables="all").status
        assert {} == replica.differences(file, simulator, TABLES.keys() - {"export_jobs"})
        assert Status.SUCCEEDED is sync(simulator, file, tables="export_jobs").status
        assert simulator.jobs
        assert {} == replica.differences(file, simulator, ["export_jobs"])


def test_what_the_project_lacks_stays_empty(tmp_path: Path) -> None:
    """A table that key or project does not have is no failure, and is there, empty; a documented one is a failure."""
    file = tmp_path / "replica.duckdb"
    server = ServerOptions(api_key=KEY, denied=("/api/webhooks", "/api/channels", "/api/catalogs"))
    with Simulator(WorldOptions(days=1, events_per_day=40), server) as simulator:
        last = sync(simulator, file, tables="webhooks,snippets,catalog_items")
        assert (Status.SUCCEEDED, ["catalog_items", "webhooks"]) == (last.status, skipped(last))
        assert [] == replica.rows(file, "webhooks") == replica.rows(file, "catalog_items")
        assert [(0,)] == replica.execute(file, "SELECT count(endpoint) FROM webhooks")
        assert {} == replica.differences(file, simulator, ["snippets"])
        assert Status.PARTIAL is sync(simulator, file, tables="webhooks,snippets,channels").status
        assert Status.FAILED is sync(simulator, file, tables="webhooks").status


def test_what_was_there_is_missed(tmp_path: Path) -> None:
    """A table that was read before and is refused now has failed, and keeps its rows."""
    file = tmp_path / "replica.duckdb"
    world = WorldOptions(days=1, events_per_day=40)
    with Simulator(world, ServerOptions(api_key=KEY)) as simulator:
        assert Status.SUCCEEDED is sync(simulator, file, tables="snippets,lists").status
    with Simulator(world, ServerOptions(api_key=KEY, denied=("/api/snippets",))) as simulator:
        last = sync(simulator, file, tables="snippets,lists")
        assert (Status.PARTIAL, []) == (last.status, skipped(last))
    assert 3 == len(replica.rows(file, "snippets"))


def skipped(finished: RunFinished) -> list[str]:
    return [summary.table.name for summary in finished.tables if summary.skipped]


def test_an_unknown_route_is_not_here(tmp_path: Path) -> None:
    """Endpoints newer than the API's own description may not be everywhere (FACTS 13)."""
    file = tmp_path / "replica.duckdb"
    page = "<html><title>Action not found</title></html>"
    faults = (Fault("/api/experiments*", "status", status=404, body=page),)
    with Simulator(WorldOptions(days=1, events_per_day=40), ServerOptions(api_key=KEY, faults=faults)) as simulator:
        last = sync(simulator, file, tables="experiment*,lists")
    found = ["experiment_metrics", "experiment_totals", "experiment_variants", "experiments"]
    assert (Status.SUCCEEDED, found) == (last.status, skipped(last))


def test_a_project_of_nothing(tmp_path: Path) -> None:
    """Tables of which there is no row, or no part, exist with their known columns."""
    file = tmp_path / "replica.duckdb"
    with Simulator(WorldOptions(days=1, events_per_day=40), ServerOptions(api_key=KEY)) as simulator:
        world = simulator.world
        world.lists.clear()
        world.members.clear()
        world.metadata.clear()
        world.entities.catalogs.clear()
        world.results.experiments.clear()
        world.campaigns.clear()
        for timeline in world.timelines.values():
            timeline.fill([])
        assert Status.SUCCEEDED is sync(simulator, file, tables="all").status
    for table in TABLES.values():
        columns = {column for column, *_ in replica.execute(file, f"DESCRIBE {table.name}")}
        assert {snake_case(field.name) for field in table.fields} <= columns


def test_each_day_of_metrics_is_kept(tmp_path: Path) -> None:
    """Totals of campaigns are cumulative: a table beside them has those of each day, unless a person wants none."""
    file = tmp_path / "replica.duckdb"
    with Simulator(WorldOptions(days=1, events_per_day=40), ServerOptions(api_key=KEY)) as simulator:
        sync(simulator, file, tables="campaign_metrics,snippets")
        days = replica.execute(file, "SELECT DISTINCT _snapshot_date FROM campaign_metrics_snapshots")
        assert [(datetime.now(UTC).date(),)] == days
        ((kept,),) = replica.execute(file, "SELECT count(*) FROM campaign_metrics_snapshots")
        assert len(simulator.world.campaigns) == kept
        assert not replica.execute(file, "SELECT 1 FROM duckdb_tables() WHERE table_name = 'snippets_snapshots'")


def test_as_many_campaigns_as_an_address_holds(tmp_path: Path) -> None:
    """Metrics take as few calls as addresses of 2,048 characters allow (FACTS 4.2); the plan tells how many."""
    file = tmp_path / "replica.duckdb"
    world = WorldOptions(days=1, events_per_day=40, campaigns=1200)
    with Simulator(world, ServerOptions(api_key=KEY)) as simulator:
        asked = settings(simulator, file, tables="campaign_metrics")
        planned = reiterate.plan(**asked)
        assert Status.SUCCEEDED is sync(simulator, file, tables="campaign_metrics").status
        assert {} == replica.differences(file, simulator, ["campaign_metrics"])
        calls = [seen for seen in simulator.requests if seen.path == "/api/campaigns/metrics"]
        assert {200} == {seen.status for seen in calls}
        assert 12 == len(calls)
        assert {"campaign_metrics": 12 + 1} == planned.costs


def test_languages_that_are_refused(tmp_path: Path) -> None:
    """Where the languages of a template that is there are refused, or its content is empty, nothing is whole."""
    file = tmp_path / "replica.duckdb"
    with Simulator(WorldOptions(days=1, events_per_day=40), ServerOptions(api_key=KEY)) as simulator:
        for fault in (
            Fault("/api/templates/getByClientTemplateId", "status", status=400, times=1),
            Fault("/api/templates/email/get", "status", status=200, body="{}"),
        ):
            simulator.set_faults([fault])
            assert Status.FAILED is sync(simulator, file, tables="template_contents").status
        simulator.set_faults([])
        assert Status.SUCCEEDED is sync(simulator, file, tables="template_contents").status
        assert {} == replica.differences(file, simulator, ["template_contents"])


def test_what_is_listed_and_refused(tmp_path: Path) -> None:
    """A catalog that is refused, and listed all the same, is an error: nothing is left out in silence."""
    file = tmp_path / "replica.duckdb"
    refused = (Fault("/api/catalogs/products/fieldMappings", "status", status=404, body="gone"),)
    with Simulator(WorldOptions(days=1, events_per_day=40), ServerOptions(api_key=KEY, faults=refused)) as simulator:
        assert Status.PARTIAL is sync(simulator, file, tables="catalog_fields,lists").status
        simulator.set_faults([])
        assert Status.SUCCEEDED is sync(simulator, file, tables="catalog_fields").status
        assert {} == replica.differences(file, simulator, ["catalog_fields"])


@pytest.mark.parametrize(("times", "status"), [(2, Status.SUCCEEDED), (None, Status.PARTIAL)], ids=["twice", "always"])
def test_a_catalog_whose_total_disagrees(tmp_path: Path, times: int | None, status: Status) -> None:
    """Items that disagree with the total are read again, none twice; if they always do, they are not whole."""
    file = tmp_path / "replica.duckdb"
    faults = (Fault("/api/catalogs/products/items", "short_total", times=times),)
    with Simulator(WorldOptions(days=1, events_per_day=40), ServerOptions(api_key=KEY, faults=faults)) as simulator:
        last = sync(simulator, file, tables="catalog_items")
        assert status is last.status
        if status is Status.SUCCEEDED:
            assert {} == replica.differences(file, simulator, ["catalog_items"])
            assert len(simulator.truth("catalog_items")) == last.rows


NEW_TABLE = """
    Table(
        name="senders",
        about="One row per channel, under another name.",
        key=("id",),
        identity=ByFields(("id",)),
        read=Listing(path="/api/channels", rows="channels"),
        docs=f"{DOCS}#channels_channels",
        fields=(ID, Field("name", Type.TEXT, "What it is called.")),
    ),
"""


def test_a_table_is_one_declaration(tmp_path: Path, simulator: Simulator) -> None:
    """One row more in the catalog, and nothing else, makes a table: listed, planned, replicated, documented."""
    shutil.copytree(
        Path(reiterate.__file__).parent, tmp_path / "reiterate", ignore=shutil.ignore_patterns("__pycache__")
    )
    module = tmp_path / "reiterate" / "catalog" / "entities.py"
    module.write_text(module.read_text().replace("ENTITIES = (\n", f"ENTITIES = ({NEW_TABLE}", 1))
    flags = ("--start-date", "01/01/2026", "--tables", "senders", "--destination", "replica.duckdb")
    told = [
        subprocess.run(
            [sys.executable, "-c", "from reiterate.cli import main; main()", *command],
            env={
                **os.environ,
                "PYTHONPATH": str(tmp_path),
                "ITERABLE_API_KEY": KEY,
                "ITERABLE_BASE_URL": simulator.url,
            },
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for command in (("tables", "senders"), ("plan", *flags), ("sync", *flags))
    ]
    assert all("senders" in each for each in told)
    found = replica.execute(tmp_path / "replica.duckdb", "SELECT id, name, message_medium FROM senders ORDER BY id")
    assert [(row["id"], row["name"], row["messageMedium"]) for row in simulator.truth("channels")] == found
