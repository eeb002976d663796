"""
A project whose whole content lies in a file, so that datasets that were made of it can be compared with it for ever.

What the simulator invents from a seed may change with the simulator; what these files hold does not.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from reiterate.simulator import WorldOptions
from reiterate.simulator.people import Person

if TYPE_CHECKING:
    from pathlib import Path

    from reiterate.simulator import Simulator
    from reiterate.simulator.world import World

LISTED = ("campaigns", "channels", "lists", "message_types", "templates", "metadata")


def options(file: Path) -> WorldOptions:
    """Return the options of the project that is kept in *file*."""
    given = _read(file)["options"]
    return WorldOptions(**{**given, "end": datetime.fromisoformat(given["end"]), "not_offered": ()})


def keep(simulator: Simulator, file: Path) -> None:
    """Write all that the project holds, and the export jobs that were started."""
    world = simulator.world
    assert world.options.end is not None
    content = {
        "options": {**asdict(world.options), "end": world.options.end.astimezone(UTC).isoformat()},
        "end_s": world.end_s,
        **{name: getattr(world, name) for name in LISTED},
        "people": [[person.updated_s, person.profile] for person in world.people],
        "members": {str(list_id): sorted(names) for list_id, names in world.members.items()},
        "events": {
            name: [[at, line.decode()] for at, line in zip(timeline.at, timeline.lines, strict=True)]
            for name, timeline in world.timelines.items()
        },
        "jobs": [dict(job.params) for job in simulator.jobs],
    }
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    file.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def restore(world: World, file: Path) -> None:
    """Let *world*, made by the same options, hold what was kept."""
    content = _read(file)
    world.end_s = content["end_s"]
    for name in LISTED:
        setattr(world, name, content[name])
    world.people = [Person(profile, updated_s) for updated_s, profile in content["people"]]
    world.members = {int(list_id): set(names) for list_id, names in content["members"].items()}
    for name, rows in content["events"].items():
        world.timelines[name].fill((at, 0.0, line.encode()) for at, line in rows)


def change(world: World, to: datetime) -> None:
    """Let time pass up to *to*, with some change in every table; who has no name is in no list, and stays as he is."""
    nameless = [person for person in world.people if not {"email", "userId"} & person.profile.keys()]
    world.people = [person for person in world.people if person not in nameless]
    world.mutate(fraction=0.05, seed=int(to.timestamp()), now_s=int(to.timestamp()))
    world.people += nameless


def jobs(file: Path) -> list[dict[str, str]]:
    """Return what the export jobs were asked for, oldest first."""
    found: list[dict[str, str]] = _read(file)["jobs"]
    return found


def _read(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(gzip.decompress(file.read_bytes()))
    return found
