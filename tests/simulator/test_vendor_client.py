"""Iterable's own TypeScript client, @iterable/api, reads the simulator; it validates every answer."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from reiterate.simulator import ServerOptions, Simulator, WorldOptions
from tests.conftest import KEY
from tests.simulator.conftest import END

if TYPE_CHECKING:
    from collections.abc import Iterator

Row = dict[str, Any]

PACKAGE = "@iterable/api@0.13.0"
SCRIPT = Path(__file__).with_name("vendor_client.mjs")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client, installed into a directory of its own."""
    if missing := [name for name in ("node", "npm") if shutil.which(name) is None]:
        pytest.skip(f"not installed: {', '.join(missing)}")
    directory = tmp_path_factory.mktemp("vendor")
    shutil.copy(SCRIPT, directory)
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", PACKAGE]
    ended = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=50, check=False)
    if ended.returncode != 0:
        pytest.skip(f"npm could not install {PACKAGE}: {ended.stderr.strip().splitlines()[:1]}")
    return directory


@pytest.fixture(scope="module")
def project() -> Iterator[Simulator]:
    with Simulator(
        WorldOptions(days=2, events_per_day=400, end=END, users=25), ServerOptions(api_key=KEY)
    ) as simulator:
        yield simulator


def calls_of(simulator: Simulator) -> list[tuple[str, Row]]:
    """Return every read of the client that the simulator serves, with parameters that find something."""
    row = next(row for row in simulator.truth("users") if "userId" in row and "+" not in row["email"])
    email, user_id = row["email"], row["userId"]
    in_app, embedded = simulator.truth("in_app_send")[0]["email"], simulator.truth("embedded_send")[0]["email"]
    campaign = simulator.truth("email_send")[0]["campaignId"]
    recurring = next(row["id"] for row in simulator.truth("campaigns") if row["campaignState"] == "Recurring")
    experiment = {"experimentId": simulator.truth("experiments")[0]["id"]}
    draft = {"experimentId": next(row["id"] for row in simulator.truth("experiments") if row["status"] == "draft")}
    of_medium = {row["messageMedium"]: row["templateId"] for row in simulator.truth("templates")}
    snippet = simulator.truth("snippets")[0]
    window = {"startDateTime": "2025-05-01 00:00:00", "endDateTime": "2025-07-01 00:00:00"}
    own_id = next(row["clientTemplateId"] for row in simulator.truth("templates") if "clientTemplateId" in row)
    list_id = simulator.truth("lists")[0]["id"]
    return [
        # not all states: the client refuses Recalled, which production has (FACTS 11)
        ("getCampaigns", {"pageSize": 50, "campaignState": ["Draft", "Finished", "Running", "Scheduled", "Recurring"]}),
        ("getCampaign", {"id": campaign}),
        ("getChildCampaigns", {"id": recurring}),
        ("getCampaignMetrics", {"campaignId": campaign, **window}),
        ("getUserByEmail", {"email": email}),
        ("getUserByEmail", {"email": "nobody@example.com"}),
        ("getUserByUserId", {"userId": user_id}),
        ("getUserFields", {}),
        ("getUserEventsByEmail", {"email": email, "limit": 200}),
        ("getUserEventsByUserId", {"userId": user_id}),
        ("getSentMessages", {"email": email, "limit": 100}),
        ("getSentMessages", {"userId": user_id, **window, "messageMedium": "Email", "excludeBlastCampaigns": True}),
        ("getInAppMessages", {"email": in_app, "count": 100}),
        ("getEmbeddedMessages", {"email": embedded, "placementIds": [5, 9]}),
        ("previewEmailTemplate", {"templateId": of_medium["Email"], "data": {"dataFields": {"firstName": "Zoë"}}}),
        ("previewInAppTemplate", {"templateId": of_medium["InApp"]}),
        ("getTemplates", {}),
        ("getTemplateByClientId", {"clientTemplateId": own_id}),
        *((f"get{medium}Template", {"templateId": of_medium[medium]}) for medium in ("Email", "Push", "SMS", "InApp")),
        ("getSnippets", {}),
        ("getSnippet", {"identifier": snippet["id"]}),
        ("getSnippet", {"identifier": snippet["name"]}),
        ("listExperiments", {"limit": 100}),
        ("getExperiment", experiment),
        ("getExperimentVariants", experiment),
        ("getExperimentTotals", experiment),
        ("getExperimentTrends", experiment),
        (
            "getExperimentTrends",
            {**experiment, "startDateTime": "2025-05-30T00:00:00.000Z", "endDateTime": "2025-06-30T00:00:00.000Z"},
        ),
        ("getExperimentTrends", draft),
        ("getCatalogs", {}),
        ("getCatalogItems", {"catalogName": "products", "pageSize": 1000}),
        ("getCatalogItem", {"catalogName": "products", "itemId": "SKU-7"}),
        ("getCatalogFieldMappings", {"catalogName": "products"}),
        ("getJourneys", {"pageSize": 50}),
        ("getLists", {}),
        ("getListUsers", {"listId": list_id}),
        ("getListSize", {"listId": list_id}),
        ("getListPreviewUsers", {"listId": list_id}),
        ("getChannels", {}),
        ("getMessageTypes", {}),
        ("getWebhooks", {}),
        ("getExportJobs", {}),
    ]


def test_the_client_reads_everything(installed: Path, project: Simulator) -> None:
    """No answer is refused by the client's own checks, and none of those that have something is empty."""
    calls = calls_of(project)
    asked = {"url": project.url, "key": KEY, "calls": calls}
    ended = subprocess.run(
        ["node", SCRIPT.name],
        cwd=installed,
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    answers = [(*call, answer) for call, answer in zip(calls, json.loads(ended.stdout), strict=True)]
    assert [] == [answer for answer in answers if "error" in answer[2]]
    found = {method: answer["value"] for method, _, answer in reversed(answers)}
    email = calls[4][1]["email"]
    assert email == found["getUserByEmail"]["user"]["email"] == found["getUserByUserId"]["user"]["email"]
    assert {} == answers[5][2]["value"]
    events = [row for table in project.world.timelines.values() for row in table.rows() if row.get("email") == email]
    assert min(len(events), 200) == len(found["getUserEventsByEmail"]["events"])
    assert found["getSentMessages"]["messages"]
    assert found["getInAppMessages"]["inAppMessages"]
    assert [True, False] == [bool(each["embeddedMessages"]) for each in found["getEmbeddedMessages"]["placements"]]
    assert "Zoë" in found["previewEmailTemplate"]
    assert 1000 == len(found["getCatalogItems"]["catalogItemsWithProperties"])
    sends = sum(row["campaignId"] == calls[1][1]["id"] for row in project.truth("email_send"))
    assert str(sends) == found["getCampaignMetrics"][0]["Total Email Sends"]
