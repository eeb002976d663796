"""Settings: what is found where, and one clear message for each wrong one."""

from __future__ import annotations

import copy
import pickle
import ssl
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keyring
import keyring.backend
import keyring.errors
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reiterate import catalog
from reiterate.errors import SettingsError
from reiterate.settings import Connection, Destination, Gateway, Reading, Secret, describe, load

if TYPE_CHECKING:
    from collections.abc import Mapping

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
TABLES = ("campaigns", "email_click", "email_open", "list_users", "templates", "users")
KNOWN = {name: catalog.TABLES[name] for name in TABLES}
GROUPS = {"taps": ("email_click", "campaigns")}
KEY = "0123456789abcdef0123456789abcdef"
BASE: dict[str, Any] = {"api_key": KEY, "start_date": "09/01/2026"}


@pytest.fixture(autouse=True)
def _in_a_directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def found(
    text: str | bytes | None = None,
    /,
    *,
    connection: str | None = None,
    environ: Mapping[str, str] = {},
    **overrides: Any,
) -> Connection:
    return loaded(text, connection=connection, environ=environ, **overrides)[0]


def loaded(
    text: str | bytes | None = None,
    /,
    *,
    connection: str | None = None,
    file: Path | None = None,
    environ: Mapping[str, str] = {},
    **overrides: Any,
) -> tuple[Connection, tuple[str, ...]]:
    if text is not None:
        path = Path("reiterate.toml")
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(0o600)
    read = load(
        connection=connection,
        file=file,
        overrides=overrides,
        environ=environ,
        known_tables=KNOWN,
        groups=GROUPS,
        now=NOW,
    )
    return read.connection, read.notices


def refusal(*args: Any, **kwargs: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        loaded(*args, **kwargs)
    message = str(caught.value)
    assert "\n" not in message
    return message


def shown(**kwargs: Any) -> str:
    """Everything that a person may see of these settings, whether they are right or wrong."""
    try:
        connection, notices = loaded(**kwargs)
    except SettingsError as error:
        return f"{error} {error!r}"
    return f"{connection} {connection!r} {describe(connection)} {notices}"


def section(**values: str) -> str:
    """One connection with a key and a start, and *values* as TOML."""
    lines = {"api_key": f'"{KEY}"', "start_date": '"09/01/2026"'} | values
    return "[connections.shop]\n" + "".join(f"{name} = {value}\n" for name, value in lines.items() if value)


WRONG: list[tuple[str, object, tuple[str, ...]]] = [
    ("start_date", "13/45/2026", ("'13/45/2026'", "there is no such day", "MM/DD/YYYY")),
    ("start_date", "02/30/2026", ("'02/30/2026'", "there is no such day", "MM/DD/YYYY")),
    ("start_date", "2026-02-30", ("'2026-02-30'", "there is no such day", "MM/DD/YYYY")),
    ("start_date", "11/24/2026", ("'11/24/2026'", "it is in the future", "to today")),
    ("start_date", date(2027, 1, 1), ("'2027-01-01'", "it is in the future", "to today")),
    ("start_date", "01/01/1026", ("'01/01/1026'", "Iterable did not exist then", "from 01/01/2012")),
    ("start_date", "12/31/2011", ("'12/31/2011'", "from 01/01/2012")),
    ("start_date", "30d", ("'30d'", "MM/DD/YYYY")),
    ("start_date", "30 days ago", ("'30 days ago'", "MM/DD/YYYY")),
    ("start_date", "31.12.2025", ("'31.12.2025'", "MM/DD/YYYY")),
    ("start_date", "", ("''", "MM/DD/YYYY")),
    ("start_date", 20260901, ("20260901", "MM/DD/YYYY")),
    ("start_date", datetime(2026, 9, 1, 10, tzinfo=UTC), ("2026-09-01 10:00", "without a time")),
    ("start_date", datetime(2026, 9, 1, tzinfo=timezone(timedelta(hours=2))), ("2026-09-01", "without a time")),
    ("window_in_days", 0, ("cannot be 0.", "above 0", "3650")),
    ("window_in_days", "-3", ("'-3'", "above 0")),
    ("window_in_days", "thirty", ("'thirty'", "number of days")),
    ("window_in_days", "nan", ("'nan'", "number of days")),
    ("window_in_days", float("nan"), ("nan", "number of days")),
    ("window_in_days", "inf", ("'inf'", "number of days")),
    ("window_in_days", float("inf"), ("inf", "number of days")),
    ("window_in_days", 3651, ("3651", "up to 3650")),
    ("window_in_days", 10**400, ("1000", "up to 3650")),
    ("window_in_days", "1_0", ("'1_0'", "number of days")),
    ("window_in_days", "٣", ("'٣'", "number of days")),
    ("window_in_days", 0.000001, ("1e-06", "shorter than a second")),
    ("window_in_days", True, ("True", "number of days")),
    ("window_in_days", [1], ("[1]", "number of days")),
    ("window_in_days", timedelta(0), ("0:00:00", "above 0")),
    ("region", "Mars", ("'Mars'", "US or EU")),
    ("region", "", ("''", "US or EU")),
    ("region", 1, ("1", "US or EU")),
    ("data_gateway", "http://", ("'http://'", "it has no host", "SCHEME://")),
    ("data_gateway", "http://:8080", ("it has no host", "SCHEME://")),
    ("data_gateway", "ftp://proxy.corp:21", ("'ftp://proxy.corp:21'", "scheme is not known", "socks5h")),
    ("data_gateway", "proxy.corp:8080", ("'proxy.corp:8080'", "it has no SCHEME://", "http, https")),
    ("data_gateway", "http://proxy.corp:99999", ("'http://proxy.corp:99999'", "port is wrong", "HOST:PORT")),
    ("data_gateway", "http://proxy.corp:0", ("'http://proxy.corp:0'", "port is wrong", "HOST:PORT")),
    ("data_gateway", "http://proxy.corp:eighty", ("http://********", "host or port is wrong", "HOST:PORT")),
    ("data_gateway", "http://proxy corp:80", ("a blank or control character", "HOST:PORT")),
    ("data_gateway", "http://proxy.corp:80\n80", ("a blank or control character", "HOST:PORT")),
    ("data_gateway", "http://proxy.corp:80/path", ("'http://proxy.corp:80/path'", "behind the port")),
    ("data_gateway", 8080, ("not text", "SCHEME://")),
    ("ca_bundle", "missing.pem", ("'missing.pem'", "no such file", "PEM")),
    ("ca_bundle", ".", ("'.'", "it is a directory", "PEM")),
    ("ca_bundle", ["corp.pem"], ("['corp.pem']", "PEM")),
    ("ca_bundle", "nul\0.pem", ("PEM",)),
    ("api_address", "ftp://api.iterable.com", ("'ftp://api.iterable.com'", "scheme is not known", "http(s)://HOST")),
    ("api_address", "api.iterable.com", ("'api.iterable.com'", "it has no SCHEME://", "https://api.iterable.com")),
    ("api_address", "https://", ("'https://'", "it has no host", "http(s)://HOST")),
    ("api_address", "https://api.iterable.com/api", ("Reiterate adds /api itself", "http(s)://HOST")),
    ("api_address", "https://proxy/a/../b", ("its path is not plain", "http(s)://HOST")),
    ("api_address", "https://proxy//b", ("its path is not plain", "http(s)://HOST")),
    ("api_address", "https://proxy?x=1", ("behind the path", "http(s)://HOST")),
    ("api_address", "https://proxy#x", ("behind the path", "http(s)://HOST")),
    ("api_address", "https://proxy:x", ("port is wrong", "http(s)://HOST")),
    ("api_address", "https://user:hunter2@proxy", ("it holds credentials", "http(s)://HOST")),
    ("api_address", "https://a b", ("a blank or control character", "http(s)://HOST")),
    ("tables", "email_opens", ("'email_opens'", "no such table", "did you mean email_open")),
    ("tables", ["campaigns", "campains"], ("'campains'", "no such table", "did you mean campaigns")),
    ("tables", "zzz", ("'zzz'", "one of campaigns, email_click")),
    ("tables", ["campaigns", "campaigns"], ("campaigns stands there twice", "once")),
    ("tables", "campaigns, campaigns ", ("campaigns stands there twice", "once")),
    ("tables", ["camp*", "!campaigns"], ("leaves at least one",)),
    ("tables", "pushs_*", ("no such table",)),
    ("tables", "export:", ("no such table",)),
    ("tables", [], ("empty", "leave `tables` out")),
    ("tables", "", ("empty", "leave `tables` out")),
    ("tables", "campaigns,,users", ("''", "no such table")),
    ("tables", [1], ("cannot be 1", "no such table")),
    ("tables", 7, ("cannot be 7", "a list of table names")),
    ("lookback", "-2h", ("'-2h'", "2h, 7d")),
    ("lookback", "2", ("'2'", "it has no unit", "2h, 7d")),
    ("lookback", 2, ("cannot be 2", "it has no unit", "2h, 7d")),
    ("lookback", "2 fortnights", ("'2 fortnights'", "2h, 7d")),
    ("lookback", "3651d", ("'3651d'", "up to 3650d")),
    ("lookback", "999999999w", ("'999999999w'", "up to 3650d")),
    ("lookback", "", ("''", "2h, 7d")),
    ("lookback", timedelta(hours=-1), ("-1 day", "2h, 7d")),
    ("rate_limit_factor", 0, ("cannot be 0", "above 0")),
    ("rate_limit_factor", -1, ("-1", "above 0")),
    ("rate_limit_factor", "nan", ("'nan'", "above 0")),
    ("rate_limit_factor", "fast", ("'fast'", "above 0")),
    ("destination", "postgresql://user:hunter2@host", ("it names no database", "duckdb:///FILE", "postgresql://[USER")),
    ("destination", "postgres:user:hunter2@host/db", ("no // stands behind", "postgresql://[USER")),
    ("destination", "postgresql://user:hun#ter2@host/db", ("stands as %40 or %23",)),
    ("destination", "postgresql://user:hunter2@[::1/db", ("its host is wrong",)),
    ("destination", "postgresql://user:hunt@er2@host/db", ("stands as %40 or %23",)),
    ("destination", "postgresql://user:hunter2@host:port/db", ("its host or port is wrong",)),
    ("destination", "mysql://user:hunter2@host/db", ("mysql:", "duckdb:///FILE", "its scheme is not known")),
    ("destination", "md:?motherduck_token=hunter2", ("md:DATABASE", "its name is not plain")),
    ("destination", "md:my shop?motherduck_token=hunter2", ("md:DATABASE", "its name is not plain")),
    ("destination", "ducklake:", ("ducklake:CATALOG", "it names nothing")),
    ("destination", "snowflake:me:hunter2@acc/db", ("no // stands behind", "snowflake://USER:PASSWORD@ACCOUNT")),
    ("destination", "mssql://me:hunter2@host/d b", ("a blank or control character", "mssql://USER")),
    ("destination", "redshift://me:hun#ter2@host/db", ("stands as %40 or %23",)),
    ("destination", "duckdb:shop.duckdb", ("duckdb:", "duckdb:///FILE")),
    ("destination", "duckdb:///", ("duckdb:///", "duckdb:///FILE")),
    ("destination", ":memory:", ("duckdb:///FILE",)),
    ("destination", "duckdb:///x.duckdb?access_mode=x", ("behind the file", "duckdb:///FILE")),
    ("destination", "file:lake", ("refers to 'file:lake'", "cannot be read")),
    ("destination", "file://hunter2/lake", ("file:***", "no directory by its whole path")),
    ("destination", "file:///", ("file:///", "no directory by its whole path")),
    ("destination", "file:///lake?format=csv", ("file:///lake", "no format that is known", "parquet|delta|iceberg")),
    ("destination", "file:///lake?key=hunter2", ("file:///lake", "no format that is known")),
    ("destination", "file:///lake#hunter2", ("file:***", "it has a #")),
    ("destination", "file:///la%00ke", ("file:***", "a control character")),
    ("destination", "file:///dev/null", ("file:///dev/null", "it is a file")),
    ("destination", "s3://key:hunter2@bucket/lake", ("s3://***", "credentials stand in the environment")),
    ("destination", "s3://", ("s3://***", "its bucket or prefix is not plain")),
    ("destination", "s3://bucket/a/../b", ("s3://bucket/a/../b", "its bucket or prefix is not plain")),
    ("destination", "s3://bucket/lake?secret=hunter2", ("s3://bucket/lake", "what stands behind its ? is not known")),
    ("destination", "s3://bucket/lake?format=csv", ("s3://bucket/lake", "what stands behind its ? is not known")),
    ("destination", "s3://bucket/lake?", ("s3://bucket/lake", "nothing stands behind its ?")),
    ("destination", "s3://b/l?endpoint=http://u:hunter2@h", ("s3://b/l", "its endpoint is wrong")),
    ("destination", "gs://bucket/lake?endpoint=http://h", ("gs://bucket/lake", "what stands behind its ?")),
    ("destination", "data/", ("'data/'", "it is a directory")),
    ("destination", "./", ("'./'", "it is a directory")),
    ("destination", "warehose", ("There is no destination warehose", "a name under [destinations]", "none")),
    ("destination", 5, ("duckdb:///FILE",)),
    ("dataset", "1st", ("'1st'", "letters, digits and _")),
    ("dataset", "my-data", ("'my-data'", "letters, digits and _")),
    ("dataset", "x" * 64, ("xxx", "63 at most")),
    ("dataset", "_reiterate_x", ("'_reiterate_x'", "not with _reiterate")),
    ("dataset", "information_schema", ("'information_schema'", "the database's own")),
    ("dataset", "", ("''", "letters, digits and _")),
    ("dataset", 'a"; DROP', ("letters, digits and _",)),
    ("api_key", "", ("cannot be empty", "env:NAME")),
    ("api_key", "  \n", ("cannot be empty", "env:NAME")),
    ("api_key", "hunter\n2", ("a line break", "in one line")),
    ("api_key", "hunter\r\nX-Header: 2", ("a line break", "in one line")),
    ("api_key", "hunter\x002", ("a control character", "in one line")),
    ("api_key", "hunter 2", ("a blank", "in one line")),
    ("api_key", "hunter²", ("not ASCII", "in one line")),
    ("api_key", "hunter\u20282", ("a blank", "in one line")),
    ("api_key", 123456, ("not text",)),
    ("api_key", "env:SHOP_KEY", ("'env:SHOP_KEY'", "this variable is not set", "environment variable")),
    ("api_key", "env:", ("nothing stands behind the colon", "env:NAME")),
    ("api_key", "file:none.txt", ("'file:none.txt'", "cannot be read (no such file", "first line")),
    ("api_key", "file:.", ("'file:.'", "cannot be read (is a directory)", "first line")),
    ("api_key", "file:nul\0", ("cannot be read", "first line")),
    ("name", "two words", ("'two words'", "letters, digits, - and _")),
    ("name", "x" * 65, ("64 at most",)),
]


@pytest.mark.parametrize(("setting", "value", "parts"), WRONG)
def test_a_wrong_value_is_named_with_what_is_accepted(setting: str, value: object, parts: tuple[str, ...]) -> None:
    """The message names the setting, where it came from, what was given, and what is accepted."""
    message = refusal(**(BASE | {setting: value}))
    assert setting in message
    assert "source=argument" in message
    assert "Accepted: " in message
    assert "hunter" not in message
    for part in parts:
        assert part in message


IN_FILE: list[tuple[str, tuple[str, ...]]] = [
    (section(window_in_days="[1]"), ("window_in_days", "[1]", "source=[connections.shop] of reiterate.toml")),
    (section(start_date='"13/45/2026"'), ("start_date", "'13/45/2026'", "[connections.shop] of reiterate.toml")),
    (section(start_date="2026-09-01T10:00:00"), ("start_date", "without a time")),
    (section(start_date=""), ("start_date is missing", "--start-date 09/01/2026", "REITERATE_START_DATE")),
    (section(api_key=""), ("api_key is missing", "ITERABLE_API_KEY", "[connections.shop] of reiterate.toml")),
    (section(regoin='"US"'), ("There is no setting regoin", "Did you mean region?", "rate_limit_factor")),
    (section(api_key='"keyring:shop"'), ("'keyring:shop'", "no such entry")),
    (section(data_gateway='{url = "http://u:hunter2@h:1"}'), ("data_gateway", "no section")),
    (section(destination='"warehouse"'), ("There is no destination warehouse", "destinations=none")),
    (section() + "[connections.shop.table.email_opens]\nlookback='7d'\n", ("'email_opens'", "did you mean email_open")),
    (section() + "[connections.shop.table.users]\nlookback=7\n", ("lookback", "no unit", "shop.table.users]")),
    (section() + "[connections.shop.table.users]\nstart_date='1/1/2027'\n", ("start_date", "in the future")),
    (section() + "[connections.shop.table.users]\nwindow_in_days=0\n", ("window_in_days", "above 0")),
    (section() + "[connections.shop.table.users]\nregion='EU'\n", ("There is no setting region", "lookback")),
    (section() + "[connections.shop.table]\nusers=1\n", ("connections.shop.table", "not a section")),
    (section() + "[destinations.w]\nurl='mysql://u:hunter2@h/d'\n[connections.shop.x]\n", ("There is no setting x",)),
    (section() + "[destination.w]\n", ("There is no section destination", "Did you mean destinations?")),
    (section(destination='"w"') + "[destinations.w]\n", ("url is missing", "[destinations.w] of reiterate.toml")),
    (section(destination='"w"') + "[destinations.w]\nurl='mysql://h'\n", ("setting url", "[destinations.w]", "duckdb")),
    (section(destination='"w"') + "[destinations.w]\nurl='x.db'\ndataset='1'\n", ("dataset", "[destinations.w]")),
    (section(destination='"w"') + "[destinations.w]\nurll='x.db'\n", ("no setting urll", "Did you mean url?")),
    ("connections = 1\n", ("[connections]", "not a section")),
    ("[connections]\nshop = 'hunter2'\n", ("[connections]", "not a section")),
    ("[connections.'my shop']\n", ("name of a connection", "'my shop'", "letters, digits, - and _")),
    ("[connections.'my\\nshop']\n".replace("'", '"'), ("name of a connection", "letters, digits, - and _")),
    ("[connections.shop]\napi_key = hunter2\n", ("not valid TOML", "line 2, column 11", "reiterate.toml")),
    ("[connections.shop]\napi_key = 'hunter2'\napi_key = 'hunter2'\n", ("not valid TOML", "at=line 3")),
    ("[connections.shop\n", ("not valid TOML", "line 1")),
    ("x = " + "[" * 5000, ("not valid TOML",)),
    ("x = " + "1" * 5000, ("not valid TOML",)),
    ("[connections.a]\n[connections.b]\n", ("Several connections", "connections=a, b", "--connection")),
]


@pytest.mark.parametrize(("text", "parts"), IN_FILE)
def test_a_wrong_file_is_named_with_the_place(text: str, parts: tuple[str, ...]) -> None:
    """What is wrong in the file is named with file and section, or line and column; no value of a key is shown."""
    with keyring_of({}):
        message = refusal(text)
    assert "hunter" not in message
    assert KEY not in message
    for part in parts:
        assert part in message


def test_a_file_that_is_not_text_is_refused() -> None:
    """A file in another encoding is refused with the place of the first wrong byte."""
    assert "not UTF-8 text. (file=reiterate.toml, byte=3)" in refusal(b"# \n\xff\xfe")


def test_a_file_with_a_byte_order_mark_is_read() -> None:
    """Windows editors put a mark in front, which does not count."""
    assert found(b"\xef\xbb\xbf" + section().encode()).name == "shop"


def test_a_named_file_must_exist() -> None:
    """The file of the working directory may be missing, one that was named may not."""
    assert found(**BASE).name == "iterable"
    for message in (
        refusal(file=Path("none.toml"), **BASE),
        refusal(environ={"REITERATE_CONFIG": "none.toml"}, **BASE),
    ):
        assert "does not exist. (file=none.toml)" in message


def test_a_directory_is_no_file() -> None:
    """A directory in the file's place is named as such."""
    assert "cannot be read. (file=., reason=Is a directory)" in refusal(file=Path(), **BASE)


def test_a_file_that_may_not_be_read_is_named() -> None:
    """A file without the right to read it is named with the system's reason."""
    Path("locked.toml").write_text(section())
    Path("locked.toml").chmod(0)
    try:
        Path("locked.toml").read_bytes()
    except PermissionError:
        assert "reason=Permission denied" in refusal(file=Path("locked.toml"))
    else:
        pytest.skip("root may read everything")


def test_certificates_must_be_certificates() -> None:
    """A file that is there but holds no PEM is refused."""
    Path("corp.pem").write_text("hello")
    assert "it holds no certificates in PEM form" in refusal(**BASE, ca_bundle="corp.pem")


def test_an_unknown_connection_is_refused_with_those_there() -> None:
    """A connection that is not there is answered with the names of those that are."""
    assert "connections=none" in refusal(connection="shop", **BASE)
    message = refusal(section(), connection="shpo")
    assert "There is no connection shpo. Did you mean shop?" in message
    assert "connections=shop" in message
    assert "There is no connection 'a\\nb'." in refusal(section(), connection="a\nb")


def test_an_unknown_argument_is_refused() -> None:
    """An argument that is no setting is answered with the nearest that is."""
    assert "There is no setting windw_in_days. Did you mean window_in_days?" in refusal(**BASE, windw_in_days=3)


def test_with_no_file_key_and_start_suffice() -> None:
    """Without a file, the key from the environment and a start make a connection of defaults."""
    connection, notices = loaded(environ={"ITERABLE_API_KEY": KEY}, start_date="09/01/2026")
    assert notices == ()
    assert connection == Connection(
        name="iterable",
        api_key=Secret(KEY),
        start=datetime(2026, 9, 1, tzinfo=UTC),
        window=timedelta(days=30),
        gateway=None,
        ca_bundle=None,
        region="US",
        api_address="https://api.iterable.com",
        tables=tuple(KNOWN),
        lookback=timedelta(hours=2),
        rate_limit_factor=1.0,
        destination=Destination("default", "duckdb:///iterable.duckdb", "iterable"),
        spool_bytes=4_000_000_000,
        table={},
    )
    assert connection.destination.path == Path("iterable.duckdb")


@pytest.mark.parametrize("start", ["09/01/2026", " 9/1/2026\n", "2026-09-01", date(2026, 9, 1), datetime(2026, 9, 1)])  # noqa: DTZ001
def test_dates_as_people_write_them(start: object) -> None:
    """American and ISO dates and native ones name the same midnight UTC."""
    assert datetime(2026, 9, 1, tzinfo=UTC) == found(api_key=KEY, start_date=start).start


def test_today_is_no_future() -> None:
    """A start today is accepted, by the date in UTC."""
    assert datetime(2026, 11, 23, tzinfo=UTC) == found(api_key=KEY, start_date="11/23/2026").start


@pytest.mark.parametrize(
    ("given_", "window"),
    [
        (30, timedelta(days=30)),
        ("0.5", timedelta(hours=12)),
        (" 7 ", timedelta(days=7)),
        (timedelta(hours=6), timedelta(hours=6)),
        (1 / 86400, timedelta(seconds=1)),
        (0.1234567, timedelta(seconds=10667)),
        (3650, timedelta(days=3650)),
    ],
)
def test_windows(given_: object, window: timedelta) -> None:
    """Windows may be fractions of days; they are whole seconds."""
    assert window == found(**BASE, window_in_days=given_).window


@pytest.mark.parametrize(
    ("given_", "seconds"),
    [("90s", 90), ("15m", 900), ("2h", 7200), ("7d", 604800), ("1w", 604800), ("1d12h", 129600), ("0s", 0)],
)
def test_durations(given_: str, seconds: int) -> None:
    """Durations have units, which may be combined; describe spells them again so that they mean the same."""
    connection = found(**BASE, lookback=given_)
    assert timedelta(seconds=seconds) == connection.lookback
    assert connection.lookback == found(**BASE, lookback=describe(connection)["lookback"]).lookback
    assert connection.lookback == found(**BASE, lookback=timedelta(seconds=seconds)).lookback


@pytest.mark.parametrize(
    ("given_", "region"), [("us", "US"), ("USDC", "US"), ("Eu", "EU"), ("EDC", "EU"), ("eudc", "EU")]
)
def test_regions_have_several_names(given_: str, region: str) -> None:
    """The data centres go by several names, in any case; each has its address."""
    address = {"US": "https://api.iterable.com", "EU": "https://api.eu.iterable.com"}[region]
    connection = found(**BASE, region=given_)
    assert (region, address) == (connection.region, connection.api_address)


def test_the_address_tells_the_region() -> None:
    """Iterable's own address decides the region; a region that says otherwise is a notice."""
    european = "https://api.eu.iterable.com/"
    assert (
        (found(**BASE, api_address=european).region, loaded(**BASE, api_address=european)[1]),
        found(**BASE, api_address=european).api_address,
    ) == (("EU", ()), "https://api.eu.iterable.com")
    assert "region is US, but api_address is that of EU" in loaded(**BASE, region="US", api_address=european)[1][0]


@pytest.mark.parametrize(
    ("address", "notices"),
    [
        ("http://127.0.0.1:8080", 0),
        ("http://localhost:8080/", 0),
        ("http://[::1]:8080", 0),
        ("https://gateway.corp/iterable", 0),
        ("http://gateway.corp/iterable", 1),
        ("http://localhost.example.com", 1),
        ("http://127.example.com", 1),
    ],
)
def test_a_key_in_clear_on_the_wire_is_a_notice(address: str, notices: int) -> None:
    """Without TLS the key is heard by all between, except on the machine itself."""
    connection, told = loaded(**BASE, api_address=address)
    assert address.rstrip("/") == connection.api_address
    assert notices == len(told)
    assert all("travels in clear" in notice for notice in told)


def test_gateways_hide_their_credentials() -> None:
    """A gateway shows where it is, and never with whose name and password."""
    gateway = found(**BASE, data_gateway="SOCKS5h://me:hunter2@Proxy.corp:1080/").gateway
    assert gateway == Gateway("socks5h://me:hunter2@Proxy.corp:1080")
    assert gateway.scheme == "socks5h"
    assert "socks5h://Proxy.corp:1080" == gateway.url_without_credentials == str(gateway)
    assert gateway.reveal() == "socks5h://me:hunter2@Proxy.corp:1080"
    assert found(**BASE, data_gateway="None").gateway is None


@pytest.mark.parametrize(
    "gateway",
    [
        "ftp://me:hunter2@proxy:21",
        "me:hunter2@proxy:8080",
        "http://me:hunter2",
        "http://me:hunter2@",
        "http://me:hunter2@proxy:port",
        "http://me:hunter2@proxy:99999",
        "http://me:hun/hunter2@proxy",
        "http://me:hun#hunter2@proxy:1",
        "http://me:hun?hunter2@proxy:1",
        "http://me:a@hunter2@:80",
        "ftp://me:a@hunter2",
        "http:/me:hunter2@proxy:80",
        "http//me:hunter2@proxy:80",
        "me:hunter2",
        "http://[hunter2@proxy",
        "http://me:hunter2@proxy:80\n",
        "http://me:hun\nhunter2@proxy:80",
    ],
)
def test_credentials_of_a_wrong_gateway_are_not_shown(gateway: str) -> None:
    """Whatever is wrong with it, no message about a gateway repeats its password."""
    assert "hunter2" not in shown(**BASE, data_gateway=gateway)
    assert "hunter2" not in refusal(**BASE, api_address=gateway)
    if not gateway.startswith("http//"):  # which is the path of a file
        assert "hunter2" not in refusal(**BASE, destination=gateway)


def test_tables_as_text_and_list() -> None:
    """Tables may be a list or a text with commas, of names, globs and groups, some left out."""
    assert found(**BASE, tables="campaigns, users").tables == ("campaigns", "users")
    assert found(**BASE, tables=[" campaigns", "users"]).tables == ("campaigns", "users")
    assert found(**BASE, tables="all").tables == tuple(KNOWN)
    assert found(**BASE, tables="email_*").tables == tuple(name for name in KNOWN if name.startswith("email_"))
    assert found(**BASE, tables="Taps,users,email_click").tables == ("email_click", "campaigns", "users")
    assert found(**BASE, tables="all,!email_*,!campaigns").tables == tuple(
        name for name in KNOWN if not name.startswith("email_") and name != "campaigns"
    )
    assert found(**BASE, tables="!email_click").tables == tuple(name for name in KNOWN if name != "email_click")
    assert found(**BASE, tables="export:pigeonSend").tables == ("export:pigeonSend",)


@pytest.mark.parametrize(
    ("given_", "url", "path"),
    [
        ("shop.duckdb", "duckdb:///shop.duckdb", "shop.duckdb"),
        ("duckdb:///data/shop.duckdb", "duckdb:///data/shop.duckdb", "data/shop.duckdb"),
        ("/abs/shop.duckdb", "duckdb:////abs/shop.duckdb", "/abs/shop.duckdb"),
        ("duckdb:////abs/shop.duckdb", "duckdb:////abs/shop.duckdb", "/abs/shop.duckdb"),
        ("./shop", "duckdb:///./shop", "shop"),
        (Path("my shop.db"), "duckdb:///my shop.db", "my shop.db"),
    ],
)
def test_destinations(given_: object, url: str, path: str) -> None:
    """A DuckDB file is named by URL or path, relative or absolute."""
    destination = found(**BASE, destination=given_).destination
    assert (url, Path(path)) == (destination.url, destination.path)


@pytest.mark.parametrize(
    ("given_", "kind", "shown_"),
    [
        ("snowflake://me:hunter2@acc/db?warehouse=w&role=r", "snowflake", "snowflake://acc/db"),
        ("Snowflake://", "snowflake", "snowflake://"),
        ("bigquery://shop-1?location=EU", "bigquery", "bigquery://shop-1"),
        ("databricks://token:hunter2@h.net/main?http_path=/sql/1", "databricks", "databricks://h.net/main"),
        ("clickhouse://me:hunter2@host:9440/db", "clickhouse", "clickhouse://host:9440/db"),
        ("md:shop?motherduck_token=hunter2", "md", "md:shop"),
        ("motherduck:shop", "md", "md:shop"),
        ("ducklake:shop.ducklake?data_path=files", "ducklake", "ducklake:shop.ducklake"),
        ("ducklake:postgres:dbname=lake password=hunter2", "ducklake", "ducklake:postgres:********"),
        ("postgres://me:hunter2@host/db", "postgresql", "postgresql://host/db"),
    ],
)
def test_warehouses(given_: str, kind: str, shown_: str) -> None:
    """A warehouse is named by its URL, of which no more is shown than where it is; the sink gets all of it."""
    destination = found(**BASE, destination=given_).destination
    assert (kind, shown_) == (destination.kind, destination.url)
    assert "hunter2" not in repr(destination)
    assert destination.address.reveal().endswith(given_.partition(":")[2])


@pytest.mark.parametrize(
    ("given_", "url", "path", "format_"),
    [
        ("file:///data/lake", "file:///data/lake", "/data/lake", "parquet"),
        ("FILE:///data/lake/?format=parquet", "file:///data/lake", "/data/lake", "parquet"),
        ("file:///data/lake?format=delta", "file:///data/lake?format=delta", "/data/lake", "delta"),
        ("file:///my lake?format=iceberg", "file:///my%20lake?format=iceberg", "/my lake", "iceberg"),
        ("file:///my%20lake%23", "file:///my%20lake%23", "/my lake#", "parquet"),
    ],
)
def test_directories_of_files(given_: str, url: str, path: str, format_: str) -> None:
    """A directory is named by its whole path, percent signs and all, and the format of its tables behind a ?."""
    destination = found(**BASE, destination=given_).destination
    assert (url, Path(path), format_) == (destination.url, destination.path, destination.format)
    assert "file" == destination.kind


WAREHOUSE = section(destination='"warehouse"') + "[destinations.warehouse]\nurl = 'w.duckdb'\ndataset = 'marketing'\n"


def test_a_server_hides_its_password() -> None:
    """The URL of a server shows where it is; the whole of it is for the sink alone."""
    url = "postgres://me:hunter2@db.corp:5432/shop?sslmode=require"
    connection, notices = loaded(**BASE, destination=url)
    assert "postgresql://db.corp:5432/shop" == connection.destination.url
    assert f"postgresql{url.removeprefix('postgres')}" == connection.destination.address.reveal()
    assert "hunter2" not in str((connection, describe(connection), notices))


def test_the_url_of_a_destination_may_be_a_reference() -> None:
    """A URL with a password need not stand in the file; one that does, where others can read it, gets a notice."""
    url = "postgresql://me:hunter2@db/shop"
    named_ = section(destination='"w"') + "[destinations.w]\nurl = 'env:WAREHOUSE'\n"
    assert url == found(named_, environ={"WAREHOUSE": url}).destination.address.reveal()
    assert url == found(**BASE, destination="env:WAREHOUSE", environ={"WAREHOUSE": url}).destination.address.reveal()
    assert "WAREHOUSE" in refusal(named_)
    assert "hunter2" not in refusal(named_, environ={"WAREHOUSE": "mysql://me:hunter2@db/shop"})
    loaded(named_.replace("env:WAREHOUSE", url))
    Path("reiterate.toml").chmod(0o644)
    assert any("credentials of a destination in clear" in notice for notice in loaded()[1])


def test_destinations_have_names() -> None:
    """A connection may name its destination; its own dataset comes before that of the destination."""
    assert Destination("warehouse", "duckdb:///w.duckdb", "marketing") == found(WAREHOUSE).destination
    assert found(WAREHOUSE, dataset="own").destination.dataset == "own"
    assert found(WAREHOUSE.replace("'marketing'", "'other'"), dataset="own").destination.dataset == "own"
    assert found(WAREHOUSE, destination="other.duckdb").destination.name == "default"


def test_arguments_come_before_environment_before_file_before_defaults() -> None:
    """Each place counts only where those before it are silent; nothing as a value is silence."""
    text = section(window_in_days="3")
    variable = {"REITERATE_WINDOW_IN_DAYS": "2"}
    assert timedelta(days=1) == found(text, environ=variable, window_in_days=1).window
    assert timedelta(days=2) == found(text, environ=variable, window_in_days=None).window
    assert timedelta(days=3) == found(text, environ={"REITERATE_WINDOW_IN_DAYS": ""}).window
    assert timedelta(days=30) == found(section()).window


def test_every_setting_has_a_variable() -> None:
    """All that the file can say about a connection, the environment can say too."""
    connection, notices = loaded(
        environ={
            "ITERABLE_API_KEY": KEY,
            "ITERABLE_BASE_URL": "http://127.0.0.1:1",
            "REITERATE_START_DATE": "09/01/2026",
            "REITERATE_WINDOW_IN_DAYS": "1",
            "REITERATE_DATA_GATEWAY": "http://proxy:3128",
            "REITERATE_CA_BUNDLE": "none",
            "REITERATE_REGION": "EU",
            "REITERATE_TABLES": "users,campaigns",
            "REITERATE_LOOKBACK": "1d",
            "REITERATE_RATE_LIMIT_FACTOR": "2.5",
            "REITERATE_DESTINATION": "x.duckdb",
            "REITERATE_DATASET": "marketing",
        }
    )
    assert notices == ()
    assert (
        connection.api_address,
        connection.region,
        connection.tables,
    ) == ("http://127.0.0.1:1", "EU", ("users", "campaigns"))
    assert (
        str(connection.gateway),
        connection.rate_limit_factor,
        connection.destination.dataset,
    ) == ("http://proxy:3128", 2.5, "marketing")
    assert "environment variable REITERATE_REGION" in refusal(environ={"REITERATE_REGION": "Mars"}, **BASE)


def test_unknown_variables_are_notices() -> None:
    """A variable that looks like ours is named with the nearest of ours, and nothing stops."""
    environ = {"REITERATE_WINDOW": "1", "REITERATE_TABLE": "x", "REITERATE_XYZZY": "1", "OTHER": "1"}
    assert loaded(environ=environ, **BASE)[1] == (
        "The environment variable REITERATE_TABLE is not known; did you mean REITERATE_TABLES?",
        "The environment variable REITERATE_WINDOW is not known; did you mean REITERATE_WINDOW_IN_DAYS?",
        "The environment variable REITERATE_XYZZY is not known; it is ignored.",
    )


def test_a_missing_setting_is_asked_for() -> None:
    """The message says every way of giving what is missing."""
    assert "--start-date 09/01/2026, as REITERATE_START_DATE" in refusal(api_key=KEY)
    assert "Set ITERABLE_API_KEY in the environment" in refusal(start_date="09/01/2026")
    empty = refusal(start_date="09/01/2026", environ={"ITERABLE_API_KEY": ""})
    assert "api_key is missing (the variable is there, but empty)" in empty


TWO = (
    "[connections.shop]\napi_key = 'key-of-shop'\nstart_date = '09/01/2026'\n"
    "[connections.outlet]\nstart_date = '10/01/2026'\ntables = ['users']\n"
)


def test_connections_are_chosen_by_name() -> None:
    """The argument names the connection before the environment does."""
    environ = {"REITERATE_CONNECTION": "outlet", "ITERABLE_API_KEY": KEY}
    assert found(TWO, environ=environ).name == "outlet"
    assert found(TWO, environ=environ, connection="shop").name == "shop"


def test_the_environments_key_does_not_reach_another_project() -> None:
    """With one connection the environment's key counts; with several, each keeps its own, and a notice says so."""
    environ = {"ITERABLE_API_KEY": KEY}
    assert Secret(KEY) == found(section(api_key="'other'"), environ=environ).api_key
    shop, notices = loaded(TWO, connection="shop", environ=environ)
    assert Secret("key-of-shop") == shop.api_key
    assert [notice.split(":")[0] for notice in notices] == ["ITERABLE_API_KEY is ignored"]
    outlet, notices = loaded(TWO, connection="outlet", environ=environ)
    assert (Secret(KEY), ()) == (outlet.api_key, notices)
    assert Secret("mine") == found(TWO, connection="shop", environ=environ, api_key="mine").api_key
    same = TWO.replace("key-of-shop", "env:ITERABLE_API_KEY")
    assert loaded(same, connection="shop", environ=environ)[1] == ()


def test_a_name_of_its_own_takes_nothing_from_the_file() -> None:
    """A connection that is given a name, and does not stand in the file, has none of another one's settings."""
    connection = found(TWO, name="demo", **BASE)
    assert (connection.name, connection.tables) == ("demo", tuple(KNOWN))
    assert dict(found(section() + "[connections.shop.table.users]\nlookback='7d'\n", name="shop", **BASE).table) == {}


def test_tables_have_settings_of_their_own() -> None:
    """What a table does not say for itself it has from the connection."""
    connection = found(
        section()
        + "[connections.shop.table.email_open]\nstart_date = 2026-10-01\nwindow_in_days = 7\nlookback = '0s'\n"
    )
    own = Reading(datetime(2026, 10, 1, tzinfo=UTC), timedelta(days=7), timedelta(0))
    assert own == connection.settings_of("email_open")
    assert Reading(connection.start, connection.window, connection.lookback) == connection.settings_of("users")
    assert describe(connection)["table.email_open"] == "start_date = 10/01/2026, window_in_days = 7, lookback = 0s"


def test_paths_in_the_file_count_from_the_file() -> None:
    """Certificates and keys are found beside the file that names them, and arguments count from where one is."""
    Path("sub").mkdir()
    bundle = Path(ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt").read_text()
    Path("sub/corp.pem").write_text(bundle)
    Path("sub/key.txt").write_text(f"{KEY}\nsecond line\n")
    Path("sub/key.txt").chmod(0o600)
    Path("sub/r.toml").write_text(section(api_key='"file:key.txt"', ca_bundle='"corp.pem"'))
    connection, notices = loaded(file=Path("sub/r.toml"))
    assert (Secret(KEY), Path("sub/corp.pem"), ()) == (connection.api_key, connection.ca_bundle, notices)
    assert "'corp.pem'" in refusal(file=Path("sub/r.toml"), ca_bundle="corp.pem")


def test_references_are_followed() -> None:
    """A key may stand in a variable, in a file (a line break at its end is normal), or in the keyring."""
    environ = {"SHOP_KEY": f" {KEY}\n"}
    Path("key.txt").write_bytes(f"{KEY}\r\n".encode())
    with keyring_of({("reiterate", "shop"): KEY}):
        for reference in ("env:SHOP_KEY", "file:key.txt", "keyring:shop", "ENV: SHOP_KEY"):
            assert Secret(KEY) == found(environ=environ, **(BASE | {"api_key": reference})).api_key


def test_references_that_lead_to_no_key() -> None:
    """What a reference leads to is checked like a key, and named by the reference alone."""
    Path("empty.txt").write_text("")
    Path("binary.txt").write_bytes(b"\xff\xfe")
    assert "first line of this file is empty" in refusal(**(BASE | {"api_key": "file:empty.txt"}))
    assert "not UTF-8 text" in refusal(**(BASE | {"api_key": "file:binary.txt"}))
    empty = refusal(environ={"X": ""}, **(BASE | {"api_key": "env:X"}))
    assert "api_key cannot be empty. (source=env:X in argument --api-key)" in empty
    assert "hunter" not in refusal(environ={"X": "hunter 2"}, **(BASE | {"api_key": "env:X"}))


def test_a_key_behind_the_colon_is_not_shown() -> None:
    """Somebody who writes the key itself behind ``env:`` does not find it in the message."""
    for kind in ("env", "file", "keyring"):
        with keyring_of({}):
            message = refusal(**(BASE | {"api_key": f"{kind}:{KEY}"}))
        assert KEY not in message
        assert f"{kind}:********" in message


class Ring(keyring.backend.KeyringBackend):
    """A keyring in memory; without entries to keep, one that is broken."""

    priority = 1.0

    def __init__(self, entries: Mapping[tuple[str, str], str] | None) -> None:
        self.entries = entries

    def get_password(self, service: str, username: str) -> str | None:
        if self.entries is None:
            raise keyring.errors.KeyringLocked
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        raise NotImplementedError


class keyring_of:  # noqa: N801
    """Use a keyring with these entries for a while."""

    def __init__(self, entries: Mapping[tuple[str, str], str] | None) -> None:
        self.ring = Ring(entries)

    def __enter__(self) -> None:
        self.before = keyring.get_keyring()
        keyring.set_keyring(self.ring)

    def __exit__(self, *_: object) -> None:
        keyring.set_keyring(self.before)


def test_keyrings_that_fail() -> None:
    """A locked keyring and a machine without one are told apart."""
    with keyring_of(None):
        assert "the keyring cannot be read (KeyringLocked)" in refusal(**(BASE | {"api_key": "keyring:shop"}))
    from keyring.backends.fail import Keyring  # noqa: PLC0415

    before = keyring.get_keyring()
    keyring.set_keyring(Keyring())  # type: ignore[no-untyped-call]
    try:
        assert "this machine has no keyring" in refusal(**(BASE | {"api_key": "keyring:shop"}))
    finally:
        keyring.set_keyring(before)


def test_a_file_that_others_can_read_is_a_notice() -> None:
    """A key or a password in clear in a file that others may read is told, without the key."""
    loaded(section(data_gateway="'http://me:hunter2@proxy:1'"))
    Path("reiterate.toml").chmod(0o644)
    connection, notices = loaded()
    assert ["an API key in clear" in notice or "credentials" in notice for notice in notices] == [True, True]
    assert "chmod 600 reiterate.toml" in notices[0]
    assert "hunter2" not in str((connection, notices))
    assert KEY not in str((connection, notices))
    Path("key.txt").write_text(KEY)
    Path("key.txt").chmod(0o644)
    assert "key.txt holds an API key" in loaded(**(BASE | {"api_key": "file:key.txt"}))[1][0]


def test_secrets_hide() -> None:
    """A secret shows itself only when it is asked to, and does not go into pickles."""
    secret = Secret(KEY)
    for text in (repr(secret), str(secret), f"{secret}", f"{secret!r:>40}", repr([secret]), repr(vars(found(**BASE)))):
        assert KEY not in text
    assert KEY == secret.reveal() == copy.deepcopy(secret).reveal()
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(found(**BASE).api_key)


def test_describe_shows_the_end_of_a_long_key() -> None:
    """Long keys are told apart by their last characters, short ones not at all."""
    assert describe(found(**BASE))["api_key"] == "…cdef"
    assert describe(found(**(BASE | {"api_key": "short"})))["api_key"] == "set"


KEYS = (
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=12, max_size=40)
    .filter(lambda key: len(key.strip()) >= 12 and ":" not in key and len(set(key)) > 4)
    .map(lambda key: f"7e9a{key}")
)  # no word of ours


@given(key=KEYS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
def test_no_key_is_ever_shown(key: str) -> None:
    """Whatever stands where a key is expected, right or wrong, no message, notice or repr repeats it."""
    text = key.strip()
    Path("key.txt").write_text(key, encoding="utf-8")
    for environ, overrides in (
        ({}, {"api_key": key}),
        ({"ITERABLE_API_KEY": key}, {}),
        ({"SHOP_KEY": key}, {"api_key": "env:SHOP_KEY"}),
        ({}, {"api_key": "file:key.txt"}),
        ({}, {"api_key": key, "region": "Mars"}),
        ({}, {"api_key": key, "window_in_days": 0}),
    ):
        assert text not in shown(environ=environ, **({"start_date": "09/01/2026"} | overrides))


@given(
    password=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20),
    end=st.sampled_from(
        ["", ":80", ":0", ":x", ":99999", "/path", "?query", "#part", " ", "\n", "@", "/", ":80/", "²"]
    ),
    scheme=st.sampled_from(["http://", "HTTPS://", "socks5://", "gopher://", "http:/", "http:", "", "//", "@"]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=500)
def test_no_password_is_ever_shown(password: str, end: str, scheme: str) -> None:
    """Whatever is wrong around it, nothing repeats the password of a gateway."""
    assert "s3cr3t" not in shown(**BASE, data_gateway=f"{scheme}me:s3cr3t{password}@proxy.corp{end}")
