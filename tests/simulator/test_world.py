"""The simulated project: the same from the same options, of three types, and how it changes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from reiterate.simulator import WorldOptions
from reiterate.simulator.world import LATE_S, World
from tests.simulator.client import DATA_TYPES, EXPORT, TABLES, Client, counted, rows
from tests.simulator.conftest import END

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping

    from reiterate.simulator import Simulator

SMALL = WorldOptions(days=2, events_per_day=200, end=END)
EVENTS = [table for table in DATA_TYPES if table != "users"]
LATER_S = int(END.timestamp()) + 3600


def truths(world: World | Simulator) -> dict[str, Counter[str]]:
    return {table: counted(world.truth(table)) for table in TABLES}


# ── determinism and size ─────────────────────────────────────────────────────────────────────────────────────────────


def test_the_same_options_give_the_same_project() -> None:
    """Options with a fixed end settle every row, before and after changes."""
    one, other = World(SMALL), World(SMALL)
    assert truths(one) == truths(other)
    for world in (one, other):
        world.mutate(fraction=0.05, seed=4, now_s=LATER_S)
    assert truths(one) == truths(other)


def test_another_seed_gives_another_project() -> None:
    """The seed changes the rows of every table that chance fills."""
    one, other = truths(World(SMALL)), truths(World(replace(SMALL, seed=8)))
    assert {"channels"} == {table for table in TABLES if one[table] == other[table]}


def test_number_of_events(shop: Simulator) -> None:
    """Emails and what follows them are days times events per day, and up to 3 %; other media a tenth besides."""
    asked = shop.world.options.days * shop.world.options.events_per_day
    emails = [table for table in EVENTS if table.startswith("email_")]
    assert asked <= sum(len(shop.truth(table)) for table in emails) <= 1.03 * asked
    assert 1.09 * asked <= sum(len(shop.truth(table)) for table in EVENTS) <= 1.14 * asked


def test_events_lie_within_the_days(shop: Simulator) -> None:
    """The first event happens after the start, the last before the end."""
    times = [row["createdAt"] for table in EVENTS for row in shop.truth(table)]
    assert ("2025-04-02 00:00:00", "2025-05-31 23:59:59") <= (min(times), max(times))
    assert max(times) < "2025-06-01"


def test_oddities_of_live_projects(shop: Simulator) -> None:
    """Some events are byte-identical, some of a person fall into one second, and dates are mangled (FACTS 7.2, 8.3)."""
    opens = shop.truth("email_open")
    assert max(counted(opens).values()) > 1
    assert len({(row["messageId"], row["createdAt"]) for row in opens}) < len(counted(opens))
    assert "2025-12-19T22:43:34.134105.000Z" in {row["lastVisit"] for row in shop.truth("users")}


def test_rows_that_show_late() -> None:
    """With a visibility delay most rows show after 5 to 20 seconds, and all after 6 minutes (FACTS 8.3)."""
    world = World(WorldOptions(days=1, events_per_day=20_000, end=END, visibility_delay=True))
    timeline, end_s = world.timelines["emailSend"], int(END.timestamp())
    at_once, soon, later = (
        len(timeline.between(world.start_s, end_s, now=end_s + seconds)) for seconds in (0, 20, 360)
    )
    assert at_once < soon < later == len(world.truth("email_send"))


def test_hard_bounces_unsubscribe(shop: Simulator) -> None:
    """Behind every hard bounce stands an unsubscription of the same message (schema.json, emailBounce)."""
    hard = {row["messageId"] for row in shop.truth("email_bounce") if row["recipientState"] == "HardBounce"}
    gone = {row["messageId"] for row in shop.truth("email_unsubscribe") if row["unsubSource"] == "HardBounce"}
    assert hard == gone != set()


# ── types of projects (FACTS 14.2) ───────────────────────────────────────────────────────────────────────────────────


def having(world: World, table: str, field: str) -> str:
    """Return whether all, some or none of the rows have a field."""
    found = [field in row for row in world.truth(table)]
    return "all" if all(found) else "some" if any(found) else "none"


@pytest.mark.parametrize(
    ("project_type", "email", "user_id", "itbl_user_id", "email_lists", "user_lists"),
    [
        ("email", "all", "some", "none", "all", "none"),
        ("hybrid", "some", "some", "all", "none", "all"),
        ("userid", "none", "all", "all", "none", "all"),
    ],
)
def test_fields_of_users(
    worlds: Mapping[str, World],
    project_type: str,
    email: str,
    user_id: str,
    itbl_user_id: str,
    email_lists: str,
    user_lists: str,
) -> None:
    """The type of the project decides which identifiers and list fields users have (FACTS 14.2)."""
    world = worlds[project_type]
    fields = ("email", "userId", "itblUserId", "emailListIds", "userListIds")
    wanted = [email, user_id, itbl_user_id, email_lists, user_lists]
    assert wanted == [having(world, "users", field) for field in fields]
    assert wanted[:3] == [having(world, "email_send", field) for field in fields[:3]]


@pytest.mark.parametrize(("project_type", "key"), [("email", "email"), ("hybrid", "itblUserId"), ("userid", "userId")])
def test_keys_of_users(worlds: Mapping[str, World], project_type: str, key: str) -> None:
    """What identifies users in a project is unique there (FACTS 14.2)."""
    keys = [row[key] for row in worlds[project_type].truth("users")]
    assert len(keys) == len(set(keys))


def test_placeholder_addresses(worlds: Mapping[str, World]) -> None:
    """Only in email-based projects users without an address have a made-up one (FACTS 14.2)."""
    found = {kind: "@placeholder.email" in json.dumps(world.truth("users")) for kind, world in worlds.items()}
    assert {"email": True, "hybrid": False, "userid": False} == found


def test_names_on_lists(worlds: Mapping[str, World]) -> None:
    """Lists name users by email, and by user id where there is none (FACTS 9)."""
    fields = {kind: set().union(*world.truth("list_users")) for kind, world in worlds.items()}
    names = {"email": {"email"}, "hybrid": {"email", "userId"}, "userid": {"userId"}}
    assert {kind: {"listId", *wanted} for kind, wanted in names.items()} == fields


# ── changes ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_time_passes(small: Simulator) -> None:
    """Every table but the message types changes; lists go and come; events are added, late ones too, none goes."""
    before = truths(small)
    events = {table: small.truth(table) for table in EVENTS}
    small.mutate(fraction=0.1, seed=3)
    after = truths(small)
    assert {"message_types"} == {table for table in TABLES if before[table] == after[table]}
    old, new = ({row["id"] for row in map(json.loads, rows_["lists"])} for rows_ in (before, after))
    assert (1, 1) == (len(old - new), len(new - old))
    for table, rows_before in events.items():
        assert len(rows_before) < len(small.truth(table))


def late(world: World, before: Counter[str]) -> list[str]:
    """Return when the opens happened that are new, but older than the old end."""
    found = [json.loads(row)["createdAt"][:19] for row in counted(world.truth("email_open")) - before]
    return [at for at in found if at < "2025-06-01"]


def test_late_events_stay_within_90_minutes() -> None:
    """New and changed events before the old end are at most 90 minutes older than it."""
    world = World(WorldOptions(days=2, events_per_day=5000, end=END))
    before = counted(world.truth("email_open"))
    world.mutate(fraction=0.05, seed=3, now_s=LATER_S)
    assert 5400 == LATE_S
    assert "2025-05-31 22:30:00" <= min(late(world, before))


def test_states_change_in_silence(small: Simulator) -> None:
    """A campaign's state changes without its updatedAt; a template's name changes with it (FACTS 11)."""
    stamps = {row["id"]: row["updatedAt"] for row in small.truth("campaigns")}
    templates = {row["templateId"]: row for row in small.truth("templates")}
    small.mutate(seed=3)
    assert stamps == {row["id"]: row["updatedAt"] for row in small.truth("campaigns")}
    renamed = [row for row in small.truth("templates") if row["name"] != templates[row["templateId"]]["name"]]
    assert 3 == len(renamed)
    assert all(row["updatedAt"] > templates[row["templateId"]]["updatedAt"] for row in renamed)


def test_changed_project_is_what_a_client_reads(small: Simulator) -> None:
    """What the truth says after changes is what the API answers."""
    small.mutate(fraction=0.1, seed=3)
    client = Client(small.url)
    assert truths(small) == {table: counted(client.table(table)) for table in TABLES}


def test_a_deleted_user_leaves_nothing(small: Simulator) -> None:
    """A deleted user's profile, memberships and events are gone at the source, and nobody else's (FACTS 14.4)."""
    email = small.truth("email_open")[0]["email"]
    tables = ["users", "list_users", *EVENTS]
    wanted = {table: counted(row for row in small.truth(table) if row.get("email") != email) for table in tables}
    assert {"users", "email_send", "email_open"} <= {
        table for table in tables if wanted[table] != counted(small.truth(table))
    }
    small.world.delete_user(email)
    client = Client(small.url)
    assert wanted == {table: counted(client.table(table)) for table in tables}


# ── the controls ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_controls_change_the_project(small: Simulator) -> None:
    """Time, deletions and new events can be had over HTTP as well."""
    client = Client(small.url)
    done = {"msg": "", "code": "Success", "params": None}
    email = small.truth("users")[5]["email"]
    event = {**small.truth("email_open")[0], "messageId": "late"}
    assert done == json.loads(client.control("mutate", {"fraction": 0.05, "seed": 3}))
    assert done == json.loads(client.control("delete_user", {"email": email}))
    assert done == json.loads(client.control("events", {"data_type": "emailOpen", "rows": [event]}))
    assert 7 == len(small.truth("lists"))
    assert email not in {row["email"] for row in small.truth("users")}
    assert event in client.export("emailOpen")
    assert event in rows(client.control("truth/email_open"))


def test_controls_tell_what_happened(small: Simulator) -> None:
    """Requests and limits are told over HTTP; controls count for neither."""
    client = Client(small.url)
    client.get(EXPORT, dataTypeName="user", range="All")
    client.control("limits")
    found = json.loads(client.control("requests"))
    wanted = {"method": "GET", "path": EXPORT, "params": {"dataTypeName": "user", "range": "All"}, "status": 200}
    assert [wanted] == [{name: seen[name] for name in wanted} for seen in found]
    assert found == [vars(seen) for seen in small.requests]
    assert {"requests": {EXPORT: 1}, "exceeded": {}} == json.loads(client.control("limits"))


def test_faults_by_control(small: Simulator) -> None:
    """Faults can be set and taken back over HTTP."""
    client = Client(small.url)
    client.control("faults", [{"path": "/api/lists", "kind": "status", "status": 503}])
    assert [503, 200] == [client.get(path).status for path in ("/api/lists", "/api/channels")]
    client.control("faults", [])
    assert 200 == client.get("/api/lists").status
    assert b"Action not found" in client.control("unheard/of")
