"""
Measure, and write what was measured to ``results.json``, ``RESULTS.md`` and the plots.

    python -m benchmarks [PART ...] [--scale 1.0] [--runs 3]

Without a PART, all of them. The full size is a scale of 1; results of another one stay in ``.bench``, and their tables
are printed. After each part its figures are written, so that a run may be interrupted. ``report`` measures nothing, and
makes tables and plots anew.
"""

from __future__ import annotations

import argparse
import compileall
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import reiterate
from benchmarks import flame, growth, limits, memory, peers, report, startup, throughput
from benchmarks.figures import Results

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from benchmarks.figures import Figure

PARTS: dict[str, Callable[[float, int], Iterable[Figure]]] = {
    "startup": startup.measure,
    "throughput": throughput.measure,
    "peers": peers.measure,
    "limits": limits.measure,
    "memory": memory.measure,
    "growth": growth.measure,
}


def main() -> None:
    """Measure the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}, flame, report")
    parser.add_argument("--scale", type=float, default=1.0, help="of the full number of rows (1.0)")
    parser.add_argument("--runs", type=int, default=3, help="of each way; medians are told (3)")
    asked = parser.parse_args()
    if strange := {*asked.parts} - {*PARTS, "flame", "report"}:
        parser.error(f"there is no part {', '.join(sorted(strange))}")
    if missing := [program for program in ("curl", "git") if not shutil.which(program)]:
        parser.error(f"{' and '.join(missing)} must be installed")
    # as pip does for whoever installs a package
    compileall.compile_dir(Path(reiterate.__path__[0]), quiet=1)
    results = Results.read(asked.scale)
    results.directory.mkdir(parents=True, exist_ok=True)
    for part in asked.parts or [*PARTS, "flame"]:
        began = time.monotonic()
        print(f"── {part} ──", file=sys.stderr)
        if part == "flame":
            results.note(part, [*flame.draw(asked.scale, results.directory / "flame.svg")])
        elif part != "report":
            results.note(part, [*PARTS[part](asked.scale, asked.runs)])
        print(f"── {part}: {time.monotonic() - began:.0f} s ──", file=sys.stderr)
    tables = report.write(results)
    if not results.full:
        print(tables)


if __name__ == "__main__":
    main()
