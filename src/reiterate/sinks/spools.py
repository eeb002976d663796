"""
Directories for raw files: one for each run, named after it, beside those of others that may be under way.

    reiterate-5f0c2a9177d0e1f2.spool/         of a dataset
        8d7c3a10….lock                        locked as long as the run lives, by the operating system
        8d7c3a10…/000001.ndjson

Whoever makes one removes those of runs that are dead. A lock that no longer holds in the database cannot cost a run
its raw files then.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import tempfile
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from reiterate.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

try:
    import fcntl
except ImportError:  # on Windows, where a file that is open cannot be removed
    fcntl = None  # type: ignore[assignment]


LOCK = ".lock"


def below_tmpdir(place: str, dataset: str) -> Path:
    """Return the directory of a dataset of the database at *place*, below that of temporary files (``TMPDIR``)."""
    digest = hashlib.sha256(f"{place}/{dataset}".encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"reiterate-{digest}.spool"


class RawFiles:
    """
    The directory *path* for the raw files of a run, which exists until it is removed.

    :raises SettingsError: when it cannot be made
    """

    def __init__(
        self, base: Path, run_id: str, *, hint: str = "Let TMPDIR name a directory that you may write."
    ) -> None:
        try:
            _make_private(base)
            self.path, self._lock = next(_places(base, run_id))
            _sweep(base)
            self.path.mkdir(mode=0o700)
        except OSError as error:
            raise SettingsError(
                "The directory for raw files cannot be made.", hint=hint, directory=base, reason=error.strerror
            ) from error

    def remove(self) -> None:
        """Remove the directory, and that of the dataset if no other run has one there."""
        shutil.rmtree(self.path, ignore_errors=True)
        with contextlib.suppress(OSError):
            _lock_of(self.path).unlink(missing_ok=True)
        os.close(self._lock)
        with contextlib.suppress(OSError):
            _lock_of(self.path).unlink(missing_ok=True)
            self.path.parent.rmdir()


def _make_private(base: Path) -> None:
    base.mkdir(mode=0o700, exist_ok=True)
    found = base.lstat()
    if not stat.S_ISDIR(found.st_mode) or (hasattr(os, "getuid") and found.st_uid != os.getuid()):
        raise PermissionError(None, "it belongs to somebody else")


def _places(base: Path, run_id: str) -> Iterator[tuple[Path, int]]:
    """Yield a directory that nobody uses, and the lock on it: a run may load into two datasets of one file."""
    for number in count(1):
        path = base / (run_id if number == 1 else f"{run_id}-{number}")
        base.mkdir(mode=0o700, exist_ok=True)
        if (lock := _locked(_lock_of(path))) is not None:
            yield path, lock


def _locked(file: Path) -> int | None:
    """Make *file* and return the lock on it, or nothing if somebody else holds it, or has just removed it."""
    try:
        lock = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    except FileNotFoundError:
        return None
    held = False
    try:
        if fcntl is not None:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        held = file.stat().st_ino == os.fstat(lock).st_ino
    except (BlockingIOError, FileNotFoundError):
        return None
    finally:
        if not held:
            os.close(lock)
    return lock if held else None


def _sweep(base: Path) -> None:
    """Remove what dead runs, and versions before 0.2.0, have left in *base*."""
    for path in base.iterdir():
        if path.name.endswith(LOCK):
            _sweep_run(path)
        elif not path.is_dir():
            path.unlink(missing_ok=True)
        elif not _lock_of(path).exists():
            shutil.rmtree(path, ignore_errors=True)


def _sweep_run(file: Path) -> None:
    """Remove the directory that belongs to the lock *file*, and that, unless the run lives."""
    directory = file.with_name(file.name.removesuffix(LOCK))
    if fcntl is None:
        with contextlib.suppress(OSError):
            file.unlink()
            shutil.rmtree(directory, ignore_errors=True)
    elif (lock := _locked(file)) is not None:
        shutil.rmtree(directory, ignore_errors=True)
        file.unlink(missing_ok=True)
        os.close(lock)


def _lock_of(path: Path) -> Path:
    return path.with_name(f"{path.name}{LOCK}")
