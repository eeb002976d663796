"""The simulated project: the same from the same options, of three types, and how it changes."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from reiterate.simulator import ServerOptions, Simulator, WorldOptions
from reiterate.simulator.world import LATE_S, World
from tests.conftest import KEY
from tests.simulator.client import DATA_TYPES, EXPORT, TABLES, Client, counted, rows
from tests.simulator.conftest import END

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reiterate.simulator.options import ProjectType

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


# ── people who are merged, renamed, forgotten ────────────────────────────────────────────────────────────────────────


def the_one_of(simulator: Simulator, *, but: str = "") -> str:
    """Return the identifier of somebody who has opened an email."""
    rows = (row for row in simulator.truth("email_open"))
    return str(
        next(row.get("email", row.get("userId")) for row in rows if but not in {row.get("email"), row.get("userId")})
    )


def his(simulator: Simulator, identifier: str) -> dict[str, Counter[str]]:
    """Return the events of a user by table, without whose they are."""
    whose = ("email", "userId", "itblUserId")
    return {
        table: counted(
            {name: row[name] for name in row if name not in whose}
            for row in simulator.truth(table)
            if identifier in {row.get("email"), row.get("userId")}
        )
        for table in EVENTS
    }


def read(simulator: Simulator) -> dict[str, Counter[str]]:
    client = Client(simulator.url)
    return {table: counted(client.table(table)) for table in ("users", "list_users", *EVENTS)}


def agree(simulator: Simulator) -> bool:
    """Return whether the API answers what the truth says."""
    return read(simulator) == {table: counted(simulator.truth(table)) for table in ("users", "list_users", *EVENTS)}


def test_merge(small: Simulator) -> None:
    """Events move to the destination with ids and times; the source is gone, the destination's time of change moves."""
    source, destination = the_one_of(small), the_one_of(small, but=the_one_of(small))
    before = {table: his(small, source)[table] + his(small, destination)[table] for table in EVENTS}
    profile = {row["email"]: row for row in small.truth("users")}[destination]
    others = {row["email"]: row for row in small.truth("users") if row["email"] not in {source, destination}}
    asked_at = time.time()
    small.merge_users(source, destination)
    users = {row["email"]: row for row in small.truth("users")}
    assert before == his(small, destination)
    assert not any(rows.total() for rows in his(small, source).values())
    assert source not in {row["email"] for row in small.truth("list_users")}
    assert {**others, destination: users[destination]} == users
    kept = {name: value for name, value in profile.items() if name != "profileUpdatedAt"}
    assert kept == {name: users[destination][name] for name in kept}
    changed_at = datetime.strptime(users[destination]["profileUpdatedAt"], "%Y-%m-%d %H:%M:%S %z").timestamp()
    assert abs(changed_at - asked_at) < 5
    assert agree(small)


def test_merge_without_a_destination(small: Simulator) -> None:
    """Then the source is renamed (FACTS 14.4)."""
    source = the_one_of(small)
    before, count = his(small, source), len(small.truth("users"))
    small.merge_users(source, "new@example.com")
    assert before == his(small, "new@example.com")
    assert count == len(small.truth("users"))
    assert agree(small)


def test_a_chain_of_merges(small: Simulator) -> None:
    """The events of a and b are all c's after a was merged into b, and b into c."""
    names = [row["email"] for row in small.truth("users")[10:13]]
    total = {table: sum((his(small, name)[table] for name in names), Counter[str]()) for table in EVENTS}
    small.merge_users(names[0], names[1])
    small.merge_users(names[1], names[2])
    assert total == his(small, names[2])
    assert agree(small)


@pytest.mark.parametrize("project_type", ["email", "hybrid", "userid"])
def test_change_of_an_address(project_type: ProjectType) -> None:
    """An address changes in profile, lists and events, in each type of project; userId and the rest stay."""
    world = WorldOptions(days=1, events_per_day=100, end=END, project_type=project_type)
    with Simulator(world, ServerOptions(api_key=KEY)) as simulator:
        # the truth of a userID-based project has no addresses until somebody gets one
        old = the_one_of(simulator)
        before = his(simulator, old)
        simulator.change_email(old, "new@example.com")
        assert before == his(simulator, "new@example.com")
        assert old not in {row.get("email") for row in simulator.truth("list_users")}
        assert agree(simulator)


def test_an_address_that_is_taken(small: Simulator) -> None:
    """An address of another user, or of one who was forgotten, is refused; so is a user whom nobody knows."""
    first, second, third = [row["email"] for row in small.truth("users")[:3]]
    small.forget_user(third)
    for old, new in ((first, second), (first, third), ("nobody@example.com", "new@example.com")):
        with pytest.raises(ValueError, match="user"):
            small.change_email(old, new)
    with pytest.raises(ValueError, match="one user"):
        small.merge_users(first, first)


def test_forget_and_unforget(small: Simulator) -> None:
    """A forgotten user is deleted, and his hash listed until he is unforgotten; what was his stays gone."""
    client, email = Client(small.url), the_one_of(small)
    hashed = hashlib.sha256(email.encode()).hexdigest()
    before = client.json("/api/users/forgotten")["hashedEmails"]
    small.forget_user(email)
    assert [*before, hashed] == client.json("/api/users/forgotten")["hashedEmails"]
    assert {"hashedEmail": hashed} in small.truth("forgotten_users")
    assert not any(rows.total() for rows in his(small, email).values())
    assert agree(small)
    small.unforget_user(email)
    assert before == client.json("/api/users/forgotten")["hashedEmails"]
    assert email not in {row["email"] for row in small.truth("users")}


def test_forget_in_a_hybrid_project() -> None:
    """Email and userId of one user are both listed, each with its kind, and both go again."""
    world = WorldOptions(days=1, events_per_day=100, end=END, project_type="hybrid")
    with Simulator(world, ServerOptions(api_key=KEY)) as simulator:
        client = Client(simulator.url)
        profile = next(row for row in simulator.truth("users") if {"email", "userId"} <= row.keys())
        before = simulator.truth("forgotten_users")
        simulator.forget_user(profile["userId"])
        found = [row for row in simulator.truth("forgotten_users") if row not in before]
        wanted = {
            "hashedEmail": hashlib.sha256(profile["email"].encode()).hexdigest(),
            "hashedUserId": hashlib.sha256(profile["userId"].encode()).hexdigest(),
        }
        assert wanted == {name: value for row in found for name, value in row.items()}
        assert {} == client.json("/api/users/getByEmail", email=profile["email"])
        simulator.unforget_user(profile["userId"])
        assert before == simulator.truth("forgotten_users")


def test_delete_by_user_id() -> None:
    """A user without an address is deleted by his userId, with his events and nobody else's."""
    world = WorldOptions(days=1, events_per_day=200, end=END, project_type="userid")
    with Simulator(world, ServerOptions(api_key=KEY)) as simulator:
        user_id = the_one_of(simulator)
        tables = ("users", "list_users", *EVENTS)
        wanted = {
            table: counted(row for row in simulator.truth(table) if row.get("userId") != user_id) for table in tables
        }
        simulator.delete_user(user_id)
        assert wanted == read(simulator)


def test_look_up(small: Simulator) -> None:
    """One user is answered by email or userId, in the path or as a parameter; nobody is ``{}`` with 200 (FACTS 4.2)."""
    client = Client(small.url)
    profile = next(row for row in small.truth("users") if "userId" in row and "+" not in row["email"])
    email, user_id = profile["email"], profile["userId"]
    found = client.json("/api/users/getByEmail", email=email)
    assert (email, user_id) == (found["user"]["email"], found["user"]["userId"])
    assert profile["loyalty.tier"] == found["user"]["dataFields"]["loyalty"]["tier"]
    assert found == client.json(f"/api/users/{quote(email, safe='')}")
    assert found == client.json("/api/users/byUserId", userId=user_id) == client.json(f"/api/users/byUserId/{user_id}")
    assert {} == client.json("/api/users/getByEmail", email="nobody@example.com")
    assert {} == client.json("/api/users/nobody@example.com")
    assert {} == client.json("/api/users/byUserId/nobody")
    assert {} == client.json("/api/users/byUserId")
    small.merge_users(email, next(row["email"] for row in small.truth("users") if row["email"] != email))
    assert {} == client.json("/api/users/getByEmail", email=email)


# ── the controls ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_controls_change_the_project(small: Simulator) -> None:
    """Time, deletions and new events can be had over HTTP as well."""
    client = Client(small.url, token=small.control_token)
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
    client = Client(small.url, token=small.control_token)
    client.get(EXPORT, dataTypeName="user", range="All")
    client.control("limits")
    found = json.loads(client.control("requests"))
    wanted = {"method": "GET", "path": EXPORT, "params": {"dataTypeName": "user", "range": "All"}, "status": 200}
    assert [wanted] == [{name: seen[name] for name in wanted} for seen in found]
    assert found == [vars(seen) for seen in small.requests]
    assert {"requests": {EXPORT: 1}, "exceeded": {}} == json.loads(client.control("limits"))


def test_people_by_control(small: Simulator) -> None:
    """Users are merged, renamed and forgotten over HTTP as well; what the project refuses is a 400 that says why."""
    client = Client(small.url, token=small.control_token)
    first, second, third, fourth = [row["email"] for row in small.truth("users")[:4]]
    forgotten = small.truth("forgotten_users")
    for name, body in (
        ("merge_users", {"source": first, "destination": second}),
        ("change_email", {"old": second, "new": "new@example.com"}),
        ("forget_user", {"email": third}),
        ("unforget_user", {"email": third}),
        ("delete_user", {"email": fourth}),
    ):
        assert "Success" == json.loads(client.control(name, body))["code"], name
    users = {row["email"] for row in small.truth("users")}
    assert {"new@example.com"} == users & {first, second, third, fourth, "new@example.com"}
    assert forgotten == small.truth("forgotten_users")
    refused = json.loads(client.control("merge_users", {"source": first, "destination": "new@example.com"}))
    assert f"There is no user {first}." == refused["msg"]
    assert "BadParams" == json.loads(client.control("change_email", {"old": "new@example.com"}))["code"]


def test_faults_by_control(small: Simulator) -> None:
    """Faults can be set and taken back over HTTP."""
    client = Client(small.url, token=small.control_token)
    client.control("faults", [{"path": "/api/lists", "kind": "status", "status": 503}])
    assert [503, 200] == [client.get(path).status for path in ("/api/lists", "/api/channels")]
    client.control("faults", [])
    assert 200 == client.get("/api/lists").status
    assert b"Action not found" in client.control("unheard/of")
