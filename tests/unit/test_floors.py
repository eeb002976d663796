"""No floor of a dependency allows a version with a published advisory."""

from __future__ import annotations

import json
import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FLOORS = json.loads((Path(__file__).parent / "floors.json").read_text(encoding="utf-8"))


def numbers(text: str) -> tuple[int, ...]:
    """Return a version as numbers, three of them at least."""
    found = tuple(map(int, re.findall(r"\d+", text)))
    return found + (0,) * (3 - len(found))


@pytest.mark.parametrize("floor", FLOORS, ids=lambda floor: floor["package"])
def test_floors(floor: dict[str, str]) -> None:
    """What pyproject.toml allows, what is locked and what is installed is at least the first version that is sound."""
    least = numbers(floor["floor"])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    own = [re.search(r">=([\d.]+)", one) for one in wanted if re.match(rf"{floor['package']}\b", one)]
    assert own
    assert [] == [found for found in own if found is None or numbers(found[1]) < least]
    assert least <= numbers(version(floor["package"]))
    for lock in ROOT.glob("requirements*.txt"):
        locked = re.findall(rf"^{floor['package']}==([\d.]+)", lock.read_text(encoding="utf-8"), re.MULTILINE)
        assert [] == [found for found in locked if numbers(found) < least], lock.name
    assert {"package", "floor", "advisory", "date"} == floor.keys()


@pytest.mark.parametrize("lock", sorted(ROOT.glob("requirements*.txt")), ids=lambda lock: lock.name)
def test_locks_have_hashes(lock: Path) -> None:
    """Each package that the container, CI and developers install is of one version, and known by its hashes."""
    found = re.split(r"(?<!\\)\n", lock.read_text(encoding="utf-8").strip())
    packages = [one for one in found if not one.startswith("#")]
    assert packages
    assert [] == [
        one for one in packages if not re.match(r"[\w.-]+==[^\s;]+( ;.*)?( \\\n +--hash=sha256:[0-9a-f]{64})+$", one)
    ]


def test_whoever_installs_asks_for_hashes() -> None:
    """The Makefile, which CI uses, and the container install packages by their hashes."""
    for name in ("Makefile", "Dockerfile"):
        lines = re.findall(r"pip install [^\n]*-r [^\n]*", (ROOT / name).read_text(encoding="utf-8"))
        assert lines
        assert [] == [line for line in lines if "--require-hashes" not in line]
