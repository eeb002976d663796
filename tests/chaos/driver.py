"""
One scenario for real: a server, syncs as processes of their own, and what happens to them.

After all that, with the faults gone, one clean sync must give exactly the truth, and another must find nothing to do.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from threading import Thread
from typing import TYPE_CHECKING, Any

import duckdb
import psycopg

from reiterate.simulator import Fault, Simulator
from tests import postgres, replica
from tests.chaos.scenario import SIGNALS, scenario
from tests.conftest import KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.chaos.scenario import Disturbance, Scenario

PATIENCE_S = 120.0
"""A sync that has not ended by then hangs."""

PROGRAM = ("-m", "reiterate")
WRONG_CLOCK = Path(__file__).with_name("wrong_clock.py")

LONGEST_JUMP_S = 6 * 3600.0
"""So far ahead or behind a wrong clock may be."""

DONE_OR_NOT = {0, 1, 2, 3, 4, 130, 143, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT}
"""How a disturbed sync may end: by itself, whatever it could do, or by its signal."""

CLOCK_S = 2.0
"""Iterable's clock shows whole seconds."""

LATEST = "SELECT extract(epoch FROM greatest(max(window_end), max(read_at))) FROM _reiterate_reads"

AWAY = (Fault("/*", "reset"),)


@dataclass
class Outcome:
    """How a scenario ended; *problems* are what must never be."""

    scenario: Scenario
    statuses: list[int] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    renamed: list[tuple[dict[str, Any], dict[str, Any]]] = field(default_factory=list)
    """who was merged or got another address, before and after"""
    seconds: float = 0.0

    def __str__(self) -> str:
        ended = " ".join(map(str, self.statuses))
        said = "exactly the truth" if not self.problems else "; ".join(self.problems)
        return f"{self.scenario} (ended {ended}), {self.seconds:.1f} s: {said}"


def play(seed: int) -> Outcome:
    """Play the scenario of *seed* in a directory of its own."""
    with tempfile.TemporaryDirectory() as directory:
        return run(scenario(seed), Path(directory))


def run(plot: Scenario, directory: Path) -> Outcome:
    """Play *plot* in *directory*, an empty one."""
    began = time.monotonic()
    outcome = Outcome(plot)
    with project(plot) as simulator:
        sync = Sync(simulator, directory, plot, outcome)
        for number, disturbance in enumerate(plot.disturbances):
            simulator.set_faults(plot.faults)
            outcome.statuses.append(sync.disturbed(disturbance))
            _check_future(sync, outcome)
            outcome.renamed += _go_on(simulator, disturbance.afterwards, seed=plot.seed * 10 + number)
        simulator.set_faults(())
        _check_clean(sync, outcome)
        _check_again(sync, outcome)
        if report := simulator.limit_report():
            outcome.problems.append(f"limits exceeded: {report}")
    outcome.seconds = time.monotonic() - began
    return outcome


def project(plot: Scenario) -> Simulator:
    """Return the project; its last events have happened by Iterable's clock, not by ours."""
    end = datetime.now(UTC) + timedelta(seconds=plot.server.clock_skew_s - 2)
    return Simulator(replace(plot.world, end=end), plot.server)


def _go_on(simulator: Simulator, what: str, *, seed: int) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Let the project become another; return who was renamed, before and after."""
    random = Random(seed)
    one, other = random.sample(simulator.world.people, 2)
    before = one.who
    match what:
        case "changes":
            simulator.mutate(fraction=0.02, seed=seed)
            return []
        case "new address" if "email" in before:
            simulator.change_email(before["email"], f"moved.{seed}@example.com")
            return [(before, one.who)]
        case "merge" | "new address":
            simulator.merge_users(one.list_name, other.list_name)
            return [(before, other.who)]
        case _:
            return []


def _check_future(sync: Sync, outcome: Outcome) -> None:
    """Make sure that no window counts as read beyond what Iterable's clock shows."""
    now_s = time.time() + outcome.scenario.server.clock_skew_s + CLOCK_S
    with suppress(duckdb.Error, psycopg.Error):  # there may be no database yet
        ((latest,),) = replica.execute(sync.place, LATEST)
        if latest is not None and float(latest) > now_s:
            outcome.problems.append(f"a window counts as read {float(latest) - now_s:.0f} s beyond Iterable's clock")


def _check_clean(sync: Sync, outcome: Outcome) -> None:
    status = sync.clean()
    outcome.statuses.append(status)
    if status != 0:
        outcome.problems.append(f"the clean sync ended with {status}: {sync.said[-800:]}")
        return
    if different := replica.differences(sync.place, sync.simulator, renamed=outcome.renamed):
        outcome.problems.append(f"rows missing and too many: {different}")


def _check_again(sync: Sync, outcome: Outcome) -> None:
    if outcome.problems:
        return
    outcome.statuses.append(sync.clean())
    for line in sync.said.splitlines():
        event = json.loads(line) if line.startswith("{") else {}
        if event.get("event") == "loaded" and event["added"] + event["changed"] + event["removed"]:
            outcome.problems.append(f"the second clean sync changed {event['table']}: {line}")


class Sync:
    """Syncs of one project into one destination, each a process of its own; raw files lie below *directory*."""

    def __init__(self, simulator: Simulator, directory: Path, scenario: Scenario, outcome: Outcome) -> None:
        self.simulator = simulator
        self.file = directory / "replica.duckdb"
        self.place: Path | str = self.file if scenario.destination == "DuckDB" else postgres.new_database()
        self._directory = directory
        self.said = ""
        self._scenario = scenario
        self._outcome = outcome

    def clean(self) -> int:
        """Sync with nothing in the way; return the exit status."""
        return self._end(self._start())

    def disturbed(self, disturbance: Disturbance) -> int:
        """Sync while *disturbance* happens; return the exit status."""
        full = int(20_000 + 300_000 * disturbance.amount) if disturbance.kind == "full disk" else None
        program: tuple[str, ...] = PROGRAM
        if disturbance.kind in {"clock jump", "clock wrong"}:
            wrong_by_s = LONGEST_JUMP_S * (2 * disturbance.amount - 1)
            after_s = disturbance.at_s if disturbance.kind == "clock jump" else 0.0
            program = (str(WRONG_CLOCK), f"{wrong_by_s}", f"{after_s}")
        process = self._start(largest_file_bytes=full, program=program)
        meddler = Thread(target=self._meddle, args=(process, disturbance))
        meddler.start()
        status = self._end(process)
        meddler.join()
        if status not in DONE_OR_NOT:
            self._outcome.problems.append(f"a sync with {disturbance.kind} ended with {status}: {self.said[-800:]}")
        return status

    def _start(
        self, largest_file_bytes: int | None = None, program: tuple[str, ...] = PROGRAM
    ) -> subprocess.Popen[str]:
        start_date = f"{datetime.fromtimestamp(self.simulator.world.start_s, UTC):%m/%d/%Y}"
        command = ["sync", "--json-logs", "--destination", str(self.place), "--start-date", start_date]
        command += ["--tables", "documented"]
        process = subprocess.Popen(
            [sys.executable, *program, *command, *self._scenario.flags],
            env={
                **os.environ,
                "TMPDIR": str(self._directory),
                "XDG_STATE_HOME": str(self._directory),
                "ITERABLE_API_KEY": KEY,
                "ITERABLE_BASE_URL": self.simulator.url,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if largest_file_bytes is not None:
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (largest_file_bytes, largest_file_bytes))
        return process

    def _end(self, process: subprocess.Popen[str]) -> int:
        with process:
            try:
                self.said, _ = process.communicate(timeout=PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                self.said, _ = process.communicate()
                self._outcome.problems.append(f"a sync did not end: {self.said[-800:]}")
        if process.returncode == -signal.SIGINT:
            # before the program has begun, Python itself prints where it was interrupted
            self.said = self.said.partition("Traceback")[0]
        for forbidden, what in (
            (KEY, "the API key"),
            ("Traceback", "a traceback"),
            ("unforeseen", "an unforeseen error"),
        ):
            if forbidden in self.said:
                at = self.said.index(forbidden)
                self._outcome.problems.append(f"{what} was printed: {self.said[max(at - 300, 0) : at + 1500]}")
        return process.returncode

    def _meddle(self, process: subprocess.Popen[str], disturbance: Disturbance) -> None:
        """Do what *disturbance* says while *process* runs."""
        until = time.monotonic() + disturbance.at_s
        while time.monotonic() < until and process.poll() is None:
            time.sleep(0.01)
        if process.poll() is not None:
            return
        match disturbance.kind:
            case "SIGKILL" | "SIGTERM" | "SIGINT":
                process.send_signal(SIGNALS[disturbance.kind])
            case "network away":
                self.simulator.set_faults(AWAY)
                time.sleep(0.2 + disturbance.amount)
                self.simulator.set_faults(self._scenario.faults)
            case "connection ended":
                self._end_connections(until=time.monotonic() + disturbance.amount)
            case "spool damaged":
                self._damage(disturbance)
            case "spool locked":
                with _in_the_way(self._spool):
                    time.sleep(0.1 + disturbance.amount)
            case "database locked":
                process.kill()
                process.wait()
                self._hold_database(disturbance)
            case _:
                pass

    @property
    def _spool(self) -> Path:
        return self.file.with_name(f"{self.file.name}.spool")

    def _damage(self, disturbance: Disturbance) -> None:
        """Cut, overwrite or remove whatever raw files there are, again and again."""
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            for file in self._directory.rglob("*.ndjson"):
                with suppress(OSError):
                    content = file.read_bytes()
                    if disturbance.amount < 0.3:
                        file.unlink()
                    elif disturbance.amount < 0.6:
                        file.write_bytes(content[: content.rfind(b"\n", 0, len(content) // 2) + 1])
                    else:
                        file.write_bytes(b"\0garbage" + content)
            time.sleep(0.005)

    def _end_connections(self, until: float) -> None:
        """End whatever connections the sync has to its server, once or again and again until then."""
        with psycopg.connect(str(self.place), autocommit=True) as connection:
            while True:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND application_name = 'reiterate'"
                )
                if time.monotonic() >= until:
                    return
                time.sleep(0.2)

    def _hold_database(self, disturbance: Disturbance) -> None:
        """Keep the file open while another sync tries."""
        if not self.file.exists():
            return
        with suppress(duckdb.Error), closing(duckdb.connect(str(self.file))):
            with self._start() as other:
                other.communicate(timeout=PATIENCE_S)
            if other.returncode != 4:
                self._outcome.problems.append(f"a sync with a locked database ended with {other.returncode}")


@contextmanager
def _in_the_way(directory: Path) -> Iterator[None]:
    """Put a file in the place of *directory* for a while."""
    aside = directory.with_name(f"{directory.name}.aside")
    with suppress(OSError):
        directory.rename(aside)
        directory.write_text("in the way")
    try:
        yield
    finally:
        with suppress(OSError):
            if directory.is_file():
                directory.unlink()
            aside.rename(directory)
