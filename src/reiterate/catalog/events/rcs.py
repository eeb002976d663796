"""RCS, which few projects are offered yet (FACTS.md 8.6)."""

from __future__ import annotations

from reiterate.catalog.events.event import (
    CONTENT_ID,
    KIND,
    REASON,
    TO_PHONE,
    TRANSACTIONAL_DATA,
    UNLISTED_MESSAGE,
    event,
)

RCS = (
    event(
        "rcsSend",
        "One row per RCS message sent.",
        ("campaignId", "messageId"),
        *UNLISTED_MESSAGE,
        *KIND,
        CONTENT_ID,
        TO_PHONE,
        TRANSACTIONAL_DATA,
    ),
    event(
        "rcsSendSkip",
        "One row per RCS message that was not sent, with the reason.",
        ("campaignId", "messageId", "reason"),
        *UNLISTED_MESSAGE,
        REASON,
    ),
)
