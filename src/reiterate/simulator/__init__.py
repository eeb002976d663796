"""A local Iterable over real HTTP: an invented brand's project, its limits and its faults."""

from __future__ import annotations

from reiterate.simulator.options import Fault, ServerOptions, WorldOptions
from reiterate.simulator.server import Simulator, serve

__all__ = ["Fault", "ServerOptions", "Simulator", "WorldOptions", "serve"]
