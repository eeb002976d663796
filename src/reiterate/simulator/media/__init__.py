"""
Events of all media but email: per data type how many there are, what they follow, and how their fields are made.

Fields are those of ``schema.json``.
"""

from __future__ import annotations

from collections import defaultdict
from types import MappingProxyType
from typing import TYPE_CHECKING

from reiterate.simulator.media.activity import ACTIVITY
from reiterate.simulator.media.apps import APPS
from reiterate.simulator.media.making import Draw, Row, Whole, base62, base_64, hexadecimal
from reiterate.simulator.media.phones import PHONES
from reiterate.simulator.people import wire_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from random import Random

    from reiterate.simulator.media.making import Kind
    from reiterate.simulator.world import World

Made = dict[str, list[tuple[int, Row]]]

KINDS: Mapping[str, Kind] = MappingProxyType({**APPS, **PHONES, **ACTIVITY})

REPEATED = 0.003
"""Share of reactions that come twice, byte for byte (FACTS.md 8.3)."""
SAME_SECOND = 0.02
"""Share of events with a twin in the same second that differs in one field."""
UNLISTED_TEMPLATE = 11_490_000
"""Templates of media whose templates cannot be listed begin here (FACTS.md 12)."""
MESSAGE_IDS = {"InApp": base62, "Embedded": base_64}
"""What makes the ids of messages that are no hexadecimal numbers."""


def add(world: World, random: Random, made: Made, span_s: tuple[int, int], count: int) -> None:
    """Add the events of all kinds to *made*, in their shares of *count*, within ``[start, end)`` of *span_s*."""
    campaigns = _campaigns(world)
    for data_type, kind in KINDS.items():
        for _ in range(max(1, round(count * kind.share))):
            at, begun = _beginning(world, random, kind, made, span_s)
            if kind.medium:
                begun |= random.choice(campaigns[kind.medium])
                begun["messageId"] = MESSAGE_IDS.get(kind.medium, hexadecimal)(Draw(world, random, at, begun))
            draw = Draw(world, random, at, begun)
            for name, make in {**kind.fields, **random.choice(kind.variants)}.items():
                _put(draw.row, name, make(draw))
            made[data_type].append((at, draw.row))
            if kind.after and random.random() < REPEATED:
                made[data_type].append((at, draw.row))
            if kind.twin in draw.row and random.random() < SAME_SECOND:
                made[data_type].append((at, {**draw.row, kind.twin: hexadecimal(draw)}))


def _campaigns(world: World) -> Mapping[str, list[Row]]:
    """Return campaigns and templates by medium; those of media that are not listed are nowhere else."""
    found: defaultdict[str, list[Row]] = defaultdict(
        lambda: [
            {"campaignId": row["id"], "templateId": UNLISTED_TEMPLATE + row["id"] % 7} for row in world.campaigns[:12]
        ]
    )
    for medium in ("Push", "InApp", "SMS"):
        found[medium] = [
            {"campaignId": row["campaignId"], "templateId": row["templateId"]}
            for row in world.templates
            if row["messageMedium"] == medium and "campaignId" in row
        ]
    return found


def _beginning(world: World, random: Random, kind: Kind, made: Made, span_s: tuple[int, int]) -> tuple[int, Row]:
    """Return when it happens, whose it is, and what it keeps of the event before."""
    if kind.after:
        before_at, before = random.choice(made[kind.after])
        names = ("email", "userId", "itblUserId", *kind.kept)
        at = min(before_at + int(random.expovariate(1 / 7200)), span_s[1] - 1)
        begun = {name: before[name] for name in names if name in before}
    else:
        at, begun = random.randrange(*span_s), random.choice(world.people).who
    return at, {**begun, "createdAt": wire_time(at)}


def _put(row: Row, name: str, value: object) -> None:
    """Set a field as exports have it: null is left out, an object flat under dotted keys (FACTS.md 8.4)."""
    for key, leaf in _leaves(name, value):
        if leaf is None:
            row.pop(key, None)
        else:
            row[key] = leaf


def _leaves(name: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict) and not isinstance(value, Whole):
        for key, member in value.items():
            yield from _leaves(f"{name}.{key}", member)
    else:
        yield name, value
