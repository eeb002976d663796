"""Email: sent, opened, clicked, bounced, and what people subscribe to."""

from __future__ import annotations

from reiterate.catalog.events.event import (
    CAMPAIGN_ID,
    CHANNEL_ID,
    CONTENT_ID,
    IS_BOT,
    KIND,
    MESSAGE,
    MESSAGE_BUS_ID,
    REASON,
    SEND,
    TEMPLATE_ID,
    TRANSACTIONAL_DATA,
    WHERE_FROM,
    WORKFLOW_ID,
    event,
)
from reiterate.catalog.model import Field, Type

_BOUNCE = (
    Field("recipientState", Type.TEXT, "State of the recipient, such as HardBounce."),
    Field("status", Type.TEXT, "SMTP enhanced status code, such as 5.1.1."),
    Field("bounceMessage", Type.TEXT, "What the receiving server said."),
)
_SUBSCRIPTIONS = (
    Field("emailListIds", Type.JSON, "Lists joined or left; empty when it was about channels."),
    Field("userListIds", Type.JSON, "The same in hybrid and userID-based projects."),
    Field("channelIds", Type.JSON, "Channels joined or left."),
    Field("messageTypeIds", Type.JSON, "Message types joined or left."),
    Field("emailListId", Type.BIGINT, "The list, in old rows."),
)
_URL = Field("url", Type.TEXT, "The address that was opened.")

EMAIL = (
    event("emailBounce", "One row per email that bounced.", ("messageId", "recipientState"), *MESSAGE, *_BOUNCE),
    event(
        "emailClick",
        "One row per click on a link in an email.",
        ("messageId", "url", "hrefIndex", "ip", "userAgent"),
        *MESSAGE,
        _URL,
        Field("hrefIndex", Type.BIGINT, "Which link of the email it was, from 0."),
        Field("trackedLink.templateUrl", Type.TEXT, "The address as the template has it."),
        *WHERE_FROM,
        CONTENT_ID,
        IS_BOT,
    ),
    event(
        "emailComplaint",
        "One row per email that its recipient reported as spam.",
        ("messageId",),
        *MESSAGE,
        _BOUNCE[0],
    ),
    event(
        "emailOpen",
        "One row per opening of an email.",
        ("messageId", "ip", "userAgent"),
        *MESSAGE,
        *WHERE_FROM,
        CONTENT_ID,
        IS_BOT,
        Field("proxySource", Type.TEXT, "The mail provider that loaded the images in the reader's place."),
        Field("device", Type.TEXT, "Device family, in old rows."),
    ),
    event(
        "emailSend",
        "One row per email sent, blast or triggered.",
        ("messageId",),
        *MESSAGE,
        *SEND,
        MESSAGE_BUS_ID,
        Field("espName", Type.TEXT, "The service that delivered the email."),
        TRANSACTIONAL_DATA,
    ),
    event(
        "emailSendSkip",
        "One row per email that was not sent, with the reason.",
        ("messageId", "reason"),
        *MESSAGE,
        REASON,
        *KIND,
        CONTENT_ID,
        TRANSACTIONAL_DATA,
    ),
    event(
        "emailSubscribe",
        "One row per subscription to a list, channel or message type, of all media in spite of the name.",
        ("signupSource", "emailListIds", "userListIds", "channelIds", "messageTypeIds"),
        *_SUBSCRIPTIONS,
        Field("signupSource", Type.TEXT, "How the subscription came about, such as WebForm."),
        Field("profileUpdatedAt", Type.TIMESTAMP, "The profile's last change at that time."),
        CAMPAIGN_ID,
        TEMPLATE_ID,
        WORKFLOW_ID,
    ),
    event(
        "emailUnSubscribe",
        "One row per unsubscription from a list, channel or message type, of all media in spite of the name.",
        ("unsubSource", "messageId", "emailListIds", "userListIds", "channelIds", "messageTypeIds"),
        *_SUBSCRIPTIONS,
        Field("unsubSource", Type.TEXT, "How it came about, such as EmailLink or HardBounce."),
        CHANNEL_ID,
        *MESSAGE,
        *_BOUNCE,
        WORKFLOW_ID,
    ),
    event(
        "hostedUnsubscribeClick",
        "One row per click on the unsubscribe link of an email that leads to a page of the customer's own.",
        ("messageId", "url", "ip", "userAgent"),
        *MESSAGE,
        _URL,
        *WHERE_FROM,
    ),
)
