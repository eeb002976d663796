"""Reading again: what is missing comes back, what changed is updated, and nothing goes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

import reiterate
from reiterate.errors import SettingsError
from reiterate.flow import RunFinished, RunStarted, Status, Write
from reiterate.windows import Window
from tests import replica
from tests.cli.command import reiterate as command
from tests.conftest import settings

if TYPE_CHECKING:
    from pathlib import Path

    from reiterate.simulator import Simulator

TODAY = datetime.now(UTC).date()


def finished(events: Any) -> RunFinished:
    *_, last = events
    assert isinstance(last, RunFinished)
    assert Status.SUCCEEDED is last.status
    return last


def opens(file: Path) -> int:
    ((count,),) = replica.execute(file, "SELECT count(*) FROM email_open")
    return int(count)


def test_rows_come_back(simulator: Simulator, tmp_path: Path) -> None:
    """Rows that were lost in the destination come back with a resync of their days; a sync cannot know of them."""
    file = tmp_path / "replica.duckdb"
    finished(reiterate.sync(**settings(simulator, file)))
    old = f"created_at < '{TODAY - timedelta(days=1)}'"
    replica.execute(file, f"DELETE FROM email_open WHERE {old}")
    replica.execute(file, f"UPDATE email_click SET url = 'wrong' WHERE {old}")
    finished(reiterate.sync(**settings(simulator, file)))
    assert {"email_open", "email_click"} == replica.differences(file, simulator).keys()
    for table in ("email_open", "email_click"):
        finished(reiterate.resync(table, end=TODAY - timedelta(days=1), **settings(simulator, file)))
    assert {} == replica.differences(file, simulator)


def test_what_the_source_purged_stays(simulator: Simulator, tmp_path: Path) -> None:
    """A resync removes nothing, though the source no longer has it."""
    file = tmp_path / "replica.duckdb"
    finished(reiterate.sync(**settings(simulator, file)))
    before = opens(file)
    simulator.world.delete_user(simulator.truth("email_open")[0]["email"])
    last = finished(reiterate.resync("email_open", **settings(simulator, file)))
    assert [(0, 0, 0)] == [(table.added, table.changed, table.removed) for table in last.tables]
    assert before == opens(file)


def test_days_are_read_in_windows(simulator: Simulator, tmp_path: Path) -> None:
    """The days are read in windows no longer than asked for, from the first to the last, which is not included."""
    chosen = settings(simulator, tmp_path / "replica.duckdb", window_in_days=0.5)
    first, *_ = reiterate.resync("users", TODAY - timedelta(days=2), str(TODAY), **chosen)
    assert isinstance(first, RunStarted)
    scopes = [task.scope for task in first.tasks if isinstance(task.scope, Window)]
    assert 4 == len(scopes)
    assert (TODAY - timedelta(days=2), TODAY) == (scopes[0].start.date(), scopes[-1].end.date())
    assert {Write.MERGE} == {task.write for task in first.tasks}


@pytest.mark.parametrize(
    ("table", "start", "end", "message"),
    [
        ("email_opens", None, None, "no table email_opens"),
        ("campaigns", None, None, "Every sync reads campaigns whole"),
        ("list_users", None, None, "Every sync reads list_users whole"),
        ("users", "13/45/2026", None, "from cannot be"),
        ("users", None, "tomorrow", "to cannot be"),
        ("users", "01/01/2020", None, "start date"),
        ("users", TODAY, TODAY, "no time between"),
        ("users", TODAY, TODAY - timedelta(days=1), "no time between"),
        ("users", TODAY + timedelta(days=2), None, "in the future"),
    ],
)
def test_wrong_days(
    simulator: Simulator, tmp_path: Path, table: str, start: str | date | None, end: str | date | None, message: str
) -> None:
    """What cannot be read again is refused before any request, in words that say what can."""
    with pytest.raises(SettingsError, match=message):
        next(reiterate.resync(table, start, end, **settings(simulator, tmp_path / "replica.duckdb")))
    assert [] == simulator.requests
    assert [] == list(tmp_path.iterdir())


def test_from_the_command_line(simulator: Simulator) -> None:
    """`reiterate resync` prints what `sync` prints, and ends as it does."""
    flags = ("--start-date", str(TODAY - timedelta(days=3)))
    ended = command("resync", "email_open", "--from", str(TODAY - timedelta(days=1)), *flags, simulator=simulator)
    assert 0 == ended.status
    assert "All tables are up to date." in ended.out
    assert 2 == command("resync", "campaigns", *flags, simulator=simulator).status


def test_a_longer_lookback_for_once(simulator: Simulator, tmp_path: Path) -> None:
    """A sync with a longer lookback brings rows that came later than the usual one reaches; the next is as before."""
    file = tmp_path / "replica.duckdb"
    finished(reiterate.sync(**settings(simulator, file)))
    late = dict(simulator.truth("email_open")[0])
    late |= {"createdAt": f"{datetime.now(UTC) - timedelta(hours=30):%Y-%m-%d %H:%M:%S} +00:00", "messageId": "late"}
    simulator.world.add_events("emailOpen", [late])
    finished(reiterate.sync(**settings(simulator, file)))
    assert {"email_open": (1, 0)} == replica.differences(file, simulator)
    finished(reiterate.sync(**settings(simulator, file, lookback="2d")))
    assert {} == replica.differences(file, simulator)
