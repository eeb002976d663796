"""Campaign metrics follow the events of the project."""

from __future__ import annotations

import csv
import io
from collections import Counter
from typing import TYPE_CHECKING, Any

from tests.simulator.client import Client

if TYPE_CHECKING:
    from reiterate.simulator import Simulator

Row = dict[str, Any]

TOTALS = {
    "Total Email Sends": "email_send",
    "Total Email Opens": "email_open",
    "Total Emails Clicked": "email_click",
    "Total Emails Bounced": "email_bounce",
    "Total Complaints": "email_complaint",
    "Total Unsubscribes": "email_unsubscribe",
    "Total Embedded Impressions": "embedded_impression",
    "Total Embedded Clicks": "embedded_click",
}
UNIQUE = {"Unique Email Sends": "email_send", "Unique Email Opens": "email_open", "Unique Email Clicks": "email_click"}


def read(simulator: Simulator, **window: str) -> dict[int, dict[str, float]]:
    """Return the metrics that the API answers for all campaigns, without empty cells."""
    query = "&".join(f"campaignId={row['id']}" for row in simulator.truth("campaigns"))
    for name, value in window.items():
        query += f"&{name}={value}"
    text = Client(simulator.url).get(f"/api/campaigns/metrics?{query}").data.decode()
    return {
        int(row["id"]): {name: float(cell) for name, cell in row.items() if cell and name != "id"}
        for row in csv.DictReader(io.StringIO(text))
    }


def of_campaigns(simulator: Simulator, table: str) -> list[Row]:
    return [row for row in simulator.truth(table) if "campaignId" in row]


def test_totals_are_those_of_the_events(shop: Simulator) -> None:
    """Each total is the number of events of the campaign, and their sum over all campaigns that of the table."""
    found = read(shop)
    for name, table in TOTALS.items():
        wanted = Counter(row["campaignId"] for row in of_campaigns(shop, table))
        assert wanted == Counter({campaign: int(cells.get(name, 0)) for campaign, cells in found.items()}), name
        assert wanted.total() > 0
    assert len(shop.truth("email_send")) == sum(cells["Total Email Sends"] for cells in found.values())


def test_unique_metrics_count_people(shop: Simulator) -> None:
    """A person who opens twice counts once; what bots opened counts in the total alone."""
    found = read(shop)
    for name, table in UNIQUE.items():
        pairs = {(row["campaignId"], row["email"]) for row in of_campaigns(shop, table)}
        wanted = Counter(campaign for campaign, _ in pairs)
        assert wanted == Counter({campaign: int(cells.get(name, 0)) for campaign, cells in found.items()}), name
    people = Counter(row["campaignId"] for row in of_campaigns(shop, "email_open") if not row.get("isBot"))
    assert people == Counter(
        {campaign: int(cells["Total Email Opens (filtered)"]) for campaign, cells in found.items()}
    )
    for cells in found.values():
        assert cells["Unique Email Opens"] <= cells["Total Email Opens"]
        assert cells["Total Email Opens (filtered)"] <= cells["Total Email Opens"]


def test_delivered_and_revenue(shop: Simulator) -> None:
    """Delivered are sends that did not bounce; revenue is that of the purchases that name the campaign."""
    found = read(shop)
    bounced = {row["messageId"] for row in shop.truth("email_bounce")}
    delivered = Counter(row["campaignId"] for row in shop.truth("email_send") if row["messageId"] not in bounced)
    assert delivered == Counter({campaign: int(cells["Total Emails Delivered"]) for campaign, cells in found.items()})
    revenue: Counter[int] = Counter()
    orders = Counter(row["campaignId"] for row in of_campaigns(shop, "purchase"))
    for row in of_campaigns(shop, "purchase"):
        revenue[row["campaignId"]] += row["total"]
    assert orders
    for campaign, number in orders.items():
        assert round(revenue[campaign] / number, 2) == found[campaign]["Average Order Value"]
        sends = found[campaign]["Total Email Sends"]
        assert round(1000 * revenue[campaign] / sends, 2) == found[campaign]["Revenue / M (Email)"]


def test_the_table_is_what_the_api_answers(small: Simulator) -> None:
    """The truth of campaign_metrics is the answer of the API, also after time has passed and a user has gone."""
    gone = small.truth("email_open")[0]["email"]
    for step in ("as it was", "later", "without a user"):
        if step == "later":
            small.mutate()
        elif step == "without a user":
            small.delete_user(gone)
        truth = {row.pop("id"): row for row in small.truth("campaign_metrics")}
        assert truth == read(small)
        assert len(small.truth("email_send")) == sum(row.get("Total Email Sends", 0) for row in truth.values())


def test_a_draft_has_no_metrics(small: Simulator) -> None:
    """A draft that has sent nothing has an empty row, another campaign zeros."""
    for timeline in small.world.timelines.values():
        timeline.fill([])
    draft = {row["id"]: row["campaignState"] == "Draft" for row in small.truth("campaigns")}
    found = read(small)
    assert {campaign for campaign, is_draft in draft.items() if is_draft} == {
        campaign for campaign, cells in found.items() if not cells
    }
    assert {0.0} == {value for cells in found.values() for value in cells.values()}


def test_a_window(shop: Simulator) -> None:
    """Events count by their own times, from the start on until before the end: parts add up to the whole."""
    day = shop.truth("email_open")[1000]["createdAt"][:10]
    before, after, whole = read(shop, endDateTime=day), read(shop, startDateTime=day), read(shop)
    for name in TOTALS:
        for campaign, cells in whole.items():
            assert cells.get(name, 0) == before[campaign].get(name, 0) + after[campaign].get(name, 0)
    wanted = Counter(row["campaignId"] for row in of_campaigns(shop, "email_open") if row["createdAt"] >= day)
    assert wanted == Counter({campaign: int(cells["Total Email Opens"]) for campaign, cells in after.items()})
    assert 0 < wanted.total() < len(shop.truth("email_open"))
