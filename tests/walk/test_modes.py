"""How else a table may be kept: read anew, with what its rows were, with its rows of each day."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import reiterate
from reiterate.errors import SettingsError
from reiterate.flow import Refreshed, RunFinished, Status
from reiterate.simulator import Fault
from tests import postgres, replica
from tests.cli.command import reiterate as command
from tests.conftest import settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reiterate.flow import Event
    from reiterate.simulator import Simulator

TABLES = ["campaigns", "channels", "email_open", "list_users", "users"]


@pytest.fixture(params=["DuckDB", "PostgreSQL"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """An empty destination."""
    return tmp_path / "replica.duckdb" if request.param == "DuckDB" else postgres.new_database()


def sync(simulator: Simulator, place: Path | str, config: str = "", **others: Any) -> list[Event]:
    """Sync some tables, with settings of their own; return what happened."""
    file = Path("reiterate.toml")
    file.write_text(f"[connections.shop]\n{config}", encoding="utf-8")
    return list(reiterate.sync("shop", config=file, **settings(simulator, place, tables=TABLES, **others)))


def count(place: Path | str, table: str, where: str = "true") -> int:
    ((found,),) = replica.execute(place, f"SELECT count(*) FROM {table} WHERE {where}")
    return int(found)


def ended(events: Sequence[Event]) -> RunFinished:
    last = events[-1]
    assert isinstance(last, RunFinished)
    return last


# ── read anew ────────────────────────────────────────────────────────────────────────────────────────────────────────


def spoil(place: Path | str) -> None:
    """Let tables have rows that Iterable has not, as after people were deleted there."""
    replica.execute(place, "UPDATE email_open SET message_id = 'gone' WHERE created_at < now() - INTERVAL '2 days'")
    replica.execute(place, "UPDATE users SET email = 'gone-' || email WHERE email LIKE 'a%'")
    replica.execute(place, "UPDATE campaigns SET id = -id WHERE id IN (SELECT min(id) FROM campaigns)")


def test_a_full_refresh_is_the_source_as_it_is(simulator: Simulator, place: Path | str) -> None:
    """A table that is read anew holds what Iterable holds, nothing else; others stay as they are."""
    sync(simulator, place)
    spoil(place)
    events = sync(simulator, place, full_refresh=["email_open", "users"])
    assert Status.SUCCEEDED is ended(events).status
    assert ["email_open", "users"] == [event.task.table.name for event in events if isinstance(event, Refreshed)]
    assert {"campaigns"} == replica.differences(place, simulator, TABLES).keys()
    sync(simulator, place, "[connections.shop.table.campaigns]\nfull_refresh = true")
    assert {} == replica.differences(place, simulator, TABLES)
    assert [] == [one.problems for one in reiterate.verify(**settings(simulator, place, tables=TABLES)) if one.problems]
    assert 0 == sum(one.added + one.changed + one.removed for one in ended(sync(simulator, place)).tables)


def test_a_full_refresh_that_is_not_whole_changes_nothing(simulator: Simulator, place: Path | str) -> None:
    """While a part cannot be read, or the sync is stopped, the old rows stay; the next sync goes on with those."""
    sync(simulator, place)
    before = replica.counted(replica.rows(place, "users"))
    simulator.set_faults((Fault("/api/export/*", "status", status=500),))
    assert Status.PARTIAL is ended(sync(simulator, place, full_refresh=["users"])).status
    simulator.set_faults(())
    assert before == replica.counted(replica.rows(place, "users"))
    for event in reiterate.sync(**settings(simulator, place, tables=TABLES, name="shop"), full_refresh=["users"]):
        if type(event).__name__ == "Loaded" and event.task.table.name == "users":  # type: ignore[union-attr]
            break
    assert before == replica.counted(replica.rows(place, "users"))
    assert 0 == ended(sync(simulator, place)).rows - ended(sync(simulator, place)).rows
    assert {} == replica.differences(place, simulator, TABLES)
    tables = replica.execute(place, "SELECT table_name FROM information_schema.tables")
    assert [] == [name for (name,) in tables if name.startswith("_reiterate_new")]


def test_what_people_have_made_of_a_table_stays(simulator: Simulator, place: Path | str) -> None:
    """A full refresh replaces rows, not the table: views on it go on."""
    sync(simulator, place)
    replica.execute(place, "CREATE VIEW opened AS SELECT count(*) AS opens FROM email_open")
    sync(simulator, place, full_refresh=["email_open"])
    assert [(len(simulator.truth("email_open")),)] == replica.execute(place, "SELECT opens FROM opened")


def test_full_refresh_on_the_command_line(simulator: Simulator) -> None:
    """`sync --full-refresh` says what it did, and refuses tables that are none."""
    start = time.strftime("%m/%d/%Y", time.gmtime(simulator.world.start_s))
    flags = ("--start-date", start, "--tables", "users,lists")
    command("sync", *flags, simulator=simulator)
    done = command("sync", *flags, "--full-refresh", "users,lists", simulator=simulator)
    rows = len(simulator.truth("users"))
    assert 0 == done.status
    assert f"users: read anew, {rows} rows in place of {rows}" in done.out
    refused = command("sync", *flags, "--full-refresh", "campaigns", simulator=simulator)
    assert 2 == refused.status
    assert "There is no table campaigns." in refused.err


# ── history ──────────────────────────────────────────────────────────────────────────────────────────────────────────

HISTORY = "".join(
    f"[connections.shop.table.{table}]\nhistory = true\n" for table in ("campaigns", "channels", "list_users", "users")
)
NOW = "_valid_to IS NULL"


def test_history_keeps_what_rows_were(simulator: Simulator, place: Path | str) -> None:
    """Each version of a row has the time in which it was seen; the open ones are the rows as they are."""
    sync(simulator, place, HISTORY)
    kept = {table: count(place, f"{table}_history") for table in ("campaigns", "channels", "list_users", "users")}
    assert {table: count(place, table) for table in kept} == kept
    sync(simulator, place, HISTORY)
    assert kept == {table: count(place, f"{table}_history") for table in kept}
    before = {row["email"]: row for row in simulator.truth("users")}
    simulator.mutate(fraction=0.1)
    last = ended(sync(simulator, place, HISTORY))
    for summary in last.tables:
        table = summary.table.name
        if table in kept:
            assert summary.changed + summary.removed == count(place, f"{table}_history", f"NOT {NOW}"), table
            assert count(place, table) == count(place, f"{table}_history", NOW)
    changed = [row["email"] for row in simulator.truth("users") if before.get(row["email"], row) != row]
    assert changed
    found = replica.execute(
        place,
        "SELECT h.email FROM users_history AS h JOIN users_history AS later ON later.email = h.email "
        "AND later._valid_from = h._valid_to",
    )
    assert sorted(changed) == sorted(email for (email,) in found)
    assert {} == replica.differences(place, simulator, TABLES)


def test_history_of_what_is_gone(simulator: Simulator, place: Path | str) -> None:
    """Rows that leave a table that is replaced, or read anew, end in its history; those of lists that are gone, too."""
    sync(simulator, place, HISTORY)
    members = count(place, "list_users")
    only = '[connections.shop.table.list_users]\nlists = ["3310201"]\nhistory = true\n'
    sync(simulator, place, only)
    left = count(place, "list_users")
    assert 0 < left < members
    assert members - left == count(place, "list_users_history", f"NOT {NOW}")
    spoil(place)
    users = count(place, "users")
    sync(simulator, place, HISTORY)
    sync(simulator, place, HISTORY, full_refresh=["users"])
    assert users == count(place, "users") == count(place, "users_history", NOW)


def test_events_have_no_history(simulator: Simulator, tmp_path: Path) -> None:
    """Events stay as they are: history of them is refused, and snapshots of what is not read whole."""
    for setting in ("history", "snapshots"):
        with pytest.raises(SettingsError, match=f"{setting} cannot be True"):
            sync(simulator, tmp_path / "x.duckdb", f"[connections.shop.table.email_open]\n{setting} = true")


# ── snapshots ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_snapshots_keep_the_rows_of_each_day(simulator: Simulator, place: Path | str) -> None:
    """The day has its rows as the last sync found them; earlier days stay."""
    config = (
        "[connections.shop.table.campaigns]\nsnapshots = true\n[connections.shop.table.list_users]\nsnapshots = true"
    )
    sync(simulator, place, config)
    replica.execute(place, "UPDATE campaigns_snapshots SET _snapshot_date = _snapshot_date - 1")
    simulator.mutate(fraction=0.1)
    sync(simulator, place, config)
    sync(simulator, place, config)
    days = replica.execute(place, "SELECT count(*) FROM campaigns_snapshots GROUP BY _snapshot_date ORDER BY 1")
    assert 2 == len(days)
    assert (count(place, "campaigns"),) in days
    assert count(place, "list_users") == count(place, "list_users_snapshots")
