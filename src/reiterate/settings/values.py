"""
Dates, lengths, factors, keys and names: from the text or native value that a person gave to the value that is used.

One function for each setting; all raise Wrong with what is accepted. Blanks around a text do not count.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, time, timedelta
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import TYPE_CHECKING

from reiterate.secret import Secret
from reiterate.settings.given import Wrong, nearest, quoted, text_of
from reiterate.settings.model import GB, UNITS
from reiterate.shape import matches

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from enum import StrEnum
    from typing import TypeVar

    Choice = TypeVar("Choice", bound=StrEnum)

EARLIEST = date(2012, 1, 1)
"""Iterable did not exist before."""
LONGEST = timedelta(days=3650)
SHORTEST_WINDOW = timedelta(seconds=1)
SMALLEST_SPOOL_GB = 0.001
LONGEST_IDENTIFIER = 63
SHORTEST_SALT = 8
DAY = timedelta(days=1)

REGIONS = {"US": "US", "USDC": "US", "EU": "EU", "EDC": "EU", "EUDC": "EU"}
"""What people call the two data centres (FACTS.md 1)."""

LAYOUTS = {r"[0-9]{1,2}/[0-9]{1,2}/[0-9]{4}": "%m/%d/%Y", r"[0-9]{4}-[0-9]{2}-[0-9]{2}": "%Y-%m-%d"}
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?", re.IGNORECASE)
SPAN = re.compile(r"([0-9]{1,9})([smhdw])")
RESERVED_SCHEMAS = {"information_schema", "pg_catalog"}

EVERY_GROUP, DEFAULT_GROUP, LEFT_OUT = "all", "default", "!"
NEW_DATA_TYPE = r"export:[A-Za-z][A-Za-z0-9]{0,63}"
NO_GROUPS: Mapping[str, Collection[str]] = MappingProxyType({})


def start_date(value: object, *, now: datetime | None) -> datetime:
    """Return midnight UTC of the day. Without *now* any day may come, as far as the future goes."""
    accepted = f"a date MM/DD/YYYY, such as 09/01/2026, from {EARLIEST:%m/%d/%Y} to today"
    day = _day(value, accepted)
    if day < EARLIEST:
        raise Wrong(accepted, reason="Iterable did not exist then")
    if now is not None and day > now.astimezone(UTC).date():
        raise Wrong(accepted, reason="it is in the future")
    return datetime.combine(day, time(), UTC)


def _day(value: object, accepted: str) -> date:
    if isinstance(value, datetime):
        try:
            moment = value if value.tzinfo is None else value.astimezone(UTC)
        except OverflowError:
            raise Wrong(accepted) from None
        if moment.time() != time():
            raise Wrong(accepted, reason="a start is a whole UTC day, without a time")
        return moment.date()
    if isinstance(value, date):
        return value
    text = text_of(value) or ""
    for pattern, layout in LAYOUTS.items():
        if re.fullmatch(pattern, text):
            try:
                return datetime.strptime(text, layout).replace(tzinfo=UTC).date()
            except ValueError:
                raise Wrong(accepted, reason="there is no such day") from None
    raise Wrong(accepted)


def window_in_days(value: object) -> timedelta:
    """Return the length in whole seconds, because no window splits a second."""
    accepted = f"a number of days above 0 (at least one second) and up to {LONGEST.days}, such as 30 or 0.5"
    days = value / DAY if isinstance(value, timedelta) else _number(value, accepted)
    if not 0 < days <= LONGEST.days:
        raise Wrong(accepted)
    length = timedelta(seconds=round(timedelta(days=days).total_seconds()))
    if timedelta(days=days) < SHORTEST_WINDOW:
        raise Wrong(accepted, reason="it is shorter than a second")
    return length


def rate_limit_factor(value: object) -> float:
    accepted = "a number above 0; 1.0 keeps the documented limits"
    factor = _number(value, accepted)
    if factor <= 0:
        raise Wrong(accepted)
    return factor


def spool_in_gb(value: object) -> int:
    """Return bytes."""
    accepted = f"a number of gigabytes, {SMALLEST_SPOOL_GB} at least"
    size_gb = _number(value, accepted)
    if size_gb < SMALLEST_SPOOL_GB:
        raise Wrong(accepted)
    return round(size_gb * GB)


def _number(value: object, accepted: str) -> float:
    try:
        text = str(value) if isinstance(value, int | float) and not isinstance(value, bool) else text_of(value)
    except ValueError:  # of thousands of digits
        raise Wrong(accepted) from None
    if text is None or not NUMBER.fullmatch(text) or not math.isfinite(number := float(text)):
        raise Wrong(accepted)
    return number


def lookback(value: object) -> timedelta:
    accepted = f"a duration with its unit, such as 90s, 15m, 2h, 7d, 1w or 1d12h, up to {LONGEST.days}d"
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
    else:
        text = str(value) if isinstance(value, int | float) else text_of(value) or ""
        if NUMBER.fullmatch(text):
            raise Wrong(accepted, reason="it has no unit")
        if not re.fullmatch(f"({SPAN.pattern})+", text):
            raise Wrong(accepted)
        seconds = sum(int(count) * UNITS[unit] for count, unit in SPAN.findall(text))
    if not 0 <= seconds <= LONGEST.total_seconds():
        raise Wrong(accepted)
    return timedelta(seconds=seconds)


def region(value: object) -> str:
    found = REGIONS.get((text_of(value) or "").upper())
    if found is None:
        raise Wrong("US or EU, where the project's data centre is")
    return found


def api_key(value: object) -> Secret:
    """Return the key itself; references are resolved before. What was given is never shown."""
    text = text_of(value)
    if text is None:
        raise Wrong("a text", shown="a value that is not text")
    if not text:
        raise Wrong("a server-side API key, or a reference: env:NAME, file:PATH or keyring:NAME", shown="empty")
    for found, what in (
        (re.search(r"[\r\n]", text), "a text with a line break in it"),
        (re.search(r"[\x00-\x1f\x7f]", text), "a text with a control character in it"),
        (re.search(r"\s", text), "a text with a blank in it"),
        (not text.isascii() or not text.isprintable(), "a text with a character in it that is not ASCII"),
    ):
        if found:
            raise Wrong("a key in one line, of letters, digits and signs without blanks", shown=what)
    return Secret(text)


def lists(value: object, *, table: str) -> tuple[str, ...]:
    """Return the lists that are wanted, by id or by a glob of their name."""
    if table != "list_users":
        raise Wrong("nothing here", reason="only list_users is limited to lists")
    accepted = 'a list of ids and names of lists, such as [3310201, "Newsletter*"]'
    given = value.split(",") if isinstance(value, str) else value
    if not isinstance(given, list | tuple) or not given:
        raise Wrong(accepted)
    found = tuple(str(one) if isinstance(one, int) and not isinstance(one, bool) else text_of(one) for one in given)
    if not all(found):
        raise Wrong(accepted)
    return tuple(one for one in found if one)


def choice(value: object, *, among: type[Choice]) -> Choice:
    text = (text_of(value) or "").lower()
    if text not in {*among}:
        raise Wrong(" or ".join(among))
    return among(text)


def switch(value: object, *, refused: str = "") -> bool:
    """Return whether something is wanted, which a table may have to refuse for a reason."""
    if not isinstance(value, bool):
        raise Wrong("true or false")
    if value and refused:
        raise Wrong("false for this table", reason=refused)
    return value


def columns(value: object, *, fixed: Collection[str] = ()) -> tuple[str, ...]:
    """Return names or globs of fields, none of which names one that is *fixed*."""
    accepted = 'a list of fields, such as ["ip", "itblInternal.*"]'
    given = value.split(",") if isinstance(value, str) else value
    if not isinstance(given, list | tuple) or not given:
        raise Wrong(accepted)
    found = [text_of(one) for one in given]
    if not all(found):
        raise Wrong(accepted)
    names = tuple(one for one in found if one)
    if met := sorted(field for field in fixed if matches(field, names)):
        raise Wrong(
            f"fields other than {', '.join(sorted(fixed))}",
            reason=f"rows cannot be told apart or placed in time without {', '.join(met)}",
        )
    return names


def salt(value: object) -> Secret:
    text = text_of(value)
    if not text or len(text) < SHORTEST_SALT:
        raise Wrong(f"a secret text of {SHORTEST_SALT} characters at least", shown="so short, or no text")
    return Secret(text)


def tables(
    value: object, *, known: Collection[str] | None, groups: Mapping[str, Collection[str]] = NO_GROUPS
) -> tuple[str, ...]:
    """
    Return the names of the tables that *value* selects: by name, glob or group, ``!`` before what is left out.

    ``all`` selects every table; what begins with something left out leaves it out of the default. A data type that is
    not known goes by ``export:NAME``. Without *known* any name may come, and what was given is returned.
    """
    patterns = _patterns(value)
    twice = next((name for name in patterns if patterns.count(name) > 1), None)
    if twice is not None:
        raise Wrong("every table name once", reason=f"{twice} stands there twice")
    if known is None:
        return patterns
    chosen: dict[str, None] = {}
    for pattern in (DEFAULT_GROUP, *patterns) if patterns[0].startswith(LEFT_OUT) else patterns:
        found = _selected(pattern.removeprefix(LEFT_OUT), known, groups)
        if pattern.startswith(LEFT_OUT):
            chosen = {name: None for name in chosen if name not in found}
        else:
            chosen.update(dict.fromkeys(found))
    if known and not chosen:
        raise Wrong("a selection that leaves at least one table")
    return tuple(chosen)


def _patterns(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        given: Sequence[object] = value.split(",") if value.strip() else ()
    elif isinstance(value, list | tuple | set | frozenset):
        given = sorted(value, key=str) if isinstance(value, set | frozenset) else value
    else:
        raise Wrong("a list of table names, globs or groups, such as campaigns, email_*; or all")
    if not given:
        raise Wrong("at least one table name; leave `tables` out to replicate the default ones", shown="empty")
    return tuple(table(name, known=None) for name in given)


def _selected(pattern: str, known: Collection[str], groups: Mapping[str, Collection[str]]) -> Collection[str]:
    if pattern in known or re.fullmatch(NEW_DATA_TYPE, pattern):
        return (pattern,)
    if pattern.lower() in {*groups, EVERY_GROUP, DEFAULT_GROUP}:
        return groups.get(pattern.lower(), known)
    if found := [name for name in known if fnmatchcase(name, pattern)]:
        return found
    return (table(pattern, known=known, groups=groups),)


def table(value: object, *, known: Collection[str] | None, groups: Mapping[str, Collection[str]] = NO_GROUPS) -> str:
    name = text_of(value) or ""
    if not name or (known is not None and name not in known):
        meant = nearest(name, [*(known or ()), *groups])
        raise Wrong(
            f"the name of a table (did you mean {meant}?)"
            if meant
            else f"one of {', '.join(sorted([*(known or ()), *groups]))}",
            reason="there is no such table",
            shown=quoted(name if isinstance(value, str) else value),
        )
    return name


def connection_name(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", value):
        raise Wrong("a name of letters, digits, - and _, 64 at most")
    return value


def dataset(value: object) -> str:
    accepted = (
        f"letters, digits and _, {LONGEST_IDENTIFIER} at most, beginning with no digit and not with _reiterate; "
        "not a name of the database's own"
    )
    name = text_of(value) or ""
    own = name.lower().startswith("_reiterate") or name.lower() in RESERVED_SCHEMAS
    if own or not re.fullmatch(rf"[A-Za-z_][A-Za-z0-9_]{{0,{LONGEST_IDENTIFIER - 1}}}", name):
        raise Wrong(accepted)
    return name
