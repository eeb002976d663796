"""
From what a person wrote to a value, or to one message: which setting, what was given, what is accepted.

One function for each setting; all take the text or native value and raise ValueError with what is accepted.
"""

from __future__ import annotations

import difflib
import math
import re
import ssl
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from reiterate.settings.model import API_ADDRESSES, Destination, Gateway, Secret

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

EARLIEST = date(2012, 1, 1)
"""Iterable did not exist before."""
LONGEST = timedelta(days=3650)
SHORTEST_WINDOW = timedelta(seconds=1)
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
LONGEST_IDENTIFIER = 63
SCHEMES = ("http", "https", "socks5", "socks5h")


class Wrong(ValueError):
    """A value is not accepted; the message says what is. *shown* takes the place of the value where that is secret."""

    def __init__(self, accepted: str, *, shown: str | None = None) -> None:
        super().__init__(accepted)
        self.shown = shown


def start_date(value: object, *, now: datetime) -> datetime:
    accepted = f"a date MM/DD/YYYY, such as 09/01/2026, from {EARLIEST:%m/%d/%Y} to today"
    match value:
        case datetime():
            day = value.date()
        case date():
            day = value
        case str():
            day = _day(value.strip(), accepted)
        case _:
            raise Wrong(accepted)
    if not EARLIEST <= day <= now.astimezone(UTC).date():
        raise Wrong(accepted)
    return datetime.combine(day, time(), UTC)


def _day(text: str, accepted: str) -> date:
    for layout in ("%m/%d/%Y", "%Y-%m-%d"):
        if re.fullmatch(r"\d{1,2}/\d{1,2}/\d{4}|\d{4}-\d\d-\d\d", text):
            try:
                return datetime.strptime(text, layout).replace(tzinfo=UTC).date()
            except ValueError:
                continue
    raise Wrong(accepted)


def window_in_days(value: object) -> timedelta:
    accepted = f"a number of days above 0 and up to {LONGEST.days}, such as 30 or 0.5"
    days = _number(value, accepted)
    if not 0 < days <= LONGEST.days:
        raise Wrong(accepted)
    return max(timedelta(days=days), SHORTEST_WINDOW)


def rate_limit_factor(value: object) -> float:
    accepted = "a number above 0; 1.0 keeps the documented limits"
    factor = _number(value, accepted)
    if factor <= 0:
        raise Wrong(accepted)
    return factor


def _number(value: object, accepted: str) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Wrong(accepted)
    try:
        number = float(value)
    except ValueError:
        raise Wrong(accepted) from None
    if not math.isfinite(number):
        raise Wrong(accepted)
    return number


def lookback(value: object) -> timedelta:
    accepted = f"a duration with its unit, such as 90s, 15m, 2h, 7d or 1d12h, up to {LONGEST.days}d"
    if isinstance(value, timedelta):
        length = value
    else:
        text = value.strip() if isinstance(value, str) else ""
        if not re.fullmatch(r"(\d{1,9}[smhdw])+", text):
            raise Wrong(accepted)
        length = timedelta(seconds=sum(int(count) * UNITS[unit] for count, unit in re.findall(r"(\d+)([smhdw])", text)))
    if not timedelta() <= length <= LONGEST:
        raise Wrong(accepted)
    return length


def region(value: object) -> str:
    text = value.strip().upper() if isinstance(value, str) else ""
    found = {"US": "US", "USDC": "US", "EU": "EU", "EDC": "EU", "EUDC": "EU"}.get(text)
    if found is None:
        raise Wrong("US or EU, where the project's data centre is")
    return found


def api_key(value: object) -> Secret:
    """The key itself; references are resolved before."""
    text = value.strip() if isinstance(value, str) else ""
    if not text:
        raise Wrong(
            "the key of a server-side API key, or a reference: env:NAME, file:PATH, keyring:NAME", shown="nothing"
        )
    if not text.isascii() or not text.isprintable() or " " in text:
        raise Wrong("a key in one line, of letters and digits alone", shown="a key with other characters in it")
    return Secret(text)


def data_gateway(value: object) -> Gateway | None:
    accepted = f"none, or SCHEME://[USER:PASSWORD@]HOST:PORT with SCHEME one of {', '.join(SCHEMES)}"
    text = value.strip() if isinstance(value, str) else "?"
    if text.lower() in {"none", ""}:
        return None
    shown = re.sub(r"//.*@", "//********@", text)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise Wrong(accepted, shown=shown) from None
    path = parts.path.strip("/")
    if parts.scheme not in SCHEMES or not parts.hostname or port == 0 or path or parts.query or " " in text:
        raise Wrong(accepted, shown=shown)
    return Gateway(text.rstrip("/"))


def ca_bundle(value: object, *, base: Path) -> Path | None:
    accepted = "a file of certificates in PEM form"
    if not isinstance(value, str | Path):
        raise Wrong(accepted)
    if not str(value).strip():
        return None
    path = base / Path(str(value).strip()).expanduser()
    try:
        ssl.create_default_context(cafile=str(path))
    except (OSError, ssl.SSLError):
        raise Wrong(accepted) from None
    return path


def api_address(value: object) -> str:
    accepted = f"http(s)://HOST[:PORT][/PATH], such as {API_ADDRESSES['US']}"
    text = value.strip() if isinstance(value, str) else ""
    shown = re.sub(r"//.*@", "//********@", text)
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise Wrong(accepted, shown=shown) from None
    plain = not (parts.query or parts.fragment or "@" in parts.netloc or re.search(r"\s", text))
    if parts.scheme not in {"http", "https"} or not parts.hostname or not plain:
        raise Wrong(accepted, shown=shown)
    return text.rstrip("/")


def tables(value: object, *, known: Collection[str]) -> tuple[str, ...] | None:
    names: Sequence[object]
    if isinstance(value, str):
        if value.strip() == "all":
            return None
        names = [name.strip() for name in value.split(",")]
    elif isinstance(value, list | tuple):
        names = value
    else:
        raise Wrong("a list of table names, such as campaigns, email_open; or all")
    if not names or names == [""]:
        raise Wrong("at least one table name; leave `tables` out to replicate all")
    for name in names:
        table(name, known=known)
    if len(set(names)) < len(names):
        raise Wrong("every table name once")
    return tuple(map(str, names))


def table(value: object, *, known: Collection[str]) -> str:
    if not isinstance(value, str) or value not in known:
        raise Wrong(f"the name of a table{nearest(str(value), known)}", shown=str(value))
    return value


def nearest(given: str, known: Collection[str]) -> str:
    """Return a hint at the names that *given* may have meant."""
    close = difflib.get_close_matches(given.lower(), known, n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(close)}?" if close else f": {', '.join(sorted(known))}"


def connection_name(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", value):
        raise Wrong("letters, digits, - and _, 64 at most")
    return value


def dataset(value: object) -> str:
    accepted = f"letters, digits and _, not beginning with a digit or _reiterate, {LONGEST_IDENTIFIER} at most"
    if (
        not isinstance(value, str)
        or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value)
        or len(value) > LONGEST_IDENTIFIER
        or value.lower().startswith("_reiterate")
    ):
        raise Wrong(accepted)
    return value


def destination_url(value: object) -> str:
    accepted = "duckdb:///FILE, or a DuckDB file by its path; other databases are not supported yet"
    text = str(value).strip() if isinstance(value, str | Path) else ""
    shown = re.sub(r"//.*@", "//********@", text)
    if text and "://" not in text:
        text = f"duckdb:///{text}"
    if not text.startswith("duckdb:///") or text in {"duckdb:///", "duckdb:///:memory:"} or text.endswith("/"):
        raise Wrong(accepted, shown=shown)
    return text


def destination(name: str, url: object, set_: object) -> Destination:
    return Destination(name, destination_url(url), dataset(set_))
