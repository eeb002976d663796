"""What came of campaigns and experiments, as Iterable adds it up (FACTS.md 10, 13)."""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING, Any

from reiterate.simulator import brand
from reiterate.simulator.entities import PROJECT, iso
from reiterate.simulator.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reiterate.simulator.world import World

Row = dict[str, Any]

EXPERIMENTS = 23
"""A list of them has 20 unless more are asked for."""

DAY_MS = 86_400_000

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


class Results:
    """The experiments of *world*, and the metrics of its campaigns."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.metrics = Metrics(world)

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
                "creationDate": self._world.ms(0.2),
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
                row |= {"startDate": self._world.ms(0.3), "finishDate": self._world.ms(0.5)}
            found[row["id"]] = row
        return found

    def listed_experiments(self) -> list[Row]:
        """Return the experiments as their list has them, whose dates are texts (FACTS.md 7.2)."""
        return [
            {
                **{name: row[name] for name in ("id", "status", "channelType")},
                "name": row["meta"]["name"],
                "author": brand.STAFF,
                **({"startDate": iso(row["startDate"])} if "startDate" in row else {}),
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

    def trends(self, experiment: Row, window: tuple[float, float] | None) -> Row:
        """
        Return the metrics of each variant by the days of the experiment, which add up to its totals.

        Of a *window* (epoch seconds) there are the days that begin in it; a draft has none.
        """
        first, last = experiment.get("startDate"), experiment.get("finishDate")
        days = range(first, last + 1, DAY_MS) if first is not None and last is not None else range(0)
        start, end = window or (
            (first or experiment["creationDate"]) / 1000,
            (last or experiment["creationDate"]) / 1000,
        )
        return {
            "id": experiment["id"],
            "status": experiment["status"],
            "interval": "day",
            "startDateTime": iso(int(start * 1000)),
            "endDateTime": iso(int(end * 1000)),
            "variants": [
                {
                    **{name: variant[name] for name in ("id", "name", "isControl", "isWinner")},
                    "series": {
                        metric: [
                            {"time": iso(day), "value": value}
                            for day, value in zip(days, _shares(total, len(days)), strict=True)
                            if window is None or start <= day / 1000 < end
                        ]
                        for metric, total in variant["metrics"].items()
                    },
                }
                for variant in self.totals(experiment)
            ],
        }

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
                iso(self._world.ms(0.2)),
                iso(self._world.ms(0.25)),
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

    # ── what a complete replica holds, and how it changes ─────────────────────────────────────────────────────────────

    def truth(self, table: str) -> Iterator[Row]:
        """Yield all rows of a table, as a complete replica holds them."""
        match table:
            case "campaign_metrics":
                for campaign in self._world.campaigns:
                    found = self.metrics.cells(campaign).items()
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

    def change(self) -> None:
        """Let some time pass."""
        next(iter(self.experiments.values()))["status"] = "winner_found"


def _shares(total: float, count: int) -> list[float]:
    """Return *total* in *count* parts, of which the last has what is left over."""
    part = total // count if count else 0
    return [*[part] * (count - 1), total - part * (count - 1)] if count else []


def _typed(name: str, cell: str) -> object:
    numbers = {"Campaign ID", "Experiment ID", "Template ID", *EXPERIMENT_HEADER[11:]}
    if name == "surplus":
        return [cell]
    return json.loads(cell) if name in numbers else cell
