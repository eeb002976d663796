"""Large files of new events are loaded without a look at them first, and nothing but the time tells."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import reiterate
from reiterate.flow import Failed, RunFinished, Status
from reiterate.parse import Parser, relation, scan
from reiterate.simulator import Fault, ServerOptions, Simulator, WorldOptions
from reiterate.sinks import DuckDBSink
from tests import replica
from tests.conftest import KEY, settings
from tests.walk.test_kill import kill_and_go_on

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from reiterate.catalog.model import Table
    from reiterate.flow import Batch
    from reiterate.ledger import Fact
    from reiterate.sinks import Outcome


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    options = ServerOptions(api_key=KEY, denied=("/api/export/start",))
    with Simulator(WorldOptions(days=3, events_per_day=1500, seed=41), options) as simulator:
        yield simulator


@pytest.fixture(autouse=True)
def all_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relation, "LARGE_BYTES", 1)


@pytest.fixture
def supposed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tables of loads that nobody had looked at before, and that succeeded."""
    found: list[str] = []
    load = DuckDBSink.load

    def noting(sink: DuckDBSink, batch: Batch, fact: Fact) -> Outcome:
        outcome = load(sink, batch, fact)
        if batch.supposed:
            found.append(batch.task.table.name)
        return outcome

    monkeypatch.setattr(DuckDBSink, "load", noting)
    return found


@pytest.fixture
def doubted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tables that turned out to be not as supposed."""
    found: list[str] = []
    doubt = Parser.doubt

    def noting(parser: Parser, table: Table) -> None:
        found.append(table.name)
        doubt(parser, table)

    monkeypatch.setattr(Parser, "doubt", noting)
    return found


def sync(simulator: Simulator, file: Path, **others: Any) -> RunFinished:
    *events, last = reiterate.sync(**settings(simulator, file, **others))
    assert not [event for event in events if isinstance(event, Failed)]
    assert isinstance(last, RunFinished)
    assert Status.SUCCEEDED is last.status
    return last


def test_everything_is_the_truth(simulator: Simulator, tmp_path: Path, supposed: list[str], doubted: list[str]) -> None:
    """Events of all kinds arrive exactly, most of them at first sight; what changes later is merged."""
    file = tmp_path / "replica.duckdb"
    chosen = {"tables": "events", "window_in_days": 365}
    sync(simulator, file, **chosen)
    tables = [table for (table,) in replica.execute(file, "SELECT DISTINCT table_name FROM _reiterate_reads")]
    assert {} == replica.differences(file, simulator, tables)
    assert {"email_open", "email_send", "email_click", "push_send", "sms_send", "web_push_send"} <= {*supposed}
    assert 45 < len(supposed)
    assert [] == doubted
    assert [0] * len(tables) == [table.added for table in sync(simulator, file, **chosen).tables]
    simulator.mutate(fraction=0.05)
    sync(simulator, file, **chosen)
    assert {} == replica.differences(file, simulator, tables)


EVENT = {
    "email": "ana@example.com",
    "createdAt": "{day} 09:26:53 +00:00",
    "messageId": "0f3c",
    "campaignId": 7,
    "templateId": 8,
    "city": 'Malm\u00f6 "south"',
    "region": "n",
    "isBot": False,
}
ODD: dict[str, dict[str, Any]] = {
    "a number in a text": {"city": 5},
    "an object in a text": {"city": {"a": 1}},
    "a text in a number": {"campaignId": "7"},
    "a fraction in a number": {"campaignId": 7.5},
    "a number beyond 64 bits": {"campaignId": 2**64},
    "a text in a boolean": {"isBot": "false"},
    "an unknown field": {"colour": "red"},
    "an instant in another spelling": {"createdAt": "{day}T09:26:53.250Z"},
    "no instant": {"createdAt": "yesterday"},
    "an instant of another time": {"createdAt": "2019-01-01 00:00:00 +00:00"},
    "what no database holds": {"city": "nul \0"},
    "without an instant": {"createdAt": None},
}


TABLES = ["email_click", "email_open"]


def both(simulator: Simulator, directory: Path, patch: pytest.MonkeyPatch, rows: list[dict[str, Any]]) -> list[int]:
    """Sync *rows* as the answer to each export, supposed and looked at; return how many there are, the same in both."""
    patch.setattr(scan, "SAMPLE_ROWS", 1)
    day = str(simulator.truth("email_open")[0]["createdAt"])[:10]
    body = "".join(f"{json.dumps(row)}\n" for row in rows).replace("{day}", day)
    simulator.set_faults([Fault("/api/export/data.json", "status", status=200, body=body)])
    files = [directory / "supposed.duckdb", directory / "looked_at.duckdb"]
    for file, size_bytes in zip(files, (1, 1 << 40), strict=True):
        patch.setattr(relation, "LARGE_BYTES", size_bytes)
        sync(simulator, file, tables=TABLES, window_in_days=365)
    number = []
    for table in TABLES:
        one, other = (replica.execute(file, f"SELECT * FROM {table} ORDER BY ALL") for file in files)
        assert one == other
        number.append(len(one))
    return number


USUAL = [EVENT | {"messageId": f"{number:032x}"} for number in range(50)]


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
def test_what_is_not_as_supposed(
    simulator: Simulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    supposed: list[str],
    doubted: list[str],
    odd: dict[str, Any],
) -> None:
    """Rows that are not as most are arrive as they do where every row is looked at first."""
    assert [51, 51] == both(simulator, tmp_path, monkeypatch, [*USUAL, EVENT | odd])
    assert ([], TABLES) == (supposed, sorted(doubted))


def test_events_that_look_alike(
    simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, supposed: list[str], doubted: list[str]
) -> None:
    """Events that share an identity are numbered in the order of all that they hold, as ever."""
    alike = [EVENT | {"city": city, "region": region} for city in "bca" for region in (None, "n", "n")]
    assert [60, 60] == both(simulator, tmp_path, monkeypatch, [USUAL[0], *USUAL, *alike[::-1]])
    assert (TABLES, []) == (sorted(supposed), doubted)


def test_killed_meanwhile(simulator: Simulator, tmp_path: Path) -> None:
    """8 times kill -9 among such loads, each followed by a run, lose nothing and double nothing."""
    program = "from reiterate.parse import relation; relation.LARGE_BYTES = 1; from reiterate.cli import main; main()"
    flags = ("--tables", "events", "--window-in-days", "365")
    file = tmp_path / "replica.duckdb"
    kill_and_go_on(simulator, file, 8, *flags, program=("-c", program))
    tables = [table for (table,) in replica.execute(file, "SELECT DISTINCT table_name FROM _reiterate_reads")]
    assert 50 < len(tables)
    assert {} == replica.differences(file, simulator, tables)
