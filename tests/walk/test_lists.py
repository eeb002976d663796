"""Users of many lists: list by list, some that cannot be read, and syncs that are cut short."""

from __future__ import annotations

from fnmatch import fnmatchcase
from threading import Event as Flag
from typing import TYPE_CHECKING, Any

import pytest

import reiterate
from reiterate.flow import Discovered, Loaded, Part, RunFinished, Started, Status
from reiterate.simulator import Fault, ServerOptions, Simulator, WorldOptions
from tests import replica
from tests.conftest import KEY, settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from reiterate.flow import Event

SEGMENTS = 60
POISONED = [3310210, 3310215, 3310233, 3310250, 3310260]


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """67 lists, 5 of which answer 500 for good."""
    poison = tuple(Fault("/api/lists/getUsers", "status", where={"listId": str(one)}) for one in POISONED)
    world = WorldOptions(days=1, events_per_day=60, seed=9, segments=SEGMENTS)
    with Simulator(world, ServerOptions(api_key=KEY, faults=poison)) as simulator:
        yield simulator


def chosen(simulator: Simulator, file: Path, **others: Any) -> dict[str, Any]:
    return settings(simulator, file, tables=["list_users"], **others)


def values(events: list[Event], kind: type[Loaded | Started]) -> list[int]:
    """Return the lists that *events* of a kind are about, in order."""
    return [int(e.task.scope.value) for e in events if isinstance(e, kind) and isinstance(e.task.scope, Part)]


def lacking(simulator: Simulator, lists: list[int]) -> int:
    return sum(row["listId"] in lists for row in simulator.truth("list_users"))


def test_poisoned_lists_are_reported_and_the_others_arrive(simulator: Simulator, tmp_path: Path) -> None:
    """The good lists arrive; the poisoned are told with their reason, and tried last."""
    file = tmp_path / "replica.duckdb"
    *events, last = reiterate.sync(**chosen(simulator, file))
    assert isinstance(last, RunFinished)
    assert Status.PARTIAL is last.status
    assert SEGMENTS + 7 - 5 == len(values(events, Loaded))
    assert {"list_users": (lacking(simulator, POISONED), 0)} == replica.differences(file, simulator, ["list_users"])
    (status,) = reiterate.status(**chosen(simulator, file)).tables
    assert {str(one) for one in POISONED} == {refusal.part for refusal in status.refusals}
    assert all("Iterable had an error." in refusal.reason for refusal in status.refusals)
    simulator.set_faults([])
    again = list(reiterate.sync(**chosen(simulator, file)))
    assert {*POISONED} == {*values(again, Started)[-5:]}
    assert {} == replica.differences(file, simulator, ["list_users"])
    assert () == reiterate.status(**chosen(simulator, file)).tables[0].refusals


def test_a_sync_that_was_cut_short_is_gone_on_with(simulator: Simulator, tmp_path: Path) -> None:
    """The next sync begins with the lists that the last one did not reach."""
    file = tmp_path / "replica.duckdb"
    stop = Flag()
    read: list[int] = []
    for event in reiterate.sync(**chosen(simulator, file), stop=stop):
        if isinstance(event, Loaded):
            read += values([event], Loaded)
            if len(read) == 30:
                stop.set()
    simulator.set_faults([])
    again = values(list(reiterate.sync(**chosen(simulator, file))), Started)
    left = SEGMENTS + 7 - len(read)
    assert not {*read} & {*again[: left - 5]}
    assert {} == replica.differences(file, simulator, ["list_users"])


def test_a_round_of_many_lists_does_not_start_over(simulator: Simulator, tmp_path: Path) -> None:
    """Where reading all lists takes longer than an hour, a second sync reads only what the first did not reach."""
    file = tmp_path / "replica.duckdb"
    *_, _ = reiterate.sync(**chosen(simulator, file))
    stop = Flag()
    found = []
    for event in reiterate.sync(**chosen(simulator, file, rate_limit_factor=0.01), stop=stop):
        if isinstance(event, Discovered):
            found.append(event)
            stop.set()
    (discovered,) = found
    assert SEGMENTS + 7 - 5 == discovered.fresh
    assert {*POISONED} == {task.scope.value for task in discovered.into if isinstance(task.scope, Part)}


def test_members_are_as_they_are(simulator: Simulator, tmp_path: Path) -> None:
    """Members that differ by a blank or by U+00A0 are two; only the ends of lines are taken off."""
    file = tmp_path / "replica.duckdb"
    simulator.set_faults([])
    odd = {
        "u-1",
        "u-1\u00a0",
        "\u00a0u-1",
        " u-1",
        " ",
        "u-1 ",
        "\u2003",
        "A@example.com",
        "a@example.com",
        "a@example.com ",
    }
    simulator.world.members[3310201] |= odd
    *_, _ = reiterate.sync(**chosen(simulator, file))
    found = replica.execute(file, "SELECT coalesce(email, user_id) FROM list_users WHERE list_id = 3310201")
    assert odd < {name for (name,) in found}


def test_only_chosen_lists(simulator: Simulator, tmp_path: Path) -> None:
    """With `lists`, those alone are read, by id or by name; members of others are not kept."""
    file = tmp_path / "replica.duckdb"
    config = tmp_path / "reiterate.toml"
    config.write_text(
        '[connections.shop]\n[connections.shop.table.list_users]\nlists = [3310202, "Segment 1?", "Newsletter*"]\n',
        encoding="utf-8",
    )
    simulator.set_faults([])
    *_, _ = reiterate.sync(**chosen(simulator, file))
    asked = len(simulator.requests)
    events = list(reiterate.sync("shop", config=config, **chosen(simulator, file) | {"dataset": "chosen"}))
    patterns = ("Segment 1?", "Newsletter*")
    lists = simulator.world.lists
    wanted = {each["id"] for each in lists if any(fnmatchcase(each["name"], one) for one in patterns)} | {3310202}
    assert 12 == len(wanted)
    assert wanted == {*values(events, Loaded)}
    assert len(wanted) == sum(seen.path.endswith("getUsers") for seen in simulator.requests[asked:])
