"""
Datasets of the version before are synced on, in every destination, without a change by hand.

``tests/upgrade/make.py`` says what is in them. The simulator's clock shows an hour after the first run of each, however
late it is now, so facts that were made with a clock 3 hours ahead reach into its future.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from reiterate.simulator import ServerOptions, Simulator
from tests.conftest import KEY
from tests.upgrade import places, project

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tests.upgrade.places import Place

CHOSEN = (*places.TABLES, places.NEVER_READ)
AFTER = timedelta(hours=1)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """The project as it was when the datasets were left, its export jobs included, and some changes since."""
    options = project.options(places.PROJECT)
    assert options.end is not None
    now = options.end + AFTER
    server = ServerOptions(api_key=KEY, clock_skew_s=now.timestamp() - time.time(), job_seconds=0.05)
    with Simulator(options, server) as simulator:
        project.restore(simulator.world, places.PROJECT)
        for asked in project.jobs(places.PROJECT):
            start_job(simulator, asked)
        project.change(simulator.world, now)
        yield simulator


def start_job(simulator: Simulator, asked: dict[str, str]) -> None:
    url, headers = f"{simulator.url}/api/export/start", {"Api-Key": KEY, "Content-Type": "application/json"}
    urllib.request.urlopen(urllib.request.Request(url, json.dumps(asked).encode(), headers)).close()


@pytest.fixture(params=places.PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """A dataset of the version before."""
    directory = tmp_path / "destination"
    directory.mkdir()
    with closing(places.PLACES[request.param](directory)) as place:
        place.restore()
        yield place


def run(
    command: str, place: Place, simulator: Simulator, *flags: str, tables: Iterable[str] = CHOSEN, before: str = ""
) -> tuple[int, str]:
    """Return how a command ended, and what it said; *before* it the process does something else."""
    reach = {"ITERABLE_API_KEY": KEY, "ITERABLE_BASE_URL": simulator.url, "REITERATE_RATE_LIMIT_FACTOR": "1000000"}
    chosen = ("--connection", "shop", "--destination", place.url, "--tables", ",".join(tables))
    done = subprocess.run(
        [sys.executable, "-c", f"{before}\n{place.program}", command, *chosen, *flags],
        env={**os.environ, **reach, **place.environ, "REITERATE_CONFIG": str(places.CONFIG)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout


def test_a_newer_dataset_is_refused(place: Place, simulator: Simulator) -> None:
    """What a newer version has written is left alone, with status 2 and the version that it takes."""
    place.own("CREATE TABLE _reiterate_format_version (format BIGINT, reiterate_version VARCHAR, since TIMESTAMP)")
    place.own("INSERT INTO _reiterate_format_version VALUES (99, '9.9.9', NULL)")
    before = place.content()
    status, said = run("sync", place, simulator)
    assert 2 == status, said
    assert "This dataset was written by Reiterate 9.9.9; upgrade this machine." in said
    assert before == place.content()
    assert [] == [seen.path for seen in simulator.requests if not seen.path.endswith("/start")]
