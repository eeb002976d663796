"""
Whole processes, timed from outside: seconds from start to end, and the peak memory of the tree of processes.

Memory is looked at every 20 ms: the resident sets of the tree together, or the peak that the system notes for any one
process of it, whichever is more. What a database server holds, which no process of the tree started, is not in it.
(What ``wait4`` tells is of no use here: it begins with the size of the process that started the command.)
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SAMPLE_S = 0.02
DISK_EVERY = 10
"""The disk is looked at in so many looks once."""

MB = 1e6

Command = list[str]
Pipeline = list[Command]
"""Commands that run at the same time, each reading what the one before it writes."""


@dataclass(frozen=True)
class Spent:
    """
    What a job took; *disk_mb* is the most that lay in the directories that were watched.

    A job that took longer than it may was *stopped*.
    """

    seconds: float
    peak_mb: float
    disk_mb: float = 0.0
    stopped: bool = False


class JobError(Exception):
    """A process of a job ended with another status than 0."""


def spend(
    job: Sequence[Pipeline],
    directory: Path,
    environ: Mapping[str, str] | None = None,
    *,
    watch: str = "",
    limit_s: float | None = None,
) -> Spent:
    """
    Run the pipelines of *job* one after the other in *directory*, and return what that took.

    Directories that match the glob *watch* there are watched. What the processes say goes to the file ``log``. After
    *limit_s* they are killed, and the job ends.

    :raises JobError: with the end of the log
    """
    peak = _Peak(directory, watch)
    began, stopped = time.monotonic(), False
    with (directory / "log").open("wb") as log:
        for pipeline in job:
            left_s = None if limit_s is None else max(limit_s - (time.monotonic() - began), 0)
            stopped = stopped or _run(
                pipeline, directory, {**os.environ, **(environ or {})}, peak, log.fileno(), left_s
            )
    return Spent(time.monotonic() - began, peak.rss_mb, peak.disk_mb, stopped)


def _run(
    pipeline: Pipeline, directory: Path, environ: Mapping[str, str], peak: _Peak, log: int, limit_s: float | None
) -> bool:
    """Run one pipeline; return whether it had to be stopped."""
    processes: list[subprocess.Popen[bytes]] = []
    for number, command in enumerate(pipeline):
        processes.append(
            subprocess.Popen(
                command,
                cwd=directory,
                env=environ,
                stdin=processes[-1].stdout if processes else subprocess.DEVNULL,
                stdout=subprocess.PIPE if number + 1 < len(pipeline) else subprocess.DEVNULL,
                stderr=log,
            )
        )
        first = processes[number - 1].stdout if number else None
        if first is not None:
            first.close()  # only the reader holds the pipe, so that its end is seen
    with peak.watching([process.pid for process in processes]):
        try:
            for process in processes:
                process.wait(limit_s)
        except subprocess.TimeoutExpired:
            for process in processes:
                process.kill()
                process.wait()
            return True
    if failed := [process for process in processes if process.returncode]:
        said = (directory / "log").read_text(encoding="utf-8", errors="replace")[-2000:]
        raise JobError(f"{failed[0].args!r} ended with {failed[0].returncode}:\n{said}")
    return False


@dataclass
class _Peak:
    """The most that was seen, sampled by a thread."""

    directory: Path
    watch: str
    rss_mb: float = 0.0
    disk_mb: float = 0.0
    _over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def watching(self, pids: Sequence[int]) -> Iterator[None]:
        self._over.clear()
        thread = threading.Thread(target=self._sample, args=(pids,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _sample(self, pids: Sequence[int]) -> None:
        look = 0
        while not self._over.wait(SAMPLE_S):
            seen = [_memory_kb(pid) for pid in _tree(pids)]
            most = max(sum(now for now, _ in seen), max((peak for _, peak in seen), default=0))
            self.rss_mb = max(self.rss_mb, most * 1024 / MB)
            if self.watch and look % DISK_EVERY == 0:
                self.disk_mb = max(self.disk_mb, sum(map(size_bytes, self.directory.glob(self.watch))) / MB)
            look += 1


def _tree(pids: Sequence[int]) -> Iterator[int]:
    for pid in pids:
        yield pid
        with suppress(OSError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                yield from _tree([int(child) for child in (task / "children").read_text(encoding="ascii").split()])


def _memory_kb(pid: int) -> tuple[int, int]:
    """Return the resident set of a process, and its peak."""
    with suppress(OSError, ValueError):
        lines = dict(
            line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
        )
        return tuple(int(lines.get(name, "0 kB").split()[0]) for name in ("VmRSS", "VmHWM"))  # type: ignore[return-value]
    return 0, 0


def size_bytes(path: Path) -> int:
    """Return the size of a file, or of all files of a directory; nothing if it has just gone."""
    with suppress(OSError):
        return sum(map(size_bytes, path.iterdir())) if path.is_dir() else path.stat().st_size
    return 0
