"""A read that would take most of a table: it stays, the sync says so and ends with 3, and a person may accept it."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import reiterate as library
from reiterate.errors import MostRowsGone, SettingsError
from reiterate.flow import RunFinished, Status
from reiterate.simulator import Fault, ServerOptions, Simulator, WorldOptions
from tests import replica
from tests.cli.command import reiterate
from tests.conftest import KEY, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE = Path("iterable.duckdb")
TABLES = ("channels", "list_users", "users")
NEWSLETTER = 3310201


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A project of 400 users, 240 of which get the newsletter."""
    world = WorldOptions(days=1, events_per_day=50, users=400)
    with Simulator(world, ServerOptions(api_key=KEY)) as simulator:
        yield simulator


def flags(simulator: Simulator) -> tuple[str, ...]:
    day = datetime.fromtimestamp(simulator.world.start_s, UTC)
    return "--start-date", f"{day:%m/%d/%Y}", "--tables", ",".join(TABLES)


def counts() -> dict[str, int]:
    return {table: replica.execute(FILE, f"SELECT count(*) FROM {table}")[0][0] for table in TABLES}


def all_but_one_left(simulator: Simulator) -> int:
    """Let one member of the newsletter be left; return how many were there."""
    names = [
        name for row in simulator.truth("list_users") if row["listId"] == NEWSLETTER for name in list(row.values())[1:]
    ]
    where = {"listId": str(NEWSLETTER)}
    simulator.set_faults([Fault("/api/lists/getUsers", "status", where=where, status=200, body=f"{names[0]}\n")])
    return len(names)


def test_a_list_that_lost_most_of_its_members(simulator: Simulator) -> None:
    """The list stays and the command that lets it go is named, with its number and no other; the rest is up to date."""
    assert 0 == reiterate("sync", *flags(simulator), simulator=simulator).status
    before = counts()
    gone = all_but_one_left(simulator) - 1
    for wrong in ([], ["--dry-run"], ["--accept", f"list_users:{gone - 1}", "--accept", "users:7"]):
        ended = reiterate("sync", *flags(simulator), *wrong, simulator=simulator)
        assert 3 == ended.status
        assert [f"list_users:{gone}"] == re.findall(
            r"reiterate sync --accept (\S+)\n", ended.out.partition("Some ")[0]
        )[-1:]
        assert before == counts()
    assert 0 == reiterate("verify", *flags(simulator), simulator=simulator).status
    assert f"--accept list_users:{gone}" in reiterate("status", *flags(simulator), simulator=simulator).out
    accept = ("--accept", f"list_users:{gone}", "--json-logs")
    assert 0 == reiterate("sync", *flags(simulator), *accept, simulator=simulator).status
    assert before | {"list_users": before["list_users"] - gone} == counts()
    assert 0 == reiterate("sync", *flags(simulator), simulator=simulator).status


def test_lists_that_are_no_longer_listed(simulator: Simulator) -> None:
    """An empty listing removes nothing; where some lists are left, these are read all the same."""
    assert 0 == reiterate("sync", *flags(simulator), simulator=simulator).status
    before = counts()
    simulator.set_faults([Fault("/api/lists", "status", status=200, body='{"lists": []}')])
    ended = reiterate("sync", *flags(simulator), "--json-logs", simulator=simulator)
    told = [json.loads(line) for line in ended.out.splitlines()]
    assert 3 == ended.status
    assert ["MostRowsGone"] == [one["error_type"] for one in told if one["event"] == "discovered"]
    assert ("partial", ["list_users"]) == (told[-1]["status"], told[-1]["failed_tables"])
    assert before == counts()
    left = [row for row in simulator.truth("lists") if row["id"] != NEWSLETTER]
    simulator.set_faults([Fault("/api/lists", "status", status=200, body=json.dumps({"lists": left}))])
    ended = reiterate("sync", *flags(simulator), simulator=simulator)
    gone = sum(row["listId"] == NEWSLETTER for row in simulator.truth("list_users"))
    assert (3, True) == (ended.status, f"--accept list_users:{gone}\n" in ended.out)
    assert before == counts()
    assert 0 == reiterate("sync", *flags(simulator), "--accept", f"list_users:{gone}", simulator=simulator).status
    assert before["list_users"] - gone == counts()["list_users"]


def finished(simulator: Simulator, **others: Any) -> RunFinished:
    *_, last = library.sync(**settings(simulator, FILE, **{"tables": TABLES} | others))
    assert isinstance(last, RunFinished)
    return last


def test_a_table_that_is_read_anew(simulator: Simulator) -> None:
    """A full refresh that would take most of a table leaves it as it is, and takes it once that is accepted."""
    finished(simulator)
    before = counts()
    row = simulator.truth("users")[0]
    body = json.dumps(row) + "\n"
    alone = Fault("/api/export/data.json", "status", where={"dataTypeName": "user"}, status=200, body=body)
    simulator.set_faults([Fault("/api/export/start", "status", status=403), alone])
    last = finished(simulator, full_refresh=["users"])
    (error,) = [error for table in last.tables for error in table.errors]
    assert isinstance(error, MostRowsGone)
    gone = before["users"] - 1
    assert (Status.PARTIAL, gone) == (last.status, error.facts["rows_that_go"])
    assert before == counts()
    last = finished(simulator, full_refresh=["users"], accept=[f"users:{gone}"])
    assert (Status.SUCCEEDED, 1) == (last.status, counts()["users"])


def test_only_what_is_held_makes_a_sync_partial(simulator: Simulator) -> None:
    """Where the brake held all that there was to do, a person should look: the run is partial, not failed."""
    finished(simulator, tables=["list_users"])
    simulator.set_faults([Fault("/api/lists", "status", status=200, body='{"lists": []}')])
    assert Status.PARTIAL is finished(simulator, tables=["list_users"]).status


def test_several_destinations(simulator: Simulator, tmp_path: Path) -> None:
    """Each destination keeps its rows; what is accepted holds for all."""
    both = [str(tmp_path / "a.duckdb"), str(tmp_path / "b.duckdb")]
    finished(simulator, destination=both)
    gone = all_but_one_left(simulator) - 1
    assert Status.PARTIAL is finished(simulator, destination=both).status
    query = "SELECT count(*) FROM list_users"
    (kept,), *_ = replica.execute(Path(both[0]), query)
    assert [(kept,)] == replica.execute(Path(both[1]), query)
    assert Status.SUCCEEDED is finished(simulator, destination=both, accept=[f"list_users:{gone}"]).status
    assert [[(kept - gone,)]] * 2 == [replica.execute(Path(one), query) for one in both]


@pytest.mark.parametrize(
    "wrong", ["list_users", "list_users:", "list_users:-1", "list_users:1e3", ":5", "nobody:5", "lists:5"]
)
def test_what_cannot_be_accepted(simulator: Simulator, wrong: str) -> None:
    """What names no table of the sync, or no number, is a wrong setting: nothing is asked, nothing changes."""
    ended = reiterate("sync", *flags(simulator), "--accept", wrong, simulator=simulator)
    assert (2, True) == (ended.status, "accept" in ended.err)
    with pytest.raises(SettingsError):
        finished(simulator, accept=wrong)
    assert [] == simulator.requests
    assert not FILE.exists()
