"""Which columns a person wants a table to have: what comes, what is left out or disguised, and how it is called."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cache
from typing import TYPE_CHECKING, Any

from reiterate import exact_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reiterate.secret import Secret


class Policy(StrEnum):
    """What happens when a field comes that has no column yet, or a value that its column cannot hold."""

    EVOLVE = "evolve"
    """The table gets a column."""
    FREEZE = "freeze"
    """The table fails, and says what is new."""
    DISCARD = "discard"
    """The values are left out, and counted by column."""


class Spelling(StrEnum):
    """How columns are called."""

    SNAKE_CASE = "snake_case"
    SOURCE = "source"
    """as Iterable spells the field"""


class CustomFields(StrEnum):
    """Where fields go that the catalog does not know."""

    COLUMNS = "columns"
    JSON = "json"
    """into one column, ``custom_fields``"""


@dataclass(frozen=True)
class Shape:
    """
    The wanted columns of one table.

    *only* (all, if empty), *omitted* and *hashed* name source fields, by their spelling, their snake_case, or a glob;
    *salt* makes hashes that nobody else can count. An empty text of *bare* fields counts as none, and is not hashed.
    """

    policy: Policy = Policy.EVOLVE
    spelling: Spelling = Spelling.SNAKE_CASE
    custom_fields: CustomFields = CustomFields.COLUMNS
    only: tuple[str, ...] = ()
    omitted: tuple[str, ...] = ()
    hashed: tuple[str, ...] = ()
    salt: Secret | None = None
    bare: tuple[str, ...] = ()

    @property
    def asked(self) -> str:
        """What two shapes have in common that ask Iterable for the same fields."""
        return "" if not self.only and not self.omitted else f"only {self.only}, omit {self.omitted}"

    def wants(self, field: str) -> bool:
        return not matches(field, self.omitted) and (not self.only or matches(field, self.only))

    def hashes(self, field: str) -> bool:
        return matches(field, self.hashed)

    def disguise(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return *row* with the hash of each value that must not be seen; null stays null."""
        if not self.hashed:
            return row
        return exact_json.of_pairs(
            [
                (field, self._hash(value) if self._hides(field, value) else value)
                for field, value in exact_json.pairs_of(row)
            ]
        )

    def disguise_line(self, line: bytes) -> bytes:
        """
        Return a line of JSON, disguised, with a line break.

        :raises ValueError: when it is no JSON object
        """
        row = exact_json.members(line)
        disguised = ((field, self._hash(value) if self._hides(field, value) else value) for field, value in row)
        return f"{exact_json.dumps(exact_json.Members(disguised))}\n".encode()

    def _hides(self, field: str, value: Any) -> bool:  # noqa: ANN401 (JSON is any)
        return value is not None and self.hashes(field) and not (value == "" and field in self.bare)

    def _hash(self, value: Any) -> str:  # noqa: ANN401 (JSON is any)
        text = value if type(value) is str else exact_json.dumps(value)
        salt = "" if self.salt is None else self.salt.reveal()
        return hashlib.sha256((salt + text).encode("utf-8", "surrogatepass")).hexdigest()


def matches(field: str, patterns: Iterable[str]) -> bool:
    return any(field == each or snake_case(field) == each or fnmatchcase(field, each) for each in patterns)


LONGEST_NAME = 48
"""Bytes. PostgreSQL cuts names at 63; the longest variant suffix takes 14."""


@cache
def snake_case(field: str) -> str:
    """
    Return the column name of a source field: ASCII letters, digits and single underscores, at most 48 characters.

    ``createdAt`` → ``created_at``, ``itblInternal.emailDomain`` → ``itbl_internal_email_domain``,
    ``receivedSMSDisclaimer`` → ``received_sms_disclaimer``. A name that loses all its letters, or is too long, ends in
    a hash of the field.
    """
    ascii_only = unicodedata.normalize("NFKD", field).encode("ascii", "ignore").decode()
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", ascii_only)
    name = re.sub(r"_+", "_", re.sub(r"[^A-Za-z0-9_]", "_", parted)).rstrip("_").lower()
    if name[:1].isdigit():
        name = f"_{name}"
    if not name:
        return f"x_{_hash(field)}"
    return name if len(name) <= LONGEST_NAME else hashed_name(name, field)


def _hash(field: str, digits: int = 6) -> str:
    return hashlib.sha256(field.encode("utf-8", "surrogatepass")).hexdigest()[:digits]


def hashed_name(name: str, field: str, digits: int = 6) -> str:
    cut = name.encode()[: LONGEST_NAME - 1 - digits].decode(errors="ignore")
    return f"{cut.rstrip('_')}_{_hash(field, digits)}"
