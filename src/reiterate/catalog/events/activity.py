"""
What people do beside messages: custom events, purchases, journeys, visits before they are known.

A custom event or purchase that is sent again with its ``id`` is updated in place (FACTS.md 8.2): of what the customer
sends, the id and the name alone tell it apart.
"""

from __future__ import annotations

from reiterate.catalog.events.event import CAMPAIGN_ID, DEVICE, MESSAGE, SENT_AT, TEMPLATE_ID, event
from reiterate.catalog.model import Field, Type

_ID = Field("id", Type.TEXT, "The event's own id, if it has one; sent again with it, the event is updated.")

ACTIVITY = (
    event(
        "customEvent",
        "One row per custom event; the fields that the customer sends with it become columns too.",
        ("id", "eventName"),
        Field("eventName", Type.TEXT, "What happened, as the customer calls it."),
        _ID,
        CAMPAIGN_ID,
        TEMPLATE_ID,
        Field("eventUpdatedAt", Type.TIMESTAMP, "When the event was last updated."),
        SENT_AT,
    ),
    event(
        "journeyExit",
        "One row per user who left a journey.",
        ("workflowId", "entranceTime"),
        Field("workflowId", Type.BIGINT, "The journey; joins to journeys.id."),
        Field("workflowName", Type.TEXT, "The journey's name."),
        Field("entranceTime", Type.TIMESTAMP, "When the user entered it."),
        Field("exitTime", Type.TIMESTAMP, "When the user left it."),
        Field("exitReason", Type.TEXT, "Why, such as JourneyCompleted."),
        Field("exitNodeId", Type.TEXT, "The step where the user left."),
        Field("exitRuleId", Type.TEXT, "The exit rule that applied."),
        Field("nodeCount", Type.BIGINT, "How many steps the user went through."),
        Field("nodePath", Type.TEXT, "Those steps in order, parted by commas."),
        Field("projectId", Type.BIGINT, "The project."),
        Field("orgId", Type.BIGINT, "The organisation."),
    ),
    event(
        "purchase",
        "One row per purchase; the fields that the customer sends with it become columns too.",
        ("id",),
        _ID,
        Field("total", Type.DOUBLE, "What was paid."),
        Field("shoppingCartItems", Type.JSON, "What was bought, as objects."),
        Field("shoppingCartItems.id", Type.JSON, "The items' ids, in the order of the items."),
        Field("shoppingCartItems.price", Type.JSON, "Their prices."),
        Field("shoppingCartItems.quantity", Type.JSON, "How many of each."),
        Field("shoppingCartItems.name", Type.JSON, "Their names."),
        *MESSAGE,
        SENT_AT,
    ),
    event(
        "unknownSession",
        "One row per user who was worth a profile before anybody knew who it is.",
        (),  # older SDKs spell the fields otherwise (anonSessionContext)
        Field("unknownSessionContext.totalUnknownSessionCount", Type.BIGINT, "How often the user came."),
        Field("unknownSessionContext.firstUnknownSession", Type.BIGINT, "The first time, in seconds since 1970."),
        Field("unknownSessionContext.lastUnknownSession", Type.BIGINT, "The last time, in seconds since 1970."),
        Field("unknownSessionContext.matchedCriteriaId", Type.BIGINT, "The criteria that were met."),
        Field("unknownSessionContext.lastPage", Type.TEXT, "The page that was seen last."),
        Field("unknownSessionContext.webPushOptIn", Type.TEXT, "Whether web push is allowed, such as granted."),
        *DEVICE,
        formerly="anonSession",
    ),
)
