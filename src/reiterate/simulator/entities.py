"""
What a project has set up besides its campaigns: journeys, snippets, catalogs, experiments, the content of templates.

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
EXPERIMENTS = 23
"""A list of them has 20 unless more are asked for."""

EMAIL_METRICS = (
    # names and forms as they were recorded (FACTS.md 10): wholes, and numbers with a fraction
    "Total Email Sends",
    "Total Email Opens",
    "Total Email Opens (filtered)",
    "Total Emails Clicked",
    "Total Emails Bounced",
    "Total Complaints",
    "Total Unsubscribes",
    "Unique Email Sends",
    "Unique Email Opens",
    "Unique Email Clicks",
)
EMAIL_FRACTIONS = ("Total Emails Delivered", "Unique Emails Delivered", "Average Order Value", "Revenue / M (Email)")
EMBEDDED_METRICS = ("Total Embedded Impressions", "Total Embedded Clicks")
"""Columns that nobody has published."""

EXPERIMENT_HEADER = (
    "Campaign ID",
    "Experiment ID",
    "Template ID",
    "Name",
    "Type",
    "Created by",
    "Creation Date",
    "Last modified",
    "Subject",
    "Improvement",
    "Confidence",
    "Total Email Sends",
    "Email Delivery Rate",
    "Total Emails Delivered",
)


class Entities:
    """The entities of *world* besides campaigns and lists."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._random = Random(world.options.seed + 1)

    def _ms(self, share: float) -> int:
        world = self._world
        return int((world.start_s + share * (world.end_s - world.start_s)) * 1000) + int(share * 997) % 1000

    @staticmethod
    def _iso(epoch_ms: int) -> str:
        return datetime.fromtimestamp(epoch_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

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
                "createdAt": self._ms(0.1),
                "updatedAt": self._ms(0.3),
                "creatorUserId": brand.STAFF,
            }
            if number % 4 == 0:
                row |= {"description": "", "lifetimeLimit": 1, "simultaneousLimit": 1}
            if number % 10 == 7:
                row["draft"] = {
                    **{name: row[name] for name in ("name", "createdAt", "creatorUserId")},
                    "id": 601233 + number,
                    "updatedAt": self._ms(0.9),
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
                "createdAt": self._iso(self._ms(0.2)),
                "createdBy": brand.STAFF,
                "updatedAt": self._iso(self._ms(0.4)),
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
            "lastModified": self._ms(0.6),
            "size": len(json.dumps(value)),
            "value": value,
        }

    def mappings(self, catalog: str) -> Row:
        """Return the types of a catalog's fields."""
        if catalog == "products":
            return {"definedMappings": {"price": "double"}, "undefinedFields": ["name"]}
        return {"definedMappings": {}, "undefinedFields": ["city", "open", "floors"] if self.catalogs[catalog] else []}

    # ── experiments ──────────────────────────────────────────────────────────────────────────────────────────────────

    @cached_property
    def experiments(self) -> dict[int, Row]:
        """Single experiments by their ids, newer than the swagger (FACTS.md 13)."""
        campaigns = [row for row in self._world.campaigns if row["messageMedium"] == "Email"]
        found: dict[int, Row] = {}
        for number in range(EXPERIMENTS):
            campaign = campaigns[number % len(campaigns)]
            draft = number % 5 == 4
            row: Row = {
                "id": 120410 + number,
                "status": "draft" if draft else "finished",
                "creationDate": self._ms(0.2),
                "channelType": "email",
                "experimentType": "SubjectLine",
                "allocationMode": "even_split",
                "sizing": {"holdoutPercentage": None},
                "meta": {
                    "name": f"{campaign['name']} subject line",
                    "campaignId": campaign["id"],
                    "projectId": PROJECT,
                    "orgId": 3110,
                    "conversionMetrics": ["opens"],
                },
                "variants": [
                    {
                        "id": 10 * number + variant,
                        "name": "Control" if not variant else f"Variant {variant}",
                        "value": {"templateId": campaign["templateId"] + variant},
                        "currentPercentage": 50,
                        "isWinner": not draft and variant == 1,
                        "isControl": variant == 0,
                    }
                    for variant in range(2)
                ],
            }
            if not draft:
                row |= {"startDate": self._ms(0.3), "finishDate": self._ms(0.5)}
            found[row["id"]] = row
        return found

    def listed_experiments(self) -> list[Row]:
        """Return the experiments as their list has them, whose dates are texts (FACTS.md 7.2)."""
        return [
            {
                **{name: row[name] for name in ("id", "status", "channelType")},
                "name": row["meta"]["name"],
                "author": brand.STAFF,
                **({"startDate": self._iso(row["startDate"])} if "startDate" in row else {}),
            }
            for row in self.experiments.values()
        ]

    def variants(self, experiment: Row) -> list[Row]:
        return [
            {
                "variantId": variant["id"],
                **{name: variant[name] for name in ("name", "value", "currentPercentage")},
                "content": {"subject": f"{variant['name']}: the spring edit", "preheader": None},
            }
            for variant in experiment["variants"]
        ]

    def totals(self, experiment: Row) -> list[Row]:
        return [
            {
                **{name: variant[name] for name in ("id", "name", "isControl", "isWinner")},
                "metrics": {"sends": 1000 + variant["id"], "opens": 40.5},
            }
            for variant in experiment["variants"]
        ]

    def experiment_cells(self, experiment: Row) -> list[list[str]]:
        """Return the lines of an experiment's metrics; the first variant has a cell more than the header has."""
        return [
            [
                str(experiment["meta"]["campaignId"]),
                str(experiment["id"]),
                str(variant["value"]["templateId"]),
                str(2026 + number),  # a name that looks like a number
                variant["name"],
                brand.STAFF,
                self._iso(self._ms(0.2)),
                self._iso(self._ms(0.25)),
                'The "spring" edit, here',
                "N/A" if not number else "12.5",
                "NaN" if not number else "97",
                "" if experiment["status"] == "draft" else str(1000 + experiment["id"]),
                "" if experiment["status"] == "draft" else "0.5",
                "" if experiment["status"] == "draft" else "16.0",
                *(["left over"] if not number else []),
            ]
            for number, variant in enumerate(experiment["variants"])
        ]

    # ── metrics of campaigns ─────────────────────────────────────────────────────────────────────────────────────────

    def metrics(self, campaign: Row) -> dict[str, str]:
        """Return the cells of a campaign, by their columns: none while it is a draft."""
        if campaign["campaignState"] == "Draft":
            return {}
        seed = campaign["id"] * 31 + len(campaign["campaignState"])
        if campaign["messageMedium"] != "Email":
            return {name: str(seed % 1000 + number) for number, name in enumerate(EMBEDDED_METRICS)}
        wholes = {name: str(seed % 5000 * (number + 1)) for number, name in enumerate(EMAIL_METRICS)}
        return wholes | {name: f"{seed % 700}.{number * 25 % 100}" for number, name in enumerate(EMAIL_FRACTIONS)}

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
                return list(self._figures(table))

    def _contents(self) -> Iterable[Row]:
        for template in (*self._world.templates, *self.embedded.values()):
            known = {"templateId", "messageMedium"} if template["messageMedium"] == "Embedded" else template.keys()
            for locale in ("", *self.languages(template)[1:]):
                yield {**{name: template[name] for name in known}, **self.content(template, locale)}

    def _figures(self, table: str) -> Iterable[Row]:
        match table:
            case "campaign_metrics":
                for campaign in self._world.campaigns:
                    found = self.metrics(campaign).items()
                    yield {"id": campaign["id"], **{name: json.loads(cell) for name, cell in found}}
            case "experiments":
                for listed, row in zip(self.listed_experiments(), self.experiments.values(), strict=True):
                    yield {**listed, **row}
            case "experiment_variants":
                for row in self.experiments.values():
                    yield from ({"experimentId": row["id"], **variant} for variant in self.variants(row))
            case "experiment_totals":
                for row in self.experiments.values():
                    yield from ({"experimentId": row["id"], **variant} for variant in self.totals(row))
            case "experiment_metrics":
                for row in self.experiments.values():
                    for cells in self.experiment_cells(row):
                        named = dict(zip((*EXPERIMENT_HEADER, "surplus"), cells, strict=False))
                        yield {name: _typed(name, cell) for name, cell in named.items() if cell}
            case _:
                raise KeyError(table)

    def change(self, random: Random) -> None:
        """Let some time pass: something new, changed or gone in each."""
        self.journeys[0] |= {"name": "Renamed series", "updatedAt": self._ms(1)}
        self.journeys[-1 - ARCHIVED]["isArchived"] = True
        del self.snippets[random.randrange(len(self.snippets))]
        self.webhooks[0]["enabled"] = not self.webhooks[0]["enabled"]
        items = self.catalogs["products"]
        del items[next(iter(items))]
        self._put(self.catalogs, "products", f"SKU-new-{len(items)}", {"name": "New", "price": 1.5})
        self.catalogs.pop("empty", None)
        self.experiments[120410]["status"] = "winner_found"
        for hashed in self.forgotten.values():
            hashed.extend(hashes(f"forgotten{len(hashed)}"))


def hashes(*identifiers: str) -> list[str]:
    """Return the SHA-256 of each, as forgotten users are told (FACTS.md 14.4)."""
    return [hashlib.sha256(one.strip().lower().encode()).hexdigest() for one in identifiers]


def _typed(name: str, cell: str) -> object:
    numbers = {"Campaign ID", "Experiment ID", "Template ID", *EXPERIMENT_HEADER[11:]}
    if name == "surplus":
        return [cell]
    return json.loads(cell) if name in numbers else cell
