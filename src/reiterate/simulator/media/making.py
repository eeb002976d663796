"""How rows of events are made from data: a maker for each field, and what a data type is made of."""

from __future__ import annotations

import base64
import json
import string
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from reiterate.simulator import brand
from reiterate.simulator.people import wire_time

if TYPE_CHECKING:
    from random import Random

    from reiterate.simulator.world import World

Row = dict[str, Any]


@dataclass(slots=True)
class Draw:
    """What a value is made from: the world, chance, when it happens (epoch seconds), and the row so far."""

    world: World
    random: Random
    at: int
    row: Row


Maker = Callable[[Draw], Any]
"""Makes the value of a field; nothing, where the row does not have it."""

Fields = Mapping[str, Maker]


@dataclass(frozen=True)
class Kind:
    """
    One data type: *share* of ``events_per_day``, and at least one.

    A row is of the person and message of an event *after* which it comes, or has a new message of *medium*. Besides
    *fields* it has those of one of *variants*. A twin in the same second differs in the field *twin*.
    """

    share: float
    fields: Fields = field(default_factory=dict)
    variants: tuple[Fields, ...] = ({},)
    after: str = ""
    kept: tuple[str, ...] = ("campaignId", "templateId", "messageId")
    medium: str = ""
    twin: str = ""


# ── makers ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class Whole(dict[str, Any]):
    """An object that is exported as one."""


def one_of(*values: object) -> Maker:
    return lambda draw: draw.random.choice(values)


def sometimes(share: float, make: Maker) -> Maker:
    return lambda draw: make(draw) if draw.random.random() < share else None


def already(name: str) -> Maker:
    """Return the maker of what the row has, which otherwise loses it."""
    return lambda draw: draw.row.get(name)


def number(first: int, last: int) -> Maker:
    return lambda draw: draw.random.randint(first, last)


def seconds(longest: float) -> Maker:
    return lambda draw: round(draw.random.uniform(0.1, longest), 2)


def within(first_s: int, last_s: int) -> Maker:
    """Return the maker of an instant so long after the event, or before it."""
    return lambda draw: wire_time(draw.at + draw.random.randint(first_s, last_s))


def text(pattern: str) -> Maker:
    """Return the maker of *pattern* with digits for its hashes."""
    return lambda draw: "".join(str(draw.random.randrange(10)) if sign == "#" else sign for sign in pattern)


def hexadecimal(draw: Draw) -> str:
    return f"{draw.random.getrandbits(128):032x}"


def a_uuid(draw: Draw) -> str:
    return str(uuid.UUID(int=draw.random.getrandbits(128), version=4))


def base62(draw: Draw) -> str:
    """In-app messages have longer ids (schema.json, inAppSend)."""
    return "".join(draw.random.choices(string.ascii_letters + string.digits, k=41))


def base_64(draw: Draw) -> str:
    """Return an id as embedded messages have it (schema.json, embeddedSend)."""
    return base64.b64encode(f"larkspur/{draw.random.getrandbits(64)}/false\n".encode()).decode()


def somebody(draw: Draw) -> str | None:
    """Return the address of a person; who was unknown may be known by now (FACTS.md 14.4)."""
    email: str | None = draw.random.choice(draw.world.people).profile.get("email")
    return email


def order(draw: Draw) -> str:
    """Return a JSON document in a text, as triggered sends have it (FACTS.md 8.4)."""
    return json.dumps({"eventName": "orderShipped", "orderNumber": f"LG-{draw.at % 100000}", "total": 12.5})


def items(draw: Draw) -> list[Row]:
    return [dict(item, quantity=draw.random.randint(1, 3)) for item in draw.random.sample(brand.ITEMS, 2)]


def total(draw: Draw) -> float:
    return float(sum(item["price"] * item["quantity"] for item in draw.row["shoppingCartItems"]))


def of_items(name: str) -> Maker:
    """Return the maker of a parallel array: arrays of objects stand twice (FACTS.md 8.4)."""
    return lambda draw: [item[name] for item in draw.row["shoppingCartItems"]]


# ── the fields that several have ─────────────────────────────────────────────────────────────────────────────────────

DEVICE = {"deviceInfo": one_of(*brand.DEVICES)}
URL = one_of(f"{brand.SHOP}/spring", f"{brand.SHOP}/sale", f"{brand.SHOP}/t/LG-20418")
ENDPOINT = sometimes(0.9, text("arn:aws:sns:us-east-1:000000000000:endpoint/APNS/larkspur/########"))
SKIPPED = {"reason": one_of(*brand.SKIP_REASONS), "templateId": sometimes(0.8, already("templateId"))}
LOOKUPS = dict.fromkeys(
    ("catalogLookupCount", "catalogCollectionCount", "productRecommendationCount"), sometimes(0.9, number(0, 1))
)
BILLED = {"billingParty": sometimes(0.9, one_of("Iterable")), "espName": one_of("telnyx", "infobip")}


def of_kind(message_type: int, channel: int) -> Fields:
    return {
        "messageTypeId": sometimes(0.9, one_of(message_type)),
        "channelId": sometimes(0.9, one_of(channel)),
    }


def sent(message_type: int, channel: int) -> Fields:
    return {
        **of_kind(message_type, channel),
        **LOOKUPS,
        "contentId": one_of(14_220_900),
        "transactionalData": sometimes(0.2, order),
    }


def without(fields: Fields, *names: str) -> Fields:
    return {name: make for name, make in fields.items() if name not in names}
