"""
What the processes of this machine tell each other of their requests: a small file for each key, and locks.

Iterable counts requests, whoever made them and however the run ended: a sync that failed, a dry run and a test of the
connection, too. The file is named after the SHA-256 of the key, holds no key, and is readable by its owner alone.
Instants are those of the monotonic clock, which all processes of a machine share, and which does not jump; one that
lies ahead, as after a restart of the machine, counts as now.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import stat
import sys
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MOST_BYTES = 1 << 20
"""The stamps of all limits are a few kilobytes; a larger file is not ours."""
MOST_RUNS = 50
FLAGS = os.O_RDWR | os.O_CREAT
if sys.platform != "win32":
    FLAGS |= os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
"""A pipe in the place of the file is an error, and nothing to wait for."""
OWNER_ALONE = 0o600


class Damaged(ValueError):
    """The file does not hold what we write."""


class Held(OSError):
    """Another process has the file locked right now."""


@dataclass
class Noted:
    """
    What a file holds: for each limit, by its name, when each request counts from; and the runs that wrote it.

    *damaged* says that it held something else, which is not known any more.
    """

    requests: dict[str, dict[str, float]] = field(default_factory=dict)
    runs: list[str] = field(default_factory=list)
    damaged: bool = False

    @classmethod
    def of(cls, text: bytes) -> Noted:
        try:
            return cls.parsed(text) if text.strip() else cls()
        except (ValueError, RecursionError):
            return cls(damaged=True)

    @classmethod
    def parsed(cls, text: bytes) -> Noted:
        """
        Return what the first line holds.

        :raises ValueError: when it is none of ours
        """
        found = json.loads(text.partition(b"\n")[0])
        if not isinstance(found, dict) or not isinstance(found.get("requests"), dict):
            raise Damaged
        requests: dict[str, dict[str, float]] = {}
        for name, stamps in found["requests"].items():
            if not isinstance(stamps, dict) or not all(map(_is_instant, stamps.values())):
                raise Damaged
            requests[name] = {request: float(stamp) for request, stamp in stamps.items()}
        runs = found.get("runs")
        if not isinstance(runs, list) or not all(isinstance(run, str) for run in runs):
            raise Damaged
        return cls(requests, runs[-MOST_RUNS:])

    def text(self) -> bytes:
        return json.dumps({"requests": self.requests, "runs": self.runs[-MOST_RUNS:]}).encode() + b"\n"


def _is_instant(found: object) -> bool:
    return isinstance(found, int | float) and not isinstance(found, bool) and math.isfinite(found)


class Shared:
    """The file of one key in *directory*; may be used by several threads and processes."""

    def __init__(self, directory: Path, key: str) -> None:
        self._directory = directory
        self._name = sha256(key.encode()).hexdigest()

    @contextlib.contextmanager
    def opened(self) -> Iterator[Noted]:
        """
        Lock the file, hand out what it holds, and write what has become of that.

        :raises Held: when another process has it locked
        :raises OSError: when it cannot be read or written
        """
        with self._locked(f"{self._name}.json") as file:
            before = _read(file)
            noted = Noted.of(before)
            yield noted
            if (text := noted.text()) != before:
                # at once, so that no process that dies leaves a half; what was longer stands behind the first line
                os.lseek(file, 0, os.SEEK_SET)
                if os.write(file, text) != len(text):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.ftruncate(file, len(text))

    @contextlib.contextmanager
    def place(self, of: int) -> Iterator[None]:
        """
        Hold one of so many places, which a process that dies lets go.

        :raises Held: when all are taken
        :raises OSError: when there can be none
        """
        with contextlib.ExitStack() as held:
            for number in range(of):
                with contextlib.suppress(Held):
                    held.enter_context(self._locked(f"{self._name}.job{number}"))
                    break
            else:
                raise Held
            yield

    @contextlib.contextmanager
    def _locked(self, name: str) -> Iterator[int]:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(self._directory / name, FLAGS, OWNER_ALONE)
        try:
            mode = os.fstat(file).st_mode
            if not stat.S_ISREG(mode):
                raise OSError(errno.EINVAL, "no file is in its place")
            _lock(file)
            if sys.platform != "win32" and mode & 0o077:
                os.fchmod(file, OWNER_ALONE)
            yield file
        finally:
            # which ends the lock, too
            os.close(file)


def _read(file: int) -> bytes:
    text = b""
    os.lseek(file, 0, os.SEEK_SET)
    while len(text) <= MOST_BYTES and (more := os.read(file, 1 << 16)):
        text += more
    return text


def _lock(file: int) -> None:
    try:
        if sys.platform == "win32":
            # a byte that no content reaches, for a lock keeps others from reading there
            os.lseek(file, 2 * MOST_BYTES, os.SEEK_SET)
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError) as error:
        raise Held from error


def state_directory(environ: Mapping[str, str], home: Path) -> Path:
    """Return where the state of programs lies: ``XDG_STATE_HOME``, or what the system has for it."""
    for name in ("XDG_STATE_HOME", "LOCALAPPDATA") if sys.platform == "win32" else ("XDG_STATE_HOME",):
        # a relative one is to be ignored, by the specification of XDG
        if (directory := Path(environ.get(name, ""))).is_absolute():
            return directory / "reiterate"
    if sys.platform == "darwin":
        return home / "Library" / "Application Support" / "reiterate"
    return home / ".local" / "state" / "reiterate"
