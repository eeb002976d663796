"""Directories for raw files."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

from reiterate.errors import SettingsError


def below_tmpdir(place: str, dataset: str) -> Path:
    """Return a directory for a dataset of the database at *place*, below that of temporary files (``TMPDIR``)."""
    digest = hashlib.sha256(f"{place}/{dataset}".encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"reiterate-{digest}.spool"


def make(directory: Path, *, hint: str = "Let TMPDIR name a directory that you may write.") -> None:
    """
    Make *directory* anew; whoever wrote there must be dead.

    :raises SettingsError: when it cannot be made
    """
    shutil.rmtree(directory, ignore_errors=True)
    try:
        directory.mkdir(mode=0o700)
    except OSError as error:
        raise SettingsError(
            "The directory for raw files cannot be made.", hint=hint, directory=directory, reason=error.strerror
        ) from error
