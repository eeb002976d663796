"""What single users have: events, messages, previews; each as the truth has it."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import urllib3

from reiterate.simulator import ServerOptions, Simulator, WorldOptions
from tests.conftest import KEY
from tests.simulator.client import DATA_TYPES, Client, counted, rows
from tests.simulator.conftest import END

if TYPE_CHECKING:
    from collections.abc import Iterator

Row = dict[str, Any]
EVENTS = [table for table in DATA_TYPES if table != "users"]
WHOSE = ("itblUserId", "email", "userId")


@pytest.fixture(scope="module")
def project() -> Iterator[Simulator]:
    """A project of few people with many events each, some of them without an address."""
    world = WorldOptions(days=3, events_per_day=400, end=END, users=24, project_type="hybrid")
    with Simulator(world, ServerOptions(api_key=KEY)) as simulator:
        yield simulator


def client(simulator: Simulator) -> Client:
    return Client(simulator.url)


def people(simulator: Simulator) -> Iterator[tuple[Row, dict[str, str]]]:
    """Yield users, and the parameter that names each: an email or a userId."""
    for profile in simulator.truth("users"):
        name = "email" if "email" in profile else "userId"
        yield profile, {name: profile[name]}


def his(simulator: Simulator, profile: Row, *tables: str) -> list[tuple[str, Row]]:
    """Return the events of a user by the truth of the tables, with their data types."""
    return [
        (DATA_TYPES[table], row)
        for table in tables or EVENTS
        for row in simulator.truth(table)
        if next((row[name] == profile[name] for name in WHOSE if name in row and name in profile), False)
    ]


def test_user_events(project: Simulator) -> None:
    """`export/userEvents` has every event of a user and nobody else's, with its type; custom ones on demand."""
    for profile, who in people(project):
        wanted = his(project, profile)
        found = rows(client(project).get("/api/export/userEvents", **who, includeCustomEvents="true").data)
        assert all(row.pop("itblInternal").keys() == {"documentCreatedAt", "documentUpdatedAt"} for row in found)
        assert counted({**row, "_type": data_type} for data_type, row in wanted) == counted(
            {name: value for name, value in row.items() if value is not None and name != "messageTypeIds"}
            for row in found
        )
        without = rows(client(project).get("/api/export/userEvents", **who).data)
        assert sum(data_type != "customEvent" for data_type, _ in wanted) == len(without)


def test_user_events_have_nulls(project: Simulator) -> None:
    """What an export leaves out is an explicit null there (FACTS 8.4, recorded)."""
    profile, who = next(people(project))
    found = rows(client(project).get("/api/export/userEvents", **who).data)
    assert None in {row["city"] for row in found if row["_type"] == "emailOpen"}
    assert his(project, profile)


@pytest.mark.parametrize(
    "path", ["/api/export/userEvents", "/api/users/getSentMessages", "/api/embedded-messaging/messages"]
)
def test_nobody_in_particular(project: Simulator, path: str) -> None:
    """A request has to name a user; one whom nobody knows has nothing."""
    answer = client(project).get(path)
    assert (400, "Must provide either an email or a userId") == (answer.status, json.loads(answer.data)["msg"])
    answer = client(project).get(path, email="nobody@example.com")
    assert (200, True) == (answer.status, answer.data in {b"", b'{"messages": []}', b'{"placements": []}'})


def test_events_of_a_user(project: Simulator) -> None:
    """`events/…` has the newest events first, 30 unless asked, 200 at most; own fields of custom events are nested."""
    custom = []
    for profile, _ in people(project):
        path = f"/api/events/byUserId/{profile['userId']}" if "userId" in profile else f"/api/events/{profile['email']}"
        wanted = his(project, profile)
        found = client(project).json(path, limit=1000)["events"]
        times = [event["createdAt"] for event in found]
        assert times == sorted((row["createdAt"] for _, row in wanted), reverse=True)[:200]
        assert min(30, len(wanted)) == len(client(project).json(path)["events"])
        custom += [event for event in found if event["eventType"] == "customEvent"]
    assert custom
    assert all(
        "eventName" in event and isinstance(event["dataFields"], dict) and "sku" not in event for event in custom
    )


def sent(simulator: Simulator, who: dict[str, str], **more: str | int) -> list[Row]:
    found: list[Row] = client(simulator).json("/api/users/getSentMessages", **who, **more)["messages"]
    return found


def test_sent_messages(project: Simulator) -> None:
    """`getSentMessages` has sends of four media, newest first, 10 unless asked, by campaign, medium, time and type."""
    blasts = {row["id"] for row in project.truth("campaigns") if row["type"] == "Blast"}
    for profile, who in people(project):
        sends = [row for _, row in his(project, profile, "email_send", "push_send", "in_app_send", "sms_send")]
        emails = [row for _, row in his(project, profile, "email_send")]
        ask = partial(sent, project, who)
        assert {row["messageId"] for row in sends} == {row["messageId"] for row in ask(limit=1000)}
        assert min(10, len(sends)) == len(ask())
        assert len(emails) == len(ask(limit=1000, messageMedium="Email"))
        triggered = [row for row in sends if row["campaignId"] not in blasts]
        assert len(triggered) == len(ask(limit=1000, excludeBlastCampaigns="true"))
        if sends:
            campaign, at = sends[0]["campaignId"], sends[0]["createdAt"]
            assert sum(row["campaignId"] == campaign for row in sends) == len(ask(limit=1000, campaignIds=campaign))
            assert sum(row["createdAt"] < at for row in sends) == len(ask(limit=1000, endDateTime=at))
            assert sum(row["createdAt"] >= at for row in sends) == len(ask(limit=1000, startDateTime=at))
    assert 400 == client(project).get("/api/users/getSentMessages", **who, messageMedium="Fax").status


def test_in_app_messages(project: Simulator) -> None:
    """In-app messages are those sent, not deleted, not recalled, not expired; *read* are those that were opened."""
    counts = 0
    for profile, who in people(project):
        of = {
            table: {row["messageId"] for _, row in his(project, profile, table)}
            for table in ("in_app_send", "in_app_delete", "in_app_recall", "in_app_open")
        }
        now = f"{END:%Y-%m-%d %H:%M:%S} +00:00"
        expired = {
            row["messageId"] for _, row in his(project, profile, "in_app_send") if row.get("expiresAt", "9") <= now
        }
        found = client(project).json("/api/inApp/getMessages", **who, count=100)["inAppMessages"]
        wanted = of["in_app_send"] - of["in_app_delete"] - of["in_app_recall"] - expired
        assert wanted == {message["messageId"] for message in found}
        assert wanted & of["in_app_open"] == {message["messageId"] for message in found if message["read"]}
        assert min(1, len(found)) == len(
            client(project).json("/api/inApp/getMessages", **who, count=1)["inAppMessages"]
        )
        counts += len(found)
    assert counts
    assert 400 == client(project).get("/api/inApp/getMessages", **who).status


def test_embedded_messages(project: Simulator) -> None:
    """Embedded messages come by placement; placements that are asked for are there, known messages lack elements."""
    counts = 0
    for profile, who in people(project):
        sent = {row["messageId"] for _, row in his(project, profile, "embedded_send")}
        placements = client(project).json("/api/embedded-messaging/messages", **who)["placements"]
        messages = [message for placement in placements for message in placement["embeddedMessages"]]
        assert sent == {message["metadata"]["messageId"] for message in messages}
        if sent:
            known = min(sent)
            asked = {**who, "placementIds": 9, "currentMessageIds": known}
            assert (
                []
                == client(project).json("/api/embedded-messaging/messages", **asked)["placements"][0][
                    "embeddedMessages"
                ]
            )
            asked["placementIds"] = 5
            (placement,) = client(project).json("/api/embedded-messaging/messages", **asked)["placements"]
            assert {known} == {
                each["metadata"]["messageId"] for each in placement["embeddedMessages"] if "elements" not in each
            }
        counts += len(sent)
    assert counts


def test_an_email_in_the_browser(project: Simulator) -> None:
    """An email that was sent is shown with the user's own fields; another person's is not."""
    profiles = {row["email"]: row for row in project.truth("users") if "email" in row}
    send = next(row for row in project.truth("email_send") if "email" in row)
    asked = {"email": send["email"], "messageId": send["messageId"]}
    answer = client(project).get("/api/email/viewInBrowser", **asked)
    assert (200, "text/html; charset=utf-8") == (answer.status, answer.headers["Content-Type"])
    assert profiles[send["email"]]["firstName"] in answer.data.decode()
    other = next(email for email in profiles if email != send["email"])
    assert 400 == client(project).get("/api/email/viewInBrowser", **{**asked, "email": other}).status


@pytest.mark.parametrize(
    ("body", "line"),
    [({"dataFields": {"firstName": "Zoë"}}, "Zoë"), ({"dataFields": {}}, ""), ({}, ""), (None, "")],
)
def test_preview(project: Simulator, body: object, line: str) -> None:
    """A preview has the fields that it is given; others are empty (swagger)."""
    template = next(row for row in project.truth("templates") if row["messageMedium"] == "Email")
    url = f"{project.url}/api/templates/email/preview?templateId={template['templateId']}"
    answer = urllib3.request("POST", url, json=body, headers={"Api-Key": KEY})
    assert f"<html><body>{template['name']}\n{line}</body></html>" == answer.data.decode()


@pytest.mark.parametrize(("query", "status"), [("templateId=1", 400), ("", 400), ("templateId={id}&locale=xx-XX", 404)])
def test_a_preview_of_nothing(project: Simulator, query: str, status: int) -> None:
    """An unknown template is a 400, an unknown locale a 404; a GET is no preview."""
    template_id = next(row["templateId"] for row in project.truth("templates") if row["messageMedium"] == "Email")
    url = f"{project.url}/api/templates/email/preview?{query.format(id=template_id)}"
    assert status == urllib3.request("POST", url, json={}, headers={"Api-Key": KEY}).status
    assert 404 == urllib3.request("GET", url, headers={"Api-Key": KEY}).status


def test_single_rows(project: Simulator) -> None:
    """One campaign, catalog item or snippet is the row of its listing; what there is not is a 404 in its own form."""
    asking = client(project)
    for row in project.truth("campaigns")[:5]:
        assert row == asking.json(f"/api/campaigns/{row['id']}")
    for row in project.truth("catalog_items")[-3:]:
        path = f"/api/catalogs/{row['catalogName']}/items/{row['itemId'].replace('/', '%2F').replace(' ', '%20')}"
        assert row == asking.json(path)
    for row in project.truth("snippets"):
        assert (
            {"snippet": row} == asking.json(f"/api/snippets/{row['id']}") == asking.json(f"/api/snippets/{row['name']}")
        )
    for path, code in (
        ("campaigns/1", "NotFound"),
        ("snippets/1", "NotFound"),
        ("snippets/none", "NotFound"),
        ("catalogs/products/items/sku-1", "error.catalogs.items.notFound"),
        ("catalogs/none/items/SKU-1", "error.catalogs.notFound"),
        ("experiments/1/trends", "NotFound"),
    ):
        answer = asking.get(f"/api/{path}")
        assert (404, code) == (answer.status, json.loads(answer.data)["code"]), path


def test_trends_add_up(project: Simulator) -> None:
    """The days of an experiment add up to its totals; a part of its time has some of them; a draft has none."""
    asking = client(project)
    for experiment in project.truth("experiments"):
        path = f"/api/experiments/{experiment['id']}"
        totals = {each["id"]: each["metrics"] for each in asking.json(f"{path}/totals")["variants"]}
        trends = {each["id"]: each["series"] for each in asking.json(f"{path}/trends")["variants"]}
        sums = {
            number: {name: sum(point["value"] for point in points) for name, points in series.items()}
            for number, series in trends.items()
        }
        assert (
            totals
            if experiment["status"] != "draft"
            else {number: dict.fromkeys(of, 0) for number, of in totals.items()}
        ) == sums
    assert 400 == asking.get(f"{path}/trends", startDateTime="2025-05-30").status


def test_preview_of_a_list(project: Simulator) -> None:
    """A preview of a list is a sample of its members, of the size that is asked for."""
    (list_id, *_) = {row["listId"] for row in project.truth("list_users")}
    names = {
        str(row.get("email", row.get("userId"))) for row in project.truth("list_users") if row["listId"] == list_id
    }
    asking = client(project)
    assert names == {*asking.get("/api/lists/previewUsers", listId=list_id).data.decode().splitlines()}
    few = asking.get("/api/lists/previewUsers", listId=list_id, size=2).data.decode().splitlines()
    assert (2, True) == (len(few), names >= {*few})
    assert 400 == asking.get("/api/lists/previewUsers", listId=1).status
