"""Whether the key may read a resource, asked as cheaply as the endpoint allows."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, assert_never

from reiterate.api import MEMBERS, ROWS
from reiterate.catalog.model import (
    AnyOf,
    Contents,
    Export,
    Figures,
    KeyedValues,
    Listing,
    ListMembers,
    Pages,
    PerParent,
)
from reiterate.errors import BrokenAnswer, Forbidden, JobsRefused, NotOffered, SourceError
from reiterate.extract.children import GONE
from reiterate.extract.contents import ID, content_of
from reiterate.extract.exports import window_params
from reiterate.extract.figures import lines_of
from reiterate.extract.jobs import START, job_id_of
from reiterate.extract.listings import page_of
from reiterate.extract.metadata import table_names
from reiterate.windows import Window, whole_seconds

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from reiterate.api import Caller
    from reiterate.catalog.model import Read

NOBODY = "0"
"""An id that nothing has: a key with the right gets a 400 or 404 for it, one without a 401 (FACTS.md 2.3, 4.1)."""

ONE_ROW = {
    Pages.NONE: {},
    Pages.LINKS: {"page": "1", "pageSize": "1"},
    Pages.OFFSETS: {"limit": "1", "offset": "0"},
}
"""What asks for no more than one row."""


def probe_jobs(caller: Caller) -> None:
    """
    Ask for a job of nothing: who may start jobs gets a 400 for it.

    :raises JobsRefused: when the key may not start export jobs
    :raises Unauthorized: when it may do nothing
    :raises BrokenAnswer: when what answers is not Iterable
    """
    try:
        caller.json(START, method="POST", document={}, form=job_id_of)
    except BrokenAnswer:
        raise
    except SourceError as error:
        if isinstance(error, Forbidden):
            raise JobsRefused(**error.facts) from error


def probe(read: Read, caller: Caller, *, at: datetime) -> None:
    """
    Ask for next to nothing of what *read* reads: one row of a listing, one second before *at* of an export.

    :raises SourceError: when the key may not read it, or Iterable cannot be reached
    """
    match read:
        case Export():
            second = Window(whole_seconds(at) - timedelta(seconds=1), whole_seconds(at))
            caller.glance(read.path, window_params(read, second), ROWS)
        case Listing():
            caller.json(read.path, {**dict(read.calls[0]), **ONE_ROW[read.pages]}, form=page_of(read))
        case KeyedValues():
            caller.json(read.path, form=table_names)
        case Figures():
            caller.text(read.path, {}, form=lambda text: lines_of(text, read))
        case AnyOf():
            _one_of(read, caller)
        case PerParent(parents, listing):
            probe(parents, caller, at=at)
            path = listing.path.replace("{}", NOBODY)
            _ask_for_nobody(lambda: caller.json(path, ONE_ROW[listing.pages], form=page_of(listing)))
        case Contents(listed, _, path, media):
            probe(listed, caller, at=at)
            path = path.replace("{}", media[0][1])
            _ask_for_nobody(lambda: caller.json(path, {ID: NOBODY}, form=content_of(NOBODY)))
        case ListMembers():
            _ask_for_nobody(lambda: caller.glance(read.path, {read.parameter: NOBODY}, MEMBERS))
        case _:
            assert_never(read)


def _one_of(read: AnyOf, caller: Caller) -> None:
    refusals = []
    for listing in read.listings:
        try:
            caller.json(listing.path, form=page_of(listing))
        except SourceError as error:
            refusals.append(error)
    if len(refusals) == len(read.listings):
        raise refusals[0]


def _ask_for_nobody(ask: Callable[[], object]) -> None:
    try:
        ask()
    except SourceError as error:
        if error.facts.get("status") not in GONE or isinstance(error, NotOffered):
            raise
