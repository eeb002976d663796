"""
How the table of an event is made, and the fields that events of several media share.

Fields: ``schema.json``, recorded rows first. Identity: the fields that a recorded row repeats only when the event is
the same (FACTS.md 8.3); whose event it is stands in every identity by itself. What may arrive later or change is in
none: what Iterable looks up, counts or attributes; nor is ``deviceInfo``, which comes as an object or under dotted keys
(FACTS.md 8.4). Where no source says that every row has its ``messageId``, ``campaignId`` stands beside it.
"""

from __future__ import annotations

from reiterate.catalog.model import DOCS, ByEvent, Export, Field, Table, Type, Wire
from reiterate.shape import snake_case

WHO_AND_WHEN = (
    Field("createdAt", Type.TIMESTAMP, "When it happened, to the second."),
    Field("email", Type.TEXT, "Whose event it is; absent where the profile has no email."),
    Field("userId", Type.TEXT, "The customer's own id of the user, if the profile has one."),
    Field("itblUserId", Type.TEXT, "Iterable's id of the user, in hybrid and userID-based projects."),
)
DOCUMENT = (
    Field("itblInternal.documentCreatedAt", Type.TIMESTAMP, "When Iterable stored the event."),
    Field("itblInternal.documentUpdatedAt", Type.TIMESTAMP, "When Iterable last changed the event."),
)

CAMPAIGN_ID = Field("campaignId", Type.BIGINT, "The campaign; joins to campaigns.id.")
TEMPLATE_ID = Field("templateId", Type.BIGINT, "The template; joins to templates.template_id.")
UNLISTED_TEMPLATE_ID = Field("templateId", Type.BIGINT, "The template, of a medium whose templates no call lists.")
MESSAGE_ID = Field("messageId", Type.TEXT, "The message; sends, opens, clicks of one message share it.")
MESSAGE = (CAMPAIGN_ID, TEMPLATE_ID, MESSAGE_ID)
UNLISTED_MESSAGE = (CAMPAIGN_ID, UNLISTED_TEMPLATE_ID, MESSAGE_ID)
"""A message of web push, embedded messaging, WhatsApp or RCS (FACTS.md 12)."""

WORKFLOW_ID = Field("workflowId", Type.BIGINT, "The journey that caused it; joins to journeys.id.")
MESSAGE_TYPE_ID = Field("messageTypeId", Type.BIGINT, "The message type; joins to message_types.id.")
CHANNEL_ID = Field("channelId", Type.BIGINT, "The channel; joins to channels.id.")
CONTENT_ID = Field("contentId", Type.BIGINT, "The version of the template's content.")
KIND = (MESSAGE_TYPE_ID, CHANNEL_ID)
SEND = (
    *KIND,
    CONTENT_ID,
    Field("catalogLookupCount", Type.BIGINT, "Catalog lookups that rendering took."),
    Field("catalogCollectionCount", Type.BIGINT, "Catalog collections that rendering took."),
    Field("productRecommendationCount", Type.BIGINT, "Product recommendations that rendering took."),
)
MESSAGE_BUS_ID = Field("messageBusId", Type.TEXT, "Iterable's internal id of the send.")
TRANSACTIONAL_DATA = Field(
    "transactionalData", Type.JSON, "The data that a triggered send was called with.", Wire.JSON_TEXT
)
REASON = Field("reason", Type.TEXT, "Why it was not sent, such as DuplicateMarketingMessage.")

IS_BOT = Field("isBot", Type.BOOLEAN, "Whether Iterable takes it for a machine's.")
BROWSER = (
    Field("userAgent", Type.TEXT, "User agent of the browser or mail program."),
    Field("userAgentDevice", Type.TEXT, "Device family read from the user agent."),
)
WHERE_FROM = (
    Field("ip", Type.TEXT, "IPv4 or IPv6 address."),
    Field("city", Type.TEXT, "Looked up from the address; absent when that failed."),
    Field("region", Type.TEXT, "Looked up from the address; absent when that failed."),
    Field("country", Type.TEXT, "Looked up from the address; absent when that failed."),
    *BROWSER,
)
CLICKED_URL = Field("clickedUrl", Type.TEXT, "The address that was opened.")
SENT_AT = Field("sentAt", Type.TIMESTAMP, "When the device sent it, if it was queued offline.")
DEVICE = (
    Field("deviceInfo.deviceId", Type.TEXT, "The device, or the browser's user agent."),
    Field("deviceInfo.platform", Type.TEXT, "The device's platform, such as iOS, Android or Web."),
    Field("deviceInfo.appPackageName", Type.TEXT, "The app or site that it happened in."),
)

ESP_NAME = Field("espName", Type.TEXT, "The service that carried the message.")
ESP_ACCOUNT_TEXT = Field("espAccountId", Type.TEXT, "The account at that service; a text here.")
ESP_ACCOUNT_NUMBER = Field("espAccountId", Type.BIGINT, "The account at that service; a number here.")
BILLING_PARTY = Field("billingParty", Type.TEXT, "Who is billed, such as Iterable.")
TO_PHONE = Field("toPhoneNumber", Type.TEXT, "The number that it went to, in E.164 form.")
TO_WHATSAPP = Field("toWhatsAppPhoneNumber", Type.TEXT, "The number that it went to, in E.164 form.")
FROM_WHATSAPP = Field("fromWhatsAppPhoneNumber", Type.TEXT, "The number that it came from, in E.164 form.")

WORDS = {"whatsApp": "whatsapp", "WhatsApp": "Whatsapp", "UnSubscribe": "Unsubscribe"}
"""Words that are one in the names of tables, though a capital parts them in data types."""


def table_name(data_type: str) -> str:
    """Return the table of a data type: ``emailUnSubscribe`` → ``email_unsubscribe``."""
    for spelled, word in WORDS.items():
        data_type = data_type.replace(spelled, word)
    return snake_case(data_type)


def event(data_type: str, about: str, identity: tuple[str, ...], *fields: Field, formerly: str = "") -> Table:
    """Return the table of an event, told apart by who, when and *identity*; *formerly* is an older data type."""
    return Table(
        name=table_name(data_type),
        about=about,
        key=("email",),
        identity=ByEvent(("createdAt", *identity)),
        cursor="createdAt",
        read=Export(data_type, formerly=formerly),
        fields=(*WHO_AND_WHEN, *fields, *DOCUMENT),
        docs=f"{DOCS}#export_exportDataJson",
    )


def event_of(data_type: str) -> Table:
    """
    Return the table of a data type that the catalog does not know.

    Its rows are told apart by whose they are, when they happened and their message; those that agree in that, by
    counting. Fields become columns as they come.
    """
    return event(data_type, f"One row per {data_type}, as Iterable exports it.", ("messageId",), *MESSAGE)
