"""How many calls a task will take, as far as that can be told before."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, assert_never

from reiterate.catalog.model import AnyOf, Contents, Export, Figures, KeyedValues, Listing, ListMembers, PerParent
from reiterate.extract import children, contents, figures
from reiterate.flow import Part

if TYPE_CHECKING:
    from reiterate.api import Caller
    from reiterate.flow import Task


def calls(task: Task, caller: Caller) -> Counter[str]:
    """
    Return how often *task* will ask each path. Listings count their first pages only.

    Asks Iterable for what the task will ask about: campaigns, templates, experiments.

    :raises SourceError: when it does not tell
    """
    match task.table.read:
        case Export(path=path) | ListMembers(path=path) | KeyedValues(path=path):
            return Counter({path: 1})
        case Listing(path=path, calls=each):
            return Counter({path: len(each)})
        case AnyOf(listings):
            return Counter({listing.path: len(listing.calls) for listing in listings})
        case PerParent(parents, listing) as read:
            if isinstance(task.scope, Part):
                return Counter({listing.path: 1})
            return Counter({parents.path: len(parents.calls)}) + Counter(
                {listing.path: len(children.parents(read, caller))}
            )
        case Figures(path, _, parents) as read:
            return Counter({parents.path: len(parents.calls), path: len(figures.batches(read, caller))})
        case Contents(listed, others, path, _, locales) as read:
            found = contents.templates(read, caller)
            own = sum(contents.OWN_ID in row for row in found)
            return Counter(
                {listed.path: len(listed.calls), others.path: len(others.calls), path: len(found), locales: own}
            )
        case _:
            assert_never(task.table.read)
