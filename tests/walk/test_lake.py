"""Directories of files hold the truth, too, in every format, whatever kills the sync."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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

HISTORY = "".join(
    f"[connections.shop.table.{table}]\nhistory = true\n" for table in ("users", "list_users", "campaigns")
)
NOW = "_valid_to IS NULL"


def url(directory: Path, format_: str) -> str:
    return f"{directory.as_uri()}?format={format_}"


def sync(simulator: Simulator, destination: str, **others: Any) -> RunFinished:
    *_, last = reiterate.sync(**settings(simulator, destination, **others))
    assert isinstance(last, RunFinished)
    return last


def count(place: replica.Lake, table: str, where: str = "true") -> int:
    ((found,),) = replica.execute(place, f"SELECT count(*) FROM {table} WHERE {where}")
    return int(found)


@pytest.mark.parametrize("format_", FORMATS)
def test_kills_and_syncs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format_: str, kills: int) -> None:
    """
    Kill -9 at random moments, each followed by a run, loses nothing and doubles nothing, history included.

    Another sync brings all other tables, a second one adds nothing, a third brings what changed; the ledger agrees with
    the rows.
    """
    place, destination = replica.Lake(tmp_path / "lake", format_), url(tmp_path / "lake", format_)
    config = tmp_path / "reiterate.toml"
    config.write_text(f"[connections.shop]\n{HISTORY}")
    monkeypatch.setenv("REITERATE_CONFIG", str(config))
    tables = ["campaigns", "email_click", "email_open", "list_users", "users"]
    flags = ("--tables", ",".join(tables), "--full-refresh", "users,email_open")
    with Simulator(WorldOptions(days=2, events_per_day=100, seed=2), ServerOptions(api_key=KEY)) as simulator:
        kill_and_go_on(simulator, destination, kills, *flags)
        assert {} == replica.differences(place, simulator, tables)
        for table in ("users", "list_users", "campaigns"):
            assert count(place, table) == count(place, f"{table}_history") == count(place, f"{table}_history", NOW)
        assert Status.SUCCEEDED is sync(simulator, destination, config=config).status
        assert {} == replica.differences(place, simulator)
        second = sync(simulator, destination, config=config)
        assert {(0, 0, 0)} == {(table.added, table.changed, table.removed) for table in second.tables}
        simulator.mutate(fraction=0.05)
        assert Status.SUCCEEDED is sync(simulator, destination, config=config).status
        assert {} == replica.differences(place, simulator)
        found = list(reiterate.verify(**settings(simulator, destination), source=True, sample=1))
        assert [] == [problem for one in found for problem in one.problems]


@pytest.mark.parametrize("format_", FORMATS)
def test_modes(simulator: Simulator, tmp_path: Path, format_: str) -> None:
    """Tables are read anew, and keep what their rows were and the rows of each day, as in a database."""
    place, destination = replica.Lake(tmp_path / "lake", format_), url(tmp_path / "lake", format_)
    config = tmp_path / "reiterate.toml"
    config.write_text(f"[connections.shop]\n{HISTORY}snapshots = true\n")
    tables = ["campaigns", "email_open", "list_users", "users"]
    chosen = {"tables": tables, "config": config}
    assert Status.SUCCEEDED is sync(simulator, destination, **chosen).status
    kept = {table: count(place, table) for table in ("campaigns", "list_users", "users")}
    simulator.mutate(fraction=0.1)
    summaries = {one.table.name: one for one in sync(simulator, destination, **chosen).tables}
    for table in kept:
        assert count(place, table) == count(place, f"{table}_history", NOW)
        ended = summaries[table].changed + summaries[table].removed
        assert ended == count(place, f"{table}_history", f"NOT {NOW}") > 0
    assert count(place, "campaigns") == count(place, "campaigns_snapshots")
    versions = count(place, "users_history")
    assert Status.SUCCEEDED is sync(simulator, destination, **chosen, full_refresh=["email_open", "users"]).status
    assert {} == replica.differences(place, simulator, tables)
    assert versions == count(place, "users_history")
    found = reiterate.verify(**settings(simulator, destination, tables=tables))
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
