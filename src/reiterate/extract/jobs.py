"""
The jobs lane: Iterable exports one window in the background, into files that are fetched as they appear.

    POST /api/export/start ─► job ─► GET /api/export/{id}/files ─► links ─► storage host
                                            ▲──── until it is final ────┘

Facts about jobs: FACTS.md 8.5.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol

from reiterate.api import NOTHING, Downloaded, NotAnAnswer
from reiterate.errors import (
    ExportCut,
    Forbidden,
    GatewayError,
    IncompleteRead,
    JobsRefused,
    LinkExpired,
    SourceError,
    SpoolError,
    Unreachable,
)
from reiterate.extract.exports import rewriting, wanted_fields, window_params
from reiterate.flow import Job
from reiterate.windows import Window

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from reiterate.api import Caller, Rewrite
    from reiterate.catalog.model import Export
    from reiterate.flow import Task

START = "/api/export/start"
JOB_TRIES = 3
"""Jobs fail at random and succeed on another try."""
LINK_TRIES = 5
"""How often a file is fetched that breaks off, or whose link is too old; a link that is refused is renewed once."""
MOST_FILES = 100_000
"""Jobs have at most 100 GB, in files of about 10 MB."""
FIRST_POLL_S, LONGEST_POLL_S = 3.0, 60.0
"""Pauses before looks at a job that has nothing new, doubling: looks are as rare as starts, one a second."""
PATIENCE_S = 6 * 3600.0
"""A job that shows nothing new for so long is given up, and its window read in halves."""

NOT_OFFERED = {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED}
"""What gateways and servers say of a method that they do not have."""

COMPLETED, GONE = "completed", {"failed", "cancelled", "cancelling"}


class JobBook(Protocol):
    """Where jobs are noted that exist at Iterable, so that a later run can go on with them."""

    def keep(self, job: Job) -> None:
        """Note *job*, at once and for good; called from any thread."""

    def forget(self, job: Job) -> None:
        """Strike out *job*: nothing can be had from it any more."""


def fetch(task: Task, read: Export, caller: Caller, target: Path, *, book: JobBook) -> tuple[Downloaded, Job]:
    """
    Write the rows of the task's window to *target*; return how much that is, and the job that it came from.

    Goes on with the job that *task* has, if there is one; else starts one.

    :raises JobsRefused: when the key may not start export jobs
    :raises ExportCut: when the job was truncated or shows nothing; a smaller window may pass
    :raises SourceError: when jobs fail in every try
    """
    with caller.client.pacer.job_place(caller.listener.waiting):
        return _fetch(task, read, caller, target, book)


def _fetch(task: Task, read: Export, caller: Caller, target: Path, book: JobBook) -> tuple[Downloaded, Job]:
    job = task.job
    state = ""
    for _ in range(JOB_TRIES):
        adopted = job is not None and job is task.job
        if job is None:
            job = _start(task, read, caller)
            book.keep(job)
            _pause(job, "started", caller, FIRST_POLL_S)
        try:
            state, arrived = _collect(job, caller, target, rewriting(task))
        except SourceError as error:
            if isinstance(error, Unreachable | GatewayError) or _status(error) >= HTTPStatus.TOO_MANY_REQUESTS:
                raise  # the job goes on; so may the next run
            if not adopted or _status(error) not in {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND}:
                give_up(job, caller, book)
                raise
            state = str(error)  # a job of an earlier run that Iterable no longer knows
        if state == COMPLETED:
            return arrived, job
        book.forget(job)
        job = None
    raise SourceError("Export jobs of this window did not complete.", window=task.scope, state=state, tries=JOB_TRIES)


def _start(task: Task, read: Export, caller: Caller) -> Job:
    if not isinstance(task.scope, Window):
        message = f"an export is read by windows, not by {task.scope}"
        raise TypeError(message)
    wanted = {**window_params(read, task.scope), **wanted_fields(task), "outputFormat": "application/x-json-stream"}
    try:
        job_id = caller.json(START, method="POST", document=wanted, form=job_id_of)
    except SourceError as error:
        if isinstance(error, Forbidden) or _status(error) in NOT_OFFERED:
            raise JobsRefused(**error.facts) from error
        raise
    return Job(job_id, task.table.name, task.scope, caller.read_at, task.shape.asked)


def job_id_of(answer: Any) -> int:  # noqa: ANN401 (JSON is any)
    """
    Return the id of the job that was started.

    :raises NotAnAnswer: when none was
    """
    job_id = answer.get("jobId") if isinstance(answer, dict) else None
    if not isinstance(job_id, int) or isinstance(job_id, bool):
        raise NotAnAnswer("An answer has no `jobId`.")
    return job_id


def give_up(job: Job, caller: Caller, book: JobBook) -> None:
    """Cancel a job of ours that nobody waits for: it takes one of the four places of the organisation."""
    book.forget(job)
    try:
        caller.json(f"/api/export/{job.job_id}", method="DELETE", form=lambda _: None)
    except SourceError:
        return  # it is over, then


def _status(error: SourceError) -> int:
    return int(error.facts.get("status", 0))


def _collect(job: Job, caller: Caller, target: Path, rewrite: Rewrite | None) -> tuple[str, Downloaded]:
    """Fetch the files of *job* until it is final; return its state and what arrived."""
    files = _Files(job, caller, target, rewrite)
    poll_s, idle_s = FIRST_POLL_S, 0.0
    while True:
        state, fresh = files.look()
        if state in GONE:
            return state, NOTHING
        if state == COMPLETED and not fresh:
            if files.seen_before_completion:
                files.look_again()
            return state, files.had
        if fresh:
            poll_s, idle_s = FIRST_POLL_S, 0.0
            continue
        if idle_s >= PATIENCE_S:
            raise ExportCut("An export job shows nothing new.", job=job.job_id, state=state, hours=PATIENCE_S / 3600)
        _pause(job, state, caller, poll_s)
        idle_s += poll_s
        poll_s = min(2 * poll_s, LONGEST_POLL_S)


def _pause(job: Job, state: str, caller: Caller, seconds: float) -> None:
    caller.client.pacer.pause(seconds, f"export job {job.job_id} is {state}", caller.listener.waiting, exact=False)


@dataclass
class _Files:
    """The files of one job, appended to *target* as they appear."""

    job: Job
    caller: Caller
    target: Path
    rewrite: Rewrite | None
    names: set[str] = field(default_factory=set)
    last: str = ""
    had: Downloaded = NOTHING
    seen_before_completion: bool = False

    def __post_init__(self) -> None:
        self.target.write_bytes(b"")

    def look(self) -> tuple[str, bool]:
        """
        Fetch the next page of files; return the state of the job, and whether there were any.

        :raises IncompleteRead: when there is no end of files
        """
        page = self._page(self.last)
        found = [(name, link) for name, link in page.files if name not in self.names]
        for name, link in found:
            self._append(name, link)
        self.last = page.files[-1][0] if page.files else self.last
        self.seen_before_completion |= bool(found) and page.state != COMPLETED
        if len(self.names) > MOST_FILES:
            raise IncompleteRead("An export job has files without end.", job=self.job.job_id, files=MOST_FILES)
        return page.state, bool(found)

    def look_again(self) -> None:
        """Fetch what a job that is complete lists besides: a file may have appeared before ones that had been seen."""
        self.last = ""
        passed: set[str] = set()
        while self.last not in passed:
            passed.add(self.last)
            self.look()

    def _page(self, after: str) -> _Page:
        path = f"/api/export/{self.job.job_id}/files"
        page = self.caller.json(path, {"startAfter": after} if after else {}, form=self._page_of)
        if page.truncated:
            raise ExportCut("An export was truncated by Iterable for its size.", job=self.job.job_id)
        return page

    def _page_of(self, answer: Any) -> _Page:  # noqa: ANN401 (JSON is any)
        if not isinstance(answer, dict) or not isinstance(answer.get("jobState"), str):
            raise NotAnAnswer("An answer does not tell the state of an export job.")
        if answer.get("jobId", self.job.job_id) != self.job.job_id:
            raise NotAnAnswer("An answer is about another export job.")
        return _Page(answer["jobState"].lower(), bool(answer.get("exportTruncated")), [*_links(answer)])

    def _append(self, name: str, link: str) -> None:
        arrived = self._download(name, link)
        self.had = Downloaded(self.had.rows + arrived.rows, self.had.size_bytes + arrived.size_bytes)
        self.names.add(name)

    def _download(self, name: str, link: str) -> Downloaded:
        part = self.target.with_suffix(".part")
        error: SourceError | None = None
        for _ in range(LINK_TRIES):
            try:
                arrived = self.caller.follow(link, part, after=self.had, rewrite=self.rewrite)
            except (LinkExpired, ExportCut) as refused:
                if isinstance(error, LinkExpired) and isinstance(refused, LinkExpired) and not _too_old(refused):
                    raise  # a new link is refused, too
                error = refused
                link = self._renewed(name)
            else:
                if part.stat().st_size != arrived.size_bytes:
                    raise SpoolError("A raw file was changed by somebody else.", file=part)
                added = 0 if _ends_line(part) else 1
                with part.open("rb") as file, self.target.open("ab") as target:
                    shutil.copyfileobj(file, target)
                    target.write(b"\n" * added)
                part.unlink()
                return Downloaded(arrived.rows, arrived.size_bytes + added)
        if isinstance(error, LinkExpired):
            raise error
        raise ExportCut(
            "A file of an export job could not be fetched.", job=self.job.job_id, file=name, tries=LINK_TRIES
        )

    def _renewed(self, name: str) -> str:
        """Return a new link to the file *name*: each look at a page makes new ones."""
        after = ""
        passed: set[str] = set()
        while after not in passed and (links := dict(self._page(after).files)):
            if name in links:
                return links[name]
            passed.add(after)
            *_, after = links
        raise IncompleteRead("An export job no longer lists one of its files.", job=self.job.job_id, file=name)


@dataclass(frozen=True)
class _Page:
    """What one look at a job shows: its state, whether Iterable truncated it, and files by name and link."""

    state: str
    truncated: bool
    files: list[tuple[str, str]]


def _links(page: dict[str, Any]) -> Iterator[tuple[str, str]]:
    files = page.get("files")
    if not isinstance(files, list):
        raise NotAnAnswer("An answer does not list the files of an export job.")
    for file in files:
        if not isinstance(file, dict) or not isinstance(file.get("file"), str) or not isinstance(file.get("url"), str):
            raise NotAnAnswer("An answer lists a file of an export job without name or link.")
        yield file["file"], file["url"]


def _too_old(error: LinkExpired) -> bool:
    """Return whether the storage host says that the time of a link is over, and refuses it for nothing else."""
    return error.facts.get("status") == HTTPStatus.FORBIDDEN and "expired" in str(error.facts.get("iterable_says"))


def _ends_line(file: Path) -> bool:
    size_bytes = file.stat().st_size
    if not size_bytes:
        return True
    with file.open("rb") as lines:
        lines.seek(size_bytes - 1)
        return lines.read(1) == b"\n"
