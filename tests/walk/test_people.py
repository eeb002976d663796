"""Users who are merged or renamed: their events stay the events that they were, whoever they belong to now."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import reiterate
from reiterate.flow import RunFinished, Status
from tests import replica
from tests.conftest import settings

if TYPE_CHECKING:
    from pathlib import Path

    from reiterate.simulator import Simulator

OF_MESSAGES = ["email_send", "email_open", "email_click"]


def ids(file: Path) -> set[str]:
    tables = " UNION ALL ".join(f"SELECT _event_id FROM {table}" for table in OF_MESSAGES)
    return {event_id for (event_id,) in replica.execute(file, tables)}


def numbers(events: Any) -> list[tuple[int, int, int]]:
    """Return how many rows a run that succeeded has added, changed and removed in each table."""
    *_, last = events
    assert isinstance(last, RunFinished)
    assert Status.SUCCEEDED is last.status
    return [(one.added, one.changed, one.removed) for one in last.tables]


def read_again(simulator: Simulator, file: Path) -> int:
    """Read all tables again; return how many rows changed, for nothing else may happen."""
    found = [one for table in OF_MESSAGES for one in numbers(reiterate.resync(table, **wanted(simulator, file)))]
    assert {(0, 0)} == {(added, removed) for added, _, removed in found}
    return sum(changed for _, changed, _ in found)


def wanted(simulator: Simulator, file: Path) -> dict[str, Any]:
    return settings(simulator, file, tables=OF_MESSAGES)


def check(simulator: Simulator, file: Path) -> None:
    """Let ``verify`` find neither problems nor rows that only one side has."""
    found = list(reiterate.verify(**wanted(simulator, file), source=True, sample=3))
    assert len(OF_MESSAGES) == len(found)
    assert [((), ())] * len(found) == [(one.problems, one.notes) for one in found]


def test_merged_and_renamed_users(simulator: Simulator, tmp_path: Path) -> None:
    """One address after the other goes to another user, one comes back: no event is doubled, lost or called anew."""
    file = tmp_path / "replica.duckdb"
    numbers(reiterate.sync(**wanted(simulator, file)))
    before = ids(file)
    clicks = Counter(row["email"] for row in simulator.truth("email_click"))
    (first, _), (second, _), (third, _) = clicks.most_common(3)
    simulator.merge_users(first, second)
    check(simulator, file)
    assert clicks[first] <= read_again(simulator, file)
    simulator.change_email(second, second.upper())
    simulator.merge_users(second.upper(), third)
    check(simulator, file)
    assert clicks[first] + clicks[second] <= read_again(simulator, file)
    simulator.change_email(third, first)
    assert clicks[first] + clicks[second] + clicks[third] <= read_again(simulator, file)
    assert 0 == read_again(simulator, file)
    assert before == ids(file)
    check(simulator, file)
    assert {} == replica.differences(file, simulator, OF_MESSAGES)
