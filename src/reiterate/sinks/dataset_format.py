"""
The format of a dataset, as one number in ``_reiterate_format_version``: what a version of Reiterate may write to.

    1   before the number existed: versions up to 0.1.0
    2   one row for each user; tables and columns for rejected rows and for who may write (docs/upgrade.md)

A dataset of a newer format is refused; one of an older format is migrated by the first run, under the lock, step by
step. A step and its number become durable together where the destination has transactions; elsewhere the number
follows the step, so that a step may be repeated. Tables and columns of the ledger itself are added when a dataset is
opened for writing, see :data:`reiterate.sinks.relational.OWN_TABLES`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reiterate.catalog import TABLES
from reiterate.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reiterate.catalog.model import Table

BESIDE = "_reiterate_new_"
"""Before the name of a table: rows that are to take the place of others."""

FORMAT = 2
"""What this version writes."""

UNNUMBERED = 1
"""What a dataset without a number is."""


@dataclass(frozen=True)
class Dataset:
    """What a migration can do to an open destination."""

    find_doubled: Callable[[Table], None]
    """makes ready to remove the rows of a table that agree in what tells its rows apart"""
    keep_latest: Callable[[Table], int]
    """removes all of these but the latest, in what is kept of its past too; returns how many of the table's went"""


@dataclass(frozen=True)
class Step:
    """
    What brings a dataset to the format *to*, by changing rows of *tables*.

    *migrate* returns what a person should know of it, or an empty text. It must be repeatable: where a destination has
    no transactions, a killed run leaves any part of it done. *define* makes tables that it needs, before.
    """

    to: int
    tables: tuple[str, ...]
    migrate: Callable[[Dataset], str]
    define: Callable[[Dataset], None] = lambda _: None


def _one_row_for_each_user(dataset: Dataset) -> str:
    removed = dataset.keep_latest(TABLES["users"])
    if not removed:
        return ""
    return (
        f"{removed:,} doubled rows were removed from users: an older version added users with a numeric userId, and no "
        "other identity, again in each sync. The latest row of each user stays."
    )


_OF_USERS = ("users", "users_history", "users_snapshots")

STEPS: tuple[Step, ...] = (
    Step(
        2,
        (*_OF_USERS, *(f"{BESIDE}{name}" for name in _OF_USERS)),
        _one_row_for_each_user,
        define=lambda dataset: dataset.find_doubled(TABLES["users"]),
    ),
)
"""In ascending order; docs/upgrade.md tells people what each does."""


def check(number: int, written_by: str, *, destination: object, dataset: str) -> None:
    """
    Make sure that this version may write to a dataset of format *number*.

    :raises SettingsError: when a newer version has written it
    """
    if number > FORMAT:
        raise SettingsError(
            f"This dataset was written by Reiterate {written_by}; upgrade this machine.",
            hint="Going back to an older version means restoring a copy of the dataset, see docs/upgrade.md.",
            destination=destination,
            dataset=dataset,
            its_format=number,
            known_format=FORMAT,
        )


def steps_from(number: int) -> Sequence[Step]:
    """Return what is to be done to a dataset of format *number*."""
    return [step for step in STEPS if step.to > number]
