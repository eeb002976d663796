"""Mobile push notifications. A message may go to several devices of a person; the endpoint tells which."""

from __future__ import annotations

from reiterate.catalog.events.event import (
    KIND,
    MESSAGE,
    MESSAGE_BUS_ID,
    REASON,
    SEND,
    SENT_AT,
    TRANSACTIONAL_DATA,
    event,
)
from reiterate.catalog.model import Field, Type

_ENDPOINT = Field("platformEndpoint", Type.TEXT, "The device's address at the push service.")

PUSH = (
    event(
        "pushBounce",
        "One row per push notification that did not reach its device.",
        ("messageId", "platformEndpoint"),
        *MESSAGE,
        *KIND,
        _ENDPOINT,
    ),
    event(
        "pushOpen",
        "One row per push notification that was opened.",
        ("messageId", "actionIdentifier"),
        *MESSAGE,
        SENT_AT,
        Field("appAlreadyRunning", Type.BOOLEAN, "Whether the app ran when the notification was opened."),
        Field("actionIdentifier", Type.TEXT, "The button that was tapped; default for the notification itself."),
        Field("userText", Type.TEXT, "What the user typed into the notification."),
    ),
    event(
        "pushSend",
        "One row per push notification sent.",
        ("messageId", "platformEndpoint"),
        *MESSAGE,
        *SEND,
        _ENDPOINT,
        Field("notificationsEnabled", Type.BOOLEAN, "Whether the device lets the app show notifications."),
        MESSAGE_BUS_ID,
        TRANSACTIONAL_DATA,
    ),
    event(
        "pushSendSkip",
        "One row per push notification that was not sent, with the reason.",
        ("messageId", "reason"),
        *MESSAGE,
        REASON,
        *KIND,
    ),
    event(
        "pushUninstall",
        "One row per app that a push notification found uninstalled.",
        ("messageId", "platformEndpoint"),
        *MESSAGE,
        Field("isGhostPush", Type.BOOLEAN, "Whether a silent notification found it."),
        _ENDPOINT,
    ),
)
