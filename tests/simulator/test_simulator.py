"""The simulator answers as the swagger and FACTS.md say, over real HTTP."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from reiterate.simulator import ServerOptions, Simulator, WorldOptions
from tests.conftest import KEY
from tests.simulator.client import DATA_TYPES, EXPORT, TABLES, TEMPLATE_MEDIA, TEMPLATE_TYPES, Client, counted
from tests.simulator.conftest import END

if TYPE_CHECKING:
    from collections.abc import Mapping

    from urllib3 import BaseHTTPResponse

    from reiterate.simulator.options import ProjectType
    from reiterate.simulator.world import World

RECORDED = json.loads(Path(__file__).with_name("recorded.json").read_text())
"""From schema.json: the type of each field, with ! where every row has it; whether others occur; recorded rows."""

TINY = WorldOptions(days=1, events_per_day=50, end=END)


def body(answer: BaseHTTPResponse) -> Any:
    return json.loads(answer.data)


def refusal(answer: BaseHTTPResponse) -> tuple[int, Any]:
    """Return the status and body of an error, which is JSON."""
    assert "application/json" == answer.headers["Content-Type"]
    return answer.status, body(answer)


# ── pages ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_page_has_20_rows_unless_asked(client: Client) -> None:
    """Without page parameters 20 rows come, without a warning and without a total (FACTS 6)."""
    found = client.json("/api/campaigns")
    assert 20 == len(found["campaigns"])
    assert {"campaigns", "nextPageUrl"} == found.keys()


def test_the_total_comes_with_pages(client: Client, shop: Simulator) -> None:
    """Either page parameter brings the total, and the last page has no further link (FACTS 6)."""
    total = len(shop.truth("campaigns"))
    assert total == client.json("/api/campaigns", pageSize=5)["totalCampaignsCount"]
    last = client.json("/api/campaigns", page=3, pageSize=20)
    assert {"campaigns", "totalCampaignsCount", "previousPageUrl"} == last.keys()
    assert (total, total - 40) == (last["totalCampaignsCount"], len(last["campaigns"]))
    assert 26 == client.json("/api/templates", page=1)["totalTemplatesCount"]


def test_a_page_has_1000_rows_at_most() -> None:
    """A larger pageSize is cut to 1000, silently (FACTS 6)."""
    world = WorldOptions(days=1, events_per_day=50, campaigns=1001, end=END)
    with Simulator(world, ServerOptions(api_key=KEY)) as simulator:
        first, second = Client(simulator.url).pages("/api/campaigns", pageSize=5000)
    assert (1000, 1001) == (len(first["campaigns"]), first["totalCampaignsCount"])
    assert 1 == len(second["campaigns"])


def test_links_lead_through_all_rows_and_back(client: Client, shop: Simulator) -> None:
    """nextPageUrl, absolute, leads to every row by ascending id; previousPageUrl leads back (FACTS 1, 6)."""
    pages = list(client.pages("/api/campaigns", pageSize=9, sort="id"))
    found = [row for page in pages for row in page["campaigns"]]
    assert sorted(row["id"] for row in shop.truth("campaigns")) == [row["id"] for row in found]
    assert counted(shop.truth("campaigns")) == counted(found)
    assert pages[-1]["previousPageUrl"].startswith(f"{shop.url}/api/campaigns?")
    assert pages[-2] == client.json(pages[-1]["previousPageUrl"])
    assert "previousPageUrl" not in pages[0]


@pytest.mark.parametrize("field", ["id", "name", "createdAt", "updatedAt"])
@pytest.mark.parametrize("path", ["campaigns", "templates"])
def test_sorting(client: Client, path: str, field: str) -> None:
    """A minus sorts in descending order, a plus or nothing in ascending order (swagger, campaigns and templates)."""
    key = "templateId" if (path, field) == ("templates", "id") else field

    def found(sort: str) -> list[object]:
        return [row[key] for row in client.json(f"/api/{path}", pageSize=1000, sort=sort)[path]]

    ascending = sorted(found(field))  # type: ignore[type-var]
    assert ascending == found(field) == found(f"+{field}") == found(f"-{field}")[::-1]


def test_states_may_be_repeated(client: Client, shop: Simulator) -> None:
    """campaignState may be given several times, and stays in the links (swagger, FACTS 6)."""
    asked = "/api/campaigns?campaignState=Draft&campaignState=Finished&pageSize=3"
    found = [row for page in client.pages(asked) for row in page["campaigns"]]
    assert {"Draft", "Finished"} == {row["campaignState"] for row in found}
    wanted = [row for row in shop.truth("campaigns") if row["campaignState"] in {"Draft", "Finished"}]
    assert counted(wanted) == counted(found)


def test_templates_without_filters_are_a_subset(client: Client, shop: Simulator) -> None:
    """Without filters only some templates come; each type and medium gives all of its own (FACTS 12)."""
    everything = shop.truth("templates")
    bare = [row for page in client.pages("/api/templates") for row in page["templates"]]
    assert 0 < len(bare) < len(everything)
    for kind, medium in product(TEMPLATE_TYPES, TEMPLATE_MEDIA):
        call = {"templateType": kind, "messageMedium": medium}
        wanted = [row["templateId"] for row in everything if call.items() <= row.items()]
        found = [row for page in client.pages("/api/templates", **call) for row in page["templates"]]
        assert wanted == [row["templateId"] for row in found]
        assert not any({"templateType", "messageMedium"} & row.keys() for row in found)


@pytest.mark.parametrize("parameter", [{"page": "0"}, {"page": "one"}, {"pageSize": "0"}, {"pageSize": "-1"}])
def test_impossible_pages(client: Client, parameter: dict[str, str]) -> None:
    """A page that cannot be is a 400 (swagger, templates: Invalid parameters)."""
    status, found = refusal(client.get("/api/templates", **parameter))
    assert (400, "BadParams") == (status, found["code"])


# ── exports ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def seconds(simulator: Simulator, table: str, start: str, end: str) -> list[dict[str, Any]]:
    """Return the true rows of ``[start, end)``, by their text: it sorts as time does."""
    return [row for row in simulator.truth(table) if start <= row["createdAt"][:19] < end]


def test_start_is_inclusive_and_end_exclusive(client: Client, shop: Simulator) -> None:
    """An export has the rows of its first second and none of its last (swagger; FACTS 8.2)."""
    times = sorted({row["createdAt"][:19] for row in shop.truth("email_send")})
    start, end = times[100], times[200]
    found = client.export("emailSend", startDateTime=f"{start} +00:00", endDateTime=f"{end} +00:00")
    assert (start, times[199]) == (
        min(row["createdAt"] for row in found)[:19],
        max(row["createdAt"][:19] for row in found),
    )
    assert counted(seconds(shop, "email_send", start, end)) == counted(found)
    assert [] == client.export("emailSend", startDateTime=start, endDateTime=start)


def test_users_are_exported_by_their_last_change(client: Client, shop: Simulator) -> None:
    """The window of users is one of profileUpdatedAt (FACTS 8.2)."""
    wanted = [row for row in shop.truth("users") if row["profileUpdatedAt"].startswith("2025-05-10")]
    assert wanted
    assert counted(wanted) == counted(client.export("user", startDateTime="2025-05-10", endDateTime="2025-05-11"))


@pytest.mark.parametrize(
    "moment",
    [
        "2025-05-10",
        "2025-05-10 00:00:00",
        "2025-05-10 00:00:00 +00:00",
        "2025-05-10 02:00:00 +0200",
        "2025-05-10T00:00:00.000Z",
    ],
)
def test_forms_of_dates(client: Client, shop: Simulator, moment: str) -> None:
    """Dates come in several forms; without a zone they are UTC (FACTS 7.1)."""
    found = client.export("emailOpen", startDateTime=moment, endDateTime="2025-05-11")
    assert counted(seconds(shop, "email_open", "2025-05-10", "2025-05-11")) == counted(found)


@pytest.mark.parametrize("moment", ["yesterday", "2025-05-10T00:00:00", "10.05.2025", "2025-13-45", ""])
def test_dates_that_cannot_be_read(client: Client, moment: str) -> None:
    """A date in no known form is a 400 in Iterable's words."""
    status, found = refusal(client.get(EXPORT, dataTypeName="emailOpen", startDateTime=moment))
    assert 400 == status
    assert {"msg": f'Invalid format: "{moment}"', "code": "BadParams", "params": None} == found


def test_without_a_window_it_is_today(client: Client) -> None:
    """Names of parameters that Iterable does not know are ignored, and the range is Today then (swagger, FACTS 7.1)."""
    assert [] == client.export("emailOpen", startTime="2025-05-10", endTime="2025-05-11")
    assert [] == client.export("emailOpen", range="Today")
    assert client.export("emailOpen", range="BeforeToday")
    assert 400 == client.get(EXPORT, dataTypeName="emailOpen", range="Tomorrow").status


def test_exports_are_not_ordered(client: Client) -> None:
    """The same rows come in another order each time (FACTS 8.3)."""
    first, second = client.export("emailClick"), client.export("emailClick")
    assert first != second
    assert counted(first) == counted(second)


@pytest.mark.parametrize("name", ["emailUnSubscribe", "emailUnsubscribe", "EMAILUNSUBSCRIBE"])
def test_data_types_in_any_case(client: Client, shop: Simulator, name: str) -> None:
    """The data type is matched without regard to case (FACTS 8.6)."""
    assert len(shop.truth("email_unsubscribe")) == len(client.export(name))


@pytest.mark.parametrize("name", ["emailOpened", "", "users"])
def test_unknown_data_type(client: Client, name: str) -> None:
    """A data type that does not exist is a 400 in Iterable's form."""
    status, found = refusal(client.get(EXPORT, dataTypeName=name, range="All"))
    assert (400, {"msg", "code", "params"}, "BadParams") == (status, found.keys(), found["code"])


def test_exports_are_streamed_lines(client: Client) -> None:
    """An export is chunked text, one JSON object a line (FACTS 3)."""
    answer = client.get(EXPORT, dataTypeName="emailComplaint", range="All")
    assert "text/plain; charset=utf-8" == answer.headers["Content-Type"]
    assert "chunked" == answer.headers["Transfer-Encoding"]
    assert answer.data.endswith(b"}\n")


# ── lists and metadata ───────────────────────────────────────────────────────────────────────────────────────────────


def test_users_of_a_list(client: Client, shop: Simulator) -> None:
    """The users of a list come as plain text, one identifier a line, in another order each time (FACTS 9)."""
    answers = [client.get("/api/lists/getUsers", listId=3310201) for _ in "12"]
    names = [answer.data.decode().splitlines() for answer in answers]
    assert "text/plain" == answers[0].headers["Content-Type"]
    assert answers[0].data.endswith(b"\n")
    assert names[0] != names[1]
    wanted = [row["email"] for row in shop.truth("list_users") if row["listId"] == 3310201]
    assert Counter(wanted) == Counter(names[0]) == Counter(names[1])


def test_list_of_nobody(client: Client) -> None:
    """An empty list is an empty body, and its size 0 is a bare number (FACTS 3, 9)."""
    assert b"" == client.get("/api/lists/getUsers", listId=3310206).data
    assert b"0" == client.get("/api/lists/3310206/size").data


def test_unknown_list(client: Client) -> None:
    """A list that does not exist is a 400 with its id as text (FACTS 4.1, recorded)."""
    recorded = {
        "msg": "Invalid email list id",
        "code": "BadParams",
        "params": {"projectId": "48210", "listId": "42"},
    }
    assert (400, recorded) == refusal(client.get("/api/lists/getUsers", listId=42))
    assert 400 == client.get("/api/lists/42/size").status


def test_metadata_pages(client: Client, shop: Simulator) -> None:
    """Keys come in pages, each with the marker of the next; their order stays (FACTS 6)."""
    wanted = [row["key"] for row in shop.truth("metadata") if row["table"] == "stores"]
    first = client.json("/api/metadata/stores")
    assert wanted[: len(first["results"])] == [row["key"] for row in first["results"]]
    assert first["nextMarker"]
    assert wanted == [row["key"] for row in client.keys("/api/metadata/stores")]
    assert 400 == client.get("/api/metadata/stores", nextMarker="elsewhere").status


def test_metadata_that_does_not_exist(client: Client) -> None:
    """An unknown table is empty, an unknown key a 404 (FACTS 4.2, recorded)."""
    assert {"results": []} == client.json("/api/metadata/nowhere")
    recorded = {"msg": "No metadata found in table stores with key nowhere", "code": "NotFound", "params": None}
    assert (404, recorded) == refusal(client.get("/api/metadata/stores/nowhere"))


def test_metadata_tables_in_any_case(client: Client) -> None:
    """The names of metadata tables have no case, those of keys do (FACTS 13)."""
    assert client.json("/api/metadata/Stores/lyon") == client.json("/api/metadata/stores/lyon")
    assert 404 == client.get("/api/metadata/stores/Lyon").status


def test_user_fields(client: Client) -> None:
    """Fields have one of the recorded types, and arrays carry no mark (FACTS 14.1)."""
    fields = client.json("/api/users/getFields")["fields"]
    types = {"string", "long", "double", "boolean", "date", "geo_location", "object", "nested", "unknown"}
    assert set(fields.values()) <= types
    assert "long" == fields["emailListIds"]


# ── keys, limits, errors ─────────────────────────────────────────────────────────────────────────────────────────────


def test_wordings_of_401(client: Client, shop: Simulator) -> None:
    """No key, a wrong key and a missing right are told apart by their words alone (FACTS 2.3)."""
    facts = {"ip": "203.0.113.5", "endpoint": "/api/lists"}
    for key, message in ((None, "No API key found on request"), ("f" * 32, "Invalid API key")):
        wanted = {"msg": message, "code": "BadApiKey", "params": facts}
        assert (401, wanted) == refusal(Client(shop.url, key).get("/api/lists"))


def test_a_missing_right() -> None:
    """A key without a right gets a 401, not a 403, there and there only (FACTS 2.2, 2.3)."""
    with Simulator(TINY, ServerOptions(api_key=KEY, denied=("/api/export",))) as simulator:
        client = Client(simulator.url)
        status, found = refusal(client.get(EXPORT, dataTypeName="emailOpen", range="All"))
        assert (401, "BadApiKey") == (status, found["code"])
        assert "Disabled API key or insufficient privileges" == found["msg"]
        assert {"ip", "endpoint", "apiKeyIdentifier", "apiKeyType"} == found["params"].keys()
        assert (8, "ServerSide") == (len(found["params"]["apiKeyIdentifier"]), found["params"]["apiKeyType"])
        assert client.json("/api/lists")


@pytest.mark.parametrize("name", ["Api-Key", "API-Key", "api-key", "Api_Key", "api_key"])
def test_names_of_the_header(shop: Simulator, name: str) -> None:
    """The header of the key has no case, and an underscore does as well (FACTS 2.1)."""
    assert 200 == Client(shop.url, key=None).request("GET", "/api/channels", headers={name: KEY}).status


def test_the_key_is_not_kept(client: Client, shop: Simulator) -> None:
    """The record of requests has paths, parameters and statuses, but never a key."""
    client.get("/api/lists", page=3)
    Client(shop.url, "another-key").get("/api/lists")
    found = client.control("requests")
    last = [(seen["method"], seen["path"], seen["params"], seen["status"]) for seen in json.loads(found)[-2:]]
    assert [("GET", "/api/lists", {"page": "3"}, 200), ("GET", "/api/lists", {}, 401)] == last
    assert KEY.encode() not in found
    assert b"another-key" not in found


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/api/nothing"), ("GET", "/api/lists/1"), ("POST", "/api/lists"), ("DELETE", "/api/lists")],
)
def test_wrong_paths_and_methods(client: Client, method: str, path: str) -> None:
    """A path or method that does not exist is a 404 page in HTML (FACTS 4.2, recorded)."""
    answer = client.request(method, path)
    assert (404, "text/html; charset=utf-8") == (answer.status, answer.headers["Content-Type"])
    assert b"<title>Action not found</title>" in answer.data


def test_long_addresses(client: Client) -> None:
    """Up to 2048 characters an address is fine; beyond it is a 414 in plain text (FACTS 4.2)."""
    path = "/api/lists?x="
    assert 200 == client.get(path + "x" * (2048 - len(path))).status
    answer = client.get(path + "x" * (2049 - len(path)))
    assert (414, "text/plain") == (answer.status, answer.headers["Content-Type"])
    assert b"URI length exceeds the configured limit of 2048 characters" == answer.data


def exports(simulator: Simulator, count: int) -> list[BaseHTTPResponse]:
    client = Client(simulator.url)
    return [client.get(EXPORT, dataTypeName="emailOpen", range="All") for _ in range(count)]


def test_limits() -> None:
    """The fifth export within a minute is refused in the recorded words and counted; no header says when to return."""
    with Simulator(TINY, ServerOptions(api_key=KEY, limits=True)) as simulator:
        *passed, last = exports(simulator, 5)
        report = simulator.limit_report()
    assert [200] * 4 == [answer.status for answer in passed]
    message = "Exceeded rate limit of 4.0 per minute for endpoint: /api/export/data.json, project: 48210 "
    assert (429, {"msg": message, "code": "RateLimitExceeded", "params": {}}) == refusal(last)
    assert not any(name in last.headers for name in ("Retry-After", "X-RateLimit-Limit"))
    assert {EXPORT: 1} == report


def test_limits_with_a_factor() -> None:
    """A factor scales every limit, and each endpoint has a limit of its own (FACTS 5)."""
    with Simulator(TINY, ServerOptions(api_key=KEY, limits=True, rate_limit_factor=0.5)) as simulator:
        assert [200, 200, 429] == [answer.status for answer in exports(simulator, 3)]
        client = Client(simulator.url)
        users = [client.get("/api/lists/getUsers", listId=3310201) for _ in range(4)]
        assert [200, 200, 200, 429] == [answer.status for answer in users]
        assert "2.5 per minute for endpoint: /api/lists/getUsers," in body(users[-1])["msg"]
        assert 200 == client.get("/api/lists").status


def test_limits_are_counted_when_they_are_not_enforced() -> None:
    """Without limits every request passes; how many exceeded them is known all the same."""
    with Simulator(TINY, ServerOptions(api_key=KEY)) as simulator:
        assert [200] * 6 == [answer.status for answer in exports(simulator, 6)]
        assert {EXPORT: 2} == simulator.limit_report()


@pytest.mark.parametrize("path", ["/api/lists", "/api/campaigns"])
def test_compression(client: Client, path: str) -> None:
    """JSON is compressed when asked for, and only then (FACTS 3)."""
    plain, small = client.get(path), client.request("GET", path, headers={"Accept-Encoding": "gzip"})
    assert (None, "gzip") == (plain.headers.get("Content-Encoding"), small.headers["Content-Encoding"])
    assert len(small.data) == int(small.headers["Content-Length"]) < len(plain.data)
    assert body(plain) == json.loads(gzip.decompress(small.data))


def test_headers(client: Client) -> None:
    """Answers carry the recorded headers (FACTS 3)."""
    found = client.get("/api/lists").headers
    assert "application/json" == found["Content-Type"]
    assert all(name in found for name in ("Request-Time", "Iterable-Request-Id", "Server"))
    assert not any(name in found for name in ("ETag", "Last-Modified", "Retry-After"))


# ── what the project holds ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("table", TABLES)
def test_truth_is_what_a_client_reads(client: Client, shop: Simulator, table: str) -> None:
    """Each table has rows, and a plain client reads exactly those that the truth names."""
    truth = counted(shop.truth(table))
    assert truth
    assert truth == counted(client.table(table))


INSTANT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+00:00")


def fits(value: object, type_: str) -> bool:
    """Return whether a JSON value has a type of RECORDED."""
    match type_.rstrip("!"):
        case "string":
            return isinstance(value, str)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "boolean":
            return isinstance(value, bool)
        case "json":
            return isinstance(value, list | dict)
        case "epoch_ms":
            return isinstance(value, int) and 10**12 < value < 10**13
        case "itbl_datetime":
            return isinstance(value, str) and INSTANT.fullmatch(value) is not None
        case _:
            raise ValueError(type_)


@pytest.mark.parametrize("project_type", ["email", "hybrid", "userid"])
@pytest.mark.parametrize("table", RECORDED)
def test_rows_are_as_recorded(table: str, project_type: ProjectType, worlds: Mapping[str, World]) -> None:
    """Rows have the recorded fields and types, all that every row must have, and an identity (schema.json)."""
    recorded = RECORDED[table]
    fields = recorded["fields"]
    required = {name for name, type_ in fields.items() if type_.endswith("!")}
    told = {"templateType", "messageMedium"} if table == "templates" else set()
    for row in [*worlds[project_type].truth(table), *recorded["examples"]]:
        assert [] == [(name, value) for name, value in row.items() if name in fields and not fits(value, fields[name])]
        assert required <= row.keys()
        assert recorded["own_fields"] or row.keys() <= fields.keys() | told
        assert "itblUserId" not in fields or {"email", "userId"} & row.keys()
        assert None not in row.values()


@pytest.mark.parametrize("table", RECORDED)
def test_recorded_fields_occur(table: str, shop: Simulator) -> None:
    """Every field of the recorded rows that no other project needs occurs in the simulator as well (schema.json)."""
    fields = set().union(*shop.truth(table))
    # the project's own: any will do
    own = {"locale", "timeZone", "syncedAt"}
    assert set() == set().union(*RECORDED[table]["examples"]) - fields - own


# ── data types ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_older_names_of_data_types(client: Client, shop: Simulator) -> None:
    """unknownSession answers to its older name as well, whatever the case (FACTS 8.6)."""
    truth = counted(shop.truth("unknown_session"))
    assert truth == counted(client.export("unknownSession")) == counted(client.export("ANONSession"))


@pytest.mark.parametrize(
    ("not_offered", "asked", "status"),
    [
        (("unknownSession",), "unknownSession", 400),
        (("unknownSession",), "anonSession", 200),
        (("unknownSession", "anonSession"), "anonSession", 400),
        (("rcsSend",), "RcsSend", 400),
        (("rcsSend",), "rcsSendSkip", 200),
    ],
)
def test_data_types_that_are_not_offered(not_offered: tuple[str, ...], asked: str, status: int) -> None:
    """A project may not offer a data type, or know it by its older name alone: 400 BadParams (FACTS 8.6)."""
    with Simulator(replace(TINY, not_offered=not_offered), ServerOptions(api_key=KEY)) as simulator:
        client = Client(simulator.url)
        wanted = {"dataTypeName": asked, "range": "All"}
        for answer in (client.get(EXPORT, **wanted), client.start(**wanted)):
            assert status == answer.status
            assert status == 200 or refusal(answer)[1]["code"] == "BadParams"


def test_nested_objects_are_flat(shop: Simulator) -> None:
    """Objects come under dotted keys; arrays of objects stand twice; some devices come as they are (FACTS 8.4)."""
    nested = {
        (table, field)
        for table in DATA_TYPES
        for row in shop.truth(table)
        for field, value in row.items()
        if isinstance(value, dict)
    }
    assert {("embedded_click", "deviceInfo"), ("users", "profile")} == nested
    for row in shop.truth("purchase"):
        assert [item["id"] for item in row["shoppingCartItems"]] == row["shoppingCartItems.id"]


def test_what_is_a_number_here_and_a_text_there(shop: Simulator) -> None:
    """Accounts of services are numbers in some data types and texts in others (schema.json, espAccountId)."""
    kinds = {"sms_send": str, "sms_received": str, "whatsapp_received": str, "whatsapp_send": int, "whatsapp_seen": int}
    for table, kind in kinds.items():
        assert {kind} == {type(row["espAccountId"]) for row in shop.truth(table) if "espAccountId" in row}
