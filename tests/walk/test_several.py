"""One sync into several destinations: each ends in the truth, and Iterable is asked once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

import reiterate
from reiterate.errors import ConnectionMismatch, SettingsError
from reiterate.flow import RunFinished, Status
from tests import postgres, replica
from tests.cli.command import reiterate as command
from tests.conftest import settings

if TYPE_CHECKING:
    from pathlib import Path

    from reiterate.simulator import Simulator


def sync(simulator: Simulator, *places: Path | str, **others: Any) -> RunFinished:
    chosen = settings(simulator, "", **others) | {"destination": [str(place) for place in places]}
    *_, last = reiterate.sync(**chosen)
    assert isinstance(last, RunFinished)
    return last


def exports(simulator: Simulator) -> int:
    """Return how many exports were asked for."""
    return sum("/export/data.json" in str(request) or "/export/start" in str(request) for request in simulator.requests)


def test_two_destinations(simulator: Simulator, tmp_path: Path) -> None:
    """A second destination gets all that the first has got, and what is new goes to both by one request."""
    first, second = tmp_path / "first.duckdb", postgres.new_database()
    assert Status.SUCCEEDED is sync(simulator, first, second).status
    once = exports(simulator)
    assert Status.SUCCEEDED is sync(simulator, tmp_path / "alone.duckdb").status
    assert exports(simulator) == 2 * once
    for place in (first, second):
        assert {} == replica.differences(place, simulator)
    again = sync(simulator, first, second)
    assert 0 == sum(one.added + one.changed + one.removed for one in again.tables)
    simulator.mutate(fraction=0.05)
    assert Status.SUCCEEDED is sync(simulator, second, first).status
    for place in (first, second):
        assert {} == replica.differences(place, simulator)


def test_destinations_that_were_synced_at_different_times(simulator: Simulator, tmp_path: Path) -> None:
    """What one has and the other lacks is read again for both, whose columns may differ, and doubles nothing."""
    first, second = tmp_path / "first.duckdb", tmp_path / "second.duckdb"
    sync(simulator, first, tables=["users", "email_open", "list_users", "campaigns"], window_in_days=0.5)
    simulator.mutate(fraction=0.1)
    sync(simulator, second, window_in_days=0.3)
    simulator.mutate(fraction=0.1)
    assert Status.SUCCEEDED is sync(simulator, first, second).status
    for place in (first, second):
        assert {} == replica.differences(place, simulator)


def test_a_full_refresh_of_both(simulator: Simulator, tmp_path: Path) -> None:
    """Both are read anew."""
    places = tmp_path / "first.duckdb", tmp_path / "second.duckdb"
    sync(simulator, *places)
    for place in places:
        replica.execute(place, "UPDATE users SET email = 'gone-' || email WHERE email LIKE 'a%'")
    chosen = settings(simulator, "") | {"destination": [*map(str, places)], "full_refresh": ["users"]}
    assert Status.SUCCEEDED is list(reiterate.sync(**chosen))[-1].status  # type: ignore[union-attr]
    for place in places:
        assert {} == replica.differences(place, simulator)


def test_one_that_refuses(simulator: Simulator, tmp_path: Path) -> None:
    """A destination of another connection, one that is named twice, or none, is refused before anything is read."""
    first, second = tmp_path / "first.duckdb", tmp_path / "second.duckdb"
    sync(simulator, second, name="other")
    asked = len(simulator.requests)
    with pytest.raises(ConnectionMismatch):
        sync(simulator, first, second)
    for places in ((first, first), ()):
        with pytest.raises(SettingsError, match="names none, or one twice"):
            sync(simulator, *places)
    with pytest.raises(SettingsError, match="cannot be opened"):
        sync(simulator, first, "postgresql://127.0.0.1:1/shop")
    assert asked == len(simulator.requests)
    assert Status.SUCCEEDED is sync(simulator, first).status


def test_several_on_the_command_line(simulator: Simulator, tmp_path: Path) -> None:
    """The flag may be given again; a file may hold a list."""
    start = time.strftime("%m/%d/%Y", time.gmtime(simulator.world.start_s))
    flags = ("--start-date", start, "--tables", "users,lists")
    ended = command("sync", *flags, "--destination", "a.duckdb", "--destination", "b.duckdb", simulator=simulator)
    assert 0 == ended.status
    (tmp_path / "reiterate.toml").write_text("[connections.iterable]\ndestination = ['b.duckdb', 'c.duckdb']\n")
    assert 0 == command("sync", *flags, simulator=simulator).status
    for name in ("a", "b", "c"):
        assert {} == replica.differences(tmp_path / f"{name}.duckdb", simulator, ["users", "lists"])
