"""How commands end: the table of exit statuses in docs/commands.md, status by status."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

from reiterate.cli.exits import Exit
from reiterate.simulator import Fault, Simulator
from tests.cli.command import beside, reiterate
from tests.conftest import KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = Path(__file__).parents[2] / "docs"
FILE = Path("iterable.duckdb")
WRONG_KEY = "f" * 32
NOWHERE = "http://127.0.0.1:9"
KEYED = ("/api/channels", "/api/campaigns")


def start(simulator: Simulator) -> str:
    return f"{datetime.fromtimestamp(simulator.world.start_s, UTC):%m/%d/%Y}"


@contextmanager
def held(file: Path) -> Iterator[None]:
    """Let another process have *file* open for writing."""
    holder = f"import duckdb, sys; held = duckdb.connect({str(file)!r}); print(1, flush=True); sys.stdin.read()"
    with beside(sys.executable, "-c", holder, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield
        process.communicate("")


def test_the_table_is_whole() -> None:
    """docs/commands.md has a line for each status that there is, and for no other."""
    section = (DOCS / "commands.md").read_text(encoding="utf-8").partition("## Exit status")[2].partition("\n## ")[0]
    assert [*Exit] == [int(status) for status in re.findall(r"^\| (\d+) \|", section, re.MULTILINE)]


@pytest.mark.parametrize(
    "command", ["sync", "sync --json-logs", "sync --dry-run", "resync email_open", "plan", "connection test"]
)
def test_a_wrong_key_is_said_once(simulator: Simulator, command: str) -> None:
    """With all default tables and Iterable's limits, a wrong key is one message, at once, and changes nothing."""
    ended = reiterate(
        *command.split(),
        *("--start-date", start(simulator)),
        ITERABLE_API_KEY=WRONG_KEY,
        ITERABLE_BASE_URL=simulator.url,
        REITERATE_RATE_LIMIT_FACTOR="1",
    )
    assert Exit.WRONG_USAGE == ended.status, ended.said
    assert 1 == ended.said.count("The API key was refused."), ended.said
    assert "ead-only" not in ended.said
    assert "waiting" not in ended.said
    assert 6 >= len(simulator.requests)
    assert [] == list(Path().iterdir())


@pytest.mark.parametrize("command", ["sync", "plan", "connection test", "connection create shop", "verify --source"])
def test_a_wrong_key(simulator: Simulator, command: str) -> None:
    """A key that is refused ends every command with 2."""
    flags: tuple[str, ...] = ("--start-date", start(simulator), "--tables", "channels,campaigns,list_users")
    if command.startswith("verify"):
        assert 0 == reiterate("sync", *flags, "--tables", "email_open", simulator=simulator).status
        flags = (*flags, "--tables", "email_open")
    ended = reiterate(*command.split(), *flags, simulator=simulator, ITERABLE_API_KEY=WRONG_KEY)
    assert (2, True) == (ended.status, "The API key was refused." in ended.said)


def test_nothing_could_be_done(simulator: Simulator) -> None:
    """Where Iterable is not reached, or refuses all, commands end with 1; where some goes well, with 3."""
    flags = ("--start-date", start(simulator), "--tables", "channels,campaigns")
    assert 1 == reiterate("sync", *flags, "--api-address", NOWHERE, simulator=simulator).status
    assert 1 == reiterate("connection", "test", *flags, "--api-address", NOWHERE, simulator=simulator).status
    for refused, status in ((KEYED, 1), (KEYED[:1], 3)):
        simulator.set_faults([Fault(path, "status", status=400, body='{"msg": "No."}') for path in refused])
        for command in ("sync", "connection test"):
            assert status == reiterate(*command.split(), *flags, simulator=simulator).status


def test_a_plan_that_cannot_be_made(simulator: Simulator) -> None:
    """A plan ends with 3 where Iterable would not tell what some tables are made of, with 1 where of all."""
    simulator.set_faults([Fault("/api/lists", "status", status=400, body='{"msg": "No."}')])
    flags = ("--start-date", start(simulator), "--tables")
    assert 3 == reiterate("plan", *flags, "channels,list_users", simulator=simulator).status
    assert 1 == reiterate("plan", *flags, "list_users", "--json", simulator=simulator).status


@pytest.mark.parametrize("command", ["sync", "sync --dry-run", "resync email_open", "status", "verify", "plan"])
def test_a_destination_that_is_held(simulator: Simulator, command: str) -> None:
    """While another process has the destination open, every command that needs it ends with 4."""
    with held(FILE):
        ended = reiterate(*command.split(), "--start-date", start(simulator), simulator=simulator)
    assert (4, True) == (ended.status, "Another process holds the destination." in ended.err)


def test_trying_a_destination_out() -> None:
    """`destination test` ends with 4 where it is held, with 2 where it is none, with 0 where it is one."""
    with held(FILE):
        assert 4 == reiterate("destination", "test", str(FILE)).status
    FILE.unlink()
    assert 0 == reiterate("destination", "test", str(FILE)).status
    assert [] == [*Path().iterdir()]
    Path("notes.txt").write_text("no database")
    assert 2 == reiterate("destination", "test", "notes.txt").status
    assert 2 == reiterate("destination", "test", "no/such/directory.duckdb").status


def test_stale_data_and_differences(simulator: Simulator) -> None:
    """`status --stale-after` and `verify` end with 3 where a person should look, else with 0."""
    flags = ("--start-date", start(simulator), "--tables", "channels,email_open")
    never = reiterate("status", *flags, "--stale-after", "1d", simulator=simulator)
    assert (3, True) == (never.status, "Not read for 1d: channels, email_open" in never.out)
    assert 0 == reiterate("status", *flags, simulator=simulator).status
    assert 0 == reiterate("sync", *flags, simulator=simulator).status
    assert 0 == reiterate("status", *flags, "--stale-after", "1d", simulator=simulator).status
    assert 3 == reiterate("status", *flags, "--stale-after", "0s", "--json", simulator=simulator).status
    assert 2 == reiterate("status", *flags, "--stale-after", "soon", simulator=simulator).status
    assert 0 == reiterate("verify", *flags, simulator=simulator).status
    with closing(duckdb.connect(str(FILE))) as database:
        database.execute("DELETE FROM iterable.iterable.channels")
    assert 3 == reiterate("verify", *flags, simulator=simulator).status


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("command", ["connection test", "plan", "sync", "sync --dry-run"])
def test_signals(command: str, number: signal.Signals) -> None:
    """Ctrl-C ends a command with 130 and SIGTERM with 143, whatever it waits for, and without a traceback."""
    flags = ("--start-date", "11/01/2026", "--tables", "list_users")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        silent.settimeout(60)
        with beside(
            *(sys.executable, "-m", "reiterate", *command.split(), *flags),
            env={**os.environ, "ITERABLE_API_KEY": KEY, "ITERABLE_BASE_URL": address},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        ) as process:
            asked, _ = silent.accept()
            with asked:
                process.send_signal(number)
                _, said = process.communicate(timeout=20)
    assert (128 + number, False) == (process.returncode, "Traceback" in said)
