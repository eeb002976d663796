"""A project for tests that only read, and a client for it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from reiterate.simulator import ServerOptions, Simulator, WorldOptions
from reiterate.simulator.world import World
from tests.conftest import KEY
from tests.simulator.client import Client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reiterate.simulator.options import ProjectType

END = datetime(2025, 6, 1, tzinfo=UTC)


@pytest.fixture(scope="package")
def shop() -> Iterator[Simulator]:
    """The project that the options have by default; nothing may change it."""
    with Simulator(WorldOptions(end=END), ServerOptions(api_key=KEY)) as simulator:
        yield simulator


@pytest.fixture
def client(shop: Simulator) -> Client:
    return Client(shop.url, token=shop.control_token)


@pytest.fixture
def small() -> Iterator[Simulator]:
    """A small project that a test may change: 2 days of 200 events."""
    with Simulator(WorldOptions(days=2, events_per_day=200, end=END), ServerOptions(api_key=KEY)) as simulator:
        yield simulator


@pytest.fixture(scope="package")
def worlds() -> dict[str, World]:
    """A project of each type, without a server; nothing may change them."""
    kinds: tuple[ProjectType, ...] = ("email", "hybrid", "userid")
    return {kind: World(WorldOptions(days=2, events_per_day=500, end=END, project_type=kind)) for kind in kinds}
