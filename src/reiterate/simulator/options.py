"""What a simulated project holds, and how its server behaves."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any, Literal

from reiterate.simulator.fault_kinds import KINDS, PLACES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

ProjectType = Literal["email", "hybrid", "userid"]
"""How a project tells users apart (FACTS.md 14.2)."""


@dataclass(frozen=True)
class WorldOptions:
    """
    The invented brand; the same options give the same brand, byte for byte.

    *events_per_day* are the emails and what follows them; other media have a tenth as many besides, and at least one
    event of each data type. *end* (aware UTC, whole seconds) is when the last events happened: now, if it is not given.
    With *visibility_delay* a row shows 5 to 20 seconds after it happened, one in a hundred after 6 minutes (FACTS.md
    8.3).
    """

    days: int = 60
    events_per_day: int = 2000
    seed: int = 7
    end: datetime | None = None
    users: int | None = None
    """number of users; one for twenty events if not given"""
    campaigns: int = 48
    segments: int = 0
    """lists besides those that every brand has, of a person each"""
    project_type: ProjectType = "email"
    visibility_delay: bool = False
    not_offered: tuple[str, ...] = ()
    """data types that are refused with a 400, by their spelling: a project that does not offer ``unknownSession``
    knows ``anonSession`` alone, unless that is not offered either (FACTS.md 8.6)"""


@dataclass(frozen=True)
class Fault:
    """
    What goes wrong with requests whose path matches the glob *path* and whose parameters hold *where*.

    *kind* is one of :data:`~reiterate.simulator.fault_kinds.KINDS`. The first *skip* of the requests fare well, the
    next *times* do not (all, if *times* is nothing), each with *probability*. For a job, *where* looks at the members
    of the body that starts it. The other fields belong to the kinds that take them.
    """

    path: str
    kind: str
    where: Mapping[str, str] = field(default_factory=dict)
    skip: int = 0
    times: int | None = None
    probability: float = 1.0
    status: int | None = None
    body: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 1.0
    bytes: int = 100_000_000
    depth: int = 10_000
    host: str = "attacker.example"
    """a host with or without its port, or the text that an address begins with: ``https://…``, ``//…``, ``@…``"""
    place: str = "body"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"There is no fault {self.kind!r}; there are {', '.join(KINDS)}.")
        if self.place not in PLACES:
            raise ValueError(f"place is one of {', '.join(PLACES)}, not {self.place!r}.")
        if not self.path.startswith(("/", "*")):
            raise ValueError(f"path begins with / or *, not as {self.path!r}.")
        if not 0 <= self.probability <= 1:
            raise ValueError("probability is between 0 and 1.")
        if self.status is not None and not 200 <= self.status <= 599:
            raise ValueError("status is between 200 and 599.")
        if min(self.skip, self.times or 0, self.bytes, self.depth) < 0 or not 0 <= self.seconds < inf:
            raise ValueError("no number of it is below 0 or without end.")


@dataclass(frozen=True)
class ServerOptions:
    """
    The server: the key it wants, paths (prefixes) that the key has no right to, limits, faults.

    *rate_limit_factor* multiplies the documented limits; they are counted even when they are not enforced. With
    *certificate*, a PEM file that holds the private key too, the server speaks HTTPS.
    """

    api_key: str
    limits: bool = False
    rate_limit_factor: float = 1.0
    denied: tuple[str, ...] = ()
    faults: tuple[Fault | Mapping[str, Any], ...] = ()
    seed: int = 0
    certificate: Path | None = None
    job_seconds: float = 0.2
    """how long an export job runs"""
    job_file_bytes: int = 10_000_000
    job_page: int = 10
    """files that one look at a job shows"""
    job_limit_bytes: int = 100 * 10**9
    link_seconds: float = 1800.0
    clock_skew_s: float = 0.0
    """how far the server's clock, and its ``Date`` header, is ahead of this machine's"""
    control_token: str = ""
    """what ``/_simulator/`` wants in the header ``X-Control-Token``: a new one if empty; ``none`` wants nothing"""
    no_date: bool = False
    """answers have no ``Date`` header"""
    age: int | None = None
    """seconds in an ``Age`` header, as a cache in between adds it"""
