"""Who may use the simulator: the token of its controls, and the names that it answers to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import urllib3

from reiterate.simulator import ServerOptions, Simulator, WorldOptions
from reiterate.simulator.guard import is_own_name
from tests.conftest import KEY
from tests.simulator.client import Client
from tests.simulator.conftest import END

if TYPE_CHECKING:
    from collections.abc import Iterator

TINY = WorldOptions(days=1, events_per_day=20, end=END)
CHANGES = ("mutate", "faults", "events", "delete_user", "forget_user", "unforget_user", "change_email", "merge_users")


@pytest.fixture(scope="module")
def tiny() -> Iterator[Simulator]:
    with Simulator(TINY, ServerOptions(api_key=KEY)) as simulator:
        yield simulator


def asked(simulator: Simulator, path: str, **headers: str) -> urllib3.BaseHTTPResponse:
    return urllib3.request("GET", f"{simulator.url}{path}", headers=headers, retries=False)


@pytest.mark.parametrize("name", ["truth/users", "requests", "jobs", "limits", *CHANGES])
def test_controls_want_the_token(tiny: Simulator, name: str) -> None:
    """Without the token, or with another one, every control is refused, and nothing is read or changed."""
    before = tiny.truth("users")
    for token in ("", "another", tiny.control_token[:-1]):
        found = json.loads(Client(tiny.url, token=token).control(name, {"email": before[0]["email"], "rows": []}))
        assert "The header X-Control-Token does not have the token of this server" == found["msg"]
    assert before == tiny.truth("users")


def test_the_token_opens_the_controls(tiny: Simulator) -> None:
    """With its token the same controls answer; each server has a token of its own."""
    assert json.loads(Client(tiny.url, token=tiny.control_token).control("limits"))
    with Simulator(TINY, ServerOptions(api_key=KEY)) as other:
        assert tiny.control_token != other.control_token


@pytest.mark.parametrize(("option", "token"), [("none", ""), ("my own", "my own")])
def test_a_token_that_is_set(option: str, token: str) -> None:
    """A token may be chosen; with none the controls are open, as they once were."""
    with Simulator(TINY, ServerOptions(api_key=KEY, control_token=option)) as simulator:
        assert b"exceeded" in Client(simulator.url, token=token).control("limits")


@pytest.mark.parametrize("path", ["/_simulator/limits", "/api/lists"])
@pytest.mark.parametrize(
    "name", ["attacker.example", "attacker.example:8080", "localhost.attacker.example", "10.0.0.7", ""]
)
def test_names_of_others_are_refused(tiny: Simulator, path: str, name: str) -> None:
    """A page whose name leads to this machine (DNS rebinding) gets nothing, whatever it knows."""
    answer = asked(tiny, path, Host=name, **{"X-Control-Token": tiny.control_token, "Api-Key": KEY})
    assert 403 == answer.status
    assert b"does not answer to the name" in answer.data


@pytest.mark.parametrize(
    "name", ["127.0.0.1", "localhost:9", "LOCALHOST", "simulator.localhost", "[::1]:80", "127.1.2.3"]
)
def test_names_of_this_machine(tiny: Simulator, name: str) -> None:
    """Names and addresses of the loopback interface are answered, with any port: a tunnel may have another."""
    assert 200 == asked(tiny, "/api/lists", Host=name, **{"Api-Key": KEY}).status


@pytest.mark.parametrize(
    ("called", "bound", "own"),
    [
        ("simulator:8080", "simulator", True),
        ("simulator:8080", "127.0.0.1", False),
        ("10.0.0.7:8080", "0.0.0.0", True),
        ("attacker.example", "0.0.0.0", False),
        ("10.0.0.8", "10.0.0.7", False),
        ("[::1", "127.0.0.1", False),
        ("user@127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1@attacker.example", "127.0.0.1", False),
    ],
)
def test_bound_elsewhere(called: str, bound: str, own: bool) -> None:
    """The host that a server is bound to is its name; bound to all addresses, it takes each address, but no name."""
    assert own is is_own_name(called, bound)
