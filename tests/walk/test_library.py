"""Reiterate from Python: events, plans, states and checks as a program sees them."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event as Flag

import pytest

import reiterate
from reiterate.api import LIMITS
from reiterate.catalog import DOCUMENTED, TABLES
from reiterate.catalog.model import Export
from reiterate.errors import DestinationBusy, Forbidden, SettingsError, Unauthorized
from reiterate.flow import Discovered, Failed, Loaded, Part, RunFinished, RunStarted, Started, Status, Task
from reiterate.simulator import Fault, ServerOptions, Simulator, WorldOptions
from reiterate.windows import Window
from tests import replica
from tests.conftest import KEY, settings


def calls(plan: reiterate.Plan) -> dict[str, int]:
    return {one.limit.name: one.calls for one in plan.calls}


@pytest.mark.parametrize("first", ["reiterate", "reiterate.settings", "reiterate.library", "reiterate.cli"])
def test_public_names(first: str) -> None:
    """Whatever a program imports first, every public name is there; `settings` is the function of that name."""
    code = (
        f"import {first}, reiterate; [getattr(reiterate, name) for name in dir(reiterate)]; reiterate.settings.__call__"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert {*reiterate.__all__} <= {*dir(reiterate)}
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        reiterate.nothing  # noqa: B018


def test_events_tell_the_whole_run(simulator: Simulator, tmp_path: Path) -> None:
    """Every planned task, and every part that it turns into, is started and ends; the sums agree with the rows."""
    file = tmp_path / "replica.duckdb"
    first, *events, last = reiterate.sync(**settings(simulator, file))
    assert isinstance(first, RunStarted)
    assert isinstance(last, RunFinished)
    assert Status.SUCCEEDED is last.status
    parts: list[Task] = [task for event in events if isinstance(event, Discovered) for task in event.into]
    asked = [*first.tasks, *parts]
    ended = [event.task for event in events if isinstance(event, Discovered)]
    ended += [task for event in events if isinstance(event, Loaded) for task in event.tasks]
    assert sorted(map(str, asked)) == sorted(map(str, ended))
    assert {*map(str, asked)} == {str(event.task) for event in events if isinstance(event, Started)}
    for table in last.tables:
        loaded = [event for event in events if isinstance(event, Loaded) and event.task.table is table.table]
        assert sum(len(event.tasks) for event in loaded) == table.tasks
        assert sum(event.added for event in loaded) == table.added == len(simulator.truth(table.table.name))
        assert 0 == table.left
    assert sum(len(simulator.truth(table)) for table in DOCUMENTED) == last.rows


def test_nothing_happens_until_it_is_asked(simulator: Simulator, tmp_path: Path) -> None:
    """An iterator that nobody asks requests nothing and writes nothing, and raises nothing."""
    reiterate.sync(**settings(simulator, tmp_path / "replica.duckdb"))
    reiterate.sync(start_date="13/45/2026")
    assert [] == simulator.requests
    assert [] == list(tmp_path.iterdir())


def test_wrong_settings_raise_before_any_request(simulator: Simulator, tmp_path: Path) -> None:
    """A wrong setting is an error that names it, whichever function is called."""
    wrong = settings(simulator, tmp_path / "replica.duckdb", window_in_days=0)
    for function in (reiterate.plan, reiterate.status, reiterate.settings):
        with pytest.raises(SettingsError, match="window_in_days"):
            function(**wrong)
    for iterator in (reiterate.sync(**wrong), reiterate.check(**wrong)):
        with pytest.raises(SettingsError, match="window_in_days"):
            next(iterator)
    with pytest.raises(SettingsError, match="start_date"):
        reiterate.settings(**(settings(simulator, tmp_path / "x.duckdb") | {"start_date": None}), start_dat="x")
    assert [] == simulator.requests


def test_a_stopped_run_is_gone_on_with(simulator: Simulator, tmp_path: Path) -> None:
    """A flag ends a run between two loads; its status says so, and the next run completes the replica."""
    file = tmp_path / "replica.duckdb"
    stop = Flag()
    events = []
    for event in reiterate.sync(**settings(simulator, file), stop=stop):
        events.append(event)
        if isinstance(event, Loaded):
            stop.set()
    assert isinstance(events[-1], RunFinished)
    assert Status.STOPPED is events[-1].status
    assert 1 == sum(isinstance(event, Loaded) for event in events)
    *_, last = reiterate.sync(**settings(simulator, file))
    assert isinstance(last, RunFinished)
    assert Status.SUCCEEDED is last.status
    assert {} == replica.differences(file, simulator)


def test_a_closed_iterator_lets_go(simulator: Simulator, tmp_path: Path) -> None:
    """Whoever leaves the loop early closes the destination with it; what was loaded stays, and is told."""
    file = tmp_path / "replica.duckdb"
    events = reiterate.sync(**settings(simulator, file))
    loaded = next(event for event in events if isinstance(event, Loaded))
    with pytest.raises(DestinationBusy):
        reiterate.status(**settings(simulator, file))
    events.close()  # type: ignore[attr-defined]
    status = reiterate.status(**settings(simulator, file))
    assert Status.STOPPED is status.runs[0].status
    kept = {one.table.name: one.state.rows for one in status.tables if one.state}
    assert loaded.added == kept[loaded.task.table.name]


def test_plan_says_what_sync_then_does(simulator: Simulator, tmp_path: Path) -> None:
    """A plan names the tasks and calls of the next sync; once that is done, only the overlap is left."""
    chosen = settings(simulator, tmp_path / "replica.duckdb", tables=["email_open", "list_users"], window_in_days=1)
    before = reiterate.plan(**chosen)
    assert [] == list(tmp_path.iterdir())
    events = list(reiterate.sync(**chosen))
    windows = [task.scope for task in before.tasks if isinstance(task.scope, Window)]
    loaded = [task.scope for event in events if isinstance(event, Loaded) for task in event.tasks]
    assert windows[:-1] == sorted(scope for scope in loaded if isinstance(scope, Window))[:-1]  # the last ends at now
    assert {task.scope for task in before.tasks} - {*windows} == {scope for scope in loaded if isinstance(scope, Part)}
    asked = [seen.path for seen in simulator.requests]
    exports = asked.count("/api/export/data.json") + asked.count("/api/export/start")
    assert exports == calls(before)["exports"] + calls(before).get("export jobs", 0) == len(windows)
    assert asked.count("/api/lists/getUsers") == calls(before)["list members"]
    after = reiterate.plan(**chosen)
    assert 1 == calls(after)["exports"]
    assert calls(before)["list members"] == calls(after)["list members"]


def test_least_time_follows_the_limits(simulator: Simulator, tmp_path: Path) -> None:
    """The least time counts each limit for itself, and exports by both lanes: 4 a minute directly, 5 by jobs."""
    exports = [name for name in DOCUMENTED if isinstance(TABLES[name].read, Export)]
    chosen = settings(simulator, tmp_path / "replica.duckdb", rate_limit_factor=1, tables=exports)
    plan = reiterate.plan(**chosen)
    assert {"exports": 4, "export jobs": 5, "export files": 10} == calls(plan)
    assert 9 == plan.least_s
    assert {one.limit for one in plan.calls} <= {*LIMITS}
    short = reiterate.plan(**chosen | {"start_date": datetime.now(UTC).date()})
    assert {"exports": 9} == calls(short)
    assert 120 == short.least_s


def test_plan_survives_parts_that_iterable_refuses(tmp_path: Path) -> None:
    """Where Iterable does not list the parts of a table, the plan says so and has the others."""
    with Simulator(
        WorldOptions(days=1, events_per_day=20), ServerOptions(api_key=KEY, denied=("/api/metadata",))
    ) as simulator:
        plan = reiterate.plan(**settings(simulator, tmp_path / "replica.duckdb"))
    ((task, error),) = plan.refused
    assert "metadata" == task.table.name
    assert isinstance(error, Forbidden)
    assert {"list_users", "users", "campaigns"} <= {task.table.name for task in plan.tasks}


def test_status_before_and_after(simulator: Simulator, tmp_path: Path) -> None:
    """Before the first sync a state is empty; after it, rows, freshness and the run stand there."""
    chosen = settings(simulator, tmp_path / "replica.duckdb")
    before = reiterate.status(**chosen)
    assert () == before.runs
    assert all(one.state is None and one.read_at is None and one.due for one in before.tables)
    assert [] == list(tmp_path.iterdir())
    *_, last = reiterate.sync(**chosen)
    assert isinstance(last, RunFinished)
    asked = len(simulator.requests)
    after = reiterate.status(**chosen)
    assert asked == len(simulator.requests)
    assert (last.run_id, Status.SUCCEEDED, last.rows) == (
        after.runs[0].run_id,
        after.runs[0].status,
        after.runs[0].rows,
    )
    for one in after.tables:
        assert one.state is not None
        assert one.read_at is not None
        assert len(simulator.truth(one.table.name)) == one.state.rows
        assert timedelta(0) <= datetime.now(UTC) - one.read_at < timedelta(minutes=5)


def test_check_asks_each_endpoint_once(tmp_path: Path) -> None:
    """What a key may read is known after a call per endpoint; a wrong key after one refusal."""
    file = tmp_path / "replica.duckdb"
    with Simulator(
        WorldOptions(days=1, events_per_day=20), ServerOptions(api_key=KEY, denied=("/api/lists",))
    ) as simulator:
        checks = list(reiterate.check(**settings(simulator, file)))
        assert 8 == len(checks)
        assert 10 >= len(simulator.requests)
        wrong = list(reiterate.check(**(settings(simulator, file) | {"api_key": "another"})))
    assert {*DOCUMENTED} == {table.name for one in checks for table in one.tables}
    refused = {table.name: one.error for one in checks for table in one.tables if one.error}
    assert {"lists", "list_users"} == refused.keys()
    assert all(isinstance(error, Forbidden) for error in refused.values())
    assert [Unauthorized] == [type(one.error) for one in wrong]


def test_settings_come_from_file_environment_and_arguments(
    simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection of a file can be named, and arguments come before it; the connection itself will do as well."""
    monkeypatch.setenv("SHOP_KEY", KEY)
    file = tmp_path / "settings.toml"
    file.write_text(
        f"""[connections.shop]
api_key = "env:SHOP_KEY"
start_date = "{settings(simulator, tmp_path)["start_date"]:%m/%d/%Y}"
api_address = "{simulator.url}"
tables = ["channels", "lists"]
""",
        encoding="utf-8",
    )
    loaded = reiterate.settings("shop", config=file, tables=["lists"])
    assert ("lists",) == loaded.connection.tables
    *_, last = reiterate.sync(loaded.connection)
    assert isinstance(last, RunFinished)
    assert ["lists"] == [table.table.name for table in last.tables]
    assert Path("iterable.duckdb").exists()


def test_failures_come_as_events(simulator: Simulator, tmp_path: Path) -> None:
    """A table that fails raises nothing: it is told as it happens and at the end."""
    simulator.set_faults([Fault("/api/channels", "status", status=400, body='{"msg": "No."}')])
    *events, last = reiterate.sync(**settings(simulator, tmp_path / "replica.duckdb", tables=["channels", "lists"]))
    assert isinstance(last, RunFinished)
    (failed,) = [event for event in events if isinstance(event, Failed)]
    assert "channels" == failed.task.table.name
    assert Status.PARTIAL is last.status
    assert 1 == len(last.problems)
    assert last.problems[0].startswith("channels: ")
