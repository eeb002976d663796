"""The words that the invented brand is made of."""

from __future__ import annotations

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
SHOP = "https://shop.example.com"

CHANNELS = (
    {"id": 61001, "name": "Marketing Channel", "channelType": "Marketing", "messageMedium": "Email"},
    {"id": 61002, "name": "Transactional Channel", "channelType": "Transactional", "messageMedium": "Email"},
    {"id": 61003, "name": "Push", "channelType": "Marketing", "messageMedium": "Push"},
    {"id": 61004, "name": "SMS", "channelType": "Marketing", "messageMedium": "SMS"},
    {"id": 61005, "name": "Browser", "channelType": "Marketing", "messageMedium": "WebPush"},
    {"id": 61006, "name": "Inbox", "channelType": "Marketing", "messageMedium": "InApp"},
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
