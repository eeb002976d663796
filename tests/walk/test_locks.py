"""Who has lost the lock has lost the right to write; who still has it goes on, whatever broke meanwhile."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

import reiterate
from reiterate.errors import LockLost
from reiterate.flow import Failed, Loaded, RunFinished, Status, Waiting
from reiterate.simulator import ServerOptions, Simulator, WorldOptions
from tests import postgres, replica
from tests.cli.command import reiterate as command
from tests.conftest import KEY, settings
from tests.cutting import cutting
from tests.walk.test_kill import start

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from reiterate.flow import Event

TABLES = ["users", "email_open", "list_users", "campaigns"]


@pytest.fixture(scope="module")
def shop() -> Iterator[Simulator]:
    """A project that no test of this module changes, but for rows that it adds."""
    with Simulator(WorldOptions(days=3, events_per_day=600, seed=11), ServerOptions(api_key=KEY)) as simulator:
        yield simulator


def sync(simulator: Simulator, place: Path | str, **others: Any) -> Iterator[Event]:
    return reiterate.sync(**settings(simulator, place, **{"tables": TABLES, "window_in_days": 0.25, **others}))


def ended(events: Iterator[Event]) -> RunFinished:
    *_, last = events
    assert isinstance(last, RunFinished)
    return last


def until_loaded(events: Iterator[Event], table: str = "") -> None:
    """Go on until some rows of *table*, or of any, are loaded."""
    for event in events:
        if isinstance(event, Loaded) and table in {"", event.task.table.name} and event.rows:
            return
    raise AssertionError(table)


def break_connections(url: str) -> int:
    """End the server's side of every connection to the database, as a failover does; return how many there were."""
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute(
            """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid()"""
        ).fetchall()
    return len(found)


# ── a lock that no longer holds ──────────────────────────────────────────────────────────────────────────────────────


def test_another_sync_between(shop: Simulator) -> None:
    """The connection breaks during a full refresh, another sync takes over: the first gives up, and no row is lost."""
    url = postgres.new_database()
    assert Status.SUCCEEDED is ended(sync(shop, url)).status
    first = sync(shop, url, full_refresh=["email_open"])
    until_loaded(first, "email_open")
    assert 1 <= break_connections(url)
    assert Status.SUCCEEDED is ended(sync(shop, url)).status
    with pytest.raises(LockLost, match="Another process has taken over the destination"):
        list(first)
    assert {} == replica.differences(url, shop, TABLES)
    assert [()] == [found.problems for found in reiterate.verify(**settings(shop, url, tables=["email_open"]))]
    runs = replica.execute(url, "SELECT status FROM _reiterate_runs ORDER BY started_at")
    assert [("succeeded",), ("interrupted",), ("succeeded",)] == runs


@pytest.mark.parametrize("moments", [1, 4])
def test_nobody_between(shop: Simulator, moments: int) -> None:
    """The connection breaks during a full refresh, again and again: the sync goes on, and the new table is whole."""
    url = postgres.new_database()
    assert Status.SUCCEEDED is ended(sync(shop, url)).status
    events = sync(shop, url, full_refresh=["email_open", "users"])
    for moment in range(moments):
        until_loaded(events, "" if moment else "email_open")
        assert 1 <= break_connections(url)
    assert Status.SUCCEEDED is ended(events).status
    assert {} == replica.differences(url, shop, TABLES)


def test_a_table_that_somebody_else_has_built(shop: Simulator) -> None:
    """What is not what this run has loaded is never swapped in: the table fails, and the old rows stay."""
    url = postgres.new_database()
    assert Status.SUCCEEDED is ended(sync(shop, url)).status
    events = sync(shop, url, full_refresh=["email_open"])
    until_loaded(events, "email_open")
    replica.execute(url, "DELETE FROM _reiterate_new_email_open")
    last = ended(events)
    assert Status.PARTIAL is last.status
    assert "does not hold what was loaded; the old one stays" in "".join(last.problems)
    assert {} == replica.differences(url, shop, TABLES)


def test_a_file_that_is_removed(shop: Simulator, tmp_path: Path) -> None:
    """A DuckDB file is moved away under a sync, with its log, and made anew: the first stops, and says why."""
    file = tmp_path / "replica.duckdb"
    first = sync(shop, file)
    until_loaded(first, "email_open")
    for moved in tmp_path.glob("replica.duckdb*"):
        if moved.is_file():
            moved.rename(tmp_path / moved.name.replace("replica", "away"))
    with start(shop, file, "--tables", ",".join(TABLES)) as other:
        other.communicate()
    assert 0 == other.returncode
    with pytest.raises(LockLost, match="removed or replaced during the sync"):
        list(first)
    assert {} == replica.differences(file, shop, TABLES)


def test_several_give_up_together(shop: Simulator, tmp_path: Path) -> None:
    """Where one of several destinations is lost, the sync ends for all, and each is exact after the next one."""
    url, file = postgres.new_database(), tmp_path / "replica.duckdb"
    chosen = settings(shop, "", tables=TABLES, window_in_days=0.25) | {"destination": [str(file), url]}
    events = reiterate.sync(**chosen)
    until_loaded(events, "email_open")
    replica.execute(url, "UPDATE _reiterate_lease SET run_id = 'other'")
    with pytest.raises(LockLost, match="its_run=other"):
        list(events)
    replica.execute(url, "DELETE FROM _reiterate_lease")
    assert Status.SUCCEEDED is ended(reiterate.sync(**chosen)).status
    assert [{}, {}] == [replica.differences(place, shop, TABLES) for place in (file, url)]


def test_the_run_stands_in_the_row(shop: Simulator) -> None:
    """While a sync runs, `_reiterate_lease` names its run; raw files lie in a directory of the same name."""
    url = postgres.new_database()
    events = sync(shop, url)
    until_loaded(events, "email_open")
    ((run_id,),) = replica.execute(url, "SELECT run_id FROM _reiterate_runs")
    assert [(run_id,)] == replica.execute(url, "SELECT run_id FROM _reiterate_lease")
    ended(events)
    assert [] == replica.execute(url, "SELECT run_id FROM _reiterate_lease")


# ── behind a pooler ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_behind_a_pooler(shop: Simulator) -> None:
    """Behind PgBouncer in transaction mode: a second sync is refused, the first is exact, and nothing stays behind."""
    direct = postgres.new_database()
    with postgres.pooler(direct) as url:
        first = sync(shop, url)
        until_loaded(first, "email_open")
        done = command("sync", "--destination", url, "--start-date", "11/01/2026", simulator=shop)
        assert (4, True) == (done.status, "Another process holds the destination" in done.err)
        assert Status.SUCCEEDED is ended(first).status
        assert Status.SUCCEEDED is ended(sync(shop, url, full_refresh=["email_open"])).status
        assert {} == replica.differences(direct, shop, TABLES)
        assert [()] * len(TABLES) == [each.problems for each in reiterate.verify(**settings(shop, url, tables=TABLES))]
        assert [] == replica.execute(direct, "SELECT pid FROM pg_locks WHERE locktype = 'advisory'")
        with psycopg.connect(url, autocommit=True) as pooled:
            assert ("0", "0") == pooled.execute(
                "SELECT current_setting('lock_timeout'), current_setting('client_connection_check_interval')"
            ).fetchone()
            assert 0 == len(pooled.execute("SELECT * FROM pg_prepared_statements").fetchall())


def test_a_pooler_whose_connections_break(shop: Simulator) -> None:
    """Connections between pooler and server break: the sync goes on, and is exact."""
    direct = postgres.new_database()
    with postgres.pooler(direct) as url:
        events = sync(shop, url)
        for _ in range(2):
            until_loaded(events)
            break_connections(direct)
        assert Status.SUCCEEDED is ended(events).status
        assert {} == replica.differences(direct, shop, TABLES)


def test_a_killed_sync_behind_a_pooler(shop: Simulator) -> None:
    """A sync that was killed behind a pooler keeps out no other one of the same machine."""
    direct = postgres.new_database()
    with postgres.pooler(direct) as url:
        with start(shop, url, "--tables", "users,email_open") as killed:
            assert killed.stdout is not None
            while '"loaded"' not in killed.stdout.readline():
                continue
            killed.kill()
        assert Status.SUCCEEDED is ended(sync(shop, url)).status
        assert {} == replica.differences(direct, shop, TABLES)


# ── PostgreSQL with people in it ─────────────────────────────────────────────────────────────────────────────────────


def synced_but_for_a_column(simulator: Simulator) -> str:
    """Return the address of a database that was synced, whose users lack a column that the next sync has to add."""
    url = postgres.new_database()
    assert Status.SUCCEEDED is ended(sync(simulator, url)).status
    replica.execute(url, "ALTER TABLE users DROP COLUMN signup_date")
    replica.execute(url, "DELETE FROM _reiterate_reads")
    return url


def test_a_reader_who_stays(shop: Simulator) -> None:
    """A reader holds a table to which a column is to be added: it alone fails, and the message says who that is."""
    url = synced_but_for_a_column(shop)
    replica.execute(url, "CREATE ROLE analyst LOGIN SUPERUSER")
    with psycopg.connect(url, user="analyst", application_name="Excel") as reader:
        reader.execute("SELECT 1 FROM iterable.users LIMIT 1")
        began = time.monotonic()
        events = list(sync(shop, url))
        pid = reader.info.backend_pid
    last = events[-1]
    assert isinstance(last, RunFinished)
    assert {"users"} == {event.task.table.name for event in events if isinstance(event, Failed)}
    assert f"held_by=process {pid} (user analyst, application Excel, idle in transaction for " in last.problems[0]
    assert 5 == sum(isinstance(event, Waiting) and "process" in event.reason for event in events)
    assert time.monotonic() - began < 60
    assert Status.SUCCEEDED is ended(sync(shop, url)).status
    assert {} == replica.differences(url, shop, TABLES)


def test_a_reader_who_goes(shop: Simulator) -> None:
    """A reader who ends while the sync waits costs nothing."""
    url = synced_but_for_a_column(shop)
    with psycopg.connect(url) as reader:
        reader.execute("SELECT 1 FROM iterable.users LIMIT 1")
        for event in (events := sync(shop, url)):
            if isinstance(event, Waiting) and "process" in event.reason:
                reader.rollback()
                break
        assert Status.SUCCEEDED is ended(events).status
    assert {} == replica.differences(url, shop, TABLES)


@pytest.mark.parametrize("arrives", [True, False], ids=["arrive", "are lost"])
def test_connections_that_break_during_commits(shop: Simulator, arrives: bool) -> None:
    """Commits of which the sync never hears, arrived or not: it asks the ledger, and ends well and exact."""
    url = postgres.new_database()
    with cutting(url) as cuts:
        cuts.arrives = arrives
        events = sync(shop, cuts.url)
        until_loaded(events)
        cuts.wanted = 3
        assert [] == ended(events).problems
        assert 3 == cuts.made
    assert {} == replica.differences(url, shop, TABLES)
    assert [()] * len(TABLES) == [each.problems for each in reiterate.verify(**settings(shop, url, tables=TABLES))]
