"""What a simulated project holds, and how its server behaves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

ProjectType = Literal["email", "hybrid", "userid"]
"""How a project tells users apart (FACTS.md 14.2)."""

FaultKind = Literal[
    "status",
    "reset",
    "stall",
    "cut",
    "cut_row",
    "cut_letter",
    "slow",
    "drip",
    "bad_gzip",
    "short_total",
    "job_fails",
    "job_restarts",
    "job_truncated",
    "job_hangs",
    "link_expired",
]


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

    The first *skip* of them fare well, the next *times* do not (all, if *times* is nothing), each with *probability*.

    - ``status``: answer *status* with *body* and *headers* (500 GenericError by default)
    - ``reset``: the connection is reset before an answer
    - ``stall``: the answer stops for *seconds* after its first part
    - ``cut``: the transfer stops in the middle without its end; ``cut_row``: the same inside a row;
      ``cut_letter``: inside a letter of several bytes
    - ``slow``: *seconds* pass before the answer
    - ``drip``: the body comes in small pieces, spread over *seconds*
    - ``bad_gzip``: a compressed body that is damaged
    - ``short_total``: the total of a listing is one too high
    - of a job that a POST to ``/api/export/start`` begins: ``job_fails`` after half its files, ``job_restarts`` from
      there, ``job_truncated`` has half its rows, ``job_hangs`` for *seconds* before it completes; *where* looks at
      the members of the body
    - ``link_expired``: the storage host (``/storage/*``) answers that the link has expired
    """

    path: str
    kind: FaultKind
    where: Mapping[str, str] = field(default_factory=dict)
    skip: int = 0
    times: int | None = None
    probability: float = 1.0
    status: int = 500
    body: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 1.0

    @classmethod
    def of(cls, rule: Fault | Mapping[str, Any]) -> Fault:
        """Return a fault as it stands in a file of faults: the fields above as a JSON object."""
        return rule if isinstance(rule, Fault) else cls(**rule)


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
    """how much the server's clock is ahead of ours"""
