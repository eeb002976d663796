"""Whatever stands in file, flags and environment: a message that says what is wrong, or settings; never a traceback."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reiterate.catalog import GROUPS, TABLES
from reiterate.errors import SettingsError
from reiterate.settings import describe, load
from reiterate.settings.document import DESTINATION_SETTINGS, SETTINGS, TABLE_SETTINGS
from reiterate.settings.load import ENVIRONMENT
from tests.cli.command import reiterate

NOW = datetime(2026, 11, 27, tzinfo=UTC)
NEEDED = {"api_key": "k" * 32, "start_date": "09/01/2026"}
ODD = (
    *("", "none", "-1", "1e400", "nan", "inf", "9" * 5000, "99/99/9999", "0001-01-01", "1d" * 10_000, "\0", "\ud800"),
    *(
        "~nobody/x",
        "~",
        "/",
        "..",
        "x" * 10_000,
        "env:X",
        "env:\0",
        "file:missing",
        "file:~nobody/x",
        "file:\0",
        "keyring:",
    ),
    *("http://[", "http://[::1]:8080", "http://h:99999", "http://h:٣", "http://u:p@h:1/%zz", "socks5://h:1"),
    *("duckdb:///" + "x" * 5000, "duckdb:///~nobody/x", "postgresql://[::1/d", "postgresql://h:٣/d", "file:///%00"),
    *("file:///" + "x" * 5000, "s3://b?endpoint=http://[", "md:x?motherduck_token=\ud800", "ducklake:", "bigquery://["),
    *("[", "[!", "!all", "export:" + "a" * 100, "email_*", "C:\\x", ":memory:", "ab\ncd"),
)
PLAIN: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(ODD),
    st.text(max_size=20),
    st.integers(),
    st.just(10**4100),
    st.floats(),
    st.booleans(),
    st.dates(),
    st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=14)), timezone(timedelta(hours=-14))])),
    st.timedeltas(),
)
VALUES = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner), max_leaves=4
)
EXAMPLES = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def loaded(overrides: dict[str, Any], environ: dict[str, str], file: Path | None = None) -> None:
    """Load the settings, and say what they are or what is wrong with them."""
    try:
        found = load(file=file, overrides=overrides, environ=environ, known_tables=TABLES, groups=GROUPS, now=NOW)
    except SettingsError as error:
        said = str(error)
    else:
        said = str(describe(found.connection))
    assert said
    assert "\n" not in said


@EXAMPLES
@given(st.sampled_from(SETTINGS), VALUES)
def test_any_argument(setting: str, value: object) -> None:
    """Any value of any setting that a program gives."""
    loaded({**NEEDED, setting: value}, {})


@EXAMPLES
@given(
    st.sampled_from([*ENVIRONMENT.values(), "REITERATE_CONFIG", "REITERATE_CONNECTION"]),
    st.sampled_from(ODD) | st.text(max_size=20),
)
def test_any_variable(variable: str, value: str) -> None:
    """Any text in any variable of the environment."""
    names = {ENVIRONMENT[name]: text for name, text in NEEDED.items()}
    loaded({}, names | {variable: value})


def toml(value: object) -> str:
    """Return *value* as TOML."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return json.dumps(value.encode("utf-8", "replace").decode()).replace("\x7f", "\\u007f")
        case int() if value > 10**4000:
            return "9" * 5000
        case float() | int():
            return repr(value)
        case datetime() | date():
            return value.isoformat()
        case list():
            return f"[{', '.join(map(toml, value))}]"
        case dict():
            return f"{{{', '.join(f'{toml(name)} = {toml(one)}' for name, one in value.items())}}}"
        case _:
            return '"?"'


SECTIONS = {
    "connections.a": SETTINGS,
    "connections.a.table.users": TABLE_SETTINGS,
    "destinations.d": DESTINATION_SETTINGS,
}


@EXAMPLES
@given(st.sampled_from(sorted(SECTIONS)), st.data())
def test_any_file(tmp_path: Path, section: str, data: st.DataObject) -> None:
    """Any value of any setting in a file, with bytes that are cut or changed."""
    name = data.draw(st.sampled_from([*SECTIONS[section], "x", "table", "tables"]))
    content = f"[{section}]\n{name} = {toml(data.draw(VALUES))}\n".encode()
    if data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(content)))
        content = content[:place] + data.draw(st.binary(max_size=3)) + content[place + data.draw(st.integers(0, 3)) :]
    file = tmp_path / "reiterate.toml"
    file.write_bytes(content)
    loaded(dict(NEEDED) if data.draw(st.booleans()) else {}, {}, file)


@pytest.mark.parametrize(
    ("content", "meant"),
    [
        ("[connections.shop.tables.users]\nhistory = true", "[connections.shop.table.NAME]"),
        ("[connections.shop.lookback]\nx = 1", "lookback"),
        ("[connections.shop.table.users.columns]\nx = 1", "columns"),
        ("[connections.shop.destination]\nurl = 'x.duckdb'", "destination"),
        ("[destinations.d.url]\nx = 1", "url"),
        ("[connections.shop]\ntables = {users = 1}", "tables"),
    ],
)
def test_a_section_in_the_place_of_a_value(content: str, meant: str) -> None:
    """A section that nobody knows is told, though flags override all that it might mean."""
    Path("reiterate.toml").write_text(content)
    flags = ("--tables", "users", "--lookback", "1h", "--destination", "y.duckdb", "--start-date", "11/01/2026")
    ended = reiterate("status", *flags, ITERABLE_API_KEY="k" * 32)
    assert (2, True, True) == (ended.status, "There is no section" in ended.err, meant in ended.err)


@pytest.mark.parametrize(
    "odd", ["~nobody/x.duckdb", "x" * 5000 + ".duckdb", "file:///" + "x" * 5000, "missing/x.duckdb"]
)
def test_paths_that_cannot_be(odd: str) -> None:
    """A path that cannot be is a message of one line, on the command line, too."""
    ended = reiterate("status", "--start-date", "11/01/2026", "--destination", odd, ITERABLE_API_KEY="k" * 32)
    assert (True, 1) == (ended.status in {0, 2}, len((ended.err or "\n").splitlines()))


@pytest.mark.parametrize(
    "content", [b"\xff\xfe", b"\xef\xbb\xbf[connections.a]\n", b"[", b"\0", b"[connections]\na = 1"]
)
def test_files_that_are_odd(content: bytes) -> None:
    """A file that is no TOML, or no text, is a message; a byte order mark is none."""
    Path("reiterate.toml").write_bytes(content)
    ended = reiterate("connection", "show", "--start-date", "11/01/2026", ITERABLE_API_KEY="k" * 32)
    assert (0 if content.startswith(b"\xef") else 2) == ended.status
    Path("reiterate.toml").unlink()
    Path("reiterate.toml").mkdir()
    assert 2 == reiterate("connection", "show", "--start-date", "11/01/2026", ITERABLE_API_KEY="k" * 32).status
