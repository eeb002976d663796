"""
Every answer of the simulator is one that the swagger describes, except where production differs (FACTS.md).

``swagger.json`` has, of Iterable's API 1.8, the paths that the simulator serves: parameters and shapes, no prose.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import urllib3
from jsonschema import Draft4Validator

import reiterate
from reiterate.simulator import ServerOptions, Simulator, WorldOptions
from reiterate.simulator.people import Person
from tests.conftest import KEY, settings
from tests.simulator.client import EVER, Client
from tests.simulator.conftest import END

if TYPE_CHECKING:
    from collections.abc import Iterator

SWAGGER = json.loads(Path(__file__).with_name("swagger.json").read_text())

TEXT, WHOLE, TRUTH, OBJECT = {"type": "string"}, {"type": "integer"}, {"type": "boolean"}, {"type": "object"}
WHOLES = {"type": "array", "items": WHOLE}
TIMES = {"createdAt": WHOLE, "updatedAt": WHOLE}

REALITY: dict[str, dict[str, Any]] = {
    # a definition of the swagger: what production has in place of its properties, or besides; rows of FACTS.md 16
    "ApiInAppMessage": {
        "createdAt": WHOLE,
        "expiresAt": WHOLE,
        "messageType": TEXT,
        "typeOfContent": TEXT,
    },  # 4, like 6
    "ApiResponseUser": {"itblUserId": TEXT},  # schema.json, user
    "ApiTemplateEntry": {"locales": {"type": "array", "items": TEXT}},  # an option that leaked, like 6
    "ApiTemplateResponse": TIMES,  # 1
    "ApiEmailTemplateModel": {"cacheDataFeed": TRUTH, "mergeDataFeedContext": TRUTH},  # like 6
    "ApiPushTemplateModel": {**TIMES, "campaignId": WHOLE},  # 1, and like 6
    "ApiSMSTemplateModel": {**TIMES, "campaignId": WHOLE},
    "ApiEmbeddedTemplateModel": {"placementId": WHOLE},  # like 6
    "ApiWebhookResponse": {"channelIds": WHOLES, "messageTypeIds": WHOLES},  # like 6
    "CampaignDetails": {"campaignState": TEXT},  # 12
    "CampaignsResponse": {"totalCampaignsCount": WHOLE},  # 9
    "CatalogItemWithProperties": {"lastModified": WHOLE, "value": OBJECT},  # 3; the value is free JSON
    "ChannelDetails": {"messageMedium": TEXT},  # 11
    "ExportJobStatusAndFiles": {"jobState": TEXT},  # 5, 6
    "GetTemplatesResponse": {"totalTemplatesCount": WHOLE},  # 9
    "JobModel": {"jobState": TEXT, "dataTypeName": TEXT},  # 5, 6
    "InAppTrigger": {"type": TEXT},  # like 6
    "SentMessage": {"messageMedium": TEXT, "status": TEXT, "sentAt": TEXT},  # 23
    "SnippetResponse": {"id": WHOLE},  # 16
    "WebInAppDisplaySettings": {"position": TEXT},  # like 6
}


MISSING = {"ApiResponseUser": {"email"}}
"""What the swagger requires, and production may leave out: the email of a user who has none (FACTS.md 16, 7)."""


def schema_of(path: str, method: str = "get") -> dict[str, Any]:
    """Return the JSON schema of an answer; a property that neither swagger nor FACTS.md has is an error."""
    definitions = {name: _strict(name, definition) for name, definition in SWAGGER["definitions"].items()}
    return {**SWAGGER["paths"][path][method]["response"], "definitions": definitions}


def _strict(name: str, definition: dict[str, Any]) -> dict[str, Any]:
    if "properties" not in definition:
        return definition
    return {
        "additionalProperties": False,
        **definition,
        "properties": {**definition["properties"], **REALITY.get(name, {})},
        "required": [field for field in definition.get("required", ()) if field not in MISSING.get(name, ())],
    }


@pytest.fixture(scope="module")
def project() -> Iterator[Simulator]:
    world = WorldOptions(days=2, events_per_day=100, end=END, project_type="hybrid")
    with Simulator(world, ServerOptions(api_key=KEY)) as simulator:
        yield simulator


def asked(simulator: Simulator) -> Iterator[tuple[str, str, dict[str, str | int]]]:
    """Yield the path as the swagger has it, the path to ask, and parameters: everything of a kind, several pages."""
    world = simulator.world
    every_page: list[dict[str, str | int]] = [
        {"page": 1, "pageSize": 7},
        {"page": 2, "pageSize": 7},
        {"page": 1, "pageSize": 1000},
    ]
    for path in ("/api/campaigns", "/api/catalogs", "/api/journeys"):
        yield from ((path, path, page) for page in every_page)
    yield "/api/journeys", "/api/journeys", {"state": "Archived"}
    for kind in ("Base", "Blast", "Triggered", "Workflow"):
        for medium in ("Email", "Push", "InApp", "SMS"):
            yield "/api/templates", "/api/templates", {"templateType": kind, "messageMedium": medium, "pageSize": 99}
    recurring = next(row["id"] for row in world.campaigns if row["campaignState"] == "Recurring")
    children = "/api/campaigns/recurring/{id}/childCampaigns"
    yield children, children.replace("{id}", str(recurring)), {}
    for path in ("channels", "messageTypes", "lists", "metadata", "snippets", "webhooks", "export/jobs"):
        yield f"/api/{path}", f"/api/{path}", {}
    for path in ("getFields", "forgotten", "forgottenUserIds"):
        yield f"/api/users/{path}", f"/api/users/{path}", {}
    yield "/api/metadata/{table}", "/api/metadata/stores", {}
    yield "/api/metadata/{table}/{key}", "/api/metadata/stores/lyon", {}
    for name in world.entities.catalogs:
        for route in ("items", "fieldMappings"):
            path = "/api/catalogs/{catalogName}/" + route
            yield path, path.replace("{catalogName}", name), {}
    yield "/api/campaigns/{id}", f"/api/campaigns/{recurring}", {}
    items = "/api/catalogs/{catalogName}/items/{itemId}"
    for name, rows in world.entities.catalogs.items():
        for item in [*rows][:3]:
            yield items, f"/api/catalogs/{name}/items/{quote(item, safe='')}", {}
    for snippet in world.entities.snippets:
        for asked_for in (snippet["id"], snippet["name"]):
            yield "/api/snippets/{identifier}", f"/api/snippets/{asked_for}", {}
    yield from asked_of_people(simulator)
    templates = [*world.templates, *world.entities.embedded.values()]
    for template in templates:
        path = f"/api/templates/{template['messageMedium'].lower()}/get"
        for locale in ("", *world.entities.languages(template)[1:]):
            yield path, path, {"templateId": template["templateId"], **({"locale": locale} if locale else {})}
        if own_id := template.get("clientTemplateId"):
            path = "/api/templates/getByClientTemplateId"
            yield path, path, {"clientTemplateId": own_id}


def asked_of_people(simulator: Simulator) -> Iterator[tuple[str, str, dict[str, str | int]]]:
    """Yield the same of single users, and of one whom nobody knows."""
    for person in [*simulator.world.people[:30], Person({"email": "nobody@example.com", "userId": "nobody"}, 0)]:
        for name in ("email", "userId"):
            if name not in person.profile:
                continue
            value = person.profile[name]
            in_path = quote(value, safe="")
            prefix = {"email": "", "userId": "byUserId/"}[name]
            yield f"/api/events/{prefix}{{{name}}}", f"/api/events/{prefix}{in_path}", {"limit": 200}
            yield f"/api/users/{prefix}{{{name}}}", f"/api/users/{prefix}{in_path}", {}
            query = {"email": "/api/users/getByEmail", "userId": "/api/users/byUserId"}[name]
            yield query, query, {name: value}
            for path in ("users/getSentMessages", "embedded-messaging/messages"):
                yield f"/api/{path}", f"/api/{path}", {name: value}
            yield "/api/inApp/getMessages", "/api/inApp/getMessages", {name: value, "count": 10}


TEXTS = {
    # what is no JSON object: streams of lines, CSV, a bare number; FACTS.md 3, 10.1 and 16 (15)
    *("/api/campaigns/metrics", "/api/experiments/metrics", "/api/export/data.json"),
    *("/api/lists/getUsers", "/api/lists/previewUsers", "/api/lists/{listId}/size"),
    *("/api/export/userEvents", "/api/email/viewInBrowser"),
}


def test_answers_are_as_the_swagger_has_them(project: Simulator) -> None:
    """Every answer has the shape of the swagger, and nothing else; every path that it describes is looked at."""
    client = Client(project.url)
    start(project)
    seen = set()
    for path, real, params in asked(project):
        answer = client.json(real, **params)
        unwrapped = answer["params"] if isinstance(answer, dict) and "params" in answer else answer  # FACTS.md 13
        Draft4Validator(schema_of(path)).validate(unwrapped)
        seen.add(path)
    assert {path for path in SWAGGER["paths"] if "get" in SWAGGER["paths"][path]} - TEXTS - JOBS == seen


JOBS = {"/api/export/{jobId}/files"}


def start(project: Simulator) -> Any:
    """Start an export job; return what the API answers."""
    url, body = f"{project.url}/api/export/start", {"dataTypeName": "emailOpen", **EVER}
    return urllib3.request("POST", url, json=body, headers={"Api-Key": KEY}).json()


def test_jobs_are_as_the_swagger_has_them(project: Simulator) -> None:
    """So are the answers about a job, from its start to its files."""
    client = Client(project.url)
    started = start(project)
    Draft4Validator(schema_of("/api/export/start", "post")).validate(started)
    while True:
        files = client.json(f"/api/export/{started['jobId']}/files")
        Draft4Validator(schema_of("/api/export/{jobId}/files")).validate(files)
        if files["jobState"] == "completed":
            break
    assert files["files"]


def test_texts(project: Simulator) -> None:
    """What is text in the swagger is text: a number, lines of identifiers, CSV with a header."""
    client = Client(project.url)
    first = project.world.lists[0]["id"]
    assert str(len(project.world.members[first])) == client.get(f"/api/lists/{first}/size").data.decode()
    campaign = project.world.campaigns[0]["id"]
    header, row = client.get("/api/campaigns/metrics", campaignId=campaign).data.decode().splitlines()
    assert header.split(",")[0] == "id"
    assert row.split(",")[0] == str(campaign)
    assert "id,\n" == client.get("/api/campaigns/metrics").data.decode()


def test_requests_are_as_the_swagger_has_them(tmp_path: Path) -> None:
    """A sync of everything asks for no path and no parameter that neither the swagger nor FACTS.md knows."""
    world = WorldOptions(days=1, events_per_day=40, seed=2)
    with Simulator(world, ServerOptions(api_key=KEY)) as simulator:
        list(reiterate.sync(**settings(simulator, tmp_path / "replica.duckdb", tables="all")))
        found = {(seen.method, seen.path, *seen.params) for seen in simulator.requests}
    strange = set()
    for method, path, *params in found:
        if path.startswith(("/storage/", "/api/experiments")) and path != "/api/experiments/metrics":
            continue  # FACTS.md 13: newer than the swagger
        known = [row[method.lower()] for row in _paths(path) if method.lower() in row]
        if not known or not {*params} <= known[0]["parameters"].keys():
            strange.add((method, path, *params))
    assert not strange


def _paths(path: str) -> list[dict[str, Any]]:
    exact = [SWAGGER["paths"][path]] if path in SWAGGER["paths"] else []
    return exact + [
        row for name, row in SWAGGER["paths"].items() if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", name), path)
    ]
