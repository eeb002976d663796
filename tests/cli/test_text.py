"""Any text from Iterable can be printed on any terminal, and does nothing there but stand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reiterate.printable import printable
from reiterate.simulator import Fault, ServerOptions, Simulator, WorldOptions
from tests.cli.command import reiterate
from tests.cli.test_commands import at_a_terminal
from tests.conftest import KEY

NASTY = (
    "\x1b[31m\x1b]0;title\x07 [red]bold[/] :warning: \r\n"
    "2026-11-27 fake: ok \x9b2J \u202egnp.exe\u2066 😀 é \ud800 \x00"
)
SPELLED = r"\x1b[31m\x1b]0;title\x07 [red]bold[/] :warning: 2026-11-27 fake: ok \x9b2J \u202egnp.exe\u2066"
FORBIDDEN = [*map(chr, (*range(9), *range(11, 32), *range(127, 160))), "\u202e", "\u2066", "\u2028"]
COLOURS = ("\x1b[31m", "\x1b[32m", "\x1b[0m", "\x1b[2K", "\x1b[1A", "\x1b[?25l", "\x1b[?25h", "\r")


def raw(text: str) -> list[str]:
    """Return which control characters stand in *text*."""
    return [each for each in FORBIDDEN if each in text]


def simulated() -> Simulator:
    """Return a project whose refusals, and names of metadata, hold what terminals obey."""
    refusal = Fault("/api/channels", "status", status=400, body=json.dumps({"msg": NASTY, "code": NASTY}))
    members = Fault("/api/lists/getUsers", "status", status=400, body=json.dumps({"msg": NASTY}))
    return Simulator(WorldOptions(days=1, events_per_day=40), ServerOptions(api_key=KEY, faults=(refusal, members)))


def flags(simulator: Simulator, *tables: str) -> list[str]:
    day = datetime.fromtimestamp(simulator.world.start_s, UTC)
    return ["--start-date", f"{day:%m/%d/%Y}", "--tables", ",".join(tables or ("channels", "campaigns", "list_users"))]


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "ascii"])
def test_every_encoding(encoding: str) -> None:
    """Errors of Iterable are shown by sync, status and connection test, whatever the terminal is, and stand there."""
    with simulated() as simulator:
        for command in (["sync"], ["sync", "--json-logs"], ["status"], ["status", "--json"], ["connection", "test"]):
            ended = subprocess.run(
                [sys.executable, "-m", "reiterate", *command, *flags(simulator)],
                env={
                    **os.environ,
                    "ITERABLE_API_KEY": KEY,
                    "ITERABLE_BASE_URL": simulator.url,
                    "REITERATE_RATE_LIMIT_FACTOR": "1000000",
                    "PYTHONIOENCODING": encoding,
                    "COLUMNS": "20",
                },
                capture_output=True,
                check=False,
            )
            said = ended.stdout.decode(encoding.partition(":")[0])
            assert ended.returncode == (0 if command[0] == "status" else 3)
            assert b"Traceback" not in ended.stderr
            assert [] == raw(said)
            if "--json" in command or "--json-logs" in command:
                assert SPELLED in "".join(map(str, spelled(json.loads(line) for line in lines(said))))
            else:
                assert SPELLED in said


def lines(said: str) -> list[str]:
    return said.splitlines() if said.startswith('{"') else [said]


def spelled(values: object) -> list[str]:
    """Return every text in JSON values."""
    match values:
        case str():
            return [values]
        case dict():
            return [text for value in values.values() for text in spelled(value)]
        case None | int() | float():
            return []
        case _:
            return [text for value in values for text in spelled(value)]  # type: ignore[attr-defined]


@pytest.mark.parametrize("environ", [{}, {"NO_COLOR": "1"}, {"TERM": "dumb"}, {"COLUMNS": "1"}, {"COLUMNS": "7"}])
def test_at_a_terminal(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """At a terminal, with colours or without, however narrow, source text moves, colours and hides nothing."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ITERABLE_API_KEY", KEY)
    monkeypatch.setenv("REITERATE_RATE_LIMIT_FACTOR", "1000000")
    with simulated() as simulator:
        said, status = at_a_terminal(["sync", *flags(simulator), "--api-address", simulator.url], [])
    for ours in COLOURS:
        said = said.replace(ours, "")
    assert 3 == status
    assert "\x1b]0" not in said
    assert "\x1b[2J" not in said
    assert "\u202e" not in said
    assert "[red]bold[/]" in said.replace("\n", "")


@pytest.mark.parametrize("closed", ["1>&-", "2>&-", "0<&- 1>&- 2>&-", "2>/dev/full", "| true"])
def test_streams_that_are_closed(closed: str) -> None:
    """A sync without a standard stream, or with one that takes nothing, is a sync; its database is whole."""
    with simulated() as simulator:
        command = " ".join(["-m", "reiterate", "sync", *flags(simulator, "campaigns")])
        ended = subprocess.run(
            ["bash", "-c", f"'{sys.executable}' {command} {closed}"],
            env={**os.environ, "ITERABLE_API_KEY": KEY, "ITERABLE_BASE_URL": simulator.url},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (0, "") == (ended.returncode, ended.stderr)
        if closed != "| true":
            verified = reiterate("verify", *flags(simulator, "campaigns"), simulator=simulator)
            assert (0, True) == (verified.status, "48" in verified.out)


def test_what_a_person_named_is_text() -> None:
    """Brackets in names and settings are no colours."""
    Path("reiterate.toml").write_text('[connections.shop]\ndestination = "[red]x.duckdb"\nstart_date = "11/01/2026"\n')
    assert "[red]x.duckdb" in reiterate("connection", "show", ITERABLE_API_KEY=KEY).out


def test_what_is_spelled() -> None:
    """Controls, breaks of lines, marks of direction and halves of letters are spelled; letters and emoji stand."""
    assert "".join(map(printable, ("é", "😀", "👨\u200d👩", "中", "\u00ad", "\\"))) == "é😀👨\u200d👩中\u00ad\\"
    assert [r"\x00", r"\t", r"\n", r"\x7f", r"\x85", r"\u2028", r"\u202e", r"\ud83d"] == [
        printable(each) for each in ("\0", "\t", "\n", "\x7f", "\x85", "\u2028", "\u202e", "\ud83d")
    ]


def test_little_memory(simulator: Simulator) -> None:
    """Within `ulimit -v 1000000` a sync is done, by fewer threads; within less it ends with a message."""
    for kilobytes, statuses in ((1_000_000, {0}), (600_000, {0, 1, 3})):
        command = [sys.executable, "-m", "reiterate", "sync", *flags(simulator, "campaigns", "email_open", "users")]
        ended = subprocess.run(
            ["bash", "-c", f'ulimit -v {kilobytes}; exec "$@"', "bash", *command],
            env={**os.environ, "ITERABLE_API_KEY": KEY, "ITERABLE_BASE_URL": simulator.url},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode in statuses, ended.stderr
        assert "Traceback" not in ended.stderr
