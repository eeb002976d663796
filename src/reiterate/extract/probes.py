"""Whether the key may read a resource, asked as cheaply as the endpoint allows."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, assert_never

from reiterate.catalog.model import Export, KeyedValues, Listing, ListMembers
from reiterate.errors import Forbidden, JobsRefused, SourceError, Unauthorized
from reiterate.extract.exports import window_params
from reiterate.extract.jobs import START
from reiterate.windows import Window, whole_seconds

if TYPE_CHECKING:
    from datetime import datetime

    from reiterate.api import Caller
    from reiterate.catalog.model import Read

NO_LIST = "0"
"""An id that no list has: a key with the right gets a 400 for it, one without a 401 (FACTS.md 2.3, 4.1)."""


def probe_jobs(caller: Caller) -> None:
    """
    Ask for a job of nothing: who may start jobs gets a 400 for it.

    :raises JobsRefused: when the key may not start export jobs
    """
    try:
        caller.json(START, method="POST", document={})
    except SourceError as error:
        if isinstance(error, Unauthorized | Forbidden):
            raise JobsRefused(**error.facts) from error


def probe(read: Read, caller: Caller, *, at: datetime) -> None:
    """
    Ask for next to nothing of what *read* reads: one row of a listing, one second before *at* of an export.

    :raises SourceError: when the key may not read it, or Iterable cannot be reached
    """
    match read:
        case Export():
            second = Window(whole_seconds(at) - timedelta(seconds=1), whole_seconds(at))
            caller.touch(read.path, window_params(read, second))
        case Listing(total=None) | KeyedValues():
            caller.touch(read.path, {})
        case Listing():
            caller.touch(read.path, {**dict(read.calls[0]), "page": "1", "pageSize": "1"})
        case ListMembers():
            try:
                caller.touch(read.path, {read.parameter: NO_LIST})
            except SourceError as error:
                if error.facts.get("status") != HTTPStatus.BAD_REQUEST:
                    raise
        case _:
            assert_never(read)
