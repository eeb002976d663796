"""Which columns a table gets: schema policies, dry runs, chosen, hidden and renamed columns."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

import reiterate
from reiterate import catalog
from reiterate.errors import SchemaFrozen, SettingsError
from reiterate.flow import Loaded, RunFinished, Started, Status
from tests import replica
from tests.conftest import KEY, settings

if TYPE_CHECKING:
    from pathlib import Path

    from reiterate.simulator import Simulator

TABLES = ["users", "email_send", "list_users", "campaigns"]
SALT = "a salt that is secret"


def sync(simulator: Simulator, file: Path, own: str = "", of_connection: str = "", **others: Any) -> RunFinished:
    """Sync some tables with settings of their own, and return how it ended."""
    config = file.with_name("reiterate.toml")
    config.write_text(f"[connections.shop]\n{of_connection}\n{own}", encoding="utf-8")
    chosen = settings(simulator, file, tables=TABLES, **others)
    *_, last = reiterate.sync("shop", config=config, **chosen)
    assert isinstance(last, RunFinished)
    return last


def columns(file: Path, table: str) -> dict[str, str]:
    """Return the names of a table's columns with their types."""
    return dict(
        replica.execute(file, f"SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = '{table}'")
    )


def of_table(last: RunFinished, name: str) -> Any:
    return next(one for one in last.tables if one.table.name == name)


# ── schema policies ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_evolve_adds_columns_and_says_so(simulator: Simulator, tmp_path: Path) -> None:
    """By default a new field becomes a column, which the summary names."""
    file = tmp_path / "replica.duckdb"
    sync(simulator, file)
    simulator.mutate(fraction=0.1)
    last = sync(simulator, file)
    assert {"favourite_colour"} == {column.name for column in of_table(last, "users").new_columns}
    assert {} == replica.differences(file, simulator, TABLES)


def test_freeze_fails_the_table_that_would_change(simulator: Simulator, tmp_path: Path) -> None:
    """A frozen table fails with the list of changes, and stays as it is; the others go on. Evolving makes it good."""
    file = tmp_path / "replica.duckdb"
    sync(simulator, file, of_connection='schema_policy = "freeze"')
    before = columns(file, "users"), replica.rows(file, "users")
    simulator.mutate(fraction=0.1)
    last = sync(simulator, file, '[connections.shop.table.users]\nschema_policy = "freeze"')
    (error,) = of_table(last, "users").errors
    assert isinstance(error, SchemaFrozen)
    assert "favourite_colour" in str(error)
    assert Status.PARTIAL is last.status
    assert before == (columns(file, "users"), replica.rows(file, "users"))
    assert {} == replica.differences(file, simulator, {*TABLES} - {"users"})
    chosen = settings(simulator, file, tables=["users"], schema_policy="freeze")
    (verified,) = reiterate.verify(source=True, **chosen)
    assert verified.error is None
    sync(simulator, file)
    assert {} == replica.differences(file, simulator, TABLES)


def test_discard_leaves_new_columns_out_and_counts_them(simulator: Simulator, tmp_path: Path) -> None:
    """What has no column is left out, and told; every row arrives."""
    file = tmp_path / "replica.duckdb"
    sync(simulator, file)
    before = columns(file, "users")
    simulator.mutate(fraction=0.1)
    last = sync(simulator, file, of_connection='schema_policy = "discard"')
    assert Status.SUCCEEDED is last.status
    assert {"favourite_colour"} == {column.name for column in of_table(last, "users").discarded}
    assert before == columns(file, "users")
    truth = replica.expected("users", simulator.truth("users"))
    for row in truth:
        row.pop("favouriteColour", None)
    assert replica.counted(truth) == replica.counted(replica.rows(file, "users"))


def test_an_unchanged_source_changes_no_column(simulator: Simulator, tmp_path: Path) -> None:
    """A second sync of the same data adds, drops and renames nothing, and is let through by a frozen schema."""
    file = tmp_path / "replica.duckdb"
    sync(simulator, file)
    recorded = replica.execute(file, "FROM _reiterate_columns ORDER BY ALL")
    last = sync(simulator, file, of_connection='schema_policy = "freeze"\nlookback = "30d"')
    assert Status.SUCCEEDED is last.status
    assert recorded == replica.execute(file, "FROM _reiterate_columns ORDER BY ALL")


def test_a_dry_run_shows_changes_and_makes_none(simulator: Simulator, tmp_path: Path) -> None:
    """A dry run reads, names the columns that would be new, and leaves the destination as it is, or is not."""
    file = tmp_path / "replica.duckdb"
    last = sync(simulator, file, dry_run=True)
    assert "loyalty_tier" in {column.name for column in of_table(last, "users").new_columns}
    assert not file.exists()
    sync(simulator, file)
    simulator.mutate(fraction=0.1)
    before = file.read_bytes()
    last = sync(simulator, file, dry_run=True)
    assert {"favourite_colour"} == {column.name for column in of_table(last, "users").new_columns}
    assert before == file.read_bytes()
    assert [] == [path.name for path in tmp_path.glob("*.spool")]


# ── custom fields, names ─────────────────────────────────────────────────────────────────────────────────────────────


def test_custom_fields_in_one_column(simulator: Simulator, tmp_path: Path) -> None:
    """With custom_fields = "json", what the catalog does not know is one object a row; nothing else changes."""
    file = tmp_path / "replica.duckdb"
    own = '[connections.shop.table.users]\ncustom_fields = "json"'
    sync(simulator, file, own)
    assert "JSON" == columns(file, "users")["custom_fields"]
    simulator.mutate(fraction=0.1)
    assert () == of_table(sync(simulator, file, own), "users").new_columns
    known = {field.name for field in catalog.TABLES["users"].fields}
    truth = {
        row["email"]: {name: value for name, value in row.items() if name not in known and value is not None}
        for row in simulator.truth("users")
    }
    found = replica.execute(file, "SELECT email, custom_fields FROM users")
    assert truth == {email: json.loads(custom or "{}") for email, custom in found}
    assert any("favouriteColour" in custom for custom in truth.values())


def test_names_as_the_source_spells_them(simulator: Simulator, tmp_path: Path) -> None:
    """With column_names = "source", columns are called as Iterable calls the fields, apart from what would collide."""
    file = tmp_path / "replica.duckdb"
    sync(simulator, file, of_connection='column_names = "source"')
    assert {} == replica.differences(file, simulator, TABLES)
    names = columns(file, "users").keys()
    assert {"profileUpdatedAt", "itblInternal.emailDomain", "loyalty.tier", "senate Districts"} <= names
    assert {"Industry", "industry"} - names
    assert len({name.lower() for name in names}) == len(names)
    simulator.mutate(fraction=0.1)
    sync(simulator, file, of_connection='column_names = "source"')
    assert {} == replica.differences(file, simulator, TABLES)


# ── chosen and hidden columns ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("window_in_days", [0.5, 30])
def test_omitted_columns_do_not_travel(simulator: Simulator, tmp_path: Path, window_in_days: float) -> None:
    """Left out fields are not asked for, where the endpoint can leave them out, and never become columns."""
    file = tmp_path / "replica.duckdb"
    own = """[connections.shop.table.users]
        omit_columns = ["first_name", "lastName", "loyalty.*", "Industry"]
        [connections.shop.table.email_send]
        omit_columns = ["templateId"]
        [connections.shop.table.campaigns]
        columns = ["name", "state*"]"""
    sync(simulator, file, own, window_in_days=window_in_days)
    assert {"email", "last_visit"} <= columns(file, "users").keys()
    assert not {"first_name", "last_name", "loyalty_tier", "loyalty_points"} & columns(file, "users").keys()
    assert {"id", "updated_at", "name"} == columns(file, "campaigns").keys()
    asked = [seen.params for seen in simulator.requests if seen.path == "/api/export/data.json"]
    asked = [*asked, *(job.params for job in simulator.jobs)]
    sends = [params for params in asked if params["dataTypeName"] == "emailSend"]
    assert {"templateId"} == {params["omitFields"] for params in sends}
    users = [params for params in asked if params["dataTypeName"] == "user"]
    assert {"Industry,firstName,lastName"} == {params["omitFields"] for params in users}
    truth = replica.expected("email_send", simulator.truth("email_send"))
    assert replica.counted({**row, "templateId": None} for row in truth) == replica.counted(
        {**row, "templateId": None} for row in replica.rows(file, "email_send")
    )
    assert not any("templateId" in row for row in replica.rows(file, "email_send"))


def test_only_chosen_columns_travel(simulator: Simulator, tmp_path: Path) -> None:
    """With `columns`, those alone are asked for, and what tells rows apart."""
    file = tmp_path / "replica.duckdb"
    sync(simulator, file, '[connections.shop.table.email_send]\ncolumns = ["campaign_id"]')
    assert {"_event_id", "email", "user_id", "itbl_user_id", "created_at", "message_id", "campaign_id"} == columns(
        file, "email_send"
    ).keys()
    assert len(simulator.truth("email_send")) == len(replica.rows(file, "email_send"))
    (once,) = set(_only(simulator))
    assert {"campaignId", "createdAt", "email", "itblUserId", "messageId", "userId"} == {*once.split(",")}


def _only(simulator: Simulator) -> list[str]:
    asked = [*(seen.params for seen in simulator.requests), *(job.params for job in simulator.jobs)]
    return [params["onlyFields"] for params in asked if "onlyFields" in params]


@pytest.mark.parametrize("window_in_days", [0.5, 30])
def test_hashed_columns_are_written_nowhere_in_clear(
    simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, window_in_days: float
) -> None:
    """A hashed value is hashed before it reaches the disk; equal values stay equal, in all tables."""
    file = tmp_path / "replica.duckdb"
    monkeypatch.setenv("SALT", SALT)
    config = tmp_path / "reiterate.toml"
    own = "".join(f'[connections.shop.table.{table}]\nhash_columns = ["email"]\n' for table in TABLES[:3])
    config.write_text(f'[connections.shop]\nhash_salt = "env:SALT"\n{own}', encoding="utf-8")
    spooled = 0
    chosen = settings(simulator, file, tables=TABLES[:3], window_in_days=window_in_days)
    for event in reiterate.sync("shop", config=config, **chosen):
        if isinstance(event, Loaded | Started):
            for raw in (tmp_path / "replica.duckdb.spool").glob("*/*"):
                try:
                    content = raw.read_bytes()
                except FileNotFoundError:
                    continue
                spooled += len(content)
                assert b"@example.com" not in content
    assert spooled
    assert b"@example.com" not in file.read_bytes()
    for table in TABLES[:3]:
        truth = [_hashed(row) for row in replica.expected(table, simulator.truth(table))]
        assert replica.counted(truth) == replica.counted(replica.rows(file, table))
    assert SALT.encode() not in file.read_bytes()


def _hashed(row: replica.Row) -> replica.Row:
    if "email" not in row:
        return row
    return {**row, "email": hashlib.sha256(f"{SALT}{row['email']}".encode()).hexdigest()}


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ('omit_columns = ["email"]', "omit_columns cannot be ['email']"),
        ('omit_columns = ["created*"]', "without createdAt"),
        ('hash_columns = ["created_at"]', "without createdAt"),
        ("columns = []", "Accepted: a list of fields"),
        ('custom_fields = "blob"', "Accepted: columns or json"),
        ('schema_policy = "frozen"', "Accepted: evolve or freeze or discard"),
        ('column_names = "camelCase"', "Accepted: snake_case or source"),
        ('hash_columns = ["email"]', "needs a hash_salt"),
    ],
)
def test_what_cannot_be_is_refused_first(simulator: Simulator, tmp_path: Path, setting: str, says: str) -> None:
    """Keys and replication keys cannot be left out, and wrong values are told before any request."""
    with pytest.raises(SettingsError) as found:
        sync(simulator, tmp_path / "replica.duckdb", f"[connections.shop.table.email_send]\n{setting}")
    assert says in str(found.value)
    assert [] == simulator.requests


def test_a_short_salt_is_refused_and_not_shown(simulator: Simulator, tmp_path: Path) -> None:
    """A salt is a secret: no message shows it."""
    with pytest.raises(SettingsError) as found:
        sync(simulator, tmp_path / "replica.duckdb", of_connection='hash_salt = "peppery"')
    assert "hash_salt" in str(found.value)
    assert "peppery" not in str(found.value)
    assert KEY not in str(found.value)
