"""The words that the invented brand is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

FIRST = (
    "Ines",
    "Tomas",
    "Priya",
    "Hana",
    "Obi",
    "Marta",
    "Luc",
    "Aiko",
    "Zoë",
    "Noah",
    "Lena",
    "Omar",
    "Mia",
    "Ravi",
    "Sofia",
    "Emil",
)
LAST = (
    "Moreau",
    "Lindqvist",
    "Raman",
    "Sato",
    "Adeyemi",
    "Keller",
    "Dubois",
    "Tanaka",
    "Smith",
    "Garcia",
    "Novak",
    "Haddad",
    "Rossi",
    "Mehta",
    "Silva",
    "Berg",
)
CITIES = (
    ("Lyon", "ARA", "France"),
    ("Turin", "21", "Italy"),
    ("Malmö", "M", "Sweden"),
    ("Osaka", "27", "Japan"),
    ("Austin", "TX", "United States"),
    ("Leeds", "ENG", "United Kingdom"),
)
AGENTS = (
    ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15", "iPhone"),
    ("Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)", "Gmail"),
    ("Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36", "Android"),
    ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15", "Mac"),
    ("Mozilla/5.0 (compatible; LinkScanner/1.0)", "Other"),
)
THEMES = (
    "Spring edit",
    "Summer sale",
    "Back in stock",
    "Abandoned cart",
    "Welcome",
    "Order shipped",
    "New arrivals",
    "Birthday treat",
    "Winter warmers",
    "Last chance",
    "Members only",
    "Review request",
)
SHOP = "https://shop.example.com"
DEVICES = (
    {"deviceId": "2E6B5B9C-1E2B-4B0E-9A57-0C9C5E0D7A11", "platform": "iOS", "appPackageName": "com.example.larkspur"},
    {"deviceId": "9A7C1B00-0B5E-4A5C-8A10-55B7C1D2E3F4", "platform": "Android", "appPackageName": "com.example.shop"},
    {"deviceId": "Mozilla/5.0 (X11; Linux x86_64)", "platform": "Web", "appPackageName": "shop.example.com"},
)
ITEMS: tuple[Mapping[str, Any], ...] = (
    {"id": "SKU-881", "sku": "SKU-881", "name": "Linen apron", "price": 39.5, "categories": ["kitchen"]},
    {"id": "SKU-102", "name": "Oak stool", "price": 79, "url": f"{SHOP}/p/102"},
    {"id": "SKU-007", "name": "Café set, größe M", "price": 118.25},
)
COLOURS = ("green", "blue", "red", "ochre", "grün")
STATES = (
    "Finished",
    "Finished",
    "Finished",
    "Running",
    "Scheduled",
    "Draft",
    "Ready",
    "Recurring",
    "Aborted",
    "Archived",
    "Recalled",
    "Starting",
)
# schema.json: send_skip_reasons, and the values of unsubSource and signupSource
SKIP_REASONS = ("DuplicateMarketingMessage", "HandlebarsExecutionError", "FrequencyCapping", "QuietHoursSendSkip")
UNSUBSCRIBE_SOURCES = ("EmailLink", "API", "WebApp", "UpdateSubscriptionsAPI")
SIGNUP_SOURCES = ("API", "ListAPI", "Import", "WebApp", "WebForm")
STAFF = "marta.keller@example.com"

CHANNELS = (
    {"id": 61001, "name": "Marketing Channel", "channelType": "Marketing", "messageMedium": "Email"},
    {"id": 61002, "name": "Transactional Channel", "channelType": "Transactional", "messageMedium": "Email"},
    {"id": 61003, "name": "Push", "channelType": "Marketing", "messageMedium": "Push"},
    {"id": 61004, "name": "SMS", "channelType": "Marketing", "messageMedium": "SMS"},
    {"id": 61005, "name": "Browser", "channelType": "Marketing", "messageMedium": "WebPush"},
    {"id": 61006, "name": "Inbox", "channelType": "Marketing", "messageMedium": "InApp"},
    {"id": 61007, "name": "Shop front", "channelType": "Marketing", "messageMedium": "Embedded"},
    {"id": 61008, "name": "WhatsApp", "channelType": "Transactional", "messageMedium": "WhatsApp"},
    {"id": 61009, "name": "RCS", "channelType": "Marketing", "messageMedium": "RCS"},
)

LISTS = (
    # name, type, share of the users
    ("Newsletter subscribers", "Standard", 0.6),
    ("VIP", "Standard", 0.05),
    ("Abandoned cart", "Dynamic", 0.1),
    ("Do not mail", "Suppression", 0.02),
    ("Staff", "Internal", 0.01),
    ("Nobody yet", "Standard", 0.0),
    ("Städte-Newsletter", "Standard", 0.3),
)

FIELD_TYPES = {
    # users/getFields: arrays carry no mark (FACTS.md 14.1)
    "email": "string",
    "userId": "string",
    "signupDate": "date",
    "profileUpdatedAt": "date",
    "emailListIds": "long",
    "firstName": "string",
    "lastName": "string",
    "devices": "object",
    "devices.token": "string",
    "loyalty.tier": "string",
    "loyalty.points": "long",
    "birthday": "date",
    "lastVisit": "date",
    "senate Districts": "string",
    "_industry": "string",
    "averageBasket": "double",
    "isMember": "boolean",
}
