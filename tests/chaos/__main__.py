"""
Chaos, seed by seed: ``python -m tests.chaos --seeds 200``.

Prints a line per seed, and at the end a summary in Markdown. Ends with status 1 if any seed did not end in the truth,
or if one of the kinds of trouble was never drawn.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from multiprocessing import get_context

from tests.chaos import driver
from tests.chaos.scenario import KINDS


def main() -> int:
    """Play the seeds, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=200, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time")
    asked = parser.parse_args()
    began = time.monotonic()
    outcomes = []
    with get_context("spawn").Pool(asked.jobs, maxtasksperchild=20) as pool:
        for outcome in pool.imap_unordered(driver.play, range(asked.first, asked.first + asked.seeds)):
            outcomes.append(outcome)
            print(outcome, flush=True)
            if outcome.problems:
                print(f"  again: python -m tests.chaos --seeds 1 --first {outcome.scenario.seed}", flush=True)
        pool.close()
        pool.join()  # so that the servers of its processes end with them
    _summary(outcomes, time.monotonic() - began)
    drawn = Counter(kind for outcome in outcomes for kind in outcome.scenario.kinds)
    return 1 if any(outcome.problems for outcome in outcomes) or {*KINDS} - {*drawn} else 0


def _summary(outcomes: list[driver.Outcome], seconds: float) -> None:
    good = sum(not outcome.problems for outcome in outcomes)
    syncs = sum(len(outcome.statuses) for outcome in outcomes)
    print(
        f"\n{good} of {len(outcomes)} seeds ended in exactly the truth; {syncs} syncs in {seconds / 60:.0f} minutes.\n"
    )
    scenarios = [outcome.scenario for outcome in outcomes]
    disturbances = [each for scenario in scenarios for each in scenario.disturbances]
    drawn = Counter(kind for scenario in scenarios for kind in scenario.kinds)
    for title, found in (
        ("drawn (one at least for each seed)", {kind: drawn[kind] for kind in KINDS}),
        ("destination", Counter(scenario.destination for scenario in scenarios)),
        ("what happened to a sync", Counter(each.kind for each in disturbances)),
        ("afterwards", Counter(each.afterwards for each in disturbances)),
        ("fault", Counter(name for scenario in scenarios for name in scenario.fault_names)),
    ):
        print(f"| {title} | times |\n|---|---|")
        for name, times in sorted(found.items()):
            print(f"| {name} | {times} |")
        print()


if __name__ == "__main__":
    sys.exit(main())
