"""
Virtual environments of the peers and tools, made on first use below ``.bench``, from the versions in ``pinned``.

They are no dependencies of the project. The peers' packages name Iterable's address in their code; in the installed
copy it is replaced by the address of a server on this machine.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.figures import CACHE, HERE

PYTHON = shutil.which("python3.11") or sys.executable
"""What the pinned versions were chosen for, or else what there is."""

ADDRESS = re.compile(r"https://api(?:\.eu)?\.iterable\.com|http://127\.0\.0\.1:\d+")


class NotThere(Exception):
    """An environment cannot be made here."""


def environment(name: str) -> Path:
    """
    Return the directory of the commands of *name*, with the versions of ``pinned/name.txt``.

    :raises NotThere: when they cannot be installed
    """
    directory, pinned = CACHE / "environments" / name, HERE / "pinned" / f"{name}.txt"
    ready = directory / "ready"
    if not ready.exists() or ready.read_text(encoding="utf-8") != pinned.read_text(encoding="utf-8"):
        shutil.rmtree(directory, ignore_errors=True)
        print(f"installing {name} …", file=sys.stderr)
        for command in (
            [PYTHON, "-m", "venv", str(directory)],
            [str(directory / "bin" / "python"), "-m", "pip", "install", "--quiet", "--requirement", str(pinned)],
        ):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
                raise NotThere(f"{name} cannot be installed by {Path(PYTHON).name}. {errors[-1] if errors else ''}")
        shutil.copyfile(pinned, ready)
    return directory / "bin"


def version_of(name: str) -> str:
    """Return the version of the package *name* that is pinned."""
    lines = (HERE / "pinned" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    package = PACKAGES.get(name, name)
    return next(line.partition("==")[2] for line in lines if line.startswith(f"{package}=="))


PACKAGES = {"target-postgres": "meltanolabs-target-postgres"}
"""Where an environment has not the name of the package that it is for."""


def redirect(name: str, package: str, address: str) -> None:
    """Let the installed *package* of the environment *name* ask *address* instead of Iterable."""
    (directory,) = (CACHE / "environments" / name).glob(f"lib/python*/site-packages/{package}")
    for file in (*directory.rglob("*.py"), *directory.rglob("*.yaml")):
        text = file.read_text(encoding="utf-8")
        if (changed := ADDRESS.sub(address, text)) != text:
            file.write_text(changed, encoding="utf-8")
    # compiled copies are told apart by size and second
    for compiled in directory.rglob("__pycache__"):
        shutil.rmtree(compiled)
