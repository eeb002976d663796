"""A row that is deleted from a listing while somebody reads its pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reiterate.simulator.world import World


def is_later_page(params: Mapping[str, str]) -> bool:
    """Return whether a request asks for a page after the first."""
    return params.get("page", "1") != "1" or params.get("offset", "0") != "0" or "nextMarker" in params


def vanish(world: World, path: str, params: Mapping[str, str]) -> None:
    """Delete the first row of the listing at *path*; nothing happens where there is none, or no row."""
    entities = world.entities
    match [unquote(part) for part in path.removeprefix("/api/").split("/")]:
        case ["campaigns"]:
            del world.campaigns[:1]
        case ["templates"]:
            kind = params.get("templateType", "Base"), params.get("messageMedium", "Email")
            alike = [row for row in world.templates if (row["templateType"], row["messageMedium"]) == kind]
            world.templates[:] = [row for row in world.templates if row not in alike[:1]]
        case ["journeys"]:
            alike = [row for row in entities.journeys if row["isArchived"] == (params.get("state") == "Archived")]
            entities.journeys[:] = [row for row in entities.journeys if row not in alike[:1]]
        case ["experiments"]:
            _drop_first(world.results.experiments)
        case ["catalogs"]:
            _drop_first(entities.catalogs, key=min(entities.catalogs, default=""))
        case ["catalogs", name, "items"]:
            items: dict[str, Any] = next(
                (rows for known, rows in entities.catalogs.items() if known.lower() == name.lower()), {}
            )
            _drop_first(items, key=min(items, default=""))
        case ["metadata", table]:
            _drop_first(world.metadata.get(table.lower(), {}))
        case _:
            pass


def _drop_first(rows: dict[Any, Any], key: Any = None) -> None:  # noqa: ANN401 (ids are numbers or texts)
    rows.pop(next(iter(rows), None) if key is None else key, None)
