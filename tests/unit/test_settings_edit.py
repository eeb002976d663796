"""Changing the settings file: comments and order stay, and a wrong change leaves the file as it was."""

from __future__ import annotations

import tomllib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reiterate.errors import SettingsError
from reiterate.settings import Secret, load
from reiterate.settings.document import TABLE_SETTINGS
from reiterate.settings.edit import delete_connection, list_connections, save_connection, update_connection

if TYPE_CHECKING:
    from collections.abc import Callable

FILE = Path("reiterate.toml")
NEW: dict[str, object] = {"api_key": "env:SHOP_KEY", "start_date": "09/01/2026"}

TEXT = """\
# Our projects
[connections.shop] # the big one
api_key = "env:SHOP_KEY"  # from the vault
start_date = 2026-09-01
tables = [
    "campaigns",  # always
    "users",
]
# region = "EU"

# Where it all goes
[destinations.warehouse]
url = "warehouse.duckdb"

# Ours, but smaller
[connections.outlet]
api_key = "env:OUTLET_KEY"
start_date = "10/01/2026"

[connections.outlet.table.email_open]
lookback = "7d"  # phones are slow

# the end
"""


@pytest.fixture(autouse=True)
def _in_a_directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def plain() -> dict[str, Any]:
    return tomllib.loads(FILE.read_text())


def comments(text: str) -> list[str]:
    return [line[line.index("#") :] for line in text.splitlines() if "#" in line]


def refusal(change: Any, *args: Any, **kwargs: Any) -> str:
    """The message of a change that is refused, with the file and its directory untouched."""
    before = {path: path.read_bytes() for path in Path().iterdir()}
    with pytest.raises(SettingsError) as caught:
        change(*args, **kwargs)
    assert {path: path.read_bytes() for path in Path().iterdir()} == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_any_setting_of_a_table() -> None:
    """A file in which tables have settings of their own can be changed, whatever they are."""
    own: dict[str, object] = {
        "start_date": "09/01/2026",
        "window_in_days": 7,
        "lookback": "1d",
        "lists": ["1"],
        "schema_policy": "freeze",
        "column_names": "source",
        "custom_fields": "json",
        "columns": ["ip"],
        "omit_columns": ["city"],
        "hash_columns": ["email"],
        "full_refresh": True,
        "history": True,
        "snapshots": False,
    }
    assert {*TABLE_SETTINGS} == own.keys()
    save_connection(FILE, "kept", NEW, {"list_users": own})
    update_connection(FILE, "kept", {"region": "EU"})
    assert own == plain()["connections"]["kept"]["table"]["list_users"]


def test_no_file_has_no_connections() -> None:
    """A file that is not there lists nothing."""
    assert list_connections(FILE) == []


def test_a_first_connection_makes_a_file_for_its_owner_alone() -> None:
    """A key may stand in the new file, so nobody else may read it."""
    save_connection(FILE, "shop", NEW | {"api_key": Secret("a-key")})
    assert FILE.stat().st_mode & 0o777 == 0o600
    assert list_connections(FILE) == ["shop"]
    assert [path.name for path in Path().iterdir()] == ["reiterate.toml"]
    read = load(overrides={}, environ={}, known_tables={}, now=datetime(2026, 11, 23, tzinfo=UTC))
    assert read.connection.api_key.reveal() == "a-key"
    assert read.notices == ()


def test_native_values_are_written_as_the_file_has_them() -> None:
    """Dates, lengths, paths and tuples are spelt so that they are read as what they were."""
    table = {"email_open": {"start_date": date(2026, 10, 1), "lookback": timedelta(days=7)}}
    values = {"window_in_days": timedelta(hours=12), "tables": ("users",), "destination": Path("x.db"), "region": None}
    save_connection(FILE, "shop", NEW | {"lookback": timedelta(hours=36)} | values, table)
    assert plain()["connections"]["shop"] == NEW | {
        "lookback": "1d12h",
        "window_in_days": 0.5,
        "tables": ["users"],
        "destination": "x.db",
        "table": {"email_open": {"start_date": date(2026, 10, 1), "lookback": "7d"}},
    }


def test_a_further_connection_leaves_all_else_as_it_was() -> None:
    """What stood in the file stands there still, to the letter, before what is new."""
    FILE.write_text(TEXT)
    FILE.chmod(0o640)
    save_connection(FILE, "third", NEW)
    assert FILE.read_text().startswith(TEXT)
    assert list_connections(FILE) == ["shop", "outlet", "third"]
    assert FILE.stat().st_mode & 0o777 == 0o640


def test_changes_keep_comments_and_order() -> None:
    """Only the changed settings differ; comments beside and between them stay."""
    FILE.write_text(TEXT)
    update_connection(FILE, "outlet", {"region": "EU", "start_date": None, "table": {"users": {"window_in_days": 7}}})
    update_connection(FILE, "outlet", {"table": {"email_open": {"lookback": "1d", "window_in_days": 3.5}}})
    update_connection(FILE, "shop", {"start_date": "10/02/2026"})
    assert comments(FILE.read_text()) == comments(TEXT)
    assert list_connections(FILE) == ["shop", "outlet"]
    assert plain()["connections"]["outlet"] == {
        "api_key": "env:OUTLET_KEY",
        "region": "EU",
        "table": {"email_open": {"lookback": "1d", "window_in_days": 3.5}, "users": {"window_in_days": 7}},
    }
    assert plain()["connections"]["shop"]["start_date"] == "10/02/2026"
    assert plain()["destinations"] == tomllib.loads(TEXT)["destinations"]


def test_a_table_loses_its_own_settings() -> None:
    """Nothing as a value removes a setting, also of a table, and a table with all of its own."""
    FILE.write_text(TEXT)
    update_connection(FILE, "outlet", {"table": {"email_open": {"lookback": None, "window_in_days": 1}}})
    assert plain()["connections"]["outlet"]["table"] == {"email_open": {"window_in_days": 1}}
    update_connection(FILE, "outlet", {"table": {"email_open": None}})
    assert plain()["connections"]["outlet"].get("table", {}) == {}


def test_a_taken_name_is_refused_unless_it_is_replaced() -> None:
    """A connection is replaced as a whole, and only if that is said."""
    FILE.write_text(TEXT)
    assert "There is a connection outlet already." in refusal(save_connection, FILE, "outlet", NEW)
    save_connection(FILE, "outlet", NEW, {"users": {"lookback": "1d"}}, replace=True)
    assert plain()["connections"]["outlet"] == NEW | {"table": {"users": {"lookback": "1d"}}}
    assert "# Ours, but smaller" in FILE.read_text()


def test_deleting_keeps_what_belongs_to_others() -> None:
    """A section goes with its tables; the comment before the next section stays with that."""
    FILE.write_text(TEXT)
    delete_connection(FILE, "shop")
    assert comments(FILE.read_text()) == ["# Our projects", *comments(TEXT)[-4:-3], *comments(TEXT)[-3:]]
    assert "# Where it all goes\n[destinations.warehouse]" in FILE.read_text()
    delete_connection(FILE, "outlet")
    assert plain() == {"destinations": {"warehouse": {"url": "warehouse.duckdb"}}}
    assert "# the end" in FILE.read_text()
    save_connection(FILE, "shop", NEW)
    assert list_connections(FILE) == ["shop"]


@pytest.mark.parametrize(
    "text",
    [
        'connections = { shop = { api_key = "k", start_date = "09/01/2026" }, outlet = { region = "EU" } }\n',
        'connections.shop.api_key = "k"\nconnections.shop.region = "US"\nconnections.outlet.region = "EU"\n',
        '[connections]\nshop.api_key = "k"\nshop.start_date = "09/01/2026"\noutlet.region = "EU"\n',
        '[connections."shop"]\napi_key = """\nk"""\nstart_date = "09/01/2026"\n[connections.outlet]\nregion = "EU"\n',
        '[connections.outlet]\nregion = "EU"\n[connections.shop]\napi_key = """\n[connections.x]"""\n',
    ],
)
def test_other_ways_of_writing_are_changed_or_refused(text: str) -> None:
    """However the file is written, a change comes out as it was meant or not at all."""
    FILE.write_text(text)
    before = plain()["connections"]
    changes: tuple[Callable[[], None], ...] = (
        lambda: update_connection(FILE, "outlet", {"lookback": "1d"}),
        lambda: save_connection(FILE, "third", NEW),
        lambda: delete_connection(FILE, "shop"),
    )
    for change in changes:
        content = FILE.read_bytes()
        try:
            change()
        except SettingsError:
            assert FILE.read_bytes() == content
    for name, section in plain()["connections"].items():
        assert section in (before.get(name), {**before.get(name, {}), "lookback": "1d"}, NEW)


def test_line_ends_of_windows_stay() -> None:
    """A file with the line ends of Windows has them throughout after a change."""
    FILE.write_bytes(TEXT.replace("\n", "\r\n").encode())
    update_connection(FILE, "outlet", {"region": "EU"})
    save_connection(FILE, "third", NEW)
    content = FILE.read_bytes()
    assert content.count(b"\n") == content.count(b"\r\n")
    assert comments(content.decode()) == comments(TEXT)


def test_a_link_stays_a_link() -> None:
    """A file that is a link to another place is changed in that place."""
    Path("there").mkdir()
    Path("there/r.toml").write_text(TEXT)
    FILE.symlink_to("there/r.toml")
    update_connection(FILE, "shop", {"region": "EU"})
    assert FILE.is_symlink()
    assert tomllib.loads(Path("there/r.toml").read_text())["connections"]["shop"]["region"] == "EU"


WRONG: list[tuple[dict[str, object], str]] = [
    ({"start_date": "13/45/2026"}, "start_date cannot be '13/45/2026'"),
    ({"window_in_days": "thirty"}, "window_in_days cannot be 'thirty'"),
    ({"lookback": "soon"}, "lookback cannot be 'soon'"),
    ({"region": "Mars"}, "region cannot be 'Mars'"),
    ({"data_gateway": "ftp://me:hunter2@proxy:21"}, "data_gateway cannot be"),
    ({"api_address": "https://me:hunter2@proxy"}, "api_address cannot be"),
    ({"api_key": "hunter 2"}, "api_key cannot be a text with a blank in it"),
    ({"ca_bundle": "none.pem"}, "ca_bundle cannot be 'none.pem'"),
    ({"tables": []}, "tables cannot be empty"),
    ({"rate_limit_factor": 0}, "rate_limit_factor cannot be 0"),
    ({"destination": "nowhere"}, "There is no destination nowhere."),
    ({"dataset": "my-data"}, "dataset cannot be 'my-data'"),
    ({"regoin": "EU"}, "There is no setting regoin. Did you mean region?"),
    ({"table": {"users": {"lookback": "soon"}}}, "lookback cannot be 'soon'"),
    ({"table": {"users": {"region": "EU"}}}, "There is no setting region."),
    ({"region": object()}, "reason="),
]


@pytest.mark.parametrize(("values", "message"), WRONG)
def test_wrong_values_leave_the_file_as_it_was(values: dict[str, object], message: str) -> None:
    """What load would refuse is not written, by a new connection or by a change."""
    FILE.write_text(TEXT)
    for refused in (
        refusal(save_connection, FILE, "third", NEW | values),
        refusal(update_connection, FILE, "shop", values),
        refusal(save_connection, FILE, "shop", NEW | values, replace=True),
    ):
        assert message in refused
        assert "hunter" not in refused


def test_names_are_checked() -> None:
    """A connection has a name that its section can have, and one that is not there cannot be changed."""
    FILE.write_text(TEXT)
    assert "letters, digits, - and _" in refusal(save_connection, FILE, "my shop", NEW)
    for change in (lambda: update_connection(FILE, "shpo", {}), lambda: delete_connection(FILE, "shpo")):
        assert "There is no connection shpo. Did you mean shop?" in refusal(change)
    assert "There is no connection shop." in refusal(update_connection, Path("none.toml"), "shop", {})


def test_a_wrong_file_is_not_touched() -> None:
    """A file that cannot be read as settings is reported as load reports it."""
    FILE.write_text("[connections.shop\n")
    assert "not valid TOML" in refusal(save_connection, FILE, "shop", NEW)
    FILE.write_text("[connection.shop]\n")
    assert "There is no section connection." in refusal(save_connection, FILE, "shop", NEW)


def test_a_place_where_nothing_can_be_written_is_named() -> None:
    """The system's reason is told."""
    assert "cannot be written" in refusal(save_connection, Path("none/r.toml"), "shop", NEW)


TEXTS = st.text(
    st.characters(min_codepoint=32, max_codepoint=0x2FFF, exclude_categories=("Cc", "Cs")), min_size=1, max_size=20
)


@given(comment=TEXTS, dataset=st.from_regex(r"\A[a-z][a-z0-9_]{0,20}\Z"), days=st.floats(0.001, 3650))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_value_goes_in_and_comes_out(comment: str, dataset: str, days: float) -> None:
    """What is saved is what is read, whatever comments stand around it."""
    FILE.write_text(f"# {comment}\n", encoding="utf-8")
    values: dict[str, object] = {"dataset": dataset, "window_in_days": days}
    save_connection(FILE, "shop", NEW)
    update_connection(FILE, "shop", values)
    text = FILE.read_text(encoding="utf-8")
    assert text.startswith(f"# {comment.rstrip()}")
    assert tomllib.loads(text) == {"connections": {"shop": NEW | values}}
    delete_connection(FILE, "shop")
    assert FILE.read_text(encoding="utf-8").startswith(f"# {comment.rstrip()}")


def test_settings_of_columns_and_lists_are_kept_and_checked() -> None:
    """What tables have of their own stays when something else changes, and a wrong value of it is refused."""
    own: dict[str, dict[str, object]] = {
        "users": {
            "schema_policy": "freeze",
            "column_names": "source",
            "custom_fields": "json",
            "hash_columns": ["email"],
        },
        "email_open": {"columns": ["ip"], "omit_columns": ["city"]},
        "list_users": {"lists": [7]},
    }
    save_connection(FILE, "shop", NEW | {"schema_policy": "discard", "hash_salt": "env:SALT"}, own)
    update_connection(FILE, "shop", {"table": {"users": {"lookback": "1d"}}})
    own["users"]["lookback"] = "1d"
    assert plain()["connections"]["shop"]["table"] == own
    wrongs: list[dict[str, Any]] = [
        {"schema_policy": "frozen"},
        {"hash_salt": "short"},
        {"table": {"users": {"custom_fields": "blob"}}},
        {"table": {"users": {"columns": []}}},
        {"table": {"users": {"lists": [7]}}},
    ]
    for wrong in wrongs:
        assert "cannot be" in refusal(update_connection, FILE, "shop", wrong)
