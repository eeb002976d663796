"""What many tests need: a simulated project, and the settings to reach it."""

from __future__ import annotations

import signal
from contextlib import closing
from datetime import UTC, datetime
from importlib import resources
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from reiterate.simulator import ServerOptions, Simulator, WorldOptions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "5ca1ab1e0ddba11deadbeefcafef00d5"


def pytest_configure() -> None:
    """Let processes that tests start hear Ctrl-C: one that a shell has put in the background would ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let whoever has more time ask for more."""
    parser.addoption(
        "--kills", type=int, default=4, help="how often a sync into each kind of destination is killed (4)"
    )


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    """How often a sync is killed in one test; `make chaos` wants 10."""
    return int(request.config.getoption("kills"))


@pytest.fixture(autouse=True)
def _no_settings_from_outside(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Tests see no settings of the person who runs them, and no requests of each other."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
    for name in ("ITERABLE_API_KEY", "ITERABLE_BASE_URL", "REITERATE_CONFIG", "REITERATE_CONNECTION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home directory in which DuckDB finds its extensions, installed as a person without network does it."""
    directory = tmp_path_factory.mktemp("home")
    config: dict[str, Any] = {"extension_directory": str(directory / ".duckdb" / "extensions")}
    for name in ("ducklake", "postgres_scanner"):
        files = resources.files(f"duckdb_extension_{name}") / "extensions" / f"v{duckdb.__version__}"
        with closing(duckdb.connect(config=config)) as database:
            database.execute(f"INSTALL '{files}/{name}.duckdb_extension'")
    return directory


@pytest.fixture(autouse=True)
def _extensions(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of DuckLake have the extensions, in processes that they start, too."""
    if request.node.get_closest_marker("ducklake"):
        monkeypatch.setenv("HOME", str(request.getfixturevalue("home")))


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
