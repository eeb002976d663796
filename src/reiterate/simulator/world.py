"""
The ground truth: everything that the simulated project holds, and how it changes.

Events are kept as they travel, one encoded line each, in the order of time; entities as JSON objects.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from reiterate.simulator import brand, events
from reiterate.simulator.entities import Entities
from reiterate.simulator.events import DATA_TYPES
from reiterate.simulator.identities import Identities
from reiterate.simulator.people import Person, people
from reiterate.simulator.results import Results
from reiterate.simulator.timeline import Timeline, encode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reiterate.simulator.options import WorldOptions

Row = dict[str, Any]

TEMPLATE_TYPES = ("Base", "Blast", "Triggered", "Workflow")
TEMPLATE_MEDIA = ("Email", "Push", "InApp", "SMS")

LATE_S = 90 * 60
"""Changes of events and late events stay within so many seconds before now."""


def wire_time(epoch_s: int) -> str:
    """Return an instant as events carry it (FACTS.md 7.2)."""
    return datetime.fromtimestamp(epoch_s, UTC).strftime("%Y-%m-%d %H:%M:%S +00:00")


class World:
    """One project. Deterministic from its options; not for several threads at once while it changes."""

    def __init__(self, options: WorldOptions) -> None:
        self.options = options
        # a second that has not ended yet could not be exported whole
        end = options.end or datetime.now(UTC) - timedelta(seconds=2)
        self.end_s = int(end.timestamp())
        self.start_s = self.end_s - options.days * 86_400
        self._random = Random(options.seed)
        self.channels: list[Row] = [dict(channel) for channel in brand.CHANNELS]
        self.message_types = self._message_types()
        self.lists = self._lists()
        self.templates = self._templates()
        self.campaigns = self._campaigns()
        self.metadata = self._metadata()
        self.entities = Entities(self)
        self.results = Results(self)
        total = options.days * options.events_per_day
        self.people = people(self, self._random, options.users or max(20, min(total // 20, 50_000)))
        self.members = self._members()
        self.identities = Identities(self)
        self.timelines = {data_type: Timeline() for data_type in DATA_TYPES.values()}
        for data_type, rows in events.history(self, self._random, total).items():
            self.timelines[data_type].fill((at, self._shows_at(at), encode(row)) for at, row in rows)

    # ── entities ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _ms(self, share: float) -> int:
        """Return an instant as entities carry it: epoch milliseconds (FACTS.md 7.2)."""
        return int((self.start_s + share * (self.end_s - self.start_s)) * 1000) + self._random.randrange(1000)

    def ms(self, share: float) -> int:
        """Return an instant so far into the time of the project, always the same."""
        return int((self.start_s + share * (self.end_s - self.start_s)) * 1000) + int(share * 997) % 1000

    def _message_types(self) -> list[Row]:
        found: list[Row] = []
        for number, name in enumerate(("Newsletter", "Promotions", "Order updates", "Reviews", "Alerts")):
            row: Row = {
                "id": 92001 + number,
                "createdAt": self._ms(0),
                "updatedAt": self._ms(0.1 * number),
                "name": name,
                "channelId": 61001 + number % 2,
                "subscriptionPolicy": "OptOut" if number else "OptIn",
            }
            if number == 2:
                row |= {"frequencyCap": {"days": 1, "messages": 2}, "rateLimitPerMinute": 1000}
            found.append(row)
        return found

    def _lists(self) -> list[Row]:
        found: list[Row] = []
        for number, (name, kind, _) in enumerate(brand.LISTS):
            row: Row = {"id": 3310201 + number, "name": name, "createdAt": self._ms(0), "listType": kind}
            if number % 2:
                row["description"] = f'{name}, described with "quotes" and a comma'
            if kind == "Suppression":
                row["isGlobalSuppressionEnabled"] = False
            found.append(row)
        first = found[-1]["id"] + 1
        found += [
            {"id": first + number, "name": f"Segment {number}", "createdAt": self._ms(0), "listType": "Standard"}
            for number in range(self.options.segments)
        ]
        return found

    def _templates(self) -> list[Row]:
        found: list[Row] = []
        for kind in TEMPLATE_TYPES:
            for medium in TEMPLATE_MEDIA:
                for number in range(26 if (kind, medium) == ("Base", "Email") else 4):
                    row: Row = {
                        "templateId": 11450000 + len(found),
                        "createdAt": self._ms(self._random.random() * 0.5),
                        "updatedAt": self._ms(0.5 + self._random.random() * 0.5),
                        "name": f"{brand.THEMES[number % len(brand.THEMES)]} {kind} {number}",
                        "creatorUserId": brand.STAFF,
                        "messageTypeId": 92001 + number % 5,
                        "templateType": kind,
                        "messageMedium": medium,
                    }
                    if kind != "Base":
                        row["campaignId"] = 8231001 + len(found) % self.options.campaigns
                    if number % 3 == 0:
                        row["clientTemplateId"] = f"{kind}-{medium}-{number}".lower()
                    found.append(row)
        return found

    def _campaigns(self) -> list[Row]:
        emails = [row["templateId"] for row in self.templates if row["messageMedium"] == "Email"]
        found: list[Row] = []
        for number in range(self.options.campaigns):
            created = self._ms(self._random.random() * 0.8)
            state = brand.STATES[number % len(brand.STATES)]
            triggered = number % 5 == 4
            row: Row = {
                "id": 8231001 + number,
                "createdAt": created,
                "updatedAt": created + self._random.randrange(10**8),
                "name": f"{brand.THEMES[number % len(brand.THEMES)]} {2026 + number // 12}",
                "templateId": emails[number % len(emails)],
                "messageMedium": "Email",
                "createdByUserId": brand.STAFF,
                "campaignState": state,
                "labels": ["spring"] if number % 3 == 0 else [],
                "type": "Triggered" if triggered else "Blast",
            }
            if number % len(brand.STATES) == len(brand.STATES) - 1:
                row |= {"messageMedium": "Embedded", "templateId": 11_459_001 + number}
            if number and number % len(brand.STATES) == 0:
                row["recurringCampaignId"] = found[brand.STATES.index("Recurring")]["id"]
            if triggered:
                row["workflowId"] = 501233
            else:
                row |= {"listIds": [3310201], "suppressionListIds": [3310204]}
            if state == "Finished":
                row |= {
                    "startAt": created + 1000,
                    "endedAt": created + 3_600_789,
                    "sendSize": 18240.0 if number % 2 else 18240,
                    "updatedByUserId": brand.STAFF,
                }
            found.append(row)
        return found

    def _metadata(self) -> dict[str, dict[str, Row]]:
        found: dict[str, dict[str, Row]] = {"stores": {}, "sizeguide": {}, "empty": {}}
        for number in range(130):
            key = "lyon" if not number else f"store {number}/é"
            self.put_metadata(found, "stores", key, {"city": "Lyon", "open": "09:00", "rating": 4.5, "floor": number})
        for number in range(20):
            self.put_metadata(found, "sizeguide", "lyon" if not number else f"size-{number}", {"cm": [number, None]})
        return found

    def put_metadata(self, tables: dict[str, dict[str, Row]], table: str, key: str, value: Row) -> None:
        tables[table][key] = {
            "table": table,
            "key": key,
            "size": len(encode(value)) - 1,
            "lastModified": self._ms(0.5),
            "value": value,
        }

    def _members(self) -> dict[int, set[str]]:
        found: dict[int, set[str]] = {}
        names = [person.list_name for person in self.people]
        for row, (_, _, share) in zip(self.lists, brand.LISTS, strict=False):
            found[row["id"]] = set(self._random.sample(names, int(len(names) * share)))
        for number, row in enumerate(self.lists[len(brand.LISTS) :]):
            found[row["id"]] = {names[number % len(names)]}
        return found

    def _shows_at(self, at: int) -> float:
        if not self.options.visibility_delay:
            return 0.0
        return at + (360.0 if self._random.random() < 0.01 else self._random.uniform(5, 20))

    # ── what a complete replica holds ────────────────────────────────────────────────────────────────────────────────

    def truth(self, table: str) -> list[Row]:
        """Return all rows of a table of the replica, as the source has them."""
        match table:
            case "campaigns" | "channels" | "lists" | "message_types" | "templates":
                return [dict(row) for row in getattr(self, table)]
            case "list_users":
                emails = {person.profile.get("email") for person in self.people}
                return [
                    {"listId": list_id, "email" if name in emails else "userId": name}
                    for list_id, names in self.members.items()
                    for name in names
                ]
            case "metadata":
                return [dict(row) for keys in self.metadata.values() for row in keys.values()]
            case "users":
                return [json.loads(encode(person.profile)) for person in self.people]
            case _ if table in DATA_TYPES:
                return list(self.timelines[DATA_TYPES[table]].rows())
            case (
                "campaign_metrics" | "experiments" | "experiment_metrics" | "experiment_totals" | "experiment_variants"
            ):
                return list(self.results.truth(table))
            case _:
                return self.entities.truth(table)

    def users_between(self, start: float, end: float) -> list[bytes]:
        """Return the profiles last updated in ``[start, end)``."""
        return [encode(person.profile) for person in self.people if start <= person.updated_s < end]

    # ── how it changes ───────────────────────────────────────────────────────────────────────────────────────────────

    def add_events(self, data_type: str, rows: Iterable[Row]) -> None:
        """Add events with their ``createdAt``; they show at once."""
        added = []
        for row in rows:
            at = datetime.strptime(row["createdAt"], "%Y-%m-%d %H:%M:%S %z")
            added.append((int(at.timestamp()), 0.0, encode(row)))
        self.timelines[data_type].add(added)

    def add_user(self, profile: Row) -> None:
        self.people.append(Person.of(profile))

    def delete_user(self, identifier: str) -> None:
        """Remove a user, his memberships and events, as Iterable does (FACTS.md 14.4)."""
        self.identities.delete(identifier)

    def forget_user(self, identifier: str) -> None:
        """Delete a user, and list the hashes of his identifiers (FACTS.md 14.4)."""
        self.identities.forget(identifier)

    def unforget_user(self, identifier: str) -> None:
        """List the hashes no more; nothing else comes back."""
        self.identities.unforget(identifier)

    def change_email(self, old: str, new: str, *, now_s: int = 0) -> None:
        """Rename a user by *now_s*, if that is behind the last event; his events are listed under the new address."""
        self.identities.change_email(old, new, at_s=max(self.end_s, now_s))

    def merge_users(self, source: str, destination: str, *, now_s: int = 0) -> None:
        """Merge one user into another by *now_s*, if that is behind the last event (FACTS.md 14.4)."""
        self.identities.merge(source, destination, at_s=max(self.end_s, now_s))

    def merge_newest(self, *, now_s: int = 0) -> None:
        """Merge the user who got the newest email into another."""
        self.identities.merge_newest(at_s=max(self.end_s, now_s))

    def mutate(self, *, fraction: float, seed: int, now_s: int) -> None:
        """
        Let some time pass until *now_s*: new events, late ones, changed rows, in every table.

        Late events happened, and changed events lie, within the last 90 minutes before the old end; what tells an
        event from others does not change.
        """
        random = Random(seed)
        old_end, self.end_s = self.end_s, max(self.end_s, now_s)
        count = max(3, int(fraction * sum(len(timeline.at) for timeline in self.timelines.values())))
        late = max(1, count // 3)
        for first, last, many in ((old_end, self.end_s, count - late), (old_end - LATE_S, old_end, late)):
            made = events.between(self, random, first, max(last, first + 1), many)
            for data_type, rows in made.items():
                self.timelines[data_type].add((at, 0.0, encode(row)) for at, row in rows)
        for data_type, timeline in self.timelines.items():
            self._change_events(data_type, timeline, random, since=old_end - LATE_S, share=max(fraction * 20, 0.2))
        self._change_people(random, fraction)
        self._change_entities(random)
        self.entities.change(random)
        self.results.change()

    def _change_events(self, data_type: str, timeline: Timeline, random: Random, *, since: int, share: float) -> None:
        for index in range(bisect_left(timeline.at, since), len(timeline.at)):
            if random.random() < share:
                row = json.loads(timeline.lines[index])
                row |= events.CHANGED.get(data_type, {"note": "seen"})
                timeline.change(index, encode(row))

    def _change_people(self, random: Random, fraction: float) -> None:
        for person in random.sample(self.people, max(1, int(len(self.people) * fraction))):
            person.change(self.end_s, {"loyalty.points": random.randrange(10_000), "favouriteColour": "ultramarine"})
        for row in people(self, random, 2, first=len(self.people) + random.randrange(10**6, 10**7)):
            row.change(self.end_s, {})
            self.people.append(row)

    def _change_entities(self, random: Random) -> None:
        for row in random.sample(self.campaigns, 3):
            row["campaignState"] = "Archived"  # updatedAt stays (FACTS.md 11)
        for row in random.sample(self.templates, 3):
            row |= {"name": f"{row['name']} (new)", "updatedAt": self.end_s * 1000 + 7}
        self.channels[0]["name"] = "Renamed channel"
        removed = self.lists.pop(random.randrange(1, 3))
        del self.members[removed["id"]]
        added = max(row["id"] for row in self.lists) + 1
        self.lists.append({"id": added, "name": "New list", "createdAt": self.end_s * 1000, "listType": "Standard"})
        self.members[added] = {person.list_name for person in random.sample(self.people, 3)}
        first = self.members[self.lists[0]["id"]]
        first.difference_update(random.sample(sorted(first), min(len(first), 2)))
        first.add(self.people[-1].list_name)
        stores = self.metadata["stores"]
        stores.pop(next(reversed(stores)))
        self.put_metadata(self.metadata, "stores", "lyon", {"city": "Lyon", "open": "10:00"})
        self.put_metadata(self.metadata, "stores", "brand new", {"city": "Nice"})
