"""Users, with the oddities that live projects have (FACTS.md 7.2, 8.4, 14)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from reiterate.simulator import brand

if TYPE_CHECKING:
    from random import Random

    from reiterate.simulator.world import World

Row = dict[str, Any]


def wire_time(epoch_s: int) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).strftime("%Y-%m-%d %H:%M:%S +00:00")


@dataclass
class Person:
    """One user: the profile as it is exported, and when it last changed (epoch seconds)."""

    profile: Row
    updated_s: int

    @classmethod
    def of(cls, profile: Row) -> Person:
        at = datetime.strptime(profile["profileUpdatedAt"], "%Y-%m-%d %H:%M:%S %z")
        return cls(profile, int(at.timestamp()))

    @property
    def who(self) -> Row:
        """The fields by which events name the user."""
        return {name: self.profile[name] for name in ("email", "userId", "itblUserId") if name in self.profile}

    @property
    def list_name(self) -> str:
        """What ``lists/getUsers`` calls the user: the email, or the user id where there is none."""
        return str(self.profile.get("email") or self.profile["userId"])

    def change(self, at_s: int, values: Row) -> None:
        self.updated_s = at_s
        self.profile |= {**values, "profileUpdatedAt": wire_time(at_s)}


def people(world: World, random: Random, count: int, *, first: int = 0) -> list[Person]:
    """Return *count* users, numbered from *first*; the first ten of a world are the odd ones."""
    return [_person(world, random, number) for number in range(first, first + count)]


def _person(world: World, random: Random, number: int) -> Person:
    kind = world.options.project_type
    name, surname = random.choice(brand.FIRST), random.choice(brand.LAST)
    updated = random.randrange(world.start_s, world.end_s)
    user_id = f"u-{number:06d}"
    profile: Row = {}
    if kind == "email" or (kind == "hybrid" and number % 4):
        profile["email"] = f"{name}.{surname}.{number}@example.com".lower().replace("ë", "e")
    if kind != "email":
        profile["itblUserId"] = hashlib.md5(
            f"{world.options.seed}/{number}".encode(), usedforsecurity=False
        ).hexdigest()
    if kind == "userid" or "email" not in profile or number % 3 == 0:
        profile["userId"] = user_id
    if kind == "email" and number == 3:
        profile |= {"email": f"{user_id}+147178873@placeholder.email", "userId": user_id}
    city, region, country = random.choice(brand.CITIES)
    profile |= {
        "profileUpdatedAt": wire_time(updated),
        "signupDate": wire_time(max(world.start_s, updated - random.randrange(10**6))),
        "signupSource": random.choice(brand.SIGNUP_SOURCES),
        ("emailListIds" if kind == "email" else "userListIds"): [3310201] if number % 2 else [],
        "unsubscribedChannelIds": [61005] if number % 5 == 0 else [],
        "unsubscribedMessageTypeIds": [],
        "firstName": name,
        "lastName": surname,
        "phoneNumber": f"+1555555{number % 10000:04d}",
        "city": city,
        "region": region,
        "country": country,
        "itblInternal.emailDomain": "example.com",
        "loyalty.tier": random.choice(("bronze", "silver", "gold")),
        "loyalty.points": random.randrange(5000),
        "averageBasket": round(random.uniform(5, 250), 2),
        "isMember": random.random() < 0.5,
        "birthday": f"19{random.randrange(50, 99)}-0{random.randrange(1, 9)}-{random.randrange(10, 28)}",
        "lastVisit": random.choice(("2026-01-14 06:20:22 +0000", "2016-11-29 13:22:56", "2026-02-01T10:00:00.000Z")),
    }
    return Person(profile | _oddity(number), updated)


def _oddity(number: int) -> Row:
    device = {
        "token": f"3f7d{number}",
        "platform": "APNS",
        "applicationName": "com.example.larkspur",
        "endpointEnabled": True,
    }
    odd: dict[int, Row] = {
        0: {"lastVisit": "2025-12-19T22:43:34.134105.000Z", "birthday": "not a date"},
        1: {"senate Districts": "4, 7", "offers.intro APR": 9.99},
        2: {"_industry": "textiles", "Industry": "Textiles", "industry": "cloth"},
        4: {"devices": [device], "devices.token": [device["token"]], "devices.platform": ["APNS"]},
        5: {"shoppingCartItems": [{"id": "sku-1", "price": 39.0, "quantity": 2}], "shoppingCartItems.price": [39.0]},
        6: {"nickname": 'Zoë "the quote" O\'Neil\n😀', "emptyText": ""},
        7: {"loyalty.points": 2**53 + 1, "bigNumber": 2**63},
        8: {"averageBasket": 16, "isMember": "yes"},
        9: {"profile": {"plan": "basic"}, "tags": ["a", None, 3]},
    }
    return odd.get(number, {})
