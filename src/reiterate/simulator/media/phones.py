"""To phone numbers: SMS, WhatsApp and RCS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reiterate.simulator import brand
from reiterate.simulator.media.making import (
    BILLED,
    LOOKUPS,
    SKIPPED,
    URL,
    Kind,
    hexadecimal,
    number,
    one_of,
    sent,
    sometimes,
    text,
    within,
    without,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_SMS, _WHATSAPP, _RCS = sent(92003, 61004), sent(92001, 61008), sent(92002, 61009)
_PHONE = text("+1555555####")

PHONES: Mapping[str, Kind] = {
    "smsSend": Kind(
        0.005,
        {
            **_SMS,
            **BILLED,
            "toPhoneNumber": _PHONE,
            "fromSMSSenderId": one_of(258),
            "isSMSEstimation": one_of(True, False),
            "espAccountId": sometimes(0.5, one_of("AC00000000000000000000000000000001")),
            "renderedSmsMessage": sometimes(0.8, text("Your parcel LG-##### is on its way. Grüße!")),
            "messageBusId": sometimes(0.3, hexadecimal),
        },
        variants=(
            {"smsSendCount": number(1, 3), "mmsSendCount": one_of(0)},
            {"smsSendCount": one_of(0), "mmsSendCount": one_of(1)},
        ),
        medium="SMS",
    ),
    "smsClick": Kind(0.001, {"clickedUrl": URL, "isBot": sometimes(0.8, one_of(True, False))}, after="smsSend"),
    "smsBounce": Kind(
        0.0004,
        {
            **without(_SMS, *LOOKUPS, "transactionalData"),
            "smsProviderResponse": one_of(
                {"status": 400, "message": "Invalid destination number", "code": 40310},
                {"status": 404, "message": "Not found", "code": 20404, "more_info": "https://example.com/errors/20404"},
            ),
        },
        after="smsSend",
    ),
    "smsReceived": Kind(
        0.001,
        {
            **BILLED,
            "fromPhoneNumber": _PHONE,
            "toPhoneNumber": one_of("+15555550100"),
            "smsMessage": one_of("STOP", "Where is my parcel?", "👍"),
            "smsReceiveCount": one_of(1),
            "mmsReceiveCount": sometimes(0.5, one_of(0)),
            "senderPhoneNumberType": sometimes(0.5, one_of("toll-free")),
            "recipientCountryName": sometimes(0.5, one_of("United States")),
            "recipientCountryCallingCode": sometimes(0.5, one_of("1")),
            "espAccountId": sometimes(0.5, one_of("AC00000000000000000000000000000001")),
        },
        twin="smsMessage",
    ),
    "smsSendSkip": Kind(0.0005, {**SKIPPED, **without(_SMS, *LOOKUPS)}, medium="SMS"),
    "smsUsageInfo": Kind(
        0.004,
        {
            "billingParty": one_of("Iterable"),
            "toPhoneNumber": sometimes(0.5, _PHONE),
            "recipientCountryCallingCode": sometimes(0.3, one_of("1")),
        },
        variants=(
            {"smsSendCount": one_of(1), "mmsSendCount": one_of(0)},
            {"smsReceiveCount": one_of(1), "mmsReceiveCount": one_of(0)},
        ),
        after="smsSend",
        kept=("campaignId", "messageId"),
    ),
    "whatsAppSend": Kind(
        0.002,
        {
            **_WHATSAPP,
            **BILLED,
            "toWhatsAppPhoneNumber": _PHONE,
            "fromWhatsAppSenderId": one_of(12),
            "renderedWhatsAppMessage": sometimes(0.7, text("Hi, your order LG-##### is ready.")),
            "espAccountId": one_of(9001),  # a text elsewhere
        },
        medium="WhatsApp",
    ),
    "whatsAppSeen": Kind(
        0.001,
        {
            "seenMessageId": lambda draw: draw.row.pop("messageId"),
            "fromWhatsAppPhoneNumber": one_of("+15555550100"),
            "toWhatsAppPhoneNumber": _PHONE,
            "seenAt": within(-2, 0),
            "sentAt": within(-600, -100),
            "espAccountId": one_of(9001),
            "espName": one_of("infobip"),
        },
        after="whatsAppSend",
    ),
    "whatsAppClick": Kind(
        0.0004,
        {"clickedUrl": URL},
        variants=tuple(
            {"userAgent": one_of(agent), "userAgentDevice": one_of(device)} for agent, device in brand.AGENTS
        ),
        after="whatsAppSend",
    ),
    "whatsAppReceived": Kind(
        0.0004,
        {
            "fromWhatsAppPhoneNumber": _PHONE,
            "toWhatsAppPhoneNumber": one_of("+15555550100"),
            "espAccountId": one_of("9001"),
            "espName": one_of("infobip"),
            "receivedAt": within(-2, 0),
        },
        variants=(
            {
                "replyToMessageId": lambda draw: draw.row.pop("messageId"),
                "attributionType": one_of("REPLY"),
                "whatsAppMessage": one_of({"type": "TEXT", "text": "Thank you"}),
                "sanitized": one_of({"inputText": "thank you"}),
            },
            {"messageId": one_of(None), "whatsAppMessage": one_of({"type": "IMAGE"})},
        ),
        after="whatsAppSend",
    ),
    "whatsAppBounce": Kind(
        0.0003,
        {
            **without(_WHATSAPP, *LOOKUPS, "transactionalData"),
            "toWhatsAppPhoneNumber": _PHONE,
            "messageStatus": one_of("undelivered", "failed"),
            "errorCode": one_of(63024, 63016),
        },
        after="whatsAppSend",
    ),
    "whatsAppSendSkip": Kind(
        0.0003,
        {
            **without(SKIPPED, "templateId"),
            **without(_WHATSAPP, *LOOKUPS),
            "espName": sometimes(0.5, one_of("infobip")),
        },
        medium="WhatsApp",
    ),
    "whatsAppUsageInfo": Kind(
        0.001,
        {"billingParty": one_of("Iterable"), "toWhatsAppPhoneNumber": sometimes(0.5, _PHONE)},
        after="whatsAppSend",
        kept=("campaignId", "messageId"),
    ),
    "rcsSend": Kind(0.001, {**without(_RCS, *LOOKUPS), "toPhoneNumber": _PHONE}, medium="RCS"),
    "rcsSendSkip": Kind(0.0003, SKIPPED, medium="RCS"),
}
