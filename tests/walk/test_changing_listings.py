"""Listings that change while they are read, and pages without end: all of what is there, or an error."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

import reiterate
from reiterate.extract import jobs, listings, metadata
from reiterate.flow import RunFinished, Status
from reiterate.simulator import Fault, ServerOptions, Simulator, WorldOptions
from tests import replica
from tests.conftest import KEY, settings
from tests.walk.raw import RawServer, answered

if TYPE_CHECKING:
    from pathlib import Path

PAGE = 50
"""Journeys on a page, at most (FACTS.md 6)."""

CHANNELS = answered('{"channels":[]}')
"""What a sync asks for first, to know Iterable's time."""


class Api(RawServer):
    """A server of bare bytes that has channels, too."""

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        super().__init__(lambda request: CHANNELS if b" /api/channels " in request else answer(request))

    @property
    def asked(self) -> int:
        """How many other requests came."""
        return sum(b" /api/channels " not in request for request in self.requests)


Change = Callable[["Project", int], None]
"""What happens to a project after so many pages were read."""


class Project:
    """A project of which somebody reads the journeys, in pages, while *change* happens; *archived* ones it has none."""

    def __init__(self, change: Change, *, size: int = PAGE) -> None:
        self.ids = list(range(1, 121))
        self.pages = 0
        self.size = size
        self._change = change

    def answer(self, request: bytes) -> bytes:
        url = urlsplit(request.split()[1].decode())
        asked = {name: values[0] for name, values in parse_qs(url.query).items()}
        if "state" in asked:
            return answered(json.dumps({"journeys": [], "totalJourneysCount": 0}))
        self.pages += 1
        self._change(self, self.pages)
        page = int(asked["page"])
        rows = [{"id": number, "name": f"J{number}"} for number in self.ids[(page - 1) * self.size : page * self.size]]
        document: dict[str, Any] = {"journeys": rows, "totalJourneysCount": len(self.ids)}
        if page * self.size < len(self.ids):
            document["nextPageUrl"] = f"{url.path}?page={page + 1}&pageSize={self.size}"
        return answered(json.dumps(document))


def sync(address: str, file: Path, table: str) -> RunFinished:
    *_, last = reiterate.sync(
        api_key=KEY,
        api_address=address,
        start_date="01/01/2026",
        rate_limit_factor=1_000_000.0,
        destination=str(file),
        tables=[table],
    )
    assert isinstance(last, RunFinished)
    return last


def once(ids: list[int], *, more: int = 0) -> Change:
    """Return the change that *ids* go, and *more* come, after the first page was read."""

    def change(project: Project, pages: int) -> None:
        if pages == 2:
            project.ids = [number for number in project.ids if number not in ids]
            project.ids += range(200, 200 + more)

    return change


@pytest.mark.parametrize(
    "change",
    [once([1]), once([1, 2, 3]), once([], more=2), once([7], more=3), once([120])],
    ids=["one goes", "three go", "two come", "one goes, three come", "the last goes"],
)
def test_a_listing_that_changes_between_pages(tmp_path: Path, change: Change) -> None:
    """Rows that come or go between two pages move the others: the listing is read anew, and what is there arrives."""
    project, file = Project(change), tmp_path / "replica.duckdb"
    with Api(project.answer) as server:
        assert Status.SUCCEEDED is sync(server.url, file, "journeys").status
    assert project.ids == sorted(row["id"] for row in replica.rows(file, "journeys"))


def test_a_listing_that_never_stands_still(tmp_path: Path) -> None:
    """A listing that changes in each try is an error, after a bounded number of pages; the table keeps its rows."""
    file = tmp_path / "replica.duckdb"
    with Api(Project(once([])).answer) as server:
        assert Status.SUCCEEDED is sync(server.url, file, "journeys").status

    def shrink(project: Project, _: int) -> None:
        project.ids.pop(0)

    project = Project(shrink)
    with Api(project.answer) as server:
        last = sync(server.url, file, "journeys")
    assert "A listing changed while it was read." in last.problems[0]
    assert 2 * listings.LISTING_TRIES == project.pages
    assert 120 == len(replica.rows(file, "journeys"))


def endless(page: Callable[[int], Any], *, total: int | None) -> Callable[[bytes], bytes]:
    """Return a server of journeys, each page of which leads on to the next."""

    def answer(request: bytes) -> bytes:
        url = urlsplit(request.split()[1].decode())
        number = int(parse_qs(url.query)["page"][0])
        document = {
            "journeys": page(number),
            "nextPageUrl": f"{url.path}?page={number + 1}",
            "totalJourneysCount": total,
        }
        return answered(json.dumps(document))

    return answer


@pytest.mark.parametrize(
    ("page", "says"),
    [
        (lambda _: [{"id": 1}], "brings nothing new"),
        (lambda _: [], "brings nothing new"),
        (lambda number: [{"id": number % 4}], "brings nothing new"),
        (lambda number: [{"id": number}], "disagrees with the total"),
    ],
    ids=["the same page", "empty pages", "a circle", "ever more rows"],
)
def test_pages_without_end(tmp_path: Path, page: Callable[[int], Any], says: str) -> None:
    """Pages that lead on for ever are left as soon as they bring nothing new, or more than the total."""
    with Api(endless(page, total=7)) as server:
        last = sync(server.url, tmp_path / "replica.duckdb", "journeys")
        assert says in last.problems[0]
        assert server.asked <= 9 * listings.LISTING_TRIES


def test_pages_have_a_greatest_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many rows a listing claims to have: after 100,000 pages, here 7, nobody reads on."""
    monkeypatch.setattr(listings, "MOST_PAGES", 7)
    with Api(endless(lambda number: [{"id": number}], total=10**9)) as server:
        last = sync(server.url, tmp_path / "replica.duckdb", "journeys")
        assert "Iterable's pages have no end." in last.problems[0]
        assert 7 * listings.LISTING_TRIES == server.asked


@pytest.mark.parametrize(
    ("keys", "marker", "says", "calls"),
    [
        (lambda _: ["a"], "same", "circle", 2),
        (lambda number: [f"k{number % 3}"], "m{}", "circle", 4),
        (lambda number: [f"k{number}"], "m{}", "no end", 7),
    ],
    ids=["the same page", "a circle", "ever more keys"],
)
def test_markers_without_end(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    keys: Callable[[int], list[str]],
    marker: str,
    says: str,
    calls: int,
) -> None:
    """Keys of metadata come in pages without a total: those that lead on for ever are an error, too."""
    monkeypatch.setattr(metadata, "MOST_PAGES", 7)
    asked: list[int] = []

    def answer(request: bytes) -> bytes:
        path = urlsplit(request.split()[1].decode()).path
        if path == "/api/metadata":
            return answered('{"results":[{"name":"stores"}]}')
        if path != "/api/metadata/stores":
            return answered(json.dumps({"table": "stores", "key": path.rpartition("/")[2], "value": {}}))
        asked.append(len(asked) + 1)
        rows = [{"table": "stores", "key": key} for key in keys(len(asked))]
        return answered(json.dumps({"results": rows, "nextMarker": marker.format(len(asked))}))

    with Api(answer) as server:
        assert says in sync(server.url, tmp_path / "replica.duckdb", "metadata").problems[0]
    assert calls == len(asked)


@pytest.mark.parametrize(
    ("total", "largest"), [(True, 100), (False, 100), (True, 7), (False, 7)], ids=lambda value: f"{value}"
)
def test_offsets(tmp_path: Path, total: bool, largest: int) -> None:
    """Pages by offset are read to the end, with a total or without, also where they are smaller than asked for."""

    def answer(request: bytes) -> bytes:
        url = urlsplit(request.split()[1].decode())
        if url.path != "/api/experiments":
            return answered(json.dumps({"id": int(url.path.rpartition("/")[2])}))
        asked = parse_qs(url.query)
        offset = int(asked["offset"][0])
        rows = [{"id": number} for number in range(1, 31)][offset : offset + min(largest, int(asked["limit"][0]))]
        return answered(json.dumps({"experiments": rows, **({"totalCount": 30} if total else {})}))

    file = tmp_path / "replica.duckdb"
    with Api(answer) as server:
        assert Status.SUCCEEDED is sync(server.url, file, "experiments").status
    assert 30 == len(replica.rows(file, "experiments"))


def test_an_offset_that_is_ignored(tmp_path: Path) -> None:
    """A server that answers with the same page for ever is left."""
    body = json.dumps({"experiments": [{"id": number} for number in range(100)]})
    with Api(lambda _: answered(body)) as server:
        last = sync(server.url, tmp_path / "replica.duckdb", "experiments")
        assert "brings nothing new" in last.problems[0]
        assert 2 * listings.LISTING_TRIES == server.asked


def test_items_that_vanish(tmp_path: Path) -> None:
    """Of a catalog of two pages an item goes between them: the others arrive in the same sync."""
    with Simulator(WorldOptions(days=1, events_per_day=40), ServerOptions(api_key=KEY)) as simulator:
        simulator.world.entities.catalogs["products"] |= {
            f"item{number}": {"catalogName": "products", "itemId": f"item{number}", "lastModified": 1, "value": {}}
            for number in range(1_500)
        }
        simulator.set_faults([Fault("/api/catalogs/products/items", "item_vanishes", skip=1, times=1)])
        file = tmp_path / "replica.duckdb"
        *_, last = reiterate.sync(**settings(simulator, file, tables=["catalog_items"]))
        assert isinstance(last, RunFinished)
        assert [] == last.problems
        assert {} == replica.differences(file, simulator, ["catalog_items"])


@pytest.mark.parametrize(
    ("pages", "says"),
    [
        (lambda after: [f"f{int(after[1:] or 0) + 1}"], "files without end"),
        (lambda after: ["b"] if after == "a" else ["a"], ""),
    ],
    ids=["ever more files", "two pages that name each other"],
)
def test_files_of_a_job_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pages: Callable[[str], list[str]], says: str
) -> None:
    """The files of an export job have a greatest number, 100,000, here 7; pages that lead in a circle end, too."""
    monkeypatch.setattr(jobs, "MOST_FILES", 7)

    def answer(request: bytes) -> bytes:
        url = urlsplit(request.split()[1].decode())
        if url.path == "/api/export/start":
            return answered('{"jobId":5}')
        if url.path == "/api/export/5/files":
            after = parse_qs(url.query).get("startAfter", ["f0"])[0]
            files = [{"file": name, "url": f"{server.url}/files/{name}"} for name in pages(after)]
            return answered(json.dumps({"jobId": 5, "jobState": "completed", "files": files}))
        return answered("")

    with Api(answer) as server:
        last = sync(server.url, tmp_path / "replica.duckdb", "email_send")
        assert server.asked < 300
    assert all(says in problem for problem in last.problems)
    assert bool(says) == bool(last.problems)
