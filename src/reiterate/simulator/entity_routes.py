"""The endpoints of what a project has set up: paths, parameters and answers as the swagger and FACTS.md have them."""

from __future__ import annotations

import csv
import io
from math import inf
from typing import TYPE_CHECKING

from reiterate.simulator.results import EXPERIMENT_HEADER
from reiterate.simulator.routes import Answer, error, moment, number_of, page

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reiterate.simulator.routes import Reply, Request, Row
    from reiterate.simulator.world import World

MEDIA = {"email": "Email", "push": "Push", "inapp": "InApp", "sms": "SMS", "embedded": "Embedded"}


def child_campaigns(world: World, request: Request) -> Reply:
    """Swagger: GET /api/campaigns/recurring/{id}/childCampaigns; what is not recurring is a 400 (FACTS.md 4.2)."""
    parent = int(request.values[0])
    if not any(row["id"] == parent and row["campaignState"] == "Recurring" for row in world.campaigns):
        return error(400, f"Campaign {parent} is not a recurring campaign", "BadParams")
    rows = [row for row in world.campaigns if row.get("recurringCampaignId") == parent]
    return page(rows, request, rows_name="campaigns", total_name="totalCampaignsCount", key="id")


def campaign_metrics(world: World, request: Request) -> Reply:
    """
    CSV as text: ``id`` first, other columns by name, only those that a campaign has (FACTS.md 10).

    Without an id there is a header alone; ids are repeated, for commas do not work. Events count from startDateTime on
    until before endDateTime, each by its own time; without dates all do.
    """
    params = request.params
    start = moment(params["startDateTime"]) if "startDateTime" in params else -inf
    end = moment(params["endDateTime"]) if "endDateTime" in params else inf
    asked = {value for name, value in request.pairs if name == "campaignId"}
    found = {
        row["id"]: world.results.metrics.cells(row, start, end) for row in world.campaigns if str(row["id"]) in asked
    }
    columns = sorted({name for cells in found.values() for name in cells})
    lines = [[str(campaign), *(cells.get(name, "") for name in columns)] for campaign, cells in found.items()]
    return Answer(_csv([["id", *(columns or [""])], *lines]), content_type="text/plain; charset=utf-8")


def experiment_metrics(world: World, request: Request) -> Reply:
    """CSV without a content type; a row may have more cells than the header (FACTS.md 3, 10.1)."""
    asked = {value for name, value in request.pairs if name == "experimentId"}
    found = [row for row in world.results.experiments.values() if str(row["id"]) in asked]
    lines = [cells for row in found for cells in world.results.experiment_cells(row)]
    return Answer(_csv([[*EXPERIMENT_HEADER], *lines]), content_type=None)


def _csv(lines: Sequence[Sequence[str]]) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows(lines)
    return written.getvalue()


def experiments(world: World, request: Request) -> Reply:
    """FACTS.md 6, 13: ``limit``, 20 if it is not given, and ``offset``."""
    rows = world.results.listed_experiments()
    limit, offset = number_of(request.params, "limit", 20), number_of(request.params, "offset", 0, least=0)
    return Answer({"experiments": rows[offset : offset + limit], "totalCount": len(rows)})


def experiment(world: World, request: Request) -> Reply:
    """FACTS.md 13: a bare object."""
    found = world.results.experiments.get(int(request.values[0]))
    return _no_experiment(request) if found is None else Answer(found)


def experiment_variants(world: World, request: Request) -> Reply:
    """FACTS.md 13, and Iterable's own client: the variants with their content."""
    found = world.results.experiments.get(int(request.values[0]))
    if found is None:
        return _no_experiment(request)
    return Answer({"experimentId": found["id"], "variants": world.results.variants(found)})


def experiment_totals(world: World, request: Request) -> Reply:
    """FACTS.md 13, and Iterable's own client: totals of each variant."""
    found = world.results.experiments.get(int(request.values[0]))
    if found is None:
        return _no_experiment(request)
    return Answer({"id": found["id"], "status": found["status"], "variants": world.results.totals(found)})


def experiment_trends(world: World, request: Request) -> Reply:
    """FACTS.md 13, and Iterable's own client: each metric by day; a start needs an end, and the other way round."""
    found, params = world.results.experiments.get(int(request.values[0])), request.params
    if found is None:
        return _no_experiment(request)
    if ("startDateTime" in params) != ("endDateTime" in params):
        return error(400, "Provide both startDateTime and endDateTime, or omit both.", "BadParams")
    window = (moment(params["startDateTime"]), moment(params["endDateTime"])) if "startDateTime" in params else None
    return Answer(world.results.trends(found, window))


def _no_experiment(request: Request) -> Answer:
    return error(404, f"Experiment {request.values[0]} not found", "NotFound")


def template(world: World, request: Request) -> Reply:
    """Swagger: GET /api/templates/{medium}/get; an unknown id is a 400, an unknown locale a 404 (FACTS.md 12)."""
    template_id, locale = request.params.get("templateId", ""), request.params.get("locale", "")
    number = int(template_id) if template_id.isdigit() else -1
    found = world.entities.template(number, MEDIA[request.values[0]])
    if found is None:
        return error(400, f"Template ID: {template_id} does not exist for this project", "BadParams")
    if locale and locale not in world.entities.languages(found):
        return error(404, f"No template with locale {locale}", "NotFound")
    return Answer(world.entities.content(found, locale))


def by_client_template_id(world: World, request: Request) -> Reply:
    """Swagger: GET /api/templates/getByClientTemplateId."""
    asked = request.params.get("clientTemplateId")
    return Answer(
        {
            "templates": [
                {
                    "templateId": row["templateId"],
                    "locales": list(world.entities.languages(row)),
                    **({"campaignId": row["campaignId"]} if "campaignId" in row else {}),
                }
                for row in world.templates
                if row.get("clientTemplateId") == asked
            ]
        }
    )


def catalogs(world: World, request: Request) -> Reply:
    """Wrapped, against the swagger (FACTS.md 13)."""
    rows: list[Row] = [{"name": name} for name in world.entities.catalogs]
    found = page(
        rows, request, rows_name="catalogNames", total_name="totalCatalogsCount", key="name", size=10, counted=True
    )
    return _wrapped(found)


def catalog_items(world: World, request: Request) -> Reply:
    """Wrapped, against the swagger; names of catalogs do not tell case apart (FACTS.md 13)."""
    name = _catalog(world, request)
    if name is None:
        return _no_catalog(request)
    rows = list(world.entities.catalogs[name].values())
    return _wrapped(
        page(
            rows,
            request,
            rows_name="catalogItemsWithProperties",
            total_name="totalItemsCount",
            key="itemId",
            size=10,
            counted=True,
        )
    )


def catalog_item(world: World, request: Request) -> Reply:
    """Bare, unlike the other answers about catalogs; ids of items tell case apart (FACTS.md 13)."""
    name, item = _catalog(world, request), request.values[1]
    if name is None:
        return _no_catalog(request)
    if item not in world.entities.catalogs[name]:
        return _not_found("Catalog item", "error.catalogs.items.notFound", item)
    return Answer(world.entities.catalogs[name][item])


def catalog_fields(world: World, request: Request) -> Reply:
    """Wrapped, against the swagger (FACTS.md 13)."""
    name = _catalog(world, request)
    return _no_catalog(request) if name is None else _wrapped(Answer(world.entities.mappings(name)))


def _catalog(world: World, request: Request) -> str | None:
    return next((name for name in world.entities.catalogs if name.lower() == request.values[0].lower()), None)


def _no_catalog(request: Request) -> Answer:
    return _not_found("Catalog", "error.catalogs.notFound", request.values[0])


def _not_found(what: str, code: str, name: str) -> Answer:
    """Return an error in the form that catalogs have (FACTS.md 4.1)."""
    return Answer(
        {"error": "NotFound", "message": f"{what} not found: {name}", "code": code, "data": {"args": [name]}}, 404
    )


def _wrapped(answer: Answer) -> Answer:
    return Answer({"msg": "", "code": "Success", "params": answer.body})


def journeys(world: World, request: Request) -> Reply:
    """Swagger: GET /api/journeys; archived ones only with ``state=Archived`` (FACTS.md 13)."""
    archived = request.params.get("state") == "Archived"
    rows = [row for row in world.entities.journeys if row["isArchived"] == archived]
    return page(
        rows,
        request,
        rows_name="journeys",
        total_name="totalJourneysCount",
        key="id",
        size=10,
        largest=50,
        counted=True,
    )


def snippets(world: World, _: Request) -> Reply:
    """Swagger: GET /api/snippets."""
    return Answer({"snippets": world.entities.snippets})


def snippet(world: World, request: Request) -> Reply:
    """Swagger: GET /api/snippets/{identifier}: a number is an id, anything else a name."""
    asked = request.values[0]
    found = next(
        (row for row in world.entities.snippets if str(row["id"] if asked.isdecimal() else row["name"]) == asked), None
    )
    return error(404, f"Snippet {asked} not found", "NotFound") if found is None else Answer({"snippet": found})


def webhooks(world: World, _: Request) -> Reply:
    """Swagger: GET /api/webhooks."""
    return Answer({"webhooks": world.entities.webhooks})


def forgotten_emails(world: World, request: Request) -> Reply:
    """Swagger: GET /api/users/forgotten; an error in userID-based projects (FACTS.md 14.4)."""
    return _forgotten(world, "hashedEmails", request)


def forgotten_user_ids(world: World, request: Request) -> Reply:
    """Swagger: GET /api/users/forgottenUserIds; an error in email-based projects (FACTS.md 14.4)."""
    return _forgotten(world, "hashedUserIds", request)


def _forgotten(world: World, name: str, request: Request) -> Reply:
    found = world.entities.forgotten.get(name)
    if found is None:
        return error(400, f"{request.path} is not supported by this type of project", "BadParams")
    return Answer({name: found})


ROUTES: tuple[tuple[str, Callable[[World, Request], Reply]], ...] = (
    (r"/api/campaigns/metrics", campaign_metrics),
    (r"/api/campaigns/recurring/(\d+)/childCampaigns", child_campaigns),
    (r"/api/catalogs", catalogs),
    (r"/api/catalogs/([^/]+)/items", catalog_items),
    (r"/api/catalogs/([^/]+)/items/([^/]+)", catalog_item),
    (r"/api/catalogs/([^/]+)/fieldMappings", catalog_fields),
    (r"/api/experiments", experiments),
    (r"/api/experiments/metrics", experiment_metrics),
    (r"/api/experiments/(\d+)", experiment),
    (r"/api/experiments/(\d+)/variants", experiment_variants),
    (r"/api/experiments/(\d+)/totals", experiment_totals),
    (r"/api/experiments/(\d+)/trends", experiment_trends),
    (r"/api/journeys", journeys),
    (r"/api/snippets", snippets),
    (r"/api/snippets/([^/]+)", snippet),
    (r"/api/templates/(email|push|inapp|sms|embedded)/get", template),
    (r"/api/templates/getByClientTemplateId", by_client_template_id),
    (r"/api/users/forgotten", forgotten_emails),
    (r"/api/users/forgottenUserIds", forgotten_user_ids),
    (r"/api/webhooks", webhooks),
)
"""Path (still percent-encoded) and who answers."""
