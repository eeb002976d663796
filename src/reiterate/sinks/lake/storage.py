"""Where the files of a dataset lie. Names of files and directories are those below its root, with slashes."""

from __future__ import annotations

import os
import shutil
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from reiterate.sinks.making import sync

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

OWN = "_reiterate"
STAGED, FRESH_FILES = f"{OWN}/staged", f"{OWN}/new"


class Storage(ABC):
    """The directory of a dataset: on a disk, or in a bucket."""

    ERRORS: ClassVar[tuple[type[Exception], ...]] = (OSError,)

    @property
    @abstractmethod
    def dataset(self) -> str:
        """The name of the directory."""

    @property
    def options(self) -> Mapping[str, str]:
        """What the libraries of formats need besides a URL."""
        return {}

    @abstractmethod
    def url(self, name: str) -> str:
        """Return what a file or directory is called by people and the libraries of formats."""

    def read_by(self, name: str) -> str:
        """Return what DuckDB calls a file."""
        return self.url(name)

    @abstractmethod
    def has(self, name: str) -> bool:
        """Return whether a file is there."""

    @abstractmethod
    def has_directory(self, name: str) -> bool:
        """Return whether a directory is there; one in a bucket is if it has a file."""

    @abstractmethod
    def names(self, directory: str) -> list[str]:
        """Return the names of the files in a directory, without it."""

    @abstractmethod
    def size(self, name: str) -> int:
        """Return how many bytes a file has."""

    @abstractmethod
    def bring(self, file: Path, name: str) -> None:
        """Let a file that was written aside be there under its name, and outlive the power."""

    @abstractmethod
    def move(self, name: str, other: str) -> None:
        """Give a file another name; a file that has it already is replaced at once."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""

    @abstractmethod
    def clear(self, directory: str) -> None:
        """Remove a directory, if it is there, with all that is in it."""

    def make(self, directory: str) -> None:  # noqa: B027 (in a bucket, files make it)
        """Make a directory that may be there."""

    def sync(self, name: str) -> None:  # noqa: B027 (what is in a bucket is there)
        """Let a file, or the names in a directory, outlive the power."""


class Local(Storage):
    """A directory of a file system."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __repr__(self) -> str:
        return f"Local({self.root})"

    @property
    def dataset(self) -> str:
        return self.root.name

    def url(self, name: str) -> str:
        return str(self.root / name)

    def has(self, name: str) -> bool:
        return (self.root / name).exists()

    def has_directory(self, name: str) -> bool:
        return (self.root / name).is_dir()

    def names(self, directory: str) -> list[str]:
        path = self.root / directory
        return [each.name for each in path.iterdir() if each.is_file()] if path.is_dir() else []

    def size(self, name: str) -> int:
        return (self.root / name).stat().st_size

    def bring(self, file: Path, name: str) -> None:
        # it was written there
        if file != self.root / name:
            os.replace(file, self.root / name)  # noqa: PTH105 (the atomic one, by its name)
        self.sync(name)

    def move(self, name: str, other: str) -> None:
        os.replace(self.root / name, self.root / other)  # noqa: PTH105 (the atomic one, by its name)

    def remove(self, name: str) -> None:
        (self.root / name).unlink(missing_ok=True)

    def clear(self, directory: str) -> None:
        shutil.rmtree(self.root / directory, ignore_errors=True)

    def make(self, directory: str) -> None:
        (self.root / directory).mkdir(parents=True, exist_ok=True)

    def sync(self, name: str) -> None:
        sync(self.root / name)
