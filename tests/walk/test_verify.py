"""A replica that is whole is found so, and one wrong row is found out."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import reiterate
from reiterate.errors import SettingsError, Unauthorized
from reiterate.simulator import ServerOptions, Simulator, WorldOptions
from tests import replica
from tests.cli.command import reiterate as command
from tests.conftest import KEY, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

OLD = f"'{datetime.now(UTC).date() - timedelta(days=1)}'"


def sync(simulator: Simulator, file: Path) -> None:
    *_, _ = reiterate.sync(**settings(simulator, file))


def problems(simulator: Simulator, file: Path, **others: Any) -> dict[str, str]:
    found = list(reiterate.verify(**settings(simulator, file), **others))
    assert 16 == len(found)
    assert not any(one.error for one in found)
    return {one.table.name: "; ".join(one.problems) for one in found if one.problems}


def test_no_false_alarm(tmp_path: Path) -> None:
    """Late and changed rows, deleted users and lists that are gone, over several syncs, are nothing wrong."""
    file = tmp_path / "replica.duckdb"
    with Simulator(WorldOptions(days=2, events_per_day=100, seed=11), ServerOptions(api_key=KEY)) as simulator:
        for number in range(3):
            sync(simulator, file)
            asked = len(simulator.requests)
            assert {} == problems(simulator, file)
            assert asked == len(simulator.requests)
            assert {} == problems(simulator, file, source=True)
            simulator.mutate(fraction=0.05, seed=number)
            simulator.world.delete_user(simulator.truth("email_open")[number]["email"])
            simulator.world.lists.pop()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Simulator, Path]]:
    """A project, and a replica of it that nobody damages: tests take copies."""
    file = tmp_path_factory.mktemp("whole") / "replica.duckdb"
    with Simulator(WorldOptions(days=3, events_per_day=300, seed=11), ServerOptions(api_key=KEY)) as simulator:
        sync(simulator, file)
        yield simulator, file


@pytest.mark.parametrize(
    ("damage", "table", "message"),
    [
        (f"DELETE FROM email_open WHERE created_at < {OLD}", "email_open", "reiterate resync email_open --from"),
        ("INSERT INTO email_click SELECT * FROM email_click LIMIT 1", "email_click", "1 rows repeat the identity"),
        ("DELETE FROM users WHERE rowid = 0", "users", "where"),
        ("DELETE FROM channels WHERE rowid = 0", "channels", "8 rows, where 9 were loaded"),
        ("DELETE FROM list_users WHERE list_id = 3310201", "list_users", "0 rows in listId 3310201"),
        ("DELETE FROM metadata WHERE \"table\" = 'stores'", "metadata", "0 rows in table stores"),
    ],
)
def test_wrong_rows_are_found(
    whole: tuple[Simulator, Path], tmp_path: Path, damage: str, table: str, message: str
) -> None:
    """Rows that were lost or doubled behind our back are found, where they are, without asking Iterable."""
    simulator, file = whole[0], Path(shutil.copy(whole[1], tmp_path))
    replica.execute(file, damage)
    found = problems(simulator, file)
    assert {table} == found.keys()
    assert message in found[table]


def test_the_source_finds_what_the_ledger_cannot(simulator: Simulator, tmp_path: Path) -> None:
    """A row that took the place of another keeps the count; only a look at Iterable tells."""
    file = tmp_path / "replica.duckdb"
    sync(simulator, file)
    replica.execute(
        file, f"UPDATE email_send SET _event_id = _event_id || 'x', message_id = 'x' WHERE created_at < {OLD}"
    )
    assert {} == problems(simulator, file)
    found = problems(simulator, file, source=True, sample=5)
    assert {"email_send"} == found.keys()
    assert "rows of Iterable are missing" in found["email_send"]


def test_what_was_purged_is_told(simulator: Simulator, tmp_path: Path) -> None:
    """Rows that Iterable no longer has are no problem, but worth a note."""
    file = tmp_path / "replica.duckdb"
    sync(simulator, file)
    for row in simulator.truth("email_send")[::3]:
        simulator.world.delete_user(row["email"])
    found = list(reiterate.verify(**settings(simulator, file), source=True, sample=5))
    assert not any(one.problems for one in found)
    assert any("no longer at Iterable" in note for one in found for note in one.notes)


def test_from_the_command_line(simulator: Simulator, tmp_path: Path) -> None:
    """`verify` tells table by table, names what mends it, and ends with a status that a scheduler understands."""
    file = tmp_path / "iterable.duckdb"
    flags: tuple[str, ...] = ("--start-date", f"{datetime.fromtimestamp(simulator.world.start_s, UTC):%m/%d/%Y}")
    flags += ("--tables", "documented")
    assert 2 == command("verify", *flags, simulator=simulator).status
    sync(simulator, file)
    flags += ("--destination", str(file))
    well = command("verify", "--source", *flags, simulator=simulator)
    assert (0, 16) == (well.status, well.out.count(" ok"))
    replica.execute(file, f"DELETE FROM email_open WHERE created_at < {OLD}")
    ended = command("verify", *flags, simulator=simulator)
    assert 3 == ended.status
    assert "reiterate resync email_open" in ended.out
    told = json.loads(command("verify", "--json", *flags, simulator=simulator).out)
    assert ["email_open"] == [one["table"] for one in told if one["problems"]]


def test_what_cannot_be_compared(simulator: Simulator, tmp_path: Path) -> None:
    """Without a sync there is nothing to compare; without a way to Iterable only the ledger."""
    file = tmp_path / "replica.duckdb"
    with pytest.raises(SettingsError, match="Nothing was synced yet"):
        list(reiterate.verify(**settings(simulator, file)))
    sync(simulator, file)
    (one,) = reiterate.verify(**settings(simulator, file, tables="email_open") | {"api_key": "no"}, source=True)
    assert isinstance(one.error, Unauthorized)
    assert not one.problems
