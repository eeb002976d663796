"""Web push notifications. A message may go to several browsers of a person; the token tells which."""

from __future__ import annotations

from reiterate.catalog.events.event import KIND, REASON, SEND, UNLISTED_MESSAGE, event
from reiterate.catalog.model import Field, Type

WEB_PUSH = (
    event("webPushClick", "One row per click on a web push notification.", ("messageId",), *UNLISTED_MESSAGE),
    event(
        "webPushSend",
        "One row per web push notification sent.",
        ("messageId", "browserToken"),
        *UNLISTED_MESSAGE,
        *SEND,
        Field("browserToken", Type.TEXT, "The browser's address at the push service."),
    ),
    event(
        "webPushSendSkip",
        "One row per web push notification that was not sent, with the reason.",
        ("messageId", "reason"),
        *UNLISTED_MESSAGE,
        REASON,
        *KIND,
    ),
)
