"""What many tests need: a simulated project, and the settings to reach it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from reiterate.simulator import ServerOptions, Simulator, WorldOptions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "5ca1ab1e0ddba11deadbeefcafef00d5"


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Tests see no settings of the person who runs them."""
    for name in ("ITERABLE_API_KEY", "ITERABLE_BASE_URL", "REITERATE_CONFIG", "REITERATE_CONNECTION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A small project: 3 days of 300 events."""
    with Simulator(WorldOptions(days=3, events_per_day=300, seed=11), ServerOptions(api_key=KEY)) as simulator:
        yield simulator


def settings(simulator: Simulator, file: Path | str, **others: Any) -> dict[str, Any]:
    """Return the settings that replicate the documented tables into *file*, as fast as *simulator* answers."""
    return {
        "api_key": KEY,
        "api_address": simulator.url,
        "start_date": datetime.fromtimestamp(simulator.world.start_s, UTC).date(),
        "rate_limit_factor": 1_000_000.0,
        "destination": str(file),
        "tables": "documented",
        **others,
    }
