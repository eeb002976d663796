"""
Export jobs: started, enqueued, run four at a time, their files behind signed links on another host (FACTS.md 8.5).

    enqueued ─► running ─► completed | failed | cancelled
        ▲──────────┘ now and then: it keeps its files and goes on

Time passes when somebody looks.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from reiterate.simulator import routes
from reiterate.simulator.routes import Answer, Stream

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reiterate.simulator.options import Fault, ServerOptions
    from reiterate.simulator.routes import Reply
    from reiterate.simulator.world import World

AT_A_TIME = 4
"""Of an organisation (swagger, startExport)."""
FIRST_ID = 9_900_001
EXPIRED = "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
FORBIDDEN = "<Error><Code>SignatureDoesNotMatch</Code></Error>"


@dataclass
class Job:
    """One job; *shown* of its *files* can be seen."""

    job_id: int
    data_type: str
    params: Mapping[str, str]
    fault: Fault | None
    state: str = "enqueued"
    began_at: float | None = None
    restarted: bool = False
    truncated: bool = False
    files: dict[str, bytes] = field(default_factory=dict)
    shown: int = 0
    asked_at: float = 0.0
    ended_at: float = 0.0

    @property
    def row(self) -> dict[str, Any]:
        """The job as lists of jobs have it; times with the server's own offset (FACTS.md 7.2)."""
        row: dict[str, Any] = {
            "id": self.job_id,
            "dataTypeName": self.data_type,
            "jobState": self.state,
            "scheduledStartTime": _local(self.asked_at),
            "bytesExported": sum(map(len, self.files.values())),
        }
        return row | ({"endTime": _local(self.ended_at)} if self.ended_at else {})

    @property
    def final(self) -> bool:
        return self.state in {"completed", "failed", "cancelled"}


class Jobs:
    """All jobs of a project, and the storage host that has their files."""

    def __init__(self, world: World, options: ServerOptions) -> None:
        self._world = world
        self._options = options
        self._secret = f"{options.seed}-{options.api_key}"
        self.storage_url = ""
        self.all: dict[int, Job] = {}

    def start(self, document: Any, fault: Fault | None, *, now: float) -> Reply:  # noqa: ANN401 (JSON is any)
        """Swagger: POST /api/export/start; *now* is epoch seconds."""
        if not isinstance(document, dict) or not isinstance(document.get("dataTypeName"), str):
            return routes.error(400, "[/api/export/start] Invalid JSON body", "BadJsonBody")
        params = {name: str(value) for name, value in document.items()}
        data_type = routes.data_type_of(params, self._world)
        routes.range_of(params, now)  # a wrong one is refused now, not when the job runs
        if params.get("outputFormat", "application/x-json-stream") != "application/x-json-stream":
            raise routes.WrongParameter("This simulator exports application/x-json-stream alone")
        job = Job(FIRST_ID + len(self.all), data_type, params, fault, asked_at=now)
        self.all[job.job_id] = job
        self._advance(now)
        return Answer({"jobId": job.job_id})

    def list(self, state: str, *, now: float) -> Reply:
        """Swagger: GET /api/export/jobs."""
        self._advance(now)
        return Answer(
            {"jobs": [job.row for job in reversed(self.all.values()) if not state or job.state == state.lower()]}
        )

    def files(self, job_id: int, after: str, *, now: float) -> Reply:
        """Swagger: GET /api/export/{jobId}/files."""
        self._advance(now)
        if (job := self.all.get(job_id)) is None:
            return routes.error(400, f"Export job {job_id} does not exist", "BadParams")
        names = [name for name in sorted(job.files)[: job.shown] if name > after]
        return Answer(
            {
                "jobId": job_id,
                "jobState": job.state,
                "exportTruncated": job.truncated and job.final,
                "files": [{"file": name, "url": self._link(job, name)} for name in names[: self._options.job_page]],
            }
        )

    def cancel(self, job_id: int) -> Reply:
        """Swagger: DELETE /api/export/{jobId}."""
        if (job := self.all.get(job_id)) is None or job.final:
            return routes.error(400, f"Export job {job_id} is not running", "BadParams")
        job.state = "cancelled"
        return Answer({"msg": "", "code": "Success", "params": None})

    # ── the storage host ─────────────────────────────────────────────────────────────────────────────────────────────

    def _link(self, job: Job, name: str) -> str:
        expires = int(time.time() + self._options.link_seconds)
        path = f"/storage/{job.job_id}/{name}"
        return f"{self.storage_url}{path}?X-Expires={expires}&X-Signature={self._signature(path, str(expires))}"

    def _signature(self, path: str, expires: str) -> str:
        return hashlib.sha256(f"{self._secret}{path}{expires}".encode()).hexdigest()

    def stored(self, path: str, params: Mapping[str, str], *, expired: bool) -> Reply:
        """Return the file behind a signed link."""
        expires = params.get("X-Expires", "0")
        if params.get("X-Signature") != self._signature(path, expires):
            return Answer(FORBIDDEN, 403, "application/xml")
        if expired or time.time() >= int(expires):
            return Answer(EXPIRED, 403, "application/xml")
        _, _, job_id, name = path.split("/")
        return Stream(iter([self.all[int(job_id)].files[name]]), "application/octet-stream")

    @staticmethod
    def refused(status: int) -> Reply:
        """Return what a storage host says of a link whose credentials have run out, or of a file that is gone."""
        code = {400: "ExpiredToken", 404: "NoSuchKey"}.get(status, "AccessDenied")
        return Answer(f"<Error><Code>{code}</Code></Error>", status, "application/xml")

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _advance(self, now: float) -> None:
        running = [job for job in self.all.values() if job.state == "running"]
        for job in running:
            self._run(job)
        for job in running:
            if job.final:
                job.ended_at = now
        places = AT_A_TIME - sum(job.state == "running" for job in running)
        waiting = sorted(
            (job for job in self.all.values() if job.state == "enqueued"), key=lambda job: (job.restarted, job.job_id)
        )
        for job in waiting[: max(places, 0)]:
            job.state, job.began_at = "running", time.monotonic()
            if not job.files:
                self._export(job, now)
            self._run(job)

    def _export(self, job: Job, now: float) -> None:
        """Take what the project has now."""
        start, end = routes.range_of(job.params, now)
        lines, size_bytes = [], 0
        for full in routes.lines_of(self._world, job.data_type, start, end, now=now):
            line = routes.chosen_fields(full, job.params)
            size_bytes += len(line)
            if size_bytes > self._options.job_limit_bytes:
                job.truncated = True
                break
            lines.append(line)
        if job.fault and job.fault.kind == "job_truncated":
            job.truncated = True
            lines = lines[: len(lines) // 2]
        for number, content in enumerate(_files(lines, self._options.job_file_bytes)):
            job.files[f"file-{1_774_430_000_000 + number}.json"] = content

    def _run(self, job: Job) -> None:
        share = min((time.monotonic() - (job.began_at or 0.0)) / max(self._options.job_seconds, 1e-9), 1.0)
        job.shown = max(job.shown, int(share * len(job.files)))
        kind = job.fault.kind if job.fault else ""
        if kind == "job_fails" and share >= 0.5:
            job.state = "failed"
        elif kind == "job_restarts" and share >= 0.5 and not job.restarted:
            job.state, job.restarted = "enqueued", True
        elif share >= 1.0 and not (kind == "job_hangs" and self._hangs(job)):
            job.state = "completed"

    def _hangs(self, job: Job) -> bool:
        seconds = job.fault.seconds if job.fault else 0.0
        return time.monotonic() - (job.began_at or 0.0) < self._options.job_seconds + seconds


def _local(epoch_s: float) -> str:
    return datetime.fromtimestamp(epoch_s, timezone(timedelta(hours=-6))).isoformat(timespec="milliseconds")


def _files(lines: list[bytes], size_bytes: int) -> Iterator[bytes]:
    """Yield *lines* in files of at most *size_bytes*, unless a line alone is longer."""
    content = b""
    for line in lines:
        if content and len(content) + len(line) > size_bytes:
            yield content
            content = b""
        content += line
    if content:
        yield content
