"""Campaign metrics, counted from the events of the project (FACTS.md 10)."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reiterate.simulator.world import World

Row = dict[str, Any]


@dataclass
class Tally:
    """What a campaign's events of one data type come to."""

    rows: int = 0
    bots: int = 0
    revenue: float = 0.0
    people: set[str] = field(default_factory=set)
    messages: set[str] = field(default_factory=set)

    def add(self, row: Row) -> None:
        self.rows += 1
        self.bots += row.get("isBot") is True
        if isinstance(total := row.get("total"), (int, float)):
            self.revenue += total
        self.people.add(str(row.get("itblUserId") or row.get("email") or row.get("userId")))
        self.messages.add(str(row.get("messageId")))


Tallies = defaultdict[str, Tally]
"""By data type; one that a campaign has no event of counts nothing."""


def _total(data_type: str) -> Callable[[Tallies], int]:
    return lambda tallies: tallies[data_type].rows


def _filtered(data_type: str) -> Callable[[Tallies], int]:
    """Without what Iterable thinks that bots did."""
    return lambda tallies: tallies[data_type].rows - tallies[data_type].bots


def _unique(data_type: str) -> Callable[[Tallies], int]:
    return lambda tallies: len(tallies[data_type].people)


def _delivered(sent: str, bounced: str) -> Callable[[Tallies], float]:
    """Messages that were sent and did not bounce."""
    return lambda tallies: float(tallies[sent].rows - len(tallies[sent].messages & tallies[bounced].messages))


def _reached(sent: str, bounced: str) -> Callable[[Tallies], float]:
    return lambda tallies: float(len(tallies[sent].people - tallies[bounced].people))


def _order_value(tallies: Tallies) -> float:
    return round(tallies["purchase"].revenue / max(tallies["purchase"].rows, 1), 2)


def _revenue_per_mille(tallies: Tallies) -> float:
    return round(1000 * tallies["purchase"].revenue / max(tallies["emailSend"].rows, 1), 2)


GROUPS: Mapping[str, Mapping[str, Callable[[Tallies], float]]] = {
    # names and forms as they were recorded (FACTS.md 10): wholes, and numbers with a fraction; those of embedded
    # messages have not been published
    "Email": {
        "Total Email Sends": _total("emailSend"),
        "Total Email Opens": _total("emailOpen"),
        "Total Email Opens (filtered)": _filtered("emailOpen"),
        "Total Emails Clicked": _total("emailClick"),
        "Total Emails Bounced": _total("emailBounce"),
        "Total Complaints": _total("emailComplaint"),
        "Total Unsubscribes": _total("emailUnSubscribe"),
        "Unique Email Sends": _unique("emailSend"),
        "Unique Email Opens": _unique("emailOpen"),
        "Unique Email Clicks": _unique("emailClick"),
        "Total Emails Delivered": _delivered("emailSend", "emailBounce"),
        "Unique Emails Delivered": _reached("emailSend", "emailBounce"),
        "Average Order Value": _order_value,
        "Revenue / M (Email)": _revenue_per_mille,
    },
    "Embedded": {
        "Total Embedded Impressions": _total("embeddedImpression"),
        "Total Embedded Clicks": _total("embeddedClick"),
    },
}
"""Columns by medium."""

COUNTED: Mapping[str, tuple[str, ...]] = {
    "Email": ("emailSend", "emailOpen", "emailClick", "emailBounce", "emailComplaint", "emailUnSubscribe", "purchase"),
    "Embedded": ("embeddedImpression", "embeddedClick"),
}
"""The data types whose events count, by medium."""


class Metrics:
    """
    The metrics of the campaigns of *world*.

    Unique ones count people. A campaign has the columns of its own medium, unless it is a draft, and those of the media
    that it has events of.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._counted: tuple[object, Mapping[int, Tallies]] = (None, {})

    def cells(self, campaign: Row, start: float = -inf, end: float = inf) -> dict[str, str]:
        """Return the cells of a campaign by their columns, of the events of ``[start, end)`` in epoch seconds."""
        tallies = self._tallies(start, end).get(campaign["id"], Tallies(Tally))
        found: dict[str, str] = {}
        for medium, columns in GROUPS.items():
            own = campaign["messageMedium"] == medium and campaign["campaignState"] != "Draft"
            if own or any(tallies[data_type].rows for data_type in COUNTED[medium]):
                found |= {name: json.dumps(count(tallies)) for name, count in columns.items()}
        return found

    def _tallies(self, start: float, end: float) -> Mapping[int, Tallies]:
        """Count anew when the window is another one, or an event has changed."""
        timelines = self._world.timelines
        state = (start, end, *(timelines[name].revision for names in COUNTED.values() for name in names))
        if state != self._counted[0]:
            found: defaultdict[int, Tallies] = defaultdict(lambda: Tallies(Tally))
            for data_type in (name for names in COUNTED.values() for name in names):
                for line in timelines[data_type].between(start, end, now=inf):
                    row = json.loads(line)
                    if isinstance(campaign_id := row.get("campaignId"), int):
                        found[campaign_id][data_type].add(row)
            self._counted = state, found
        return self._counted[1]
