"""What happens to one project and its syncs, drawn from a seed: pure, and the same for the same seed."""

from __future__ import annotations

import signal
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Literal

from reiterate.simulator import Fault, ServerOptions, WorldOptions
from tests.conftest import KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Destination = Literal["DuckDB", "PostgreSQL"]

HTML = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
UNLIMITED = 1_000_000.0
LONGEST_RUN_S = 2.5
"""About what a sync of such a project takes: what happens to it, happens within."""

ANY, EXPORTS, START, FILES, STORAGE = (
    *("/api/*", "/api/export/data.json", "/api/export/start", "/api/export/*/files", "/storage/*"),
)

PASSED_OFF: dict[str, Callable[[Random], Fault]] = {
    "200 with an error object": lambda _: Fault(ANY, "error_object"),
    "200 with an error object behind rows": lambda _: Fault(ANY, "error_after_rows"),
    "200 with HTML": lambda _: Fault(ANY, "html"),
    "200 with an error object in a file": lambda _: Fault(STORAGE, "error_after_rows"),
    "200 with HTML in a file": lambda _: Fault(STORAGE, "html"),
}
"""Answers that say that they are one, and are none."""

CUT: dict[str, Callable[[Random], Fault]] = {
    "cut": lambda _: Fault(EXPORTS, "cut"),
    "cut in a row": lambda _: Fault(EXPORTS, "cut_row"),
    "cut in a letter": lambda _: Fault(ANY, "cut_letter"),
    "cut anywhere": lambda _: Fault(ANY, "cut_row"),
    "cut without a length": lambda _: Fault(ANY, "no_length_cut"),
    "cut in a member of gzip": lambda _: Fault(ANY, "gzip_cut_member"),
    "file cut": lambda _: Fault(STORAGE, "cut_row"),
    "file cut in a letter": lambda _: Fault(STORAGE, "cut_letter"),
}
"""Answers whose end is missing."""

FAULTS: dict[str, Callable[[Random], Fault]] = {
    **PASSED_OFF,
    **CUT,
    "gzip of several members": lambda _: Fault(ANY, "gzip_members"),
    "429": lambda _: Fault(ANY, "status", status=429, body='{"msg":"Exceeded rate limit of 4.0 per minute "}'),
    "429 Retry-After": lambda _: Fault(ANY, "status", status=429, headers={"Retry-After": "0"}),
    "500": lambda _: Fault(ANY, "status", status=500),
    "502 HTML": lambda _: Fault(ANY, "status", status=502, body=HTML),
    "503": lambda _: Fault(ANY, "status", status=503, body=""),
    "504 HTML": lambda _: Fault(ANY, "status", status=504, body=HTML),
    "reset": lambda _: Fault(ANY, "reset"),
    "stall": lambda random: Fault(EXPORTS, "stall", seconds=random.uniform(0.05, 0.5)),
    "gzip": lambda _: Fault(ANY, "bad_gzip"),
    "drip": lambda random: Fault(ANY, "drip", seconds=random.uniform(0.05, 0.5)),
    "slow": lambda random: Fault(ANY, "slow", seconds=random.uniform(0.05, 0.3)),
    "total": lambda _: Fault("/api/*", "short_total"),
    "lists never answer": lambda random: Fault(
        "/api/lists/getUsers", "status", where={"listId": f"331020{random.randint(1, 7)}"}
    ),
    "job fails": lambda _: Fault(START, "job_fails"),
    "job restarts": lambda _: Fault(START, "job_restarts"),
    "job truncated": lambda _: Fault(START, "job_truncated"),
    "job hangs": lambda random: Fault(START, "job_hangs", seconds=random.uniform(0.1, 1.0)),
    "jobs refused": lambda _: Fault(
        START, "status", status=401, body='{"msg":"Disabled API key or insufficient privileges"}'
    ),
    "job states": lambda _: Fault(FILES, "status", status=503, body=HTML),
    "link expired": lambda _: Fault(STORAGE, "link_expired"),
    "file refused": lambda _: Fault(STORAGE, "status", status=503, body="<Error/>"),
}

EVERYWHERE = (
    *("SIGKILL", "SIGKILL", "SIGTERM", "SIGINT"),
    *("full disk", "network away", "clock jump", "clock wrong", "none"),
)
DISTURBANCES: Mapping[Destination, tuple[str, ...]] = {
    "DuckDB": (*EVERYWHERE, "spool damaged", "spool locked", "database locked"),
    "PostgreSQL": (*EVERYWHERE, "spool damaged", "connection ended", "connection ended"),
}
"""What may happen to a sync, by its destination."""

SIGNALS = {"SIGKILL": signal.SIGKILL, "SIGTERM": signal.SIGTERM, "SIGINT": signal.SIGINT}

AFTERWARDS = ("nothing", "nothing", "changes", "changes", "merge", "new address")
"""What may become of the project between two syncs."""

KINDS = ("false 200", "cut", "clock jump", "broken connection", "merge")
"""Of these every scenario has one at least."""

OF_KIND: Mapping[str, str] = {
    **dict.fromkeys(PASSED_OFF, "false 200"),
    **dict.fromkeys(CUT, "cut"),
    **dict.fromkeys(("clock jump", "clock wrong"), "clock jump"),
    **dict.fromkeys(("network away", "connection ended", "reset"), "broken connection"),
    **dict.fromkeys(("merge", "new address"), "merge"),
}
"""The kind of a fault, of a disturbance, or of what happens afterwards, where it is of one."""


@dataclass(frozen=True)
class Disturbance:
    """What happens to one sync, *at_s* seconds after it began; *amount* (0 to 1) says how much of it."""

    kind: str
    at_s: float
    amount: float
    afterwards: str
    """what becomes of the project then"""


@dataclass(frozen=True)
class Scenario:
    """A project, its server, what is wrong with it, and what happens to the syncs one after the other."""

    seed: int
    destination: Destination
    world: WorldOptions
    server: ServerOptions
    fault_names: tuple[str, ...]
    faults: tuple[Fault, ...]
    flags: tuple[str, ...]
    disturbances: tuple[Disturbance, ...]

    @property
    def kinds(self) -> list[str]:
        """Which of ``KINDS`` were drawn, as often as they were."""
        drawn = (name for each in self.disturbances for name in (each.kind, each.afterwards))
        return [OF_KIND[name] for name in (*self.fault_names, *drawn) if name in OF_KIND]

    def __str__(self) -> str:
        syncs = ", ".join(
            each.kind if each.afterwards == "nothing" else f"{each.kind} ({each.afterwards})"
            for each in self.disturbances
        )
        limits = " limits," if self.server.limits else ""
        return f"seed {self.seed}: {self.destination},{limits} faults: {', '.join(self.fault_names)}; syncs: {syncs}"


def scenario(seed: int) -> Scenario:
    """Return the scenario of *seed*."""
    random = Random(seed)
    factor = float(random.choice([100, 200])) if random.random() < 0.25 else UNLIMITED
    names = tuple(random.sample(sorted(FAULTS), random.randint(2, 6)))
    window_in_days = random.choice(["0.3", "1", "30"])
    destination: Destination = "PostgreSQL" if random.random() < 0.2 else "DuckDB"
    disturbances = [_disturbance(random, destination) for _ in range(random.randint(2, 4))]
    made = Scenario(
        seed=seed,
        destination=destination,
        world=WorldOptions(
            days=random.randint(1, 3),
            events_per_day=random.randint(60, 250),
            seed=seed,
            project_type=random.choice(["email", "hybrid", "userid"]),
            visibility_delay=False,
        ),
        server=ServerOptions(
            api_key=KEY,
            limits=factor != UNLIMITED,
            rate_limit_factor=factor,
            seed=seed,
            job_seconds=random.uniform(0.02, 0.4),
            job_file_bytes=random.choice([2_000, 20_000, 10_000_000]),
            job_page=random.randint(1, 10),
            clock_skew_s=random.uniform(-60, 60),
        ),
        fault_names=names,
        faults=tuple(_sometimes(FAULTS[name](random), random) for name in names),
        flags=("--window-in-days", window_in_days, "--rate-limit-factor", str(factor)),
        disturbances=tuple(disturbances),
    )
    return made if made.kinds else replace(made, disturbances=(*made.disturbances[:-1], _telling(random)))


def _sometimes(fault: Fault, random: Random) -> Fault:
    return Fault(**{**vars(fault), "probability": random.choice([0.03, 0.1, 0.3]), "times": random.choice([1, 5, 40])})


def _disturbance(random: Random, destination: Destination) -> Disturbance:
    return Disturbance(
        kind=random.choice(DISTURBANCES[destination]),
        at_s=random.uniform(0.3, LONGEST_RUN_S),
        amount=random.random(),
        afterwards=random.choice(AFTERWARDS),
    )


def _telling(random: Random) -> Disturbance:
    """Return a disturbance that is of one of the kinds for sure."""
    kind = random.choice(("network away", "clock jump", "clock wrong"))
    return Disturbance(kind, random.uniform(0.3, LONGEST_RUN_S), random.random(), random.choice(AFTERWARDS))
