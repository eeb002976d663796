"""The endpoints of messages as people see them: in apps, embedded in pages, in a browser, in a preview."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import datetime
from typing import TYPE_CHECKING

from reiterate.simulator import brand
from reiterate.simulator.people_routes import events_of, one_of_two, user_document
from reiterate.simulator.routes import Answer, WrongParameter, error, number_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reiterate.simulator.routes import Reply, Request, Row
    from reiterate.simulator.world import World

PLACEMENT = 5
"""The placement of the brand's embedded templates."""
HTML = "text/html; charset=utf-8"


def in_app_messages(world: World, request: Request) -> Reply:
    """Swagger: GET /api/inApp/getMessages, with the required ``count``; times are epoch ms (FACTS.md 16, 4)."""
    person = one_of_two(world, request)
    if "count" not in request.params:
        raise WrongParameter("Missing parameter: count")
    count = number_of(request.params, "count", 0, least=0)
    events = [(at, data_type, row) for at, data_type, row in events_of(world, person, now=request.now)]
    of: dict[str, set[str]] = defaultdict(set)
    for _, data_type, row in events:
        of[data_type].add(str(row.get("messageId")))
    gone = of["inAppDelete"] | of["inAppRecall"]
    sends = sorted((event for event in events if event[1] == "inAppSend"), key=lambda event: event[0], reverse=True)
    found = [
        _in_app(world, at, row, read=row["messageId"] in of["inAppOpen"])
        for at, _, row in sends
        if row["messageId"] not in gone and _epoch_ms(row.get("expiresAt")) > world.end_s * 1000
    ]
    return Answer({"inAppMessages": found[:count]})


def _epoch_ms(text: str | None) -> int:
    """Return an instant of an event in milliseconds; without one, the end of time."""
    return 2**53 if text is None else int(datetime.strptime(text, "%Y-%m-%d %H:%M:%S %z").timestamp() * 1000)


def _in_app(world: World, at: int, send: Row, *, read: bool) -> Row:
    template = world.entities.template(send["templateId"], "InApp")
    content = world.entities.content(template, "") if template else {"html": "<div></div>"}
    return {
        "messageId": send["messageId"],
        "campaignId": send["campaignId"],
        "createdAt": at * 1000,
        **({"expiresAt": _epoch_ms(send["expiresAt"])} if "expiresAt" in send else {}),
        "content": {"html": content["html"], "webInAppDisplaySettings": {"position": "Center"}},
        "customPayload": content.get("payload", {}),
        "trigger": {"type": send.get("messageContext.trigger", "immediate")},
        "saveToInbox": send.get("messageContext.saveToInbox", False),
        "priorityLevel": send.get("priorityLevel", 300.5),
        "read": read,
        "jsonOnly": False,
        "messageType": "Mobile",
        "typeOfContent": "Static",
    }


def embedded_messages(world: World, request: Request) -> Reply:
    """
    Swagger: GET /api/embedded-messaging/messages, grouped by placement.

    Placements that are asked for are there without messages, too; a message that the client has comes without elements.
    """
    person = one_of_two(world, request)
    asked = [value for name, value in request.pairs if name == "placementIds"]
    known = {value for name, value in request.pairs if name == "currentMessageIds"}
    sends = {
        row["messageId"]: row
        for _, data_type, row in events_of(world, person, now=request.now)
        if data_type == "embeddedSend"
    }
    messages = [
        {
            "metadata": {
                "messageId": message_id,
                "campaignId": row["campaignId"],
                "placementId": PLACEMENT,
                "isProof": False,
                "priorityOrder": order,
            },
            **({} if message_id in known else {"elements": _elements(world, row["campaignId"])}),
            "payload": {},
        }
        for order, (message_id, row) in enumerate(sends.items(), 1)
    ]
    placements: dict[str, list[Row]] = {str(PLACEMENT): messages} if messages else {}
    wanted = {name: placements.get(name, []) for name in asked} if asked else placements
    return Answer(
        {"placements": [{"placementId": int(name), "embeddedMessages": rows} for name, rows in wanted.items()]}
    )


def _elements(world: World, campaign_id: int) -> Row:
    name = next((row["name"] for row in world.campaigns if row["id"] == campaign_id), "")
    return {
        "title": name,
        "body": f"{name}, for you",
        "buttons": [{"id": "button1", "title": "Look", "action": {"type": "openUrl", "data": brand.SHOP}}],
        "defaultAction": {"type": "openUrl", "data": brand.SHOP},
    }


def view_in_browser(world: World, request: Request) -> Reply:
    """Swagger: GET /api/email/viewInBrowser: an email that was sent, rendered for the user; another id is a 400."""
    person, message_id = one_of_two(world, request), request.params.get("messageId", "")
    for _, data_type, row in events_of(world, person, now=request.now):
        if data_type == "emailSend" and row["messageId"] == message_id and person is not None:
            template = world.entities.template(row["templateId"], "Email")
            html = world.entities.content(template, "")["html"] if template else "<html></html>"
            return Answer(rendered(html, user_document(person)["dataFields"]), content_type=HTML)
    return error(400, f"No message with id {message_id} was sent to this user", "BadParams")


def preview(world: World, request: Request) -> Reply:
    """Swagger: POST /api/templates/email/preview and inapp/preview; unknown ids are a 400, unknown locales a 404."""
    template_id, locale = request.params.get("templateId", ""), request.params.get("locale", "")
    medium = {"email": "Email", "inapp": "InApp"}[request.values[0]]
    found = world.entities.template(int(template_id) if template_id.isdecimal() else -1, medium)
    if found is None:
        return error(400, f"Template ID: {template_id} does not exist for this project", "BadParams")
    if locale and locale not in world.entities.languages(found):
        return error(404, f"No template with locale {locale}", "NotFound")
    given = request.document if isinstance(request.document, dict) else {}
    fields = given.get("dataFields")
    html = world.entities.content(found, locale)["html"]
    return Answer(rendered(html, fields if isinstance(fields, dict) else {}), content_type=HTML)


def rendered(html: str, fields: Mapping[str, object]) -> str:
    """Return *html* with its merge fields filled in; a field that is not there is empty (swagger: preview)."""
    return re.sub(r"\{\{\s*([\w.]+)\s*\}\}", lambda found: str(fields.get(found[1], "")), html)


ROUTES: tuple[tuple[str, Callable[[World, Request], Reply]], ...] = (
    (r"/api/email/viewInBrowser", view_in_browser),
    (r"/api/embedded-messaging/messages", embedded_messages),
    (r"/api/inApp/getMessages", in_app_messages),
)
POSTS: tuple[tuple[str, Callable[[World, Request], Reply]], ...] = ((r"/api/templates/(email|inapp)/preview", preview),)
"""Path (still percent-encoded) and who answers."""
