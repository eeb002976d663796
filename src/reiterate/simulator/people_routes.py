"""The endpoints of single users: paths, parameters and answers as the swagger and FACTS.md have them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reiterate.simulator.routes import Answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from reiterate.simulator.people import Person
    from reiterate.simulator.routes import Reply, Request, Row
    from reiterate.simulator.world import World

NO_FIELDS = {"itblInternal.emailDomain", "devices.token", "devices.platform", "shoppingCartItems.price"}
"""What only exports have: the internals, and the members of lists of objects as lists of their own (FACTS.md 8.4)."""


def user_by_email(world: World, request: Request) -> Reply:
    """Swagger: GET /api/users/getByEmail and /api/users/{email}; ``{}`` if there is none (FACTS.md 4.2)."""
    return _user(world, "email", request)


def user_by_user_id(world: World, request: Request) -> Reply:
    """Swagger: GET /api/users/byUserId and /api/users/byUserId/{userId}; ``{}`` if there is none (FACTS.md 4.2)."""
    return _user(world, "userId", request)


def _user(world: World, name: str, request: Request) -> Reply:
    asked = request.values[0] if request.values else request.params.get(name, "")
    person = next((each for each in world.people if str(each.profile.get(name, "")) == asked != ""), None)
    return Answer({"user": user_document(person)} if person else {})


def user_document(person: Person) -> Row:
    """Return a user as GET has it: fields nested under ``dataFields``, no email if he has none (FACTS.md 14.3, 16)."""
    fields: Row = {}
    for name, value in person.profile.items():
        if name not in NO_FIELDS:
            _nest(fields, name, value)
    return {
        **{name: person.profile[name] for name in ("email", "userId") if name in person.profile},
        "dataFields": fields,
    }


def _nest(fields: Row, name: str, value: Any) -> None:  # noqa: ANN401 (JSON is any)
    first, _, rest = name.partition(".")
    if rest:
        inner = fields.setdefault(first, {})
        _nest(inner, rest, value)
    else:
        fields[name] = value


ROUTES: tuple[tuple[str, Callable[[World, Request], Reply]], ...] = (
    (r"/api/users/getByEmail", user_by_email),
    (r"/api/users/byUserId", user_by_user_id),
    (r"/api/users/byUserId/([^/]+)", user_by_user_id),
    (r"/api/users/([^/]+)", user_by_email),
)
"""Path (still percent-encoded) and who answers; a path that is an address comes last."""
