"""The endpoints of single users: paths, parameters and answers as the swagger and FACTS.md have them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from reiterate.simulator.identities import NAMES, is_his
from reiterate.simulator.people import wire_time
from reiterate.simulator.routes import Answer, Stream, WrongParameter, moment, number_of, pieces
from reiterate.simulator.timeline import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from reiterate.simulator.people import Person
    from reiterate.simulator.routes import Reply, Request, Row
    from reiterate.simulator.world import World

NO_FIELDS = {*NAMES, "devices.token", "devices.platform", "shoppingCartItems.price"}
"""What no field of GET is: identifiers, and the members of lists of objects as lists of their own (FACTS.md 8.4)."""

SENDS: Mapping[str, str] = {"Email": "emailSend", "Push": "pushSend", "InApp": "inAppSend", "SMS": "smsSend"}
"""Data types by the media that ``getSentMessages`` knows (swagger)."""

INDEXED_AFTER_S = 5
"""Seconds from an event to its document (FACTS.md 8.3)."""


# ── users ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def user_by_email(world: World, request: Request) -> Reply:
    """Swagger: GET /api/users/getByEmail and /api/users/{email}; ``{}`` if there is none (FACTS.md 4.2)."""
    return _user(world, "email", request)


def user_by_user_id(world: World, request: Request) -> Reply:
    """Swagger: GET /api/users/byUserId and /api/users/byUserId/{userId}; ``{}`` if there is none (FACTS.md 4.2)."""
    return _user(world, "userId", request)


def _user(world: World, name: str, request: Request) -> Reply:
    found = person_of(world, name, request.values[0] if request.values else request.params.get(name, ""))
    return Answer({"user": user_document(found)} if found else {})


def person_of(world: World, name: str, value: str) -> Person | None:
    """Return the user whose identifier *name* has this value."""
    return next((person for person in world.people if value and str(person.profile.get(name, "")) == value), None)


def user_document(person: Person) -> Row:
    """Return a user as GET has it: fields nested under ``dataFields``, no email if he has none (FACTS.md 14.3, 16)."""
    fields: Row = {}
    for name, value in person.profile.items():
        if name not in NO_FIELDS:
            _nest(fields, name, value)
    return {**person.who, "dataFields": fields}


def _nest(fields: Row, name: str, value: Any) -> None:  # noqa: ANN401 (JSON is any)
    """Put a value where its dotted name says; a name whose first part is a plain field stays as it is."""
    first, _, rest = name.partition(".")
    if rest and isinstance(fields.setdefault(first, {}), dict):
        _nest(fields[first], rest, value)
    else:
        fields[name] = value


# ── their events ─────────────────────────────────────────────────────────────────────────────────────────────────────


def events_by_email(world: World, request: Request) -> Reply:
    """Swagger: GET /api/events/{email}, 30 events, at most 200, newest first (FACTS.md 6, 8.4)."""
    return _events(world, "email", request)


def events_by_user_id(world: World, request: Request) -> Reply:
    """Swagger: GET /api/events/byUserId/{userId}, as by email."""
    return _events(world, "userId", request)


def _events(world: World, name: str, request: Request) -> Reply:
    limit = min(number_of(request.params, "limit", 30), 200)
    person = person_of(world, name, request.values[0])
    found = sorted(events_of(world, person, now=request.now), key=lambda event: event[0], reverse=True)
    return Answer({"events": [_event_document(data_type, row) for _, data_type, row in found[:limit]]})


def events_of(world: World, person: Person | None, *, now: float) -> Iterator[tuple[int, str, Row]]:
    """Yield the events of a user that show by *now*: when each happened, its data type, its row; none of nobody."""
    if person is None:
        return
    needles = [json.dumps(value, ensure_ascii=False).encode() for value in person.who.values()]
    for data_type, timeline in world.timelines.items():
        for at, shows_at, line in zip(timeline.at, timeline.shows_at, timeline.lines, strict=True):
            if shows_at <= now and any(needle in line for needle in needles):
                row = json.loads(line)
                if is_his(row, person.who):
                    yield at, data_type, row


def _event_document(data_type: str, row: Row) -> Row:
    """Return an event with its type; fields of one's own are nested under ``dataFields`` (FACTS.md 8.4)."""
    if data_type != "customEvent":
        return {**row, "eventType": data_type}
    system = {*NAMES, "createdAt", "eventName", "id", "campaignId", "templateId", "eventUpdatedAt", "sentAt"}
    kept: Row = {}
    fields: Row = {}
    for name, value in row.items():
        if name in system:
            kept[name] = value
        else:
            _nest(fields, name, value)
    return {**kept, "dataFields": fields, "eventType": data_type}


def user_events(world: World, request: Request) -> Reply:
    """
    Swagger: GET /api/export/userEvents, one event a line; custom events only with ``includeCustomEvents=true``.

    Flat, with ``_type``, nested ``itblInternal``, ``messageTypeIds`` and explicit nulls (FACTS.md 8.4).
    """
    person = one_of_two(world, request)
    custom = request.params.get("includeCustomEvents", "false") == "true"
    return Stream(
        pieces(
            [
                encode(_exported(at, data_type, row))
                for at, data_type, row in events_of(world, person, now=request.now)
                if custom or data_type != "customEvent"
            ]
        ),
        "application/x-json-stream",
    )


def _exported(at: int, data_type: str, row: Row) -> Row:
    indexed = wire_time(at + INDEXED_AFTER_S)
    return {
        **({"city": None} if "ip" in row else {}),
        **row,
        **({"messageTypeIds": []} if data_type in {"emailSubscribe", "emailUnSubscribe"} else {}),
        "itblInternal": {"documentCreatedAt": indexed, "documentUpdatedAt": indexed},
        "_type": data_type,
    }


def one_of_two(world: World, request: Request) -> Person | None:
    """Return the user whom ``email`` or ``userId`` names; a request has to have one of them (swagger)."""
    params = request.params
    if not (params.get("email") or params.get("userId")):
        raise WrongParameter("Must provide either an email or a userId")
    name = "email" if params.get("email") else "userId"
    return person_of(world, name, params[name])


def sent_messages(world: World, request: Request) -> Reply:
    """
    Swagger: GET /api/users/getSentMessages, 10 messages, at most 1000.

    Iterable's own client wants ``messageMedium``, ``status`` and ``sentAt`` besides (FACTS.md 16, 23).
    """
    person, params = one_of_two(world, request), request.params
    limit = min(number_of(params, "limit", 10), 1000)
    medium = params.get("messageMedium")
    if medium is not None and medium not in SENDS:
        raise WrongParameter(f"Invalid value for parameter messageMedium: {medium}")
    campaigns = {value for name, value in request.pairs if name == "campaignIds"}
    blasts = {row["id"] for row in world.campaigns if row["type"] == "Blast"}
    without = blasts if params.get("excludeBlastCampaigns") == "true" and not campaigns else set()
    start = moment(params["startDateTime"]) if "startDateTime" in params else 0.0
    end = moment(params["endDateTime"]) if "endDateTime" in params else request.now
    media = {data_type: name for name, data_type in SENDS.items() if medium in {None, name}}
    found = [
        (at, media[data_type], row)
        for at, data_type, row in events_of(world, person, now=request.now)
        if data_type in media
        and start <= at < end
        and row["campaignId"] not in without
        and (not campaigns or str(row["campaignId"]) in campaigns)
    ]
    found.sort(key=lambda message: message[0], reverse=True)
    kept = ("messageId", "campaignId", "templateId", "createdAt")
    return Answer(
        {
            "messages": [
                {
                    **{name: row[name] for name in kept},
                    "messageMedium": name,
                    "status": "sent",
                    "sentAt": row["createdAt"],
                }
                for _, name, row in found[:limit]
            ]
        }
    )


ROUTES: tuple[tuple[str, Callable[[World, Request], Reply]], ...] = (
    (r"/api/events/byUserId/([^/]+)", events_by_user_id),
    (r"/api/events/([^/]+)", events_by_email),
    (r"/api/export/userEvents", user_events),
    (r"/api/users/getSentMessages", sent_messages),
    (r"/api/users/getByEmail", user_by_email),
    (r"/api/users/byUserId", user_by_user_id),
    (r"/api/users/byUserId/([^/]+)", user_by_user_id),
    (r"/api/users/([^/]+)", user_by_email),
)
"""Path (still percent-encoded) and who answers; a path that is an address comes last."""
