"""Each fault, as it looks on the wire."""

from __future__ import annotations

import contextlib
import gzip
import json
import time
import zlib
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import pytest
import urllib3

from reiterate.simulator import Fault, ServerOptions, Simulator, WorldOptions
from tests.conftest import KEY
from tests.simulator.client import EVER, EXPORT, Client, counted, rows
from tests.simulator.conftest import END

if TYPE_CHECKING:
    from collections.abc import Iterator

TINY = WorldOptions(days=1, events_per_day=20, end=END)
OPENS = {"dataTypeName": "emailOpen", **EVER}


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    """A project that nothing changes; each test sets its own faults."""
    with Simulator(WorldOptions(days=2, events_per_day=200, end=END), ServerOptions(api_key=KEY)) as simulator:
        yield simulator


def client(simulator: Simulator, *faults: Fault) -> Client:
    simulator.set_faults(faults)
    return Client(simulator.url)


def statuses(simulator: Simulator, count: int, **fault: Any) -> list[int]:
    """Return the statuses of *count* requests for lists."""
    asking = client(simulator, Fault("/api/lists", "status", **fault))
    return [asking.get("/api/lists").status for _ in range(count)]


# ── kinds ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_status(simulator: Simulator) -> None:
    """Without more a status is a 500 GenericError, as recorded (FACTS 4.2)."""
    answer = client(simulator, Fault("/api/*", "status")).get("/api/lists")
    recorded = {"msg": "An error occurred. Please try again later.", "code": "GenericError"}
    assert (500, "application/json", recorded) == (
        answer.status,
        answer.headers["Content-Type"],
        json.loads(answer.data),
    )


@pytest.mark.parametrize(
    ("body", "content_type"),
    [("<html>Bad Gateway</html>", "text/html"), ('{"msg":"x"}', "application/json"), ("", "application/json")],
)
def test_status_with_a_body(simulator: Simulator, body: str, content_type: str) -> None:
    """A status has the body and the headers it is given; the body may be empty (FACTS 4.2: 502, 504)."""
    fault = Fault("/api/*", "status", status=502, body=body, headers={"Retry-After": "7"})
    answer = client(simulator, fault).get("/api/lists")
    assert (502, body, content_type) == (answer.status, answer.data.decode(), answer.headers["Content-Type"])
    assert "7" == answer.headers["Retry-After"]


def test_reset(simulator: Simulator) -> None:
    """A reset ends the connection before any answer, and is in the record with status 0."""
    with pytest.raises(urllib3.exceptions.ProtocolError) as caught:
        client(simulator, Fault("/api/*", "reset")).get("/api/lists")
    assert isinstance(caught.value.args[1], ConnectionResetError)
    assert ("/api/lists", 0) == (simulator.requests[-1].path, simulator.requests[-1].status)


@pytest.mark.parametrize("path", [EXPORT, "/api/lists"])
def test_stall(simulator: Simulator, path: str) -> None:
    """A stall leaves an answer hanging after its beginning; who waits long enough gets all of it."""
    asking = client(simulator, Fault(path, "stall", seconds=0.6))
    with pytest.raises(urllib3.exceptions.ReadTimeoutError):
        asking.request("GET", path, OPENS, timeout_s=0.3)
    began = time.monotonic()
    found = asking.get(path, **OPENS).data
    assert 0.6 <= time.monotonic() - began
    assert sorted(client(simulator).get(path, **OPENS).data.splitlines()) == sorted(found.splitlines())


def test_slow(simulator: Simulator) -> None:
    """A slow answer begins after some seconds."""
    began = time.monotonic()
    assert 200 == client(simulator, Fault("/api/lists", "slow", seconds=0.2)).get("/api/lists").status
    assert 0.2 <= time.monotonic() - began


def test_cut(simulator: Simulator) -> None:
    """A cut ends an export behind a whole row, without the last chunk: only that tells that rows are missing."""
    arrived, error = client(simulator, Fault(EXPORT, "cut")).broken(EXPORT, **OPENS)
    assert isinstance(error, urllib3.exceptions.ProtocolError)
    assert arrived.endswith(b"}\n")
    found = counted(map(json.loads, arrived.splitlines()))
    truth = counted(simulator.truth("email_open"))
    assert found <= truth
    assert 0 < found.total() < truth.total()


def test_cut_row(simulator: Simulator) -> None:
    """A cut in a row leaves the beginning of a row at the end."""
    arrived, error = client(simulator, Fault(EXPORT, "cut_row")).broken(EXPORT, **OPENS)
    *whole, last = arrived.split(b"\n")
    assert isinstance(error, urllib3.exceptions.ProtocolError)
    assert len(whole) > 1
    assert all(json.loads(line) for line in whole)
    assert last.startswith(b"{")
    with pytest.raises(json.JSONDecodeError):
        json.loads(last)


def test_cut_of_names(simulator: Simulator) -> None:
    """A cut in a name leaves something that looks like a name: lists can break off unseen (FACTS 4.3)."""
    arrived, _ = client(simulator, Fault("/api/lists/getUsers", "cut_row")).broken(
        "/api/lists/getUsers", listId=3310201
    )
    *whole, last = arrived.decode().split("\n")
    names = {row["email"] for row in simulator.truth("list_users")}
    assert whole
    assert set(whole) <= names
    assert last not in names
    assert 7 == len(last)


@pytest.mark.parametrize(("path", "params"), [(EXPORT, {**EVER, "dataTypeName": "emailComplaint"}), ("/api/lists", {})])
@pytest.mark.parametrize("kind", ["cut", "cut_row"])
def test_cut_of_little(simulator: Simulator, path: str, params: dict[str, str], kind: Any) -> None:
    """An answer of few rows, or of one JSON object, breaks off as well."""
    _, error = client(simulator, Fault(path, kind)).broken(path, **params)
    assert isinstance(error, urllib3.exceptions.ProtocolError)


@pytest.mark.parametrize("path", [EXPORT, "/api/lists"])
def test_bad_gzip(simulator: Simulator, path: str) -> None:
    """A damaged compressed body arrives whole by its length, but cannot be unpacked."""
    answer = client(simulator, Fault(path, "bad_gzip")).get(path, **OPENS)
    assert (200, "gzip") == (answer.status, answer.headers["Content-Encoding"])
    with pytest.raises(EOFError):
        gzip.decompress(answer.data)


def test_short_total(simulator: Simulator) -> None:
    """The total of a listing says one row more than there are."""
    found = client(simulator, Fault("/api/campaigns", "short_total")).json("/api/campaigns", pageSize=1000)
    assert len(found["campaigns"]) + 1 == found["totalCampaignsCount"]


# ── 200s that are no answers ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", [EXPORT, "/api/lists", "/api/campaigns/metrics"])
def test_error_object(simulator: Simulator, path: str) -> None:
    """Iterable's error object comes with status 200, in place of any answer."""
    answer = client(simulator, Fault("/api/*", "error_object")).get(path, **OPENS)
    assert (200, {"msg", "code", "params"}) == (answer.status, json.loads(answer.data).keys())


def test_error_after_rows(simulator: Simulator) -> None:
    """Half the rows come, and then an error object on a line of its own."""
    *good, last = client(simulator, Fault("/api/*", "error_after_rows")).get(EXPORT, **OPENS).data.splitlines()
    assert "GenericError" == json.loads(last)["code"]
    assert len(simulator.truth("email_open")) // 2 == len(good)
    assert counted(map(json.loads, good)) <= counted(simulator.truth("email_open"))


def test_error_after_a_document(simulator: Simulator) -> None:
    """After a JSON document of one line the error is text behind its end."""
    found = client(simulator, Fault("/api/*", "error_after_rows")).get("/api/lists").data.decode()
    lists, end = json.JSONDecoder().raw_decode(found)
    assert len(simulator.truth("lists")) == len(lists["lists"])
    assert "GenericError" == json.loads(found[end:])["code"]


@pytest.mark.parametrize("path", [EXPORT, "/api/lists", "/api/lists/getUsers"])
def test_html(simulator: Simulator, path: str) -> None:
    """A maintenance page comes with status 200 and the type of a page."""
    params = {"listId": 3310201} if path.endswith("Users") else OPENS
    answer = client(simulator, Fault("/api/*", "html")).get(path, **params)
    assert (200, "text/html; charset=utf-8") == (answer.status, answer.headers["Content-Type"])
    assert b"<title>Scheduled maintenance</title>" in answer.data


def test_no_fault_takes_the_place_of_a_refusal(simulator: Simulator) -> None:
    """A wrong key is refused as ever, whatever the fault."""
    simulator.set_faults([Fault("/api/*", "html")])
    assert 401 == Client(simulator.url, key="wrong").get("/api/lists").status


@pytest.mark.parametrize(("path", "member"), [(EXPORT, ""), ("/api/lists", "lists")])
def test_deep_json(simulator: Simulator, path: str, member: str) -> None:
    """The first row has a value so deep that a parser gives up; the rest is as ever."""
    text = client(simulator, Fault("/api/*", "deep_json", depth=5000)).get(path, **OPENS).data.decode()
    deep = "[" * 5000 + "]" * 5000
    assert 1 == text.count(deep)
    whole = text.replace(deep, "0")
    found = json.loads(whole)[member] if member else rows(whole.encode())
    assert 1 == sum(row.pop("deep", 1) == 0 for row in found)
    assert counted(simulator.truth(member or "email_open")) == counted(found)


# ── the end of an answer ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", [EXPORT, "/api/lists"])
def test_gzip_members(simulator: Simulator, path: str) -> None:
    """A compressed body is several gzip files one after the other, which together are the answer."""
    answer = client(simulator, Fault(path, "gzip_members")).get(path, **OPENS)
    assert "gzip" == answer.headers["Content-Encoding"]
    first = zlib.decompressobj(31)
    part = first.decompress(answer.data)
    assert 0 < len(part) < len(gzip.decompress(answer.data))
    plain = client(simulator).get(path, **OPENS).data
    assert sorted(plain.splitlines()) == sorted(gzip.decompress(answer.data).splitlines())


def test_gzip_cut_member(simulator: Simulator) -> None:
    """The last of several members lacks its end, though the answer arrives whole by its framing."""
    answer = client(simulator, Fault(EXPORT, "gzip_cut_member")).get(EXPORT, **OPENS)
    assert zlib.decompressobj(31).decompress(answer.data)
    with pytest.raises(EOFError):
        gzip.decompress(answer.data)


@pytest.mark.parametrize("path", [EXPORT, "/api/lists"])
def test_no_length(simulator: Simulator, path: str) -> None:
    """A body has neither length nor chunks, and is whole when the connection closes."""
    answer = client(simulator, Fault(path, "no_length")).get(path, **OPENS)
    assert not {"Content-Length", "Transfer-Encoding", "Content-Encoding"} & set(answer.headers)
    plain = client(simulator).get(path, **OPENS).data
    assert sorted(plain.splitlines()) == sorted(answer.data.splitlines())


def test_no_length_cut(simulator: Simulator) -> None:
    """A body without framing stops behind a row: nothing on the wire tells that rows are missing."""
    answer = client(simulator, Fault(EXPORT, "no_length_cut")).get(EXPORT, **OPENS)
    assert not {"Content-Length", "Transfer-Encoding"} & set(answer.headers)
    assert answer.data.endswith(b"}\n")
    assert 0 < len(rows(answer.data)) < len(simulator.truth("email_open"))


def test_no_length_cut_of_a_document(simulator: Simulator) -> None:
    """A JSON document without framing stops in its middle."""
    answer = client(simulator, Fault("/api/lists", "no_length_cut")).get("/api/lists")
    assert answer.data
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.data)


def test_after_an_answer_written_alone(simulator: Simulator) -> None:
    """The server goes on after each fault that writes to the connection itself."""
    for kind in ("reset", "no_length", "no_length_cut", "echo_key"):
        simulator.set_faults([Fault("/api/lists", kind, place="status_line")])
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            Client(simulator.url).get("/api/lists")
        simulator.set_faults([])
        assert 200 == Client(simulator.url).get("/api/lists").status


# ── listings ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("path", "table", "params"),
    [
        ("/api/catalogs/products/items", "catalog_items", {"pageSize": 1000}),
        ("/api/campaigns", "campaigns", {"pageSize": 20}),
        ("/api/journeys", "journeys", {"pageSize": 50}),
    ],
)
def test_item_vanishes(small: Simulator, path: str, table: str, params: dict[str, int]) -> None:
    """A row is deleted behind the first page: later rows move up, and one is on no page."""
    before = small.truth(table)
    small.set_faults([Fault(path, "item_vanishes", times=1)])
    pages = [page.get("params", page) for page in Client(small.url).pages(path, page=1, **params)]
    totals = [value for page in pages for name, value in page.items() if name.startswith("total")]
    assert {totals[0] - 1} == set(totals[1:])
    found = sum(len(value) for page in pages for value in page.values() if isinstance(value, list))
    assert totals[0] - 1 == found, "the row that vanished was on page 1, the one that moved up is missing"
    assert len(before) - 1 == len(small.truth(table))


def test_nothing_vanishes_for_others(small: Simulator) -> None:
    """A request whose key is refused deletes nothing; a catalog is found by its name in any case."""
    small.set_faults([Fault("/api/*", "item_vanishes")])
    before = len(small.truth("catalog_items"))
    assert 401 == Client(small.url, key="wrong").get("/api/catalogs/products/items", page=2).status
    assert before == len(small.truth("catalog_items"))
    Client(small.url).get("/api/catalogs/PRODUCTS/items", page=2)
    assert before - 1 == len(small.truth("catalog_items"))


def test_a_key_vanishes(small: Simulator) -> None:
    """The same for a listing that goes by markers."""
    small.set_faults([Fault("/api/metadata/stores", "item_vanishes", times=1)])
    assert 129 == len(list(Client(small.url).keys("/api/metadata/stores")))
    assert 129 == len(list(Client(small.url).keys("/api/metadata/stores")))


def test_user_merges(small: Simulator) -> None:
    """Between two reads a user is merged: the same messages are listed, some of them under another person."""
    small.set_faults([Fault(EXPORT, "user_merges", skip=1, times=1)])
    asking = Client(small.url)
    first, second, third = [asking.export("emailSend") for _ in range(3)]
    who = [{row["messageId"]: row["email"] for row in found} for found in (first, second, third)]
    assert who[0].keys() == who[1].keys()
    moved = {(who[0][message], who[1][message]) for message in who[0] if who[0][message] != who[1][message]}
    assert 1 == len(moved)
    ((gone, _),) = moved
    assert gone not in {row["email"] for row in small.truth("users")}
    assert who[1] == who[2]


@pytest.mark.parametrize("path", ["/api/campaigns", "/api/catalogs/products/items"])
def test_endless_pages(simulator: Simulator, path: str) -> None:
    """Behind the last page comes the first again, under numbers that go on."""
    chain = client(simulator, Fault(path, "endless_pages")).pages(path, page=1, pageSize=1000)
    pages = [page for page, _ in zip(chain, range(5), strict=False)]
    assert 5 == len(pages)
    assert all(any(isinstance(rows, list) and rows for rows in page.get("params", page).values()) for page in pages)


def test_endless_markers(simulator: Simulator) -> None:
    """Markers go on, too."""
    found = client(simulator, Fault("/api/metadata/*", "endless_pages")).keys("/api/metadata/stores")
    assert 500 == len([key for key, _ in zip(found, range(500), strict=False)])


def test_endless_files(simulator: Simulator) -> None:
    """So do the names of the files of an export job: behind the last comes the first under a greater name."""
    asking = client(simulator, Fault("/api/export/*/files", "endless_pages"))
    job = json.loads(asking.start(dataTypeName="emailOpen", **EVER).data)["jobId"]
    while asking.json(f"/api/export/{job}/files")["jobState"] != "completed":
        pass
    names = [""]
    for _ in range(5):
        names += [file["file"] for file in asking.json(f"/api/export/{job}/files", startAfter=names[-1])["files"]]
    assert 6 == len(set(names))
    assert names == sorted(names)


def test_endless_offsets(simulator: Simulator) -> None:
    """A listing by offsets begins anew behind its end."""
    asking = client(simulator, Fault("/api/experiments", "endless_pages"))
    pages = [asking.json("/api/experiments", limit=10, offset=offset)["experiments"] for offset in (0, 30)]
    assert pages[0]
    assert pages[0] == pages[1]


@pytest.mark.parametrize(
    ("host", "begins"),
    [
        ("127.0.0.1:9", "http://127.0.0.1:9/api/campaigns?"),
        ("@127.0.0.1:9", "@127.0.0.1:9/api/campaigns?"),
        ("https://attacker.example", "https://attacker.example/api/campaigns?"),
        ("//attacker.example", "//attacker.example/api/campaigns?"),
    ],
)
def test_foreign_link(simulator: Simulator, host: str, begins: str) -> None:
    """The link to the next page leads to another host, in each form that a link can take; a short listing has one."""
    asking = client(simulator, Fault("/api/*", "foreign_link", host=host))
    for size in (7, 1000):
        assert asking.json("/api/campaigns", page=1, pageSize=size)["nextPageUrl"].startswith(begins)


def test_foreign_files(simulator: Simulator) -> None:
    """So do the links to the files of an export job."""
    asking = client(simulator, Fault("/api/*", "foreign_link", host="127.0.0.1:9"))
    job = json.loads(asking.start(dataTypeName="emailOpen", **EVER).data)["jobId"]
    while not (files := asking.json(f"/api/export/{job}/files")["files"]):
        pass
    assert files[0]["url"].startswith(f"http://127.0.0.1:9/storage/{job}/")


# ── gateways ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("seconds", "written"), [(0, "0"), (3_600_000_000, "3600000000"), (0.5, "0.5")])
def test_retry_after(simulator: Simulator, seconds: float, written: str) -> None:
    """A 429 says when to come back, however absurd."""
    answer = client(simulator, Fault("/api/*", "retry_after", seconds=seconds)).get("/api/lists")
    assert (429, written) == (answer.status, answer.headers["Retry-After"])


@pytest.mark.parametrize("place", ["body", "reason", "content_type", "total"])
def test_echo_key(simulator: Simulator, place: str) -> None:
    """An answer repeats the key in one place."""
    answer = client(simulator, Fault("/api/*", "echo_key", place=place)).get("/api/campaigns", pageSize=7)
    parts = {
        "body": answer.data.decode() if answer.status == 400 else "",
        "reason": answer.reason,
        "content_type": answer.headers["Content-Type"],
        "total": str(json.loads(answer.data)["totalCampaignsCount"]) if place == "total" else "",
    }
    assert [place] == [name for name, part in parts.items() if KEY in (part or "")]


def test_echo_key_in_the_status_line(simulator: Simulator) -> None:
    """A status line that is none repeats it."""
    with pytest.raises(urllib3.exceptions.ProtocolError) as caught:
        client(simulator, Fault("/api/*", "echo_key", place="status_line")).get("/api/lists")
    assert KEY in str(caught.value)


def test_echo_key_in_a_chunk(simulator: Simulator) -> None:
    """The size of a chunk repeats it, after a whole one."""
    arrived, error = client(simulator, Fault("/api/*", "echo_key", place="chunk_size")).broken(EXPORT, **OPENS)
    assert arrived.startswith(b"{")
    assert KEY in str(error)


# ── too much, too slow ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", [EXPORT, "/api/lists"])
def test_bomb(simulator: Simulator, path: str) -> None:
    """A body of some kilobytes unpacks to a row of megabytes."""
    answer = client(simulator, Fault("/api/*", "bomb", bytes=10_000_000)).get(path, **OPENS)
    unpacked = gzip.decompress(answer.data)
    assert (True, True) == (len(answer.data) < 50_000, len(unpacked) > 10_000_000)
    assert {"createdAt", "filler"} == json.loads(unpacked).keys()


def test_trickle(simulator: Simulator) -> None:
    """A body comes byte by byte: each read succeeds, the end is far."""
    simulator.set_faults([Fault("/api/lists", "trickle", seconds=0.05)])
    began = time.monotonic()
    with urllib3.PoolManager(retries=False, headers={"Api-Key": KEY}) as pool:
        answer = pool.request("GET", f"{simulator.url}/api/lists", preload_content=False)
        found = [answer.read(1) for _ in range(5)]
        answer.close()
    assert b'{"lis' == b"".join(found)
    assert 0.15 <= time.monotonic() - began


@pytest.mark.parametrize(("status", "code"), [(None, "ExpiredToken"), (403, "AccessDenied"), (404, "NoSuchKey")])
def test_link_refused(simulator: Simulator, status: int | None, code: str) -> None:
    """The storage host refuses a link that has not expired; a fresh one may be asked for."""
    asking = client(simulator, Fault("/storage/*", "link_refused", status=status, times=1))
    job = json.loads(asking.start(dataTypeName="emailOpen", **EVER).data)["jobId"]
    while not (files := asking.json(f"/api/export/{job}/files")["files"]):
        pass
    plain = Client("", key=None)
    answers = [plain.get(files[0]["url"]) for _ in range(2)]
    assert [status or 400, 200] == [answer.status for answer in answers]
    assert code in answers[0].data.decode()


# ── clocks ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("skew_s", [0.0, 10_800.0, -7200.0])
def test_the_date_header(skew_s: float) -> None:
    """Date is the server's clock, however wrong; the answer says it once, also without length."""
    with Simulator(TINY, ServerOptions(api_key=KEY, clock_skew_s=skew_s)) as simulator:
        for faults in ([], [Fault("/api/lists", "no_length")]):
            answer = client(simulator, *faults).get("/api/lists")
            dates = answer.headers.getlist("Date")
            assert 1 == len(dates)
            assert abs(parsedate_to_datetime(dates[0]).timestamp() - time.time() - skew_s) < 5


def test_no_date_and_age() -> None:
    """A gateway may take Date away, or add the age of what it kept."""
    with Simulator(TINY, ServerOptions(api_key=KEY, no_date=True, age=90)) as simulator:
        answer = Client(simulator.url).get("/api/lists")
    assert (None, "90") == (answer.headers.get("Date"), answer.headers.get("Age"))


# ── which requests ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_skip_and_times(simulator: Simulator) -> None:
    """The first requests fare well, the next ones do not, the rest does again."""
    assert [200, 200, 500, 500, 200, 200] == statuses(simulator, 6, skip=2, times=2)
    assert [200, 500, 500, 500] == statuses(simulator, 4, skip=1)


def test_probability(simulator: Simulator) -> None:
    """Chance decides which requests fare badly, the same ones each time."""
    first = statuses(simulator, 30, probability=0.5)
    assert {200, 500} == set(first)
    assert first == statuses(simulator, 30, probability=0.5)


def test_where(simulator: Simulator) -> None:
    """Only requests with these parameters and this path are meant, and counted."""
    fault = Fault("/api/export/*", "status", where={"dataTypeName": "emailSend"}, skip=1, times=1)
    asking = client(simulator, fault)
    asked = ("emailOpen", "emailSend", "emailOpen", "emailSend", "emailSend")
    assert [200, 200, 200, 500, 200] == [asking.get(EXPORT, dataTypeName=name).status for name in asked]


def test_several_faults(simulator: Simulator) -> None:
    """Of several faults the first that applies counts; setting them anew counts anew."""
    faults = [Fault("/api/lists", "status", status=502, times=1), Fault("/api/*", "status", status=503, times=1)]
    for _ in "12":
        asking = client(simulator, *faults)
        assert [502, 503, 200] == [asking.get("/api/lists").status for _ in range(3)]
