"""The endpoints: paths, parameters and answers as the swagger and FACTS.md have them."""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from reiterate.simulator import brand
from reiterate.simulator.timeline import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from reiterate.simulator.world import World

Row = dict[str, Any]

DEFAULT_PAGE = 20
LARGEST_PAGE = 1000
METADATA_PAGE = 100
CHUNK_ROWS = 2000


@dataclass(frozen=True)
class Request:
    """
    A request as routes see it.

    *values* are the parts of the path that vary, *pairs* all parameters in order, *address* how the client called us.
    """

    path: str
    values: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]
    address: str
    now: float
    document: Any = None
    """the JSON body"""

    @property
    def params(self) -> Mapping[str, str]:
        """The parameters by name; of one that is repeated, the last."""
        return dict(self.pairs)


@dataclass(frozen=True)
class Asked:
    """A request as it stands on the wire; *document* is its JSON body."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    address: str
    document: Any

    def with_query(self, query: str) -> Asked:
        return replace(self, query=query)


@dataclass(frozen=True)
class Answer:
    """A whole JSON or text body."""

    body: Any
    status: int = 200
    content_type: str | None = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Stream:
    """A chunked body: pieces of whole lines."""

    pieces: Iterator[bytes]
    content_type: str | None = "text/plain; charset=utf-8"


Reply = Answer | Stream


class WrongParameter(Exception):
    """A parameter has a value that the API refuses with a 400 (swagger: "Invalid parameters")."""


def error(status: int, message: str, code: str, params: object = None) -> Answer:
    """Return an error in Iterable's form (FACTS.md 4.1)."""
    return Answer({"msg": message, "code": code, "params": params}, status)


# ── listings ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def campaigns(world: World, request: Request) -> Reply:
    """Swagger: GET /api/campaigns; ``campaignState`` may be repeated (FACTS.md 6)."""
    states = {value for name, value in request.pairs if name == "campaignState"}
    rows = [row for row in world.campaigns if not states or row["campaignState"] in states]
    return page(rows, request, rows_name="campaigns", total_name="totalCampaignsCount", key="id")


def campaign(world: World, request: Request) -> Reply:
    """Swagger: GET /api/campaigns/{id}; an unknown one is a 404 (FACTS.md 4.2)."""
    found = next((row for row in world.campaigns if row["id"] == int(request.values[0])), None)
    return error(404, f"Campaign {request.values[0]} not found", "NotFound") if found is None else Answer(found)


def templates(world: World, request: Request) -> Reply:
    """Swagger: GET /api/templates; without filters a subset, the row holds neither type nor medium (FACTS.md 12)."""
    kind, medium = request.params.get("templateType", "Base"), request.params.get("messageMedium", "Email")
    rows = [
        {name: value for name, value in row.items() if name not in {"templateType", "messageMedium"}}
        for row in world.templates
        if (row["templateType"], row["messageMedium"]) == (kind, medium)
    ]
    return page(rows, request, rows_name="templates", total_name="totalTemplatesCount", key="templateId")


def page(
    rows: Sequence[Row],
    request: Request,
    *,
    rows_name: str,
    total_name: str,
    key: str,
    size: int = DEFAULT_PAGE,
    largest: int = LARGEST_PAGE,
    counted: bool = False,
) -> Answer:
    """
    Return one page, of *size* rows unless another is asked for; links have the API's host (FACTS.md 6).

    The total comes only when paginating, unless it is always *counted*.
    """
    params = request.params
    sort = params.get("sort", "id")
    # swagger: - for descending, + or no prefix for ascending; a bare + in a URL is a blank
    asked = sort.lstrip("+- ")
    field = key if asked == "id" else asked
    ordered = sorted(rows, key=lambda row: row.get(field, 0), reverse=sort.startswith("-"))
    size = min(number_of(params, "pageSize", size), largest)
    here = number_of(params, "page", 1)
    answer: Row = {rows_name: ordered[(here - 1) * size : here * size]}
    if counted or "page" in params or "pageSize" in params:
        answer[total_name] = len(ordered)
    for name, number, there in (
        ("nextPageUrl", here + 1, here * size < len(ordered)),
        ("previousPageUrl", here - 1, here > 1),
    ):
        if there:
            kept = [(name, value) for name, value in request.pairs if name not in {"page", "pageSize"}]
            query = urlencode([*kept, ("page", number), ("pageSize", size)])
            answer[name] = f"{request.address}{request.path}?{query}"
    return Answer(answer)


def number_of(params: Mapping[str, str], name: str, default: int, *, least: int = 1) -> int:
    """Return a parameter that is a number."""
    text = params.get(name, str(default))
    if not text.isdecimal() or int(text) < least:
        raise WrongParameter(f"Invalid value for parameter {name}: {text}")
    return int(text)


def channels(world: World, _: Request) -> Reply:
    """Swagger: GET /api/channels."""
    return Answer({"channels": world.channels})


def message_types(world: World, _: Request) -> Reply:
    """Swagger: GET /api/messageTypes."""
    return Answer({"messageTypes": world.message_types})


def lists(world: World, _: Request) -> Reply:
    """Swagger: GET /api/lists."""
    return Answer({"lists": world.lists})


def list_size(world: World, request: Request) -> Reply:
    """A bare number, not the swagger's string (FACTS.md 16, 15)."""
    names = world.members.get(int(request.values[0]))
    return _no_list(request.values[0]) if names is None else Answer(len(names))


def list_users(world: World, request: Request) -> Reply:
    """Swagger: GET /api/lists/getUsers; one identifier a line, in another order each time (FACTS.md 9)."""
    list_id = request.params.get("listId", "")
    names = world.members.get(int(list_id)) if list_id.isdigit() else None
    if names is None:
        return _no_list(list_id)
    return Stream(pieces([f"{name}\n".encode() for name in names]), "text/plain")


def preview_users(world: World, request: Request) -> Reply:
    """Swagger: GET /api/lists/previewUsers; 1000 at random, at most 5000."""
    list_id, size = request.params.get("listId", ""), min(number_of(request.params, "size", 1000), 5000)
    names = world.members.get(int(list_id)) if list_id.isdigit() else None
    if names is None:
        return _no_list(list_id)
    chosen = Random().sample(sorted(names), min(size, len(names)))
    return Stream(pieces([f"{name}\n".encode() for name in chosen]), "text/plain")


def _no_list(list_id: str) -> Answer:
    return error(400, "Invalid email list id", "BadParams", {"projectId": "48210", "listId": list_id})


def metadata_tables(world: World, _: Request) -> Reply:
    """Swagger: GET /api/metadata."""
    return Answer({"results": [{"name": name} for name in world.metadata]})


def metadata_keys(world: World, request: Request) -> Reply:
    """Swagger: GET /api/metadata/{table}; an unknown table is empty, pages by marker (FACTS.md 4.2, 6)."""
    keys = list(world.metadata.get(request.values[0].lower(), {}).values())
    first = number_of(request.params, "nextMarker", 0, least=0)
    rows = [{name: value for name, value in row.items() if name != "value"} for row in keys]
    answer: Row = {"results": rows[first : first + METADATA_PAGE]}
    if first + METADATA_PAGE < len(rows):
        answer["nextMarker"] = str(first + METADATA_PAGE)
    return Answer(answer)


def metadata_value(world: World, request: Request) -> Reply:
    """Swagger: GET /api/metadata/{table}/{key}."""
    table, key = request.values
    row = world.metadata.get(table.lower(), {}).get(key)
    if row is None:
        return error(404, f"No metadata found in table {table} with key {key}", "NotFound")
    return Answer(row)


def user_fields(_: World, __: Request) -> Reply:
    """Swagger: GET /api/users/getFields; FACTS.md 14.1."""
    return Answer({"fields": brand.FIELD_TYPES})


# ── exports ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def export(world: World, request: Request) -> Reply:
    """
    Swagger: GET /api/export/data.json.

    The data type is matched without regard to case, start is inclusive, end exclusive, unknown parameters are
    ignored and the range is then Today (FACTS.md 7.1, 8.2, 8.6); rows come in no order (8.3).
    """
    kind = data_type_of(request.params, world)
    start, end = range_of(request.params, request.now)
    lines = lines_of(world, kind, start, end, now=request.now)
    return Stream(pieces([chosen_fields(line, request.params) for line in lines]))


def chosen_fields(line: bytes, params: Mapping[str, str]) -> bytes:
    """Return a line with the fields that ``onlyFields`` and ``omitFields`` leave; ``createdAt`` stays (FACTS.md 16)."""
    only, omitted = ({*params[name].split(",")} if params.get(name) else set() for name in ("onlyFields", "omitFields"))
    if not only and not omitted:
        return line
    row = json.loads(line)
    left = {
        name: row[name] for name in row if name == "createdAt" or ((not only or name in only) and name not in omitted)
    }
    return encode(left)


FORMERLY = {"anonsession": "unknownSession"}
"""Data types by what they were called before, in small letters (FACTS.md 8.6)."""


def data_type_of(params: Mapping[str, str], world: World) -> str:
    """Return the data type that is asked for, in the swagger's spelling; what the project does not offer is refused."""
    asked = params.get("dataTypeName", "")
    names = {name.lower(): name for name in (*world.timelines, "user")} | FORMERLY
    kind = names.get(asked.lower())
    if kind is None or asked.lower() in {name.lower() for name in world.options.not_offered}:
        raise WrongParameter(f"Invalid value for parameter dataTypeName: {asked}")
    return kind


def lines_of(world: World, kind: str, start: float, end: float, *, now: float) -> list[bytes]:
    """Return the lines of ``[start, end)`` that show by *now*, all in epoch seconds."""
    if kind == "user":
        return world.users_between(start, end)
    return list(world.timelines[kind].between(start, end, now=now))


def range_of(params: Mapping[str, str], now: float) -> tuple[float, float]:
    """Return the start and the end that are asked for, in epoch seconds."""
    today = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
    day = timedelta(days=1).total_seconds()
    if "startDateTime" in params or "endDateTime" in params:
        start = moment(params["startDateTime"]) if "startDateTime" in params else 0.0
        end = moment(params["endDateTime"]) if "endDateTime" in params else now
        return start, end
    ranges = {
        "Today": (today, today + day),
        "Yesterday": (today - day, today),
        "BeforeToday": (0.0, today),
        "All": (0.0, now + day),
    }
    asked = params.get("range", "Today")
    if asked not in ranges:
        raise WrongParameter(f"Invalid range: {asked}")
    return ranges[asked]


def moment(text: str) -> float:
    """Read the date forms that the API takes (FACTS.md 7.1); without a zone it is UTC."""
    if re.fullmatch(r"\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d( ?[+-]\d\d:?\d\d)?|T[0-9:.]+Z)?", text):
        with contextlib.suppress(ValueError):
            found = datetime.fromisoformat(re.sub(r" ([+-])", r"\1", text))
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    raise WrongParameter(f'Invalid format: "{text}"')


def pieces(lines: list[bytes]) -> Iterator[bytes]:
    """Yield *lines* in an order that differs from request to request."""
    Random().shuffle(lines)
    for first in range(0, len(lines), CHUNK_ROWS):
        yield b"".join(lines[first : first + CHUNK_ROWS])


ROUTES: tuple[tuple[str, Callable[[World, Request], Reply]], ...] = (
    (r"/api/campaigns", campaigns),
    (r"/api/campaigns/(\d+)", campaign),
    (r"/api/channels", channels),
    (r"/api/messageTypes", message_types),
    (r"/api/templates", templates),
    (r"/api/lists", lists),
    (r"/api/lists/getUsers", list_users),
    (r"/api/lists/previewUsers", preview_users),
    (r"/api/lists/(\d+)/size", list_size),
    (r"/api/metadata", metadata_tables),
    (r"/api/metadata/([^/]+)", metadata_keys),
    (r"/api/metadata/([^/]+)/([^/]+)", metadata_value),
    (r"/api/users/getFields", user_fields),
    (r"/api/export/data\.json", export),
)
"""Path (still percent-encoded) and who answers."""
