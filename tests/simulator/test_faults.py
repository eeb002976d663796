"""Each fault, as it looks on the wire."""

from __future__ import annotations

import gzip
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
import urllib3

from reiterate.simulator import Fault, ServerOptions, Simulator, WorldOptions
from tests.conftest import KEY
from tests.simulator.client import EVER, EXPORT, Client, counted
from tests.simulator.conftest import END

if TYPE_CHECKING:
    from collections.abc import Iterator

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
