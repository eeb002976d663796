"""
What a project has set up besides its campaigns: journeys, snippets, webhooks, catalogs, the content of templates.

Made when it is first asked for; the fields are those of the swagger and FACTS.md.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from functools import cached_property
from random import Random
from typing import TYPE_CHECKING, Any

from reiterate.simulator import brand

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reiterate.simulator.world import World

Row = dict[str, Any]

PROJECT = 48210
LANGUAGES = ("fr-FR", "de-DE")
JOURNEYS, ARCHIVED = 57, 3
"""Of journeys a page has 50 at most."""


class Entities:
    """The entities of *world* besides campaigns and lists."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._random = Random(world.options.seed + 1)

    # ── journeys, snippets, webhooks ─────────────────────────────────────────────────────────────────────────────────

    @cached_property
    def journeys(self) -> list[Row]:
        """All, archived ones last; only a call of their own shows those (FACTS.md 13)."""
        found: list[Row] = []
        for number in range(JOURNEYS + ARCHIVED):
            row: Row = {
                "id": 501233 + number,
                "name": f"{brand.THEMES[number % len(brand.THEMES)]} series {number}",
                "enabled": number % 3 != 0,
                "isArchived": number >= JOURNEYS,
                "journeyType": "Published",
                "startTileId": 7712 + number,
                "triggerEventNames": ["signup"] if number % 2 else [],
                "createdAt": self._world.ms(0.1),
                "updatedAt": self._world.ms(0.3),
                "creatorUserId": brand.STAFF,
            }
            if number % 4 == 0:
                row |= {"description": "", "lifetimeLimit": 1, "simultaneousLimit": 1}
            if number % 10 == 7:
                row["draft"] = {
                    **{name: row[name] for name in ("name", "createdAt", "creatorUserId")},
                    "id": 601233 + number,
                    "updatedAt": self._world.ms(0.9),
                }
            found.append(row)
        return found

    @cached_property
    def snippets(self) -> list[Row]:
        return [
            {
                "id": 771 + number,
                "projectId": PROJECT,
                "name": name,
                "content": f"<p>{{{{company}}}} {name}</p>",
                "variables": ["company"],
                "createdAt": iso(self._world.ms(0.2)),
                "createdBy": brand.STAFF,
                "updatedAt": iso(self._world.ms(0.4)),
                "updatedBy": brand.STAFF,
                **({"description": "legal"} if number else {}),
            }
            for number, name in enumerate(("header", "footer", "imprint"))
        ]

    @cached_property
    def webhooks(self) -> list[Row]:
        return [
            {
                "id": 3101 + number,
                "endpoint": f"https://hooks.example.com/iterable/{number}",
                "authType": kind,
                "enabled": number == 0,
                "blastSendEnabled": False,
                "triggeredSendEnabled": True,
                **({"channelIds": [61001], "messageTypeIds": []} if number else {}),
            }
            for number, kind in enumerate(("Basic", "NoAuth"))
        ]

    # ── catalogs ─────────────────────────────────────────────────────────────────────────────────────────────────────

    @cached_property
    def catalogs(self) -> dict[str, dict[str, Row]]:
        """The items of each catalog, by their ids; one has more than a page."""
        found: dict[str, dict[str, Row]] = {"products": {}, "Stores-EU": {}, "empty": {}}
        for number in range(1030):
            self._put(found, "products", f"SKU-{number}", {"name": f"Apron {number}", "price": 39.0 + number})
        for number in range(12):
            self._put(found, "Stores-EU", f"store {number}/é", {"city": "Lyon", "open": True, "floors": [number]})
        return found

    def _put(self, catalogs: dict[str, dict[str, Row]], catalog: str, item: str, value: Row) -> None:
        catalogs[catalog][item] = {
            "catalogName": catalog,
            "itemId": item,
            "lastModified": self._world.ms(0.6),
            "size": len(json.dumps(value)),
            "value": value,
        }

    def mappings(self, catalog: str) -> Row:
        """Return the types of a catalog's fields."""
        if catalog == "products":
            return {"definedMappings": {"price": "double"}, "undefinedFields": ["name"]}
        return {"definedMappings": {}, "undefinedFields": ["city", "open", "floors"] if self.catalogs[catalog] else []}

    # ── the content of templates ─────────────────────────────────────────────────────────────────────────────────────

    @cached_property
    def embedded(self) -> dict[int, Row]:
        """Embedded templates: no list shows them (FACTS.md 12), only the campaigns that send them."""
        return {
            row["templateId"]: {
                "templateId": row["templateId"],
                "name": f"{row['name']} card",
                "messageTypeId": 92001,
                "messageMedium": "Embedded",
            }
            for row in self._world.campaigns
            if row["messageMedium"] == "Embedded"
        }

    def template(self, template_id: int, medium: str) -> Row | None:
        """Return the row of a template of this medium."""
        if medium == "Embedded":
            return self.embedded.get(template_id)
        return next(
            (
                row
                for row in self._world.templates
                if row["templateId"] == template_id and row["messageMedium"] == medium
            ),
            None,
        )

    def languages(self, template: Row) -> tuple[str, ...]:
        return LANGUAGES if "clientTemplateId" in template and template["templateId"] % 2 else ()

    def content(self, template: Row, locale: str) -> Row:
        """Return what a template is made of, in its default language or another one."""
        kept = ("templateId", "name", "messageTypeId", "clientTemplateId")
        row = {name: template[name] for name in kept if name in template}
        if languages := self.languages(template):
            row |= {"locale": locale or languages[0], "isDefaultLocale": locale in {"", languages[0]}}
        text = f"{template['name']} {locale}".strip()
        match template["messageMedium"]:
            case "Email":
                listed = ("templateId", "createdAt", "updatedAt", "name", "creatorUserId", "messageTypeId")
                return row | {
                    "creatorUserId": template["creatorUserId"],
                    "metadata": {name: template[name] for name in listed},
                    "fromName": "Larkspur Goods",
                    "fromEmail": "hello@example.com",
                    "subject": text,
                    "preheaderText": "",
                    "ccEmails": [],
                    "bccEmails": [],
                    "html": f"<html><body>{text}\n{{{{firstName}}}}</body></html>",
                    "plainText": "",
                    "cacheDataFeed": False,
                    "mergeDataFeedContext": False,
                }
            case "Push":
                return (
                    row
                    | self._times(template)
                    | {
                        "title": text,
                        "message": text,
                        "badge": "1",
                        "payload": {"path": "shop"},
                        "isSilentPush": False,
                    }
                )
            case "SMS":
                return row | self._times(template) | {"message": text}
            case "InApp":
                return row | {"html": f"<div>{text}</div>", "payload": {}, "expirationDuration": "now+30d"}
            case _:
                return row | {"title": text, "body": text, "placementId": 5, "payload": {}, "elements": {"buttons": []}}

    @staticmethod
    def _times(template: Row) -> Row:
        return {name: template[name] for name in ("createdAt", "updatedAt", "campaignId") if name in template}

    # ── users who were forgotten ─────────────────────────────────────────────────────────────────────────────────────

    @cached_property
    def forgotten(self) -> dict[str, list[str]]:
        """Hashes of addresses and of user ids, as the kind of project has them (FACTS.md 14.4)."""
        kind = self._world.options.project_type
        return {
            **({"hashedEmails": hashes("gone@example.com", "past@example.com")} if kind != "userid" else {}),
            **({"hashedUserIds": hashes("u-900001")} if kind != "email" else {}),
        }

    # ── what a complete replica holds, and how it changes ────────────────────────────────────────────────────────────

    def truth(self, table: str) -> list[Row]:
        """Return all rows of a table, as a complete replica holds them."""
        match table:
            case "journeys":
                return [{**row, **({"state": "Archived"} if row["isArchived"] else {})} for row in self.journeys]
            case "snippets" | "webhooks":
                return [dict(row) for row in getattr(self, table)]
            case "catalogs":
                return [{"name": name} for name in self.catalogs]
            case "catalog_items":
                return [dict(row) for items in self.catalogs.values() for row in items.values()]
            case "catalog_fields":
                return [{"catalogName": name, **self.mappings(name)} for name in self.catalogs]
            case "metadata_tables":
                return [{"name": name} for name in self._world.metadata]
            case "user_fields":
                return [{"name": name, "type": kind} for name, kind in brand.FIELD_TYPES.items()]
            case "list_sizes":
                return [{"listId": list_id, "size": len(names)} for list_id, names in self._world.members.items()]
            case "child_campaigns":
                recurring = {row["id"] for row in self._world.campaigns if row["campaignState"] == "Recurring"}
                return [dict(row) for row in self._world.campaigns if row.get("recurringCampaignId") in recurring]
            case "forgotten_users":
                return [{name.removesuffix("s"): one} for name, hashed in self.forgotten.items() for one in hashed]
            case "template_contents":
                return list(self._contents())
            case _:
                raise KeyError(table)

    def _contents(self) -> Iterable[Row]:
        for template in (*self._world.templates, *self.embedded.values()):
            known = {"templateId", "messageMedium"} if template["messageMedium"] == "Embedded" else template.keys()
            for locale in ("", *self.languages(template)[1:]):
                yield {**{name: template[name] for name in known}, **self.content(template, locale)}

    def change(self, random: Random) -> None:
        """Let some time pass: something new, changed or gone in each."""
        self.journeys[0] |= {"name": "Renamed series", "updatedAt": self._world.ms(1)}
        self.journeys[-1 - ARCHIVED]["isArchived"] = True
        if len(self.snippets) > 1:
            del self.snippets[random.randrange(len(self.snippets))]
        self.webhooks[0]["enabled"] = not self.webhooks[0]["enabled"]
        items = self.catalogs["products"]
        del items[next(iter(items))]
        self._put(self.catalogs, "products", f"SKU-new-{len(items)}", {"name": "New", "price": 1.5})
        self.catalogs.pop("empty", None)
        for hashed in self.forgotten.values():
            hashed.extend(hashes(f"forgotten{len(hashed)}"))


def iso(epoch_ms: int) -> str:
    """Return an instant as snippets and experiments have it (FACTS.md 7.2)."""
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def hashes(*identifiers: str) -> list[str]:
    """Return the SHA-256 of each, as forgotten users are told (FACTS.md 14.4)."""
    return [hashlib.sha256(one.strip().lower().encode()).hexdigest() for one in identifiers]
