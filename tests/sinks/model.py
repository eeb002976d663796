"""A destination as plain dictionaries, and the steps that it and a real one take side by side."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from reiterate.flow import Write
from tests.sinks.batches import click, listed, members, user, window

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping

    from reiterate.flow import Task
    from tests.sinks.batches import Row

Colour = str | int | float | bool | tuple[int, ...] | None


@dataclass(frozen=True)
class Clicks:
    """The window of minutes [first, last) is read: *found* are minutes and messages, all of one colour."""

    first: int
    last: int
    found: tuple[tuple[int, str], ...]
    colour: Colour


@dataclass(frozen=True)
class Users:
    """The window of minutes [first, last) is read: who changed last when, all of one colour."""

    first: int
    last: int
    found: Mapping[str, int]
    colour: Colour


@dataclass(frozen=True)
class Members:
    """A list is read."""

    list_id: int
    found: frozenset[str]


@dataclass(frozen=True)
class Retain:
    """Only these lists are left."""

    list_ids: frozenset[int]


Step = Clicks | Users | Members | Retain


def clock(minute: int) -> str:
    return f"{10 + minute // 60}:{minute % 60:02d}"


def fields(colour: Colour) -> Row:
    """Return the field that changes and brings columns of several types."""
    return {} if colour is None else {"colour": list(colour) if isinstance(colour, tuple) else colour}


@dataclass
class Model:
    """What a destination holds: for each table, its rows by what tells them apart."""

    tables: dict[str, dict[Hashable, Row]] = field(default_factory=lambda: defaultdict(dict))
    read: list[tuple[int, int]] = field(default_factory=list)

    def task(self, step: Clicks | Users | Members) -> tuple[Task, list[Row]]:
        """Return the step as the planner and the API would give it."""
        match step:
            case Clicks():
                overlaps = any(step.first < last and first < step.last for first, last in self.read)
                self.read.append((step.first, step.last))
                write = Write.MERGE if overlaps else Write.APPEND
                rows = [click(clock(minute), message, **fields(step.colour)) for minute, message in step.found]
                return window("email_click", clock(step.first), clock(step.last), write), rows
            case Users():
                rows = [user(email, clock(minute), **fields(step.colour)) for email, minute in step.found.items()]
                return window("users", clock(step.first), clock(step.last)), rows
            case Members():
                return listed(step.list_id), members(step.list_id, *sorted(step.found))

    def take(self, step: Step) -> tuple[int, int, int]:
        """Do *step*; return how many rows were added, changed and removed."""
        match step:
            case Clicks():
                return self._put("email_click", self._clicks(step))
            case Users():
                return self._put("users", self._users(step))
            case Members():
                wanted: dict[Hashable, Row] = {
                    (step.list_id, row["email"]): row for row in members(step.list_id, *step.found)
                }
                return self._keep(lambda key: key[0] != step.list_id or key in wanted, wanted)
            case Retain():
                return self._keep(lambda key: key[0] in step.list_ids, {})

    def _clicks(self, step: Clicks) -> Iterable[tuple[Hashable, Row]]:
        seen: Counter[tuple[int, str]] = Counter()
        for minute, message in step.found:
            seen[minute, message] += 1
            yield (minute, message, seen[minute, message]), click(clock(minute), message, **fields(step.colour))

    def _users(self, step: Users) -> Iterable[tuple[Hashable, Row]]:
        for email, minute in step.found.items():
            row = user(email, clock(minute), **fields(step.colour))
            there = self.tables["users"].get(email)
            if there is None or there["profileUpdatedAt"] <= row["profileUpdatedAt"]:
                yield email, row

    def _put(self, table: str, rows: Iterable[tuple[Hashable, Row]]) -> tuple[int, int, int]:
        before, there = dict(self.tables[table]), self.tables[table]
        there.update(rows)
        changed = sum(there[key] != row for key, row in before.items())
        return len(there) - len(before), changed, 0

    def _keep(self, stays: Callable[[Any], bool], wanted: dict[Hashable, Row]) -> tuple[int, int, int]:
        before = self.tables["list_users"]
        kept = {key: row for key, row in before.items() if stays(key)}
        self.tables["list_users"] = kept | wanted
        return len(self.tables["list_users"]) - len(kept), 0, len(before) - len(kept)


COLOURS: st.SearchStrategy[Colour] = st.sampled_from([None, "red", "blue", 5, 2**60, 2.5, True, (1, 2)])
EMAILS = ("ines@example.com", "obi@example.com", "mia@example.com")


@st.composite
def clicks(draw: st.DrawFn) -> Clicks:
    first = draw(st.integers(0, 5))
    last = first + draw(st.integers(1, 4))
    found = draw(st.lists(st.tuples(st.integers(first, last - 1), st.sampled_from("ab")), max_size=6))
    return Clicks(first, last, tuple(found), draw(COLOURS))


@st.composite
def users(draw: st.DrawFn) -> Users:
    first = draw(st.integers(0, 5))
    last = first + draw(st.integers(1, 4))
    return Users(
        first, last, draw(st.dictionaries(st.sampled_from(EMAILS), st.integers(first, last - 1))), draw(COLOURS)
    )


@st.composite
def neighbours(draw: st.DrawFn) -> list[Clicks] | list[Users]:
    """Windows that follow each other."""
    edges = sorted(draw(st.sets(st.integers(0, 8), min_size=2, max_size=5)))
    pairs, colours, minutes = [*pairwise(edges)], [draw(COLOURS) for _ in edges], st.integers
    if draw(st.booleans()):
        found = [draw(st.dictionaries(st.sampled_from(EMAILS), minutes(one, other - 1))) for one, other in pairs]
        return [Users(*pair, each, colour) for pair, each, colour in zip(pairs, found, colours, strict=False)]
    rows = [
        draw(st.lists(st.tuples(minutes(one, other - 1), st.sampled_from("ab")), max_size=5)) for one, other in pairs
    ]
    return [Clicks(*pair, tuple(each), colour) for pair, each, colour in zip(pairs, rows, colours, strict=False)]


LIST_IDS = st.integers(1, 3)

steps: st.SearchStrategy[list[Step]] = st.lists(
    clicks()
    | users()
    | st.builds(Members, LIST_IDS, st.frozensets(st.sampled_from(EMAILS)))
    | st.builds(Retain, st.frozensets(LIST_IDS)),
    min_size=1,
    max_size=10,
)
