"""Beside messages: custom events, purchases, journeys, unknown users, and pages for unsubscribing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reiterate.simulator import brand
from reiterate.simulator.media.making import (
    DEVICE,
    Kind,
    a_uuid,
    hexadecimal,
    items,
    number,
    of_items,
    one_of,
    somebody,
    sometimes,
    text,
    total,
    within,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

ACTIVITY: Mapping[str, Kind] = {
    "hostedUnsubscribeClick": Kind(
        0.001,
        {
            "url": one_of(f"{brand.SHOP}/preferences"),
            "ip": text("203.0.113.##"),
            "userAgent": one_of(*(agent for agent, _ in brand.AGENTS)),
            "userAgentDevice": sometimes(0.9, one_of("Mac", "Android")),
        },
        variants=({}, *({"city": one_of(c), "region": one_of(r), "country": one_of(n)} for c, r, n in brand.CITIES)),
        after="emailSend",
    ),
    "customEvent": Kind(
        0.02,
        {"id": sometimes(0.5, hexadecimal), "sentAt": sometimes(0.05, within(60, 7200))},
        variants=(
            {
                "eventName": one_of("productViewed"),
                "sku": text("SKU-###"),
                "price": one_of(39.0, 79, "39.00"),
                "viewer": one_of({"country": "FR"}, {"country": "FR", "is first": True}),
            },
            {"eventName": one_of("updateCart"), "updatedShoppingCartItems": items},
            {"eventName": one_of("größe gewählt"), "size": number(36, 46), "campaignId": number(8231001, 8231009)},
        ),
    ),
    "purchase": Kind(
        0.004,
        {
            "id": sometimes(0.5, text("LG-#####")),
            "shoppingCartItems": items,
            **{f"shoppingCartItems.{name}": of_items(name) for name in ("id", "price", "quantity", "name")},
            "total": total,
            "coupon": sometimes(0.3, one_of("SPRING10")),
            "sentAt": sometimes(0.05, within(60, 7200)),
        },
        variants=(
            {},
            {"campaignId": number(8231001, 8231009), "templateId": one_of(11_450_021), "messageId": hexadecimal},
        ),
    ),
    "journeyExit": Kind(
        0.002,
        {
            "entranceTime": within(-604_800, -7200),
            "exitTime": within(-1, 0),
            "nodeCount": one_of(3),
            "nodePath": one_of("n-1,n-4,n-17", "n-1,n-3,n-5"),
            "projectId": one_of(48210),
            "orgId": one_of(3110),
        },
        variants=(
            {
                "workflowId": one_of(501233),
                "workflowName": one_of("Welcome series"),
                "exitReason": one_of("JourneyCompleted"),
                "exitNodeId": one_of("n-17"),
            },
            {
                "workflowId": one_of(501240),
                "workflowName": one_of("Cart reminder"),
                "exitReason": one_of("ExitRule"),
                "exitRuleId": one_of("er-2"),
            },
        ),
    ),
    "unknownSession": Kind(
        0.001,
        {
            # nobody the brand knows, or who was not known then
            "userId": a_uuid,
            "email": sometimes(0.5, somebody),
            "itblUserId": one_of(None),
            "unknownSessionContext": lambda draw: {
                "totalUnknownSessionCount": draw.random.randint(1, 5),
                "firstUnknownSession": draw.at - draw.random.randint(100, 10**6),
                "lastUnknownSession": draw.at - 5,
                "matchedCriteriaId": 204,
                **draw.random.choice(({}, {"lastPage": "/spring", "webPushOptIn": "granted"})),
            },
            **DEVICE,
        },
    ),
}
