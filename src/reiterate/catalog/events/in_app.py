"""In-app messages, and the inbox that keeps them."""

from __future__ import annotations

from reiterate.catalog.events.event import (
    CLICKED_URL,
    DEVICE,
    KIND,
    MESSAGE,
    REASON,
    SEND,
    SENT_AT,
    TRANSACTIONAL_DATA,
    event,
)
from reiterate.catalog.model import Field, Type

_EXPIRES_AT = Field("expiresAt", Type.TIMESTAMP, "When the message is shown no longer.")
_CONTEXT = (
    Field("messageContext.saveToInbox", Type.BOOLEAN, "Whether the message goes to the inbox."),
    Field("messageContext.silentInbox", Type.BOOLEAN, "Whether it goes there without being shown."),
    Field("messageContext.location", Type.TEXT, "Where it was seen: in-app or inbox."),
)
_SESSION_ID = Field("inboxSessionId", Type.TEXT, "The visit to the inbox; joins to inbox_session.inbox_session_id.")
_IN_THE_APP = (*MESSAGE, _EXPIRES_AT, *DEVICE, *_CONTEXT, SENT_AT, _SESSION_ID)

IN_APP = (
    event(
        "inAppClick",
        "One row per click on a link or button in an in-app message.",
        ("messageId", "clickedUrl"),
        *_IN_THE_APP,
        CLICKED_URL,
    ),
    event(
        "inAppClose",
        "One row per in-app message that was closed.",
        ("messageId", "closeAction"),
        *_IN_THE_APP,
        Field("closeAction", Type.TEXT, "How it was closed, such as link or back."),
        CLICKED_URL,
    ),
    event(
        "inAppDelete",
        "One row per in-app message that was deleted from its queue or inbox.",
        ("messageId", "deleteAction"),
        *_IN_THE_APP,
        Field("deleteAction", Type.TEXT, "How it was deleted, such as inbox-swipe or delete-button."),
    ),
    event(
        "inAppDelivery",
        "One row per in-app message that an app fetched; an app that starts again may repeat it.",
        ("messageId",),
        *_IN_THE_APP,
    ),
    event("inAppOpen", "One row per in-app message that was shown.", ("messageId",), *_IN_THE_APP),
    event(
        "inAppRecall",
        "One row per in-app message that was taken back.",
        ("campaignId", "messageId"),
        *MESSAGE,
        Field("total", Type.BIGINT, "Messages taken back."),
    ),
    event(
        "inAppSend",
        "One row per in-app message sent.",
        ("messageId",),
        *MESSAGE,
        *SEND,
        _EXPIRES_AT,
        Field("priorityLevel", Type.DOUBLE, "The lower, the earlier it is shown."),
        *_CONTEXT,
        Field("messageContext.trigger", Type.TEXT, "When the app shows it, such as immediate."),
        TRANSACTIONAL_DATA,
    ),
    event(
        "inAppSendSkip",
        "One row per in-app message that was not sent, with the reason.",
        ("messageId", "reason"),
        *MESSAGE,
        REASON,
        *KIND,
    ),
    event(
        "inboxMessageImpression",
        "One row per message that was visible in the inbox during a visit.",
        ("messageId", "inboxSessionId"),
        *MESSAGE,
        _SESSION_ID,
        Field("displayCount", Type.BIGINT, "How often it came into view."),
        Field("displayDuration", Type.DOUBLE, "How long it was in view, in seconds."),
        Field("silentInbox", Type.BOOLEAN, "Whether the message came to the inbox without being shown."),
        *DEVICE,
    ),
    event(
        "inboxSession",
        "One row per visit to the inbox of an app.",
        ("inboxSessionId",),
        Field("inboxSessionId", Type.TEXT, "The visit; impressions, opens, clicks of one visit share it."),
        Field("inboxSessionStart", Type.TIMESTAMP, "When the visit began."),
        Field("inboxSessionEnd", Type.TIMESTAMP, "When the visit ended."),
        Field("startTotalMessageCount", Type.BIGINT, "Messages in the inbox when it began."),
        Field("startUnreadMessageCount", Type.BIGINT, "Unread ones when it began."),
        Field("endTotalMessageCount", Type.BIGINT, "Messages in the inbox when it ended."),
        Field("endUnreadMessageCount", Type.BIGINT, "Unread ones when it ended."),
        *DEVICE,
        SENT_AT,
    ),
)
