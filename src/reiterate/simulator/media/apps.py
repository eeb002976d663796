"""In apps and browsers: push, in-app, web push and embedded messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reiterate.simulator import brand
from reiterate.simulator.media.making import (
    DEVICE,
    ENDPOINT,
    LOOKUPS,
    SKIPPED,
    URL,
    Kind,
    Whole,
    a_uuid,
    already,
    hexadecimal,
    number,
    of_kind,
    one_of,
    seconds,
    sent,
    sometimes,
    text,
    within,
    without,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_IN_APP = {
    **DEVICE,
    "messageContext": one_of({"saveToInbox": True, "location": "inbox"}, {"silentInbox": False, "location": "in-app"}),
    "expiresAt": sometimes(0.5, within(86_400, 2_592_000)),
    "sentAt": sometimes(0.1, within(60, 7200)),
    "inboxSessionId": sometimes(0.2, a_uuid),
}
APPS: Mapping[str, Kind] = {
    "pushSend": Kind(
        0.012,
        {
            **sent(92001, 61003),
            "platformEndpoint": ENDPOINT,
            "notificationsEnabled": sometimes(0.3, one_of(True)),
            "messageBusId": sometimes(0.3, hexadecimal),
        },
        medium="Push",
        twin="platformEndpoint",
    ),
    "pushOpen": Kind(
        0.004,
        {
            "appAlreadyRunning": one_of(True, False),
            "actionIdentifier": sometimes(0.5, one_of("default", "viewOffer", "reply")),
            "sentAt": sometimes(0.1, within(60, 7200)),
            "userText": sometimes(0.1, one_of("Thanks", "Zoë fragt: wann?")),
        },
        after="pushSend",
    ),
    "pushBounce": Kind(0.0006, {**of_kind(92001, 61003), "platformEndpoint": ENDPOINT}, after="pushSend"),
    "pushUninstall": Kind(0.0004, {"isGhostPush": one_of(True, False), "platformEndpoint": ENDPOINT}, after="pushSend"),
    "pushSendSkip": Kind(0.0008, {**SKIPPED, **of_kind(92001, 61003)}, medium="Push"),
    "inAppSend": Kind(
        0.006,
        {
            **sent(92002, 61006),
            "expiresAt": sometimes(0.8, within(86_400, 2_592_000)),
            "priorityLevel": sometimes(0.3, one_of(300.5, 200)),
            "messageContext": one_of(
                {"saveToInbox": True, "trigger": "immediate"}, {"silentInbox": False, "location": "inbox"}
            ),
        },
        medium="InApp",
    ),
    "inAppDelivery": Kind(0.004, _IN_APP, after="inAppSend", twin="deviceInfo.deviceId"),
    "inAppOpen": Kind(0.003, _IN_APP, after="inAppSend"),
    "inAppClick": Kind(
        0.001, {**_IN_APP, "clickedUrl": one_of(f"{brand.SHOP}/spring", "iterable://dismiss")}, after="inAppSend"
    ),
    "inAppClose": Kind(
        0.002,
        _IN_APP,
        variants=({"closeAction": one_of("back")}, {"closeAction": one_of("link"), "clickedUrl": URL}),
        after="inAppSend",
    ),
    "inAppDelete": Kind(
        0.0008, {**_IN_APP, "deleteAction": one_of("inbox-swipe", "delete-button", "other")}, after="inAppSend"
    ),
    "inAppRecall": Kind(0.0003, {"total": sometimes(0.5, one_of(1))}, after="inAppSend"),
    "inAppSendSkip": Kind(0.0005, {**SKIPPED, **of_kind(92002, 61006)}, medium="InApp"),
    "inboxSession": Kind(
        0.002,
        {
            "inboxSessionId": a_uuid,
            "inboxSessionStart": within(-300, -10),
            "inboxSessionEnd": within(0, 0),
            "startTotalMessageCount": number(1, 9),
            "startUnreadMessageCount": number(0, 3),
            "endTotalMessageCount": number(1, 9),
            "endUnreadMessageCount": number(0, 1),
            **DEVICE,
            "sentAt": sometimes(0.2, within(5, 60)),
        },
    ),
    "inboxMessageImpression": Kind(
        0.002,
        {
            "inboxSessionId": a_uuid,
            "displayCount": number(1, 4),
            "displayDuration": seconds(9),
            "silentInbox": one_of(False),
            "deviceInfo": sometimes(0.5, DEVICE["deviceInfo"]),
        },
        after="inAppSend",
    ),
    "webPushSend": Kind(
        0.003,
        {
            **without(sent(92004, 61005), "transactionalData"),
            "browserToken": sometimes(0.8, text("cZn_inqLGPk:APA91b########")),
        },
        medium="WebPush",
        twin="browserToken",
    ),
    "webPushClick": Kind(0.0006, after="webPushSend"),
    "webPushSendSkip": Kind(0.0004, {**SKIPPED, **of_kind(92004, 61005)}, medium="WebPush"),
    "embeddedSend": Kind(0.003, without(sent(92005, 61007), *LOOKUPS, "transactionalData"), medium="Embedded"),
    "embeddedSendSkip": Kind(
        0.0003,
        {**SKIPPED, "messageId": sometimes(0.3, already("messageId"))},
        medium="Embedded",
    ),
    "embeddedReceived": Kind(0.002, DEVICE, after="embeddedSend"),
    "embeddedImpression": Kind(
        0.002,
        {
            "embeddedSessionId": a_uuid,
            "embeddedImpressionPlacementId": number(1, 6),
            "embeddedImpressionDisplayCount": number(1, 3),
            "embeddedImpressionDuration": seconds(20),
            "deviceInfo": sometimes(0.5, DEVICE["deviceInfo"]),
        },
        after="embeddedSend",
    ),
    "embeddedClick": Kind(
        0.0006,
        # documented with deviceInfo as an object (schema.json, FACTS.md 8.4)
        {"deviceInfo": one_of(*brand.DEVICES, *map(Whole, brand.DEVICES[:1]))},
        variants=(
            {"embeddedButtonId": one_of("")},
            {"embeddedButtonId": one_of("button1"), "embeddedTargetUrl": URL},
        ),
        after="embeddedSend",
    ),
    "embeddedSession": Kind(
        0.001,
        {
            "embeddedSessionId": a_uuid,
            "embeddedSessionStart": within(-300, -10),
            "embeddedSessionEnd": within(0, 0),
            "deviceInfo": sometimes(0.5, DEVICE["deviceInfo"]),
        },
    ),
}
