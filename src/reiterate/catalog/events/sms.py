"""SMS and MMS, both ways. What came in has no message of ours: its sender, receiver and text tell it apart."""

from __future__ import annotations

from reiterate.catalog.events.event import (
    BILLING_PARTY,
    CAMPAIGN_ID,
    CLICKED_URL,
    CONTENT_ID,
    ESP_ACCOUNT_TEXT,
    ESP_NAME,
    IS_BOT,
    KIND,
    MESSAGE,
    MESSAGE_BUS_ID,
    MESSAGE_ID,
    REASON,
    SEND,
    TO_PHONE,
    TRANSACTIONAL_DATA,
    event,
)
from reiterate.catalog.model import Field, Type

_SENT = (
    Field("smsSendCount", Type.BIGINT, "SMS segments that are billed."),
    Field("mmsSendCount", Type.BIGINT, "MMS messages that are billed."),
)
_RECEIVED = (
    Field("smsReceiveCount", Type.BIGINT, "SMS segments that came in."),
    Field("mmsReceiveCount", Type.BIGINT, "MMS messages that came in."),
)
_CALLING_CODE = Field("recipientCountryCallingCode", Type.TEXT, "Calling code of the recipient's country, such as 33.")

SMS = (
    event(
        "smsBounce",
        "One row per SMS that was not delivered.",
        ("campaignId", "messageId"),
        *MESSAGE,
        *KIND,
        CONTENT_ID,
        Field("smsProviderResponse.status", Type.BIGINT, "HTTP status that the service answered with."),
        Field("smsProviderResponse.message", Type.TEXT, "What the service said."),
        Field("smsProviderResponse.code", Type.BIGINT, "The service's own error code."),
        Field("smsProviderResponse.more_info", Type.TEXT, "Where the service explains it."),
    ),
    event(
        "smsClick",
        "One row per click on a link in an SMS.",
        ("messageId", "clickedUrl"),
        *MESSAGE,
        CLICKED_URL,
        IS_BOT,
    ),
    event(
        "smsReceived",
        "One row per SMS that a user sent.",
        ("fromPhoneNumber", "toPhoneNumber", "smsMessage"),
        Field("fromPhoneNumber", Type.TEXT, "The user's number, in E.164 form."),
        TO_PHONE,
        Field("smsMessage", Type.TEXT, "What the user wrote."),
        *_RECEIVED,
        Field("senderPhoneNumberType", Type.TEXT, "Kind of the number that it went to, such as toll-free."),
        Field("recipientCountryName", Type.TEXT, "The recipient's country."),
        _CALLING_CODE,
        ESP_ACCOUNT_TEXT,
        ESP_NAME,
        BILLING_PARTY,
    ),
    event(
        "smsSend",
        "One row per SMS or MMS sent.",
        ("messageId",),
        *MESSAGE,
        *SEND,
        TO_PHONE,
        Field("fromSMSSenderId", Type.BIGINT, "Iterable's id of the sender."),
        *_SENT,
        Field("isSMSEstimation", Type.BOOLEAN, "Whether the counts are estimates."),
        BILLING_PARTY,
        ESP_ACCOUNT_TEXT,
        ESP_NAME,
        Field("renderedSmsMessage", Type.TEXT, "The text that was sent."),
        MESSAGE_BUS_ID,
        TRANSACTIONAL_DATA,
    ),
    event(
        "smsSendSkip",
        "One row per SMS that was not sent, with the reason.",
        ("campaignId", "messageId", "reason"),
        *MESSAGE,
        REASON,
        *KIND,
        CONTENT_ID,
        TRANSACTIONAL_DATA,
    ),
    event(
        "smsUsageInfo",
        "One row per SMS that is billed, sent or received.",
        ("campaignId", "messageId"),  # the counts are estimates at first (smsSend, isSMSEstimation)
        CAMPAIGN_ID,
        MESSAGE_ID,
        *_SENT,
        *_RECEIVED,
        BILLING_PARTY,
        TO_PHONE,
        _CALLING_CODE,
    ),
)
