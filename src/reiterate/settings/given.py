"""What a person gave and where it stands; from there to a value, or to one message of one line."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from reiterate.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

Value = TypeVar("Value")

LONGEST_SHOWN = 80
CLOSE = 0.5
"""How like a name must be to be offered (difflib's ratio)."""


class Wrong(ValueError):
    """
    A value is not accepted.

    *accepted* says what is, *reason* what is wrong where that is not plain. *shown* takes the place of the value
    where that is secret.
    """

    def __init__(self, accepted: str, *, reason: str = "", shown: str | None = None) -> None:
        super().__init__(accepted)
        self.reason = reason
        self.shown = shown


@dataclass(frozen=True)
class Given:
    """A value and where it stands."""

    value: object
    source: str


def checked(setting: str, given: Given, check: Callable[[object], Value]) -> Value:
    """
    Return the checked value.

    :raises SettingsError: naming the setting, where it stands, what was given, and what is accepted
    """
    try:
        return check(given.value)
    except Wrong as wrong:
        shown = quoted(given.value) if wrong.shown is None else wrong.shown
        reason = f": {wrong.reason}" if wrong.reason else ""
        raise SettingsError(
            f"The setting {setting} cannot be {shown}{reason}.", hint=f"Accepted: {wrong}.", source=given.source
        ) from None


def quoted(value: object) -> str:
    """Return *value* in one line of bounded length."""
    try:
        shown = repr(value) if isinstance(value, str | int | float | list | tuple | dict) else repr(str(value))
    except (ValueError, RecursionError):  # a number of thousands of digits
        return "so large a value"
    return shown if len(shown) <= LONGEST_SHOWN else f"{shown[:LONGEST_SHOWN]}…"


def named(name: str) -> str:
    """Return a name as it stands, or in quotes where it would break the line or be lost in it."""
    return name if name and name.isprintable() and " " not in name and len(name) <= LONGEST_SHOWN else quoted(name)


def unknown(kind: str, name: str, known: Collection[str], source: str) -> SettingsError:
    """Return the error about a name that nobody knows, with the nearest that somebody does."""
    meant = nearest(name, known)
    close = f" Did you mean {meant}?" if meant else ""
    return SettingsError(
        f"There is no {kind} {named(name)}.{close}", hint=f"Accepted: {', '.join(known)}.", source=source
    )


def nearest(name: str, known: Collection[str]) -> str:
    """Return the names that *name* may have meant, joined by "or"; nothing if none is close."""
    return " or ".join(difflib.get_close_matches(name.lower(), known, n=3, cutoff=CLOSE))


def looked_at(path: Path) -> Path:
    """
    Return *path* with the home directory in the place of ``~``.

    :raises Wrong: when there can be no such path, whatever is there
    """
    try:
        found = path.expanduser()
        found.exists()
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "there can be no such path"
        raise Wrong("the path of a file", reason=reason.lower()) from None
    return found


def text_of(value: object) -> str | None:
    """Return the text of a setting without the blanks around it; nothing if it is no text, or has halves of letters."""
    text = str(value).strip() if isinstance(value, str | Path) else None
    return None if text is None or re.search("[\ud800-\udfff]", text) else text
