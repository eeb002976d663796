"""Events: emails and what people do with them, in believable proportions, and a tenth as many of other media."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from random import Random
from typing import TYPE_CHECKING, Any

from reiterate.simulator import brand, media
from reiterate.simulator.people import wire_time

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reiterate.simulator.world import World

Row = dict[str, Any]
Made = dict[str, list[tuple[int, Row]]]

SHARES = {
    "emailSend": 0.55,
    "emailOpen": 0.30,
    "emailClick": 0.08,
    "emailSubscribe": 0.02,
    "emailSendSkip": 0.02,
    "emailBounce": 0.015,
    "emailUnSubscribe": 0.01,
    "emailComplaint": 0.005,
}
"""Of ``events_per_day``: emails are all of it; events of other media come besides."""
CHANGED: Mapping[str, Row] = {
    "emailOpen": {"city": "Genève", "isBot": True},
    "emailClick": {"city": "Genève", "isBot": True},
    "hostedUnsubscribeClick": {"city": "Genève"},
    "smsSend": {"isSMSEstimation": False, "smsSendCount": 2},
    "smsUsageInfo": {"smsSendCount": 2},
    # sent again with its id (FACTS.md 8.2)
    "customEvent": {"price": 41.5, "eventUpdatedAt": "2026-03-13 18:22:41 +00:00"},
    "purchase": {"total": 12.5},
}
"""What an event has after it changed; what tells it from others does not."""
REPEATED = 0.003
"""Share of byte-identical duplicates: several opens in one second (FACTS.md 8.3)."""
SAME_SECOND = 0.01
"""Share of events with a twin in the same second that differs."""


def history(world: World, random: Random, count: int) -> Made:
    """Return about *count* emails and what they led to over the whole time of *world*, and events of other media."""
    return between(world, random, world.start_s, world.end_s, count)


def between(world: World, random: Random, start_s: int, end_s: int, count: int) -> Made:
    """
    Return about *count* events of ``[start_s, end_s)``, by data type, and at least one of each.

    Opens and clicks follow a send.
    """
    made: Made = defaultdict(list)
    sends: list[tuple[int, Row]] = []
    for data_type, share in SHARES.items():
        for _ in range(max(1, round(count * share))):
            at = random.randrange(start_s, end_s)
            if data_type == "emailSend":
                row = _send(world, random, at)
                sends.append((at, row))
            elif data_type == "emailSubscribe":
                row = _subscribe(world, random, at)
            elif data_type == "emailUnSubscribe":
                row = _unsubscribe(world, random, at, {})
            elif data_type == "emailSendSkip":
                row = _skip(world, random, at)
            else:
                sent_at, send = random.choice(sends)
                at = min(sent_at + int(random.expovariate(1 / 7200)), end_s - 1)
                row = _reaction(random, data_type, at, send)
            made[data_type].append((at, row))
            _follow(world, random, made, data_type, at, row)
    others = Random()
    others.setstate(random.getstate())  # chance goes on for what comes after the emails as if they were all
    media.add(world, others, made, (start_s, end_s), count)
    return made


def _follow(world: World, random: Random, made: Made, data_type: str, at: int, row: Row) -> None:
    """Add what comes with an event: a twin, a duplicate, the unsubscription behind a hard bounce."""
    if row.get("recipientState") == "HardBounce":
        same: Row = {name: row[name] for name in ("templateId", "recipientState", "status", "messageId")}
        person: Row = {name: row[name] for name in ("email", "userId", "itblUserId") if name in row}
        made["emailUnSubscribe"].append(
            (at, _unsubscribe(world, random, at, {**person, **same, "unsubSource": "HardBounce"}))
        )
    if data_type in {"emailOpen", "emailClick"}:
        if random.random() < REPEATED:
            made[data_type].append((at, row))
        if random.random() < SAME_SECOND:
            made[data_type].append((at, {**row, "ip": "192.0.2.77"}))


def _hex(random: Random) -> str:
    return f"{random.getrandbits(128):032x}"


def _message(world: World, random: Random, at: int) -> Row:
    campaign = random.choice(world.campaigns)
    return {
        **random.choice(world.people).who,
        "messageTypeId": 92001 + campaign["id"] % 5,
        "templateId": campaign["templateId"],
        "messageId": _hex(random),
        "createdAt": wire_time(at),
        "campaignId": campaign["id"],
        "channelId": 61001 + campaign["id"] % 2,
    }


def _send(world: World, random: Random, at: int) -> Row:
    row = _message(world, random, at) | {
        "catalogLookupCount": 0,
        "catalogCollectionCount": 0,
        "productRecommendationCount": 0,
        "messageBusId": _hex(random),
        "contentId": 14220311,
    }
    if row["campaignId"] % 5 == 0:
        order = {
            "eventName": "orderShipped",
            "orderNumber": f"LG-{at % 100000}",
            "total": 12.5,
            "createdAt": wire_time(at - 2),
        }
        row["transactionalData"] = json.dumps(order)
    return row


def _skip(world: World, random: Random, at: int) -> Row:
    row: Row = _message(world, random, at) | {"reason": random.choice(brand.SKIP_REASONS)}
    if random.random() < 0.2:
        row["transactionalData"] = '{"eventName":"orderShipped"}' if random.random() < 0.9 else "not JSON at all"
    else:
        row["contentId"] = 14220311
    return row


def _reaction(random: Random, data_type: str, at: int, send: Row) -> Row:
    kept = ("email", "userId", "itblUserId", "templateId", "messageId", "campaignId")
    row = {name: send[name] for name in kept if name in send} | {"createdAt": wire_time(at)}
    match data_type:
        case "emailComplaint":
            return row | {"recipientState": "Complaint"}
        case "emailBounce":
            if random.random() < 0.5:
                return row | {"recipientState": "HardBounce", "status": "5.1.1"}
            return row | {"recipientState": "SoftBounce", "status": "4.2.2", "bounceMessage": "452 4.2.2 mailbox full"}
        case _:
            row |= _surroundings(random)
            if data_type == "emailClick":
                return row | _link(random)
            # opens alone have it (schema.json)
            return row | ({"proxySource": "Gmail"} if row["userAgentDevice"] == "Gmail" else {})


def _surroundings(random: Random) -> Row:
    agent, device = random.choice(brand.AGENTS)
    row: Row = {"ip": f"203.0.113.{random.randrange(256)}", "userAgent": agent, "userAgentDevice": device}
    if random.random() < 0.8:
        row["city"], row["region"], row["country"] = random.choice(brand.CITIES)
    if random.random() < 0.3:
        row["isBot"] = device == "Other"
    return row


def _link(random: Random) -> Row:
    number = random.randrange(4)
    row: Row = {
        "url": f"{brand.SHOP}/{number}?utm_source=Iterable&utm_medium=email",
        "hrefIndex": number,
        "contentId": 14220311,
    }
    if random.random() < 0.2:
        row["trackedLink.templateUrl"] = f"{brand.SHOP}/{number}"
    return row


def _subscribe(world: World, random: Random, at: int) -> Row:
    to_list = random.random() < 0.7
    return {
        **random.choice(world.people).who,
        "emailListIds": [random.choice(world.lists)["id"]] if to_list else [],
        "channelIds": [] if to_list else [61001],
        "profileUpdatedAt": wire_time(at),
        "createdAt": wire_time(at),
        "signupSource": random.choice(brand.SIGNUP_SOURCES),
        "firstName": random.choice(brand.FIRST),
        "favouriteColour": random.choice(brand.COLOURS),
    }


def _unsubscribe(world: World, random: Random, at: int, given: Row) -> Row:
    row: Row = {
        **(given or random.choice(world.people).who),
        "emailListIds": [3310201] if random.random() < 0.5 else [],
        "channelIds": [61001],
        "createdAt": wire_time(at),
    }
    if not given:
        campaign = random.choice(world.campaigns)
        row |= {
            "unsubSource": random.choice(brand.UNSUBSCRIBE_SOURCES),
            "campaignId": campaign["id"],
            "templateId": campaign["templateId"],
            "messageId": _hex(random),
        }
    return row


def table_of(data_type: str) -> str:
    """Return the table of the replica that holds a data type; whatsApp is one word there, and so is unsubscribe."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", data_type).lower()
    return name.replace("whats_app", "whatsapp").replace("un_subscribe", "unsubscribe")


DATA_TYPES = {table_of(data_type): data_type for data_type in (*SHARES, *media.KINDS)}
"""``dataTypeName`` of events, as the swagger spells it, by the table of the replica."""
