"""A local Iterable over real HTTP: an invented brand's project, its limits and its faults."""

from __future__ import annotations

from reiterate.simulator.fault_text import WrongFault, fault_of_rule, fault_of_text
from reiterate.simulator.options import Fault, ServerOptions, WorldOptions
from reiterate.simulator.server import Simulator, serve

__all__ = [
    "Fault",
    "ServerOptions",
    "Simulator",
    "WorldOptions",
    "WrongFault",
    "fault_of_rule",
    "fault_of_text",
    "serve",
]
