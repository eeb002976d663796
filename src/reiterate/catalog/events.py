"""
The event tables: one row per thing that happened, exported by windows of ``createdAt``.

Fields: ``schema.json``, recorded rows first. Identity: the fields that a recorded row repeats only when the event is
the same (FACTS.md 8.3); whose event it is stands in every identity by itself.
"""

from __future__ import annotations

from reiterate.catalog.model import DOCS, ByEvent, Export, Field, Table, Type, Wire
from reiterate.shape import snake_case

_WHO_AND_WHEN = (
    Field("createdAt", Type.TIMESTAMP, "When it happened, to the second."),
    Field("email", Type.TEXT, "Whose event it is; absent where the profile has no email."),
    Field("userId", Type.TEXT, "The customer's own id of the user, if the profile has one."),
    Field("itblUserId", Type.TEXT, "Iterable's id of the user, in hybrid and userID-based projects."),
)
_CAMPAIGN_ID = Field("campaignId", Type.BIGINT, "The campaign; joins to campaigns.id.")
_TEMPLATE_ID = Field("templateId", Type.BIGINT, "The template; joins to templates.template_id.")
_WORKFLOW_ID = Field("workflowId", Type.BIGINT, "The journey that caused it.")
_MESSAGE = (
    _CAMPAIGN_ID,
    _TEMPLATE_ID,
    Field("messageId", Type.TEXT, "The message; sends, opens, clicks of one message share it."),
)
_MESSAGE_TYPE_ID = Field("messageTypeId", Type.BIGINT, "The message type; joins to message_types.id.")
_CHANNEL_ID = Field("channelId", Type.BIGINT, "The channel; joins to channels.id.")
_CONTENT_ID = Field("contentId", Type.BIGINT, "The version of the template's content.")
_TRANSACTIONAL_DATA = Field(
    "transactionalData", Type.JSON, "The data that a triggered send was called with.", Wire.JSON_TEXT
)
_WHERE_FROM = (
    Field("ip", Type.TEXT, "IPv4 or IPv6 address."),
    Field("city", Type.TEXT, "Looked up from the address; absent when that failed."),
    Field("region", Type.TEXT, "Looked up from the address; absent when that failed."),
    Field("country", Type.TEXT, "Looked up from the address; absent when that failed."),
    Field("userAgent", Type.TEXT, "User agent of the browser or mail program."),
    Field("userAgentDevice", Type.TEXT, "Device family read from the user agent."),
    _CONTENT_ID,
    Field("isBot", Type.BOOLEAN, "Whether Iterable takes it for a machine's."),
)
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
_DOCUMENT = (
    Field("itblInternal.documentCreatedAt", Type.TIMESTAMP, "When Iterable stored the event."),
    Field("itblInternal.documentUpdatedAt", Type.TIMESTAMP, "When Iterable last changed the event."),
)


def _event(name: str, data_type: str, about: str, identity: tuple[str, ...], *fields: Field) -> Table:
    return Table(
        name=name,
        about=about,
        key=("email",),
        identity=ByEvent(("createdAt", *identity)),
        cursor="createdAt",
        read=Export(data_type),
        fields=(*_WHO_AND_WHEN, *fields, *_DOCUMENT),
        docs=f"{DOCS}#export_exportDataJson",
    )


def event_of(data_type: str) -> Table:
    """
    Return the table of a data type that the catalog does not know.

    Its rows are told apart by whose they are, when they happened and their message; those that agree in that, by
    counting. Fields become columns as they come.
    """
    return _event(
        snake_case(data_type), data_type, f"One row per {data_type}, as Iterable exports it.", ("messageId",), *_MESSAGE
    )


EVENTS = (
    _event(
        "email_bounce",
        "emailBounce",
        "One row per email that bounced.",
        ("messageId", "recipientState"),
        *_MESSAGE,
        *_BOUNCE,
    ),
    _event(
        "email_click",
        "emailClick",
        "One row per click on a link in an email.",
        ("messageId", "url", "hrefIndex", "ip", "userAgent"),
        *_MESSAGE,
        Field("url", Type.TEXT, "The address that was opened."),
        Field("hrefIndex", Type.BIGINT, "Which link of the email it was, from 0."),
        Field("trackedLink.templateUrl", Type.TEXT, "The address as the template has it."),
        *_WHERE_FROM,
    ),
    _event(
        "email_complaint",
        "emailComplaint",
        "One row per email that its recipient reported as spam.",
        ("messageId",),
        *_MESSAGE,
        _BOUNCE[0],
    ),
    _event(
        "email_open",
        "emailOpen",
        "One row per opening of an email.",
        ("messageId", "ip", "userAgent"),
        *_MESSAGE,
        *_WHERE_FROM,
        Field("proxySource", Type.TEXT, "The mail provider that loaded the images in the reader's place."),
        Field("device", Type.TEXT, "Device family, in old rows."),
    ),
    _event(
        "email_send",
        "emailSend",
        "One row per email sent, blast or triggered.",
        ("messageId",),
        *_MESSAGE,
        _MESSAGE_TYPE_ID,
        _CHANNEL_ID,
        _CONTENT_ID,
        Field("catalogLookupCount", Type.BIGINT, "Catalog lookups that rendering took."),
        Field("catalogCollectionCount", Type.BIGINT, "Catalog collections that rendering took."),
        Field("productRecommendationCount", Type.BIGINT, "Product recommendations that rendering took."),
        Field("messageBusId", Type.TEXT, "Iterable's internal id of the send."),
        Field("espName", Type.TEXT, "The service that delivered the email."),
        _TRANSACTIONAL_DATA,
    ),
    _event(
        "email_send_skip",
        "emailSendSkip",
        "One row per email that was not sent, with the reason.",
        ("messageId", "reason"),
        *_MESSAGE,
        Field("reason", Type.TEXT, "Why it was not sent, such as DuplicateMarketingMessage."),
        _MESSAGE_TYPE_ID,
        _CHANNEL_ID,
        _CONTENT_ID,
        _TRANSACTIONAL_DATA,
    ),
    _event(
        "email_subscribe",
        "emailSubscribe",
        "One row per subscription to a list, channel or message type, of all media in spite of the name.",
        ("signupSource", "emailListIds", "userListIds", "channelIds", "messageTypeIds"),
        *_SUBSCRIPTIONS,
        Field("signupSource", Type.TEXT, "How the subscription came about, such as WebForm."),
        Field("profileUpdatedAt", Type.TIMESTAMP, "The profile's last change at that time."),
        _CAMPAIGN_ID,
        _TEMPLATE_ID,
        _WORKFLOW_ID,
    ),
    _event(
        "email_unsubscribe",
        "emailUnSubscribe",
        "One row per unsubscription from a list, channel or message type, of all media in spite of the name.",
        ("unsubSource", "messageId", "emailListIds", "userListIds", "channelIds", "messageTypeIds"),
        *_SUBSCRIPTIONS,
        Field("unsubSource", Type.TEXT, "How it came about, such as EmailLink or HardBounce."),
        _CHANNEL_ID,
        *_MESSAGE,
        *_BOUNCE,
        _WORKFLOW_ID,
    ),
)
