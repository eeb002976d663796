"""The event tables, by medium: one row per thing that happened, exported by windows of ``createdAt``."""

from __future__ import annotations

from reiterate.catalog.events.activity import ACTIVITY
from reiterate.catalog.events.email import EMAIL
from reiterate.catalog.events.embedded import EMBEDDED
from reiterate.catalog.events.event import event_of
from reiterate.catalog.events.in_app import IN_APP
from reiterate.catalog.events.push import PUSH
from reiterate.catalog.events.rcs import RCS
from reiterate.catalog.events.sms import SMS
from reiterate.catalog.events.web_push import WEB_PUSH
from reiterate.catalog.events.whatsapp import WHATSAPP

__all__ = ["EVENTS", "event_of"]

EVENTS = (*EMAIL, *PUSH, *IN_APP, *SMS, *WEB_PUSH, *EMBEDDED, *WHATSAPP, *RCS, *ACTIVITY)
"""The tables of all data types of exports but ``user``, as the swagger lists them."""
