"""Three seeds of chaos end in exactly the truth, and chaos that does not would be noticed; `make chaos` plays 200."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import replica
from tests.chaos import driver
from tests.chaos.scenario import DISTURBANCES, FAULTS, KINDS, scenario

if TYPE_CHECKING:
    from pathlib import Path

    from tests.chaos.scenario import Scenario

SEEDS = range(3)


@pytest.mark.parametrize("seed", SEEDS)
def test_seed_ends_in_the_truth(seed: int, tmp_path: Path) -> None:
    """Whatever happened before, one clean sync gives exactly the truth, and no limit was exceeded."""
    assert [] == driver.run(scenario(seed), tmp_path).problems


def test_a_seed_is_a_scenario() -> None:
    """The same seed gives the same scenario, another one another; together they have every fault and disturbance."""
    plots = [scenario(seed) for seed in range(200)]
    assert plots == [scenario(seed) for seed in range(200)]
    assert 200 == len({*map(str, plots)})
    assert {*FAULTS} == {name for plot in plots for name in plot.fault_names}
    for destination, kinds in DISTURBANCES.items():
        here = [plot for plot in plots if plot.destination == destination]
        assert {*kinds} == {each.kind for plot in here for each in plot.disturbances}
    assert {*KINDS} == {kind for plot in plots for kind in plot.kinds}
    assert [] == [plot for plot in plots if not plot.kinds]


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM email_send WHERE message_id = (SELECT min(message_id) FROM email_send)",
        "INSERT INTO email_send SELECT * FROM email_send LIMIT 1",
        "UPDATE users SET first_name = 'Nobody' WHERE rowid = (SELECT min(rowid) FROM users)",
        "UPDATE list_users SET list_id = 1 WHERE rowid = (SELECT min(rowid) FROM list_users)",
    ],
)
def test_one_wrong_row_is_noticed(damage: str, tmp_path: Path) -> None:
    """One row that is lost, doubled or changed makes the comparison fail."""
    plot = scenario(0)
    with driver.project(plot) as simulator:
        sync = driver.Sync(simulator, tmp_path, plot, driver.Outcome(plot))
        assert 0 == sync.clean()
        assert {} == replica.differences(sync.file, simulator)
        replica.execute(sync.file, damage)
        assert 1 == len(replica.differences(sync.file, simulator))


def test_what_must_not_be_said_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sync that hangs, or prints what it must not, is a problem."""
    plot: Scenario = scenario(0)
    monkeypatch.setattr(driver, "PATIENCE_S", 0.01)
    outcome = driver.Outcome(plot)
    with driver.project(plot) as simulator:
        driver.Sync(simulator, tmp_path, plot, outcome).clean()
    assert 1 == len(outcome.problems)
    assert "did not end" in outcome.problems[0]
