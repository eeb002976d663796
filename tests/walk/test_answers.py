"""Status 200 proves nothing: what is no answer is asked for again, then fails its table alone, which keeps its rows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

import reiterate
from reiterate.api import answers
from reiterate.flow import RunFinished, Status
from reiterate.simulator import Fault, ServerOptions, Simulator, WorldOptions
from tests import replica
from tests.cli.command import reiterate as command
from tests.conftest import KEY, settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE = "<!DOCTYPE html><title>Scheduled maintenance</title><p>We are back soon.</p>"
ERROR = '{"msg":"An error occurred.","code":"GenericError","params":null}'

# what replaces a table, or a part of one; by its table, what it reads
READS = {
    "users": "/api/users/getFields",
    "campaigns": "/api/campaigns",
    "child_campaigns": "/api/campaigns/recurring/*",
    "channels": "/api/channels",
    "lists": "/api/lists",
    "list_sizes": "/api/lists/*/size",
    "list_users": "/api/lists/getUsers",
    "metadata_tables": "/api/metadata",
    "metadata": "/api/metadata/stores/*",
    "templates": "/api/templates",
    "template_contents": "/api/templates/*/get",
    "campaign_metrics": "/api/campaigns/metrics",
    "experiment_metrics": "/api/experiments/metrics",
    "experiments": "/api/experiments",
    "experiment_variants": "/api/experiments/*/variants",
    "catalogs": "/api/catalogs",
    "catalog_items": "/api/catalogs/*/items",
    "catalog_fields": "/api/catalogs/*/fieldMappings",
    "journeys": "/api/journeys",
    "user_fields": "/api/users/getFields",
    "forgotten_users": "/api/users/forgotten",
    "export_jobs": "/api/export/jobs",
}

NO_JOBS = Fault("/api/export/start", "status", status=403)
NO_DOCUMENTS = [
    "",
    "[]",
    '"down"',
    "{}",
    "Scheduled maintenance",
    '{"msg":"Down","code":"Success","params":{}}',
    "[" * 9_999,
]
"""Of these one for each read, in turns, beside a page or an error object."""


@pytest.fixture(scope="module")
def world() -> Iterator[Simulator]:
    """A small brand that no test changes."""
    options = ServerOptions(api_key=KEY, job_seconds=0.05)
    with Simulator(WorldOptions(days=1, events_per_day=60, seed=11), options) as simulator:
        yield simulator


@pytest.fixture
def simulator(world: Simulator) -> Iterator[Simulator]:
    """The brand, with no fault but those of the test."""
    yield world
    world.set_faults([])


@pytest.fixture(scope="module")
def whole(world: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A replica of all that is tried here."""
    file = tmp_path_factory.mktemp("whole") / "replica.duckdb"
    assert Status.SUCCEEDED is sync(world, file, [*READS, "email_send"]).status
    return file


def sync(simulator: Simulator, file: Path, tables: list[str], **others: Any) -> RunFinished:
    *_, last = reiterate.sync(**settings(simulator, file, tables=tables, **others))
    assert isinstance(last, RunFinished)
    return last


def errors(last: RunFinished) -> set[str]:
    return {type(error).__name__ for table in last.tables for error in table.errors}


@pytest.mark.parametrize(("number", "table"), [*enumerate(READS)])
def test_a_read_that_is_no_answer(simulator: Simulator, whole: Path, number: int, table: str) -> None:
    """What is no answer is asked for four times, no more; the table says what came, and keeps what it had."""
    usual = [(PAGE, "Scheduled maintenance We are back soon."), (ERROR, "An error occurred.")][number % 2]
    odd = "[]" if table == "list_users" else NO_DOCUMENTS[number % len(NO_DOCUMENTS)]
    for body, shown in (usual, (odd, "")):
        before, asked = replica.counted(replica.rows(whole, table)), len(simulator.requests)
        simulator.set_faults([Fault(READS[table], "status", status=200, body=body)])
        last = sync(simulator, whole, [table], lookback="2d")
        assert {"BrokenAnswer"} == errors(last), body
        assert any(shown in problem for problem in last.problems)
        assert before == replica.counted(replica.rows(whole, table))
        paths = [seen.path for seen in simulator.requests[asked:]]
        assert max(map(paths.count, paths)) <= 8 * answers.BROKEN_TRIES  # of threads


@pytest.mark.parametrize("table", ["users", "lists", "list_users", "metadata", "campaign_metrics"])
def test_a_broken_answer_that_passes(simulator: Simulator, tmp_path: Path, table: str) -> None:
    """A page of maintenance that is gone at the second try costs nothing."""
    file = tmp_path / "replica.duckdb"
    simulator.set_faults([Fault(READS[table], "html", times=1)])
    assert Status.SUCCEEDED is sync(simulator, file, [table]).status
    assert {} == replica.differences(file, simulator, [table])


@pytest.mark.parametrize(
    "fault",
    [
        Fault("*", "html"),
        Fault("*", "error_object"),
        Fault("*", "error_after_rows"),
        Fault("*", "status", status=200, body="Scheduled maintenance"),
        Fault("*", "status", status=200, body=ERROR.replace("null", "12")),
        Fault("*", "status", status=200, body=ERROR.replace(":", ": ").replace("{", "{ ")),
        Fault("*", "status", status=200, body='{"email":"a@example.com"}\n{"code":"Down","msg":""}\n{"email":"b"}\n'),
        Fault("*", "status", status=200, body='{"email":"a@example.com"}\n\n  <html><body>Down</body></html>'),
        Fault("*", "status", status=200, body="{}\n"),
        Fault("*", "no_length"),
        Fault("*", "no_length_cut"),
    ],
    ids=lambda fault: f"{fault.kind} {fault.body or ''}"[:40],
)
@pytest.mark.parametrize("path", ["/api/export/data.json", "/storage/*"])
def test_an_export_that_is_no_answer(simulator: Simulator, tmp_path: Path, path: str, fault: Fault) -> None:
    """An export that is none is no cut one: nothing is loaded, and no smaller windows are asked for, on either lane."""
    asked = len(simulator.requests)
    simulator.set_faults([replace(fault, path=path), *([NO_JOBS] if path.startswith("/api") else [])])
    last = sync(simulator, tmp_path / "replica.duckdb", ["email_send"], window_in_days=1)
    assert {"BrokenAnswer"} == errors(last)
    assert not path.startswith("/api") or last.rows == 0
    paths = [seen.path for seen in simulator.requests[asked:] if seen.path.startswith(path.rstrip("*"))]
    assert 0 < len(paths) <= 2 * answers.BROKEN_TRIES


@pytest.mark.parametrize("body", [PAGE, ERROR, "", '{"jobId":true}', '{"jobState":"completed"}'])
@pytest.mark.parametrize("path", ["/api/export/start", "/api/export/*/files"])
def test_jobs_that_are_no_answer(simulator: Simulator, tmp_path: Path, path: str, body: str) -> None:
    """A job has an id, and a look at it its state and files: without, its window fails, and is not halved."""
    asked = len(simulator.requests)
    simulator.set_faults([Fault(path, "status", status=200, body=body)])
    last = sync(simulator, tmp_path / "replica.duckdb", ["email_send"], window_in_days=1)
    assert {"BrokenAnswer"} == errors(last)
    paths = [seen.path for seen in simulator.requests[asked:]]
    assert answers.BROKEN_TRIES == max(map(paths.count, paths))


def test_rows_that_resemble_errors(simulator: Simulator, tmp_path: Path) -> None:
    """An event whose own fields are called as those of an error is one, and so is one without createdAt."""
    rows = [
        '{"msg":"hello","code":"SAVE10","email":"a@example.com","createdAt":"2026-01-01 00:00:00 +00:00"}',
        '{"code":"SAVE10","msg":"hello","email":"b@example.com"}',
        '{"email":"c@example.com","createdAt":"soon"}',
        ' {"params":{},"email":"d@example.com"}',
        '{"msg":"alone"}',
    ]
    simulator.set_faults([Fault("/api/export/data.json", "status", status=200, body="\n".join(rows)), NO_JOBS])
    file = tmp_path / "replica.duckdb"
    last = sync(simulator, file, ["email_send"], window_in_days=1, start_date=datetime.now(UTC).date())
    assert [] == last.problems
    assert len(rows) == len(replica.rows(file, "email_send"))


def test_an_empty_body_is_no_row(simulator: Simulator, tmp_path: Path) -> None:
    """An answer of no bytes is a window without rows, whatever its headers say of it."""
    labels = {"Content-Encoding": "br", "Content-Type": "text/html"}
    simulator.set_faults(
        [Fault("/api/export/data.json", "status", status=200, body="", headers=labels), NO_JOBS],
    )
    last = sync(simulator, tmp_path / "replica.duckdb", ["email_send"], window_in_days=1)
    assert (Status.SUCCEEDED, 0) == (last.status, last.rows)


@pytest.mark.parametrize("body", ["a@example.com\n<html>\n", '{"msg":"Down"}', "{\n", '"Down"', "a@x\n <p>Down</p>\n"])
def test_members_that_are_none(simulator: Simulator, whole: Path, body: str) -> None:
    """Markup and JSON are no members of a list; its members stay."""
    before = replica.counted(replica.rows(whole, "list_users"))
    simulator.set_faults([Fault("/api/lists/getUsers", "status", status=200, body=body)])
    assert {"BrokenAnswer"} == errors(sync(simulator, whole, ["list_users"]))
    assert before == replica.counted(replica.rows(whole, "list_users"))


def test_members_that_look_odd(simulator: Simulator, tmp_path: Path) -> None:
    """A user id may have braces, brackets and angle brackets; it is a member all the same."""
    members = ["{3F2504E0-4F89}", "[admin", "<bob@example.com>", "a < b", "  user 7", "«x»"]
    simulator.set_faults([Fault("/api/lists/getUsers", "status", status=200, body="\n".join(members))])
    file = tmp_path / "replica.duckdb"
    assert [] == sync(simulator, file, ["list_users"]).problems
    found = {row.get("email") or row.get("userId") for row in replica.rows(file, "list_users")}
    assert {member.strip() for member in members} == {str(member).strip() for member in found}


@pytest.mark.parametrize(
    ("table", "body"),
    [
        ("campaigns", '{"campaigns":[]}'),
        ("campaigns", '{"campaigns":[],"totalCampaignsCount":"many"}'),
        ("campaigns", '{"totalCampaignsCount":0}'),
        ("campaigns", '{"campaigns":["x"],"totalCampaignsCount":1}'),
        ("campaigns", '{"campaigns":{"msg":"Down"},"totalCampaignsCount":1}'),
        ("campaigns", '{"campaigns":[{"id":[]}],"totalCampaignsCount":1}'),
        ("campaigns", '{"campaigns":[{"id":1},{"id":"b"}],"totalCampaignsCount":2}'),
        ("campaigns", '{"campaigns":[],"totalCampaignsCount":0,"nextPageUrl":7}'),
        ("campaigns", '{"campaigns":[],"totalCampaignsCount":0}{}'),
        ("campaign_metrics", '"id'),
        ("campaign_metrics", f"id,A\n1,2\n{ERROR}\n"),
        ("campaign_metrics", "id,A\n1,2\n</html>\n"),
        ("campaign_metrics", "A,B\n1,2\n"),
        ("experiment_metrics", "id,A\n1,2\n"),
        ("template_contents", '{"templateId":1}'),
        ("metadata", '{"msg":"An error occurred."}'),
        ("user_fields", '{"fields":["email"]}'),
        ("forgotten_users", '{"hashedEmails":[{"msg":"Down"}]}'),
        ("list_sizes", '"7 users"'),
        ("catalog_fields", "7"),
    ],
)
def test_documents_that_only_resemble_answers(simulator: Simulator, whole: Path, table: str, body: str) -> None:
    """A listing has its array and its total, a CSV its header and ids, a value its key: what lacks them is none."""
    before = replica.counted(replica.rows(whole, table))
    simulator.set_faults([Fault(READS[table], "status", status=200, body=body)])
    assert {"BrokenAnswer"} == errors(sync(simulator, whole, [table]))
    assert before == replica.counted(replica.rows(whole, table))


def test_maintenance_is_not_asked_for_window_by_window(simulator: Simulator, tmp_path: Path) -> None:
    """After three tasks without an answer a table is given up for this run; the next one reads all of it."""
    file = tmp_path / "replica.duckdb"
    asked = len(simulator.requests)
    simulator.set_faults([Fault("/api/export/data.json", "html"), NO_JOBS])
    last = sync(simulator, file, ["email_send"], window_in_days=0.02)
    assert {"BrokenAnswer"} == errors(last)
    assert len(simulator.requests) - asked <= 8 * answers.BROKEN_TRIES
    simulator.set_faults([NO_JOBS])
    assert Status.SUCCEEDED is sync(simulator, file, ["email_send"], window_in_days=0.02).status
    assert {} == replica.differences(file, simulator, ["email_send"])


@pytest.mark.parametrize("body", [PAGE, ERROR], ids=["page", "error"])
def test_a_connection_test_is_not_deceived(simulator: Simulator, tmp_path: Path, body: str) -> None:
    """`connection test` takes no page for a right: every table whose probe is answered so is named."""
    simulator.set_faults([Fault("/api/*", "status", status=200, body=body)])
    checks = reiterate.check(**settings(simulator, tmp_path / "replica.duckdb", tables=[*READS, "email_send"]))
    assert {"BrokenAnswer"} == {type(check.error).__name__ for check in checks}


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_link_that_is_refused(simulator: Simulator, tmp_path: Path, status: int) -> None:
    """A link that the storage host refuses is renewed once; refused again, the window fails, and is not halved."""
    file = tmp_path / "replica.duckdb"
    simulator.set_faults([Fault("/storage/*", "link_refused", status=status, times=1)])
    assert Status.SUCCEEDED is sync(simulator, file, ["email_send"], window_in_days=1).status
    assert {} == replica.differences(file, simulator, ["email_send"])
    asked = len(simulator.requests)
    simulator.set_faults([Fault("/storage/*", "link_refused", status=status)])
    last = sync(simulator, tmp_path / "another.duckdb", ["email_send"], window_in_days=1)
    assert {"LinkExpired"} == errors(last)
    assert 2 == sum(seen.path.startswith("/storage/") for seen in simulator.requests[asked:])


def test_what_a_person_reads(simulator: Simulator) -> None:
    """The message says what came, by its content type and first words, and what to do."""
    simulator.set_faults([Fault("/api/lists", "html")])
    ended = command("sync", "--tables", "lists,channels", "--start-date", "01/01/2026", simulator=simulator)
    assert 3 == ended.status
    assert 'came=text/html, "Scheduled maintenance' in " ".join(ended.said.split())
