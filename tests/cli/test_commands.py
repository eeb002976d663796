"""The command line as people and schedulers use it: what it prints, what it changes, how it ends."""

from __future__ import annotations

import codecs
import json
import os
import pty
import re
import select
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest
import urllib3

from reiterate.catalog import DOCUMENTED, GROUPS, TABLES
from reiterate.simulator import Fault, ServerOptions, Simulator, WorldOptions
from tests import replica
from tests.cli.command import beside, reiterate
from tests.conftest import KEY

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = [
    *("demo", "sync", "resync", "verify", "tables", "plan", "status", "simulate"),
    *(f"connection {name}" for name in ("create", "list", "show", "test", "metadata", "delete")),
    "destination test",
]
FILE = Path("iterable.duckdb")


def start(simulator: Simulator) -> str:
    return f"{datetime.fromtimestamp(simulator.world.start_s, UTC):%m/%d/%Y}"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example(command: str) -> None:
    """Every command explains itself, with an example of itself."""
    ended = reiterate(*command.split(), "--help")
    assert 0 == ended.status
    assert f"reiterate {command}" in ended.out.partition("Example:")[2]


def test_completion() -> None:
    """The shell completes commands and flags."""
    for typed, word in (("connection me", "metadata"), ("sync --full", "--full-refresh")):
        ended = reiterate(_REITERATE_COMPLETE="bash_complete", COMP_WORDS=f"reiterate {typed}", COMP_CWORD="2")
        assert f"plain,{word}\n" == ended.out


def test_version() -> None:
    """`--version` tells it."""
    assert reiterate("--version").out.startswith("reiterate 0.")


@pytest.mark.parametrize("arguments", [["tables"], ["--version"]])
def test_output_that_cannot_be_written(arguments: list[str]) -> None:
    """A full disk behind the output is said in a line; a reader who has seen enough is no failure."""
    command = [sys.executable, "-m", "reiterate", *arguments]
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (1, "Error: The output cannot be written. ([Errno 28] No space left on device)\n") == (
        ended.returncode,
        ended.stderr,
    )
    with beside(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert "" == process.stderr.read()


def test_help_loads_little() -> None:
    """Help needs neither a database nor HTTP, which take longer to load than all the rest."""
    ended = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "reiterate", "--help"], capture_output=True, text=True, check=True
    )
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in ended.stderr.splitlines()}
    assert {"reiterate", "click"} <= loaded
    assert not {"dlt", "duckdb", "psycopg", "pyarrow", "starlette", "urllib3", "uvicorn"} & loaded


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no-such-command"], "No such command"),
        (["sync", "--no-such-flag"], "No such option"),
        (["sync"], "api_key is missing"),
        (["sync", "--start-date", "13/45/2026"], "MM/DD/YYYY"),
        (["sync", "--config", "missing.toml"], "does not exist"),
        (["status", "--connection", "missing"], "There is no connection missing"),
        (["tables", "missing"], "There is no table missing"),
        (["plan", "--start-date", "11/01/2026", "--tables", "email_opens"], "did you mean email_open"),
        (["connection", "create"], "no name"),
        (["connection", "create", "two words", "--start-date", "11/01/2026"], "two words"),
        (["connection", "delete", "missing"], "There is no connection missing"),
        (["connection", "metadata", "missing"], "The settings file does not exist."),
        (["connection", "show"], "start_date is missing"),
        (["simulate", "--faults", "missing.json"], "file of faults"),
        (["simulate", "--fault", "htlm"], "There is no fault 'htlm'. There are status, reset"),
        (
            ["simulate", "--fault", "reset", "--fault", "html:seconds=3"],
            "The fault html has no 'seconds'. It takes path",
        ),
        (["simulate", "--fault", "slow:seconds=soon"], "is a number, not 'soon'"),
        (["demo", "--days", "0"], "not in the range"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage(arguments: Sequence[str], message: str) -> None:
    """Wrong usage ends with status 2, says what is wrong, and changes nothing."""
    ended = reiterate(*arguments, ITERABLE_API_KEY="" if "api_key" in message else KEY)
    assert 2 == ended.status
    assert message in ended.err
    assert "" == ended.out
    assert [] == list(Path().iterdir())


def test_wrong_settings_ask_nothing(simulator: Simulator) -> None:
    """With a wrong setting no request leaves, whatever the command."""
    for command in ("sync", "plan", "connection test", "connection create shop"):
        ended = reiterate(*command.split(), "--start-date", "13/45/2026", simulator=simulator)
        assert 2 == ended.status
    assert [] == simulator.requests
    assert [] == list(Path().iterdir())


def test_sync_without_a_file(simulator: Simulator) -> None:
    """A key and a start date suffice: everything arrives in iterable.duckdb, dataset iterable."""
    ended = reiterate("sync", "--start-date", start(simulator), simulator=simulator)
    assert 0 == ended.status
    assert "All tables are up to date." in ended.out
    assert {} == replica.differences(FILE, simulator)
    for table in GROUPS["default"]:
        assert table in ended.out
    assert ["iterable.duckdb"] == [path.name for path in Path().iterdir()]


def test_json_logs(simulator: Simulator) -> None:
    """`--json-logs` gives one JSON object a line and nothing else; the last tells how it ended."""
    flags = ("--start-date", start(simulator), "--tables", "documented", "--json-logs")
    ended = reiterate("sync", *flags, simulator=simulator)
    lines = [json.loads(line) for line in ended.out.splitlines()]
    assert 0 == ended.status
    assert "" == ended.err
    assert {"at", "event"} <= set.intersection(*(set(line) for line in lines))
    assert ["run_started", "run_finished"] == [lines[0]["event"], lines[-1]["event"]]
    assert "succeeded" == lines[-1]["status"]
    loaded = sum(line["rows"] for line in lines if line["event"] == "loaded")
    assert sum(len(simulator.truth(table)) for table in DOCUMENTED) == loaded == lines[-1]["rows"]


def test_some_tables_failed(simulator: Simulator) -> None:
    """Status 3 when some tables failed; the reason stands there once, with its tables; status repeats it."""
    simulator.set_faults([Fault("/api/c*", "status", status=400, body='{"msg": "No."}')])
    ended = reiterate("sync", "--start-date", start(simulator), simulator=simulator)
    assert 3 == ended.status
    assert "Some tables failed" in ended.out
    assert 1 == ended.out.count("\ncampaigns: Iterable refused the request.")
    assert "partial" in reiterate("status", "--start-date", start(simulator), simulator=simulator).out


def test_nothing_could_be_done(simulator: Simulator) -> None:
    """With a key that is refused nothing can be read: status 2, and one message."""
    ended = reiterate("sync", "--start-date", start(simulator), simulator=simulator, ITERABLE_API_KEY="f" * 32)
    assert 2 == ended.status
    assert 1 == ended.said.count("The API key was refused.")


def test_busy_destination(simulator: Simulator) -> None:
    """While another process has the file open, a sync says so and ends with status 4."""
    holder = "import duckdb, sys; held = duckdb.connect('iterable.duckdb'); print(1, flush=True); sys.stdin.read()"
    with beside(sys.executable, "-c", holder, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        ended = reiterate("sync", "--start-date", start(simulator), simulator=simulator)
        process.communicate("")
    assert 4 == ended.status
    assert "Another process holds the destination." in ended.err
    assert [] == simulator.requests


def test_tables() -> None:
    """`tables` shows method and keys of all tables, and the columns of one; whole, however narrow the pipe."""
    rows = {line.split()[0]: line for line in reiterate("tables", COLUMNS="40").out.splitlines()[1:]}
    assert set(TABLES) == set(rows)
    assert ["email_click", "CDC", "email", "createdAt"] == rows["email_click"].split()[:4]
    columns = reiterate("tables", "email_click", COLUMNS="40").out
    assert "tracked_link_template_url" in columns
    assert "trackedLink.templateUrl" in columns
    described = json.loads(reiterate("tables", "--json").out)
    assert [(table.name, table.method, list(table.key), table.cursor) for table in TABLES.values()] == [
        (table["name"], table["method"], table["primary_key"], table["replication_key"]) for table in described
    ]


def test_plan_and_status(simulator: Simulator) -> None:
    """`plan` tells what a sync would read and how long that takes at least; `status` what is there and what is left."""
    chosen = ("--start-date", start(simulator), "--tables", "documented")
    flags = (*chosen, "--window-in-days", "1", "--rate-limit-factor", "1")
    plan = reiterate("plan", *flags, simulator=simulator)
    assert 0 == plan.status
    calls = json.loads(reiterate("plan", *flags, "--json", simulator=simulator).out)
    windows = [task for task in calls["tasks"] if task["table"] == "email_open"]
    exports = sum(one["calls"] for one in calls["calls"] if one["limit"] in {"exports", "export jobs"})
    assert 9 * len(windows) == exports
    assert max(one["least_s"] for one in calls["calls"]) == calls["least_s"]
    assert not FILE.exists()
    before = reiterate("status", *flags, simulator=simulator)
    assert "No sync yet." in before.out
    reiterate("sync", *chosen, simulator=simulator)
    after = json.loads(reiterate("status", *flags, "--json", simulator=simulator).out)
    assert {table: len(simulator.truth(table)) for table in DOCUMENTED} == {
        table["table"]: table["rows"] for table in after["tables"]
    }
    assert "succeeded" == after["runs"][0]["status"]


def test_a_connection_from_create_to_delete(simulator: Simulator) -> None:
    """A connection is created, listed, shown, tested, changed, synced and deleted; the key stays hidden."""
    flags = ["--api-key", "env:SHOP_KEY", "--api-address", simulator.url, "--start-date", start(simulator)]
    created = reiterate("connection", "create", "shop", *flags, "--tables", "campaigns,email_open,users", SHOP_KEY=KEY)
    assert 0 == created.status
    assert 0o600 == Path("reiterate.toml").stat().st_mode & 0o777
    assert "shop\n" == reiterate("connection", "list").out
    shown = reiterate("connection", "show", "shop", SHOP_KEY=KEY)
    assert start(simulator) in shown.out
    assert "campaigns, email_open, users" in shown.out
    tested = reiterate("connection", "test", "shop", SHOP_KEY=KEY)
    assert "campaigns: ok" in tested.out
    assert "The key can read all 3 tables." in tested.out
    changed = reiterate(
        *("connection", "metadata", "shop", "--table", "email_open", "--lookback", "7d", "--window-in-days", "0.5"),
        SHOP_KEY=KEY,
    )
    assert "at most 12h a request, lookback 7d." in changed.out
    own = ["--set", "omit_columns=region, city", "--set", "schema_policy=freeze", "--set", "column_names=source"]
    hidden = reiterate("connection", "metadata", "shop", "--table", "email_open", *own, SHOP_KEY=KEY)
    assert "schema_policy freeze" in hidden.out
    assert "omit_columns: region, city" in hidden.out
    assert "createdAt" in hidden.out
    assert not re.search(r"^(region|city|created_at) ", hidden.out, re.MULTILINE)
    shown_again = reiterate(
        "connection", "metadata", "shop", "--table", "email_open", "--set", "omit_columns=none", SHOP_KEY=KEY
    )
    assert re.search(r"^city ", shown_again.out, re.MULTILINE)
    assert "omit_columns" not in Path("reiterate.toml").read_text()
    kept = reiterate("connection", "metadata", "shop", "--table", "users", "--set", "history=true", SHOP_KEY=KEY)
    assert "Kept with history." in kept.out
    chosen = reiterate("connection", "metadata", "shop", "--select", "email_open,users", SHOP_KEY=KEY)
    assert "campaigns" not in chosen.out
    assert 0 == reiterate("sync", "--connection", "shop", SHOP_KEY=KEY).status
    assert {} == replica.differences(FILE, simulator, ["email_open", "users"])
    assert 1 == reiterate("connection", "delete", "shop").status
    assert 0 == reiterate("connection", "delete", "shop", "--yes").status
    assert "" == reiterate("connection", "list").out
    said = [created, shown, tested, changed, chosen]
    assert not any(KEY in ended.said for ended in said)
    assert KEY not in Path("reiterate.toml").read_text()


def test_a_wrong_change_of_metadata_leaves_the_file_alone(simulator: Simulator) -> None:
    """What a connection cannot take is refused, and its file stays as it was."""
    flags = ["--api-key", "env:SHOP_KEY", "--api-address", simulator.url, "--start-date", start(simulator)]
    reiterate("connection", "create", "shop", *flags, SHOP_KEY=KEY)
    before = Path("reiterate.toml").read_bytes()
    for wrong in (
        ["--table", "email_open", "--lookback", "soon"],
        ["--table", "email_open", "--window-in-days", "0"],
        ["--table", "email_open", "--start-date", "01/01/2100"],
        ["--table", "email_open", "--window-in-days", "a while"],
        ["--table", "email_opens", "--lookback", "1d"],
        ["--table", "email_open", "--set", "omit_columns=email"],
        ["--table", "email_open", "--set", "hash_columns=email"],
        ["--table", "email_open", "--set", "schema_policy=frozen"],
        ["--table", "email_open", "--set", "color=red"],
        ["--table", "email_open", "--set", "columns"],
        ["--set", "schema_policy=freeze"],
        ["--lookback", "1d"],
        ["--select", "email_opens"],
    ):
        assert 2 == reiterate("connection", "metadata", "shop", *wrong, SHOP_KEY=KEY).status
        assert before == Path("reiterate.toml").read_bytes()


def test_create_a_second_connection(simulator: Simulator) -> None:
    """A second connection takes nothing from the first, and a name is taken only once."""
    flags = ["--api-key", "env:SHOP_KEY", "--api-address", simulator.url]
    reiterate("connection", "create", "one", *flags, "--start-date", start(simulator), SHOP_KEY=KEY)
    assert 2 == reiterate("connection", "create", "two", *flags, SHOP_KEY=KEY).status
    assert 0 == reiterate("connection", "create", "two", *flags, "--start-date", "11/02/2026", SHOP_KEY=KEY).status
    assert 2 == reiterate("connection", "create", "two", *flags, "--start-date", "11/02/2026", SHOP_KEY=KEY).status
    assert "one\ntwo\n" == reiterate("connection", "list").out
    assert "11/02/2026" in reiterate("connection", "show", "two", SHOP_KEY=KEY).out


def test_create_refuses_a_key_that_reads_nothing(simulator: Simulator) -> None:
    """A connection that does not work is not saved, unless that is asked for."""
    flags = ["--api-key", "env:SHOP_KEY", "--api-address", simulator.url, "--start-date", start(simulator)]
    refused = reiterate("connection", "create", "shop", *flags, SHOP_KEY="f" * 32)
    assert 2 == refused.status
    assert "The API key was refused." in refused.out
    assert not Path("reiterate.toml").exists()
    assert 0 == reiterate("connection", "create", "shop", *flags, "--no-test", SHOP_KEY="f" * 32).status


def test_create_asks_for_what_flags_leave_out(simulator: Simulator) -> None:
    """At a terminal, create asks, repeats a question whose answer is wrong, and lets one choose tables."""
    answers = [
        ("Name of", "shop"),
        ("from which date", "13/45/2026"),
        ("from which date", start(simulator)),
        ("Longest time range", "thirty"),
        ("Longest time range", "15"),
        ("Region", ""),
        ("Data gateway", ""),
        ("Which tables", "email_opens"),
        ("Which tables", "email_open, users"),
    ]
    said, status = at_a_terminal(
        ["connection", "create", "--api-key", "env:SHOP_KEY", "--api-address", simulator.url], answers
    )
    assert 0 == status
    assert "did you mean email_open" in said
    assert (
        "[connections.shop]\n"
        f'api_address = "{simulator.url}"\napi_key = "env:SHOP_KEY"\nstart_date = "{start(simulator)}"\n'
        'window_in_days = 15.0\nregion = "US"\ndata_gateway = "none"\ntables = ["email_open", "users"]\n'
    ) == Path("reiterate.toml").read_text()


def at_a_terminal(arguments: Sequence[str], answers: Sequence[tuple[str, str]]) -> tuple[str, int]:
    """Run ``reiterate`` at a terminal; give each answer once its question stands there."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "reiterate", *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "SHOP_KEY": KEY, "COLUMNS": "100", "TERM": "xterm"},
    )
    os.close(theirs)
    said, seen, waiting = "", 0, list(answers)
    decoder = codecs.getincrementaldecoder("utf-8")()
    while select.select([ours], [], [], 30)[0]:
        try:
            said += decoder.decode(os.read(ours, 4096))
        except OSError:
            break
        if waiting and waiting[0][0] in said[seen:] and said.endswith(": "):
            seen = len(said)
            os.write(ours, f"{waiting.pop(0)[1]}\n".encode())
    os.close(ours)
    assert [] == waiting, said
    return said, process.wait(timeout=30)


def test_live_board(simulator: Simulator) -> None:
    """At a terminal, a sync shows a board and ends with the summary."""
    flags = ["--start-date", start(simulator), "--api-address", simulator.url, "--rate-limit-factor", "1000000"]
    Path("reiterate.toml").write_text('[connections.shop]\napi_key = "env:SHOP_KEY"\n')
    said, status = at_a_terminal(["sync", *flags], [])
    assert 0 == status
    assert "All tables are up to date." in said
    assert "━" in said
    assert {} == replica.differences(FILE, simulator)


def test_connection_test_tells_missing_rights_apart() -> None:
    """`connection test` says for every table whether the key can read it, in a handful of calls."""
    options = ServerOptions(api_key=KEY, denied=("/api/export",))
    with Simulator(WorldOptions(days=1, events_per_day=50), options) as simulator:
        flags = ("--start-date", "11/01/2026", "--tables", "documented")
        ended = reiterate("connection", "test", *flags, simulator=simulator)
        assert 3 == ended.status
        assert "email_open: The API key is valid, but has no right to this resource." in ended.out
        assert "campaigns: ok" in ended.out
        assert "list_users: ok" in ended.out
        assert set(DOCUMENTED) == {line.partition(":")[0] for line in ended.out.splitlines()}
        assert len(simulator.requests) <= 10


def test_connection_test_tells_that_jobs_are_refused() -> None:
    """A key that may read everything, but start no export jobs, is told so; it costs time alone."""
    options = ServerOptions(api_key=KEY, denied=("/api/export/start",))
    with Simulator(WorldOptions(days=1, events_per_day=50), options) as simulator:
        ended = reiterate("connection", "test", "--start-date", "11/01/2026", simulator=simulator)
        assert 0 == ended.status
        assert "Export jobs cannot be used with this API key" in ended.err
        assert [] == simulator.jobs


def test_demo() -> None:
    """The demonstration shows the brand's data, two queries with answers, and where the file is; twice the same."""
    flags = ("--days", "1", "--events-per-day", "300")
    for _ in range(2):
        ended = reiterate("demo", *flags)
        assert 0 == ended.status
        assert "Which campaigns are opened most?" in ended.out
        assert str(FILE.resolve()) in ended.out
    with duckdb.connect(str(FILE), read_only=True) as database:
        assert database.execute("SELECT count(*) > 100 FROM iterable.iterable.email_send").fetchall() == [(True,)]
    other = reiterate("demo", *flags, "--seed", "8")
    assert 2 == other.status
    assert "--file" in other.err


def test_simulate_serves_until_it_is_stopped() -> None:
    """`simulate` names its address and token, answers there with its key, faults and limits, and ends on Ctrl-C."""
    # the first question of a sync is for Iterable's time
    fault = {"path": "/api/channels", "kind": "status", "status": 503, "skip": 1, "times": 1}
    Path("faults.json").write_text(json.dumps([fault]))
    flags = ["--port", "0", "--api-key", KEY, "--days", "1", "--events-per-day", "50", "--faults", "faults.json"]
    flags += ["--fault", "status:path=/api/lists,status=404", "--fault", "status:path=/api/journeys,status=410"]
    with beside(
        *(sys.executable, "-m", "reiterate", "simulate", *flags),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().split()[4].rstrip(".")
        _, token = process.stdout.readline(), process.stdout.readline().split()[-1]
        for path, status in (("lists", 404), ("journeys", 410), ("messageTypes", 200)):
            answer = urllib3.request("GET", f"{address}/api/{path}", headers={"Api-Key": KEY})
            assert status == answer.status
        for header, status in ((token, 200), ("another", 401)):
            answer = urllib3.request("GET", f"{address}/_simulator/limits", headers={"X-Control-Token": header})
            assert status == answer.status
        ended = reiterate(
            *("sync", "--start-date", "11/01/2026", "--json-logs", "--tables", "channels"),
            ITERABLE_API_KEY=KEY,
            ITERABLE_BASE_URL=address,
        )
        assert 0 == ended.status
        assert "Iterable had an error. (try 1 of" in ended.out
        process.terminate()
        _, err = process.communicate(timeout=30)
    assert "Traceback" not in err
