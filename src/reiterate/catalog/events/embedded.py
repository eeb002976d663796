"""Embedded messages: content in the customer's own app or site, for which users are eligible or not."""

from __future__ import annotations

from reiterate.catalog.events.event import CONTENT_ID, DEVICE, KIND, REASON, UNLISTED_MESSAGE, event
from reiterate.catalog.model import Field, Type

EMBEDDED = (
    event(
        "embeddedClick",
        "One row per click on an embedded message.",
        ("messageId", "embeddedButtonId", "embeddedTargetUrl"),
        *UNLISTED_MESSAGE,
        Field("embeddedButtonId", Type.TEXT, "The button that was clicked; empty for the message itself."),
        Field("embeddedTargetUrl", Type.TEXT, "Where it led, if anywhere."),
        *DEVICE,
    ),
    event(
        "embeddedImpression",
        "One row per embedded message that was visible in a placement during a session.",
        ("messageId", "embeddedSessionId", "embeddedImpressionPlacementId"),
        *UNLISTED_MESSAGE,
        Field("embeddedSessionId", Type.TEXT, "The session; joins to embedded_session.embedded_session_id."),
        Field("embeddedImpressionPlacementId", Type.BIGINT, "The place in the app or site."),
        Field("embeddedImpressionDisplayCount", Type.BIGINT, "How often it came into view."),
        Field("embeddedImpressionDuration", Type.DOUBLE, "How long it was in view, in seconds."),
        *DEVICE,
    ),
    event(
        "embeddedReceived",
        "One row per embedded message that an app or site fetched; an app that starts again repeats it.",
        ("messageId",),
        *UNLISTED_MESSAGE,
        *DEVICE,
    ),
    event(
        "embeddedSend",
        "One row per embedded message that a user became eligible for.",
        ("campaignId", "messageId"),
        *UNLISTED_MESSAGE,
        *KIND,
        CONTENT_ID,
    ),
    event(
        "embeddedSendSkip",
        "One row per embedded message that was not sent, with the reason.",
        ("campaignId", "messageId", "reason"),
        *UNLISTED_MESSAGE,
        REASON,
    ),
    event(
        "embeddedSession",
        "One row per session in which embedded messages could be seen.",
        ("embeddedSessionId",),
        Field("embeddedSessionId", Type.TEXT, "The session; its impressions share it."),
        Field("embeddedSessionStart", Type.TIMESTAMP, "When the session began."),
        Field("embeddedSessionEnd", Type.TIMESTAMP, "When the session ended."),
        *DEVICE,
    ),
)
