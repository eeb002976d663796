"""
What was measured, as it stands in ``results.json``: figures by part, and the machine that they were taken on.

Results of the full size belong to the repository; those of any other stay in the cache, ``.bench``.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.processes import Spent

HERE = Path(__file__).parent
CACHE = HERE.parent / ".bench"


@dataclass(frozen=True)
class Figure:
    """
    One thing, measured as often as *seconds* has values.

    *group* says of what (a workload, a destination), *name* who or how. *facts* are other numbers by their names; a
    *failure* is why there are none.
    """

    group: str
    name: str
    rows: int = 0
    size_bytes: int = 0
    seconds: Sequence[float] = ()
    peak_mb: Sequence[float] = ()
    facts: Mapping[str, float] = field(default_factory=dict)
    failure: str = ""

    @property
    def median_s(self) -> float:
        return statistics.median(self.seconds)

    @property
    def rows_per_s(self) -> float:
        return self.rows / self.median_s

    @property
    def memory_mb(self) -> float:
        return statistics.median(self.peak_mb)


def figure(group: str, name: str, spent: Sequence[Spent], *, rows: int = 0, size_bytes: int = 0) -> Figure:
    """Return what some runs of the same thing took."""
    return Figure(group, name, rows, size_bytes, [one.seconds for one in spent], [one.peak_mb for one in spent])


@dataclass(frozen=True)
class Results:
    """All figures of one size, by part."""

    scale: float
    parts: dict[str, list[Figure]] = field(default_factory=dict)
    machine: dict[str, str] = field(default_factory=dict)
    taken: dict[str, str] = field(default_factory=dict)

    @property
    def full(self) -> bool:
        return self.scale == 1

    @property
    def directory(self) -> Path:
        """Where these results stand, and what is made of them."""
        return HERE if self.full else CACHE / f"scale-{self.scale:g}"

    @classmethod
    def read(cls, scale: float) -> Results:
        found = cls(scale)
        file = found.directory / "results.json"
        if not file.exists():
            return found
        said: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        parts = {part: [Figure(**one) for one in figures] for part, figures in said["parts"].items()}
        return cls(scale, parts, said["machine"], said["taken"])

    def note(self, part: str, figures: Sequence[Figure]) -> None:
        """Keep *figures* in the place of those that *part* had."""
        self.parts[part] = list(figures)
        self.machine.update(machine())
        self.taken[part] = f"{datetime.now(UTC):%Y-%m-%d}, {_commit()}"
        self.directory.mkdir(parents=True, exist_ok=True)
        said = {
            "scale": self.scale,
            "machine": self.machine,
            "taken": self.taken,
            "parts": {name: [asdict(one) for one in figures] for name, figures in self.parts.items()},
        }
        (self.directory / "results.json").write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")

    def find(self, part: str, group: str, name: str) -> Figure | None:
        """Return a figure that was measured."""
        found = [one for one in self.parts.get(part, ()) if (one.group, one.name) == (group, name)]
        return found[0] if found and found[0].seconds else None


def machine() -> dict[str, str]:
    """Return what the figures depend on: the machine, and versions."""
    return {
        "processor": f"{_line('/proc/cpuinfo', 'model name')}, {os.cpu_count()} cores",
        "memory": f"{int(_line('/proc/meminfo', 'MemTotal').split()[0]) / 1e6:.0f} GB",
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "Python": platform.python_version(),
        "DuckDB": version("duckdb"),
        "curl": _said("curl", "--version").split()[1],
    }


def _line(file: str, name: str) -> str:
    lines = Path(file).read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


def _commit() -> str:
    return f"commit {_said('git', 'rev-parse', '--short', 'HEAD').strip() or 'unknown'}"


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=HERE).stdout
