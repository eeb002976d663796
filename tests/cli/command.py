"""Running the command line as a person does: a process of its own, in a directory of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.conftest import KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reiterate.simulator import Simulator


@dataclass(frozen=True)
class Ended:
    status: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return self.out + self.err


def reiterate(*arguments: str, simulator: Simulator | None = None, **environ: str) -> Ended:
    """Run ``reiterate`` with *arguments*, with key and address of *simulator* in the environment."""
    reach = {"ITERABLE_API_KEY": KEY, "ITERABLE_BASE_URL": simulator.url} if simulator else {}
    done = subprocess.run(
        [sys.executable, "-m", "reiterate", *arguments],
        env={**os.environ, "REITERATE_RATE_LIMIT_FACTOR": "1000000", **reach, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "Traceback" not in done.stderr
    return Ended(done.returncode, done.stdout, done.stderr)


@contextmanager
def beside(*command: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Run *command* while the block runs; whatever happens there, the process ends with it."""
    with subprocess.Popen(command, text=True, **options) as process:
        try:
            yield process
        finally:
            process.kill()
