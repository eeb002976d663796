"""The walk ends in other databases as in DuckDB: in exactly the truth, kills included."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psycopg
import pytest

import reiterate
from reiterate.errors import DestinationBusy, LoadError, SettingsError
from reiterate.flow import RunFinished, Status
from reiterate.simulator import ServerOptions, Simulator, WorldOptions
from tests import postgres, replica
from tests.cli.command import reiterate as command
from tests.conftest import KEY, settings
from tests.walk.test_kill import kill_and_go_on

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


PLACES: dict[str, Callable[[Path], Path | str]] = {
    "PostgreSQL": lambda _: postgres.new_database(),
}


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """A destination that is empty, as a connection names it."""
    return PLACES[request.param](tmp_path)


def sync(simulator: Simulator, place: Path | str, **others: object) -> RunFinished:
    *_, last = reiterate.sync(**settings(simulator, place, **others))
    assert isinstance(last, RunFinished)
    return last


@pytest.mark.parametrize("project_type", ["email", "hybrid"])
def test_three_syncs(place: Path | str, project_type: str) -> None:
    """All tables arrive exactly; a second sync changes nothing; a third brings all that changed, in any project."""
    world = WorldOptions(days=5, events_per_day=800, seed=3, project_type=project_type)  # type: ignore[arg-type]
    with Simulator(world, ServerOptions(api_key=KEY)) as simulator:
        assert Status.SUCCEEDED is sync(simulator, place).status
        assert {} == replica.differences(place, simulator)
        second = sync(simulator, place)
        assert [(0, 0, 0)] * 16 == [(table.added, table.changed, table.removed) for table in second.tables]
        simulator.mutate(fraction=0.02)
        assert Status.SUCCEEDED is sync(simulator, place).status
        assert {} == replica.differences(place, simulator)
        assert [] == [table.problems for table in reiterate.verify(**settings(simulator, place)) if table.problems]


def test_kills(place: Path | str, kills: int) -> None:
    """Kill -9 at random moments, each followed by a run: nothing is lost, nothing doubled."""
    with Simulator(WorldOptions(days=4, events_per_day=800, seed=2), ServerOptions(api_key=KEY)) as simulator:
        kill_and_go_on(simulator, place, kills)
        assert {} == replica.differences(place, simulator)


# ── PostgreSQL ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_server_by_the_command_line(simulator: Simulator) -> None:
    """Sync, status and verify work with a server as with a file, and its password is never shown."""
    url = postgres.new_database().replace("postgres:@", "postgres:hunter2@")
    flags = ("--start-date", f"{time.strftime('%m/%d/%Y', time.gmtime(simulator.world.start_s))}", "--destination", url)
    for name in ("sync", "status", "verify"):
        ended = command(name, *flags, simulator=simulator)
        assert 0 == ended.status, ended.said
        assert "hunter2" not in ended.said
    assert {} == replica.differences(url, simulator)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://me:hunter2@127.0.0.1:1/shop", "The destination cannot be opened."),
        ("postgresql://me:hunter2@127.0.0.1/shop?colour=hunter2", "The address of the destination is not understood."),
    ],
)
def test_a_server_that_cannot_be_reached(simulator: Simulator, url: str, said: str) -> None:
    """A wrong address ends with status 2 before any request, and does not show the password."""
    ended = command("sync", "--start-date", "2026-01-01", "--destination", url, simulator=simulator)
    assert 2 == ended.status
    assert said in ended.err
    assert "hunter2" not in ended.said
    assert [] == simulator.requests


def test_a_second_sync_into_one_dataset(simulator: Simulator) -> None:
    """While one sync has a dataset, another waits, and is refused in the end; another dataset is free."""
    url = postgres.new_database()
    first = reiterate.sync(**settings(simulator, url))
    next(first)
    with pytest.raises(DestinationBusy):
        sync(simulator, url)
    assert Status.SUCCEEDED is sync(simulator, url, dataset="another").status
    *_, last = first
    assert isinstance(last, RunFinished)
    assert Status.SUCCEEDED is last.status
    assert {} == replica.differences(url, simulator)


def test_a_connection_that_breaks(simulator: Simulator) -> None:
    """A server that ends a connection costs no load: it is made anew, and what was under way is loaded again."""
    url = postgres.new_database()
    failed = False
    for event in reiterate.sync(**settings(simulator, url, window_in_days=0.25)):
        if type(event).__name__ == "Loaded" and not failed:
            failed = True
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name = 'reiterate' AND pid <> pg_backend_pid()"
                )
        last = event
    assert failed
    assert isinstance(last, RunFinished)
    assert Status.SUCCEEDED is last.status
    assert {} == replica.differences(url, simulator)


def test_a_server_that_goes_away(simulator: Simulator, tmp_path: Path) -> None:
    """A server that is gone for good ends the sync with a reason; once it is back, the next sync goes on."""
    url = postgres.new_server(tmp_path / "server")

    def lose_it() -> None:
        for event in reiterate.sync(**settings(simulator, url, window_in_days=0.25)):
            if type(event).__name__ == "Loaded":
                postgres.stop(tmp_path / "server")

    with pytest.raises(LoadError, match=r"The connection to the destination broke\."):
        lose_it()
    assert url == postgres.new_server(tmp_path / "server")
    assert Status.SUCCEEDED is sync(simulator, url).status
    assert {} == replica.differences(url, simulator)
    postgres.stop(tmp_path / "server")


def test_a_database_that_holds_no_unicode(simulator: Simulator) -> None:
    """A database in another encoding is refused, for it could not hold every value."""
    with psycopg.connect(postgres.address(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    with pytest.raises(SettingsError, match="does not hold every character"):
        sync(simulator, postgres.address().replace("/postgres?", "/latin?"))


# ── trying out ───────────────────────────────────────────────────────────────────────────────────────────────────────

STEPS = ["open: ok", "make a table and write: ok", "add a column and merge: ok", "read: ok", "drop: ok"]


@pytest.mark.oldest
@pytest.mark.parametrize("kind", ["DuckDB", *PLACES])
def test_trying_a_destination_out(kind: str, simulator: Simulator, tmp_path: Path) -> None:
    """`destination test` does what a sync does, and leaves no row and no fact; what was synced stays."""
    place = PLACES[kind](tmp_path) if kind in PLACES else tmp_path / "replica.duckdb"
    for was_there in (False, kind == "DuckDB"):
        ended = command("destination", "test", str(place))
        assert STEPS == ended.out.splitlines()[1:-1]
        assert 0 == ended.status
        assert was_there == (tmp_path / "replica.duckdb").exists()
        sync(simulator, place)
    assert {} == replica.differences(place, simulator)
    assert [(0,)] == replica.execute(place, "SELECT count(*) FROM _reiterate_reads WHERE table_name LIKE '%probe'")


@pytest.mark.oldest
@pytest.mark.parametrize("format_", ["parquet", "delta", "iceberg"])
def test_trying_a_directory_out(format_: str, tmp_path: Path) -> None:
    """A directory of files is tried out as a database is, again and again, and no file of a table is left."""
    for _ in range(2):
        ended = command("destination", "test", f"file://{tmp_path}/lake?format={format_}")
        assert STEPS == ended.out.splitlines()[1:-1]
        assert not (tmp_path / "lake").exists()
        (tmp_path / "lake" / "iterable").mkdir(parents=True)
        assert (
            STEPS == command("destination", "test", f"file://{tmp_path}/lake?format={format_}").out.splitlines()[1:-1]
        )
        assert [] == [*(tmp_path / "lake").rglob("*.parquet")]
        shutil.rmtree(tmp_path / "lake")


def test_a_user_without_rights(tmp_path: Path) -> None:
    """A right that is missing is named, with the step that wants it; a schema that is there already is enough."""
    url = postgres.new_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE USER reader")
    as_reader = url.replace("postgres:@", "reader:@")
    ended = command("destination", "test", as_reader)
    assert 1 == ended.status
    assert "open: The destination refused a load." in ended.out
    assert "permission denied" in ended.out
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA iterable AUTHORIZATION reader")
    assert 0 == command("destination", "test", as_reader).status


def test_a_package_that_is_missing(tmp_path: Path) -> None:
    """Without its package a destination says which extra to install."""
    script = "import sys; sys.modules['psycopg'] = None; from reiterate.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", script, "destination", "test", "postgresql://db/shop"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "pip install 'reiterate[postgres]'" in done.stdout
    assert "Traceback" not in done.stderr


def test_destinations_by_name(tmp_path: Path) -> None:
    """A destination is tried out by its name in the file, too; a wrong name has status 2."""
    (tmp_path / "reiterate.toml").write_text("[destinations.lake]\nurl = 'lake.duckdb'\ndataset = 'shop'\n")
    assert "duckdb:///lake.duckdb, dataset shop" in command("destination", "test", "lake").out
    assert 2 == command("destination", "test", "laek").status
