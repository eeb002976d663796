"""Faults as people write them."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest

from reiterate.simulator import Fault, WrongFault, fault_of_rule, fault_of_text
from reiterate.simulator.fault_kinds import COMMON, KINDS
from reiterate.simulator.fault_text import TYPES

VALUES: dict[str, str] = {
    "path": "/api/lists",
    "skip": "2",
    "times": "3",
    "probability": "0.5",
    "status": "503",
    "body": '{"a": 1, "b": 2}',
    "seconds": "0.25",
    "bytes": "1000",
    "depth": "50",
    "host": "@127.0.0.1:9",
    "place": "total",
}


@pytest.mark.parametrize("name", KINDS)
def test_a_name_alone(name: str) -> None:
    """Every kind may be named without more, and meets its own path."""
    assert Fault(KINDS[name].path, name) == fault_of_text(name) == fault_of_rule({"kind": name})


@pytest.mark.parametrize("name", KINDS)
def test_every_option(name: str) -> None:
    """Every option that a kind takes can be given, as text and as JSON, and reaches the fault."""
    plain = [option for option in (*COMMON, *KINDS[name].takes) if option in VALUES]
    text = ",".join(f"{option}={VALUES[option]}" for option in plain)
    rule: dict[str, Any] = {option: TYPES[option](VALUES[option]) for option in plain}
    wanted = Fault(**{**rule, "kind": name, "where": {"listId": "7"}})
    assert wanted == fault_of_text(f"{name}:{text},where.listId=7")
    assert wanted == fault_of_rule(json.loads(json.dumps({**rule, "kind": name, "where": {"listId": "7"}})))


def test_the_options_are_those_of_a_fault() -> None:
    """Each field of a fault can be written, and each option that is documented is a field."""
    names = {field.name for field in fields(Fault)} - {"kind"}
    assert names == set(TYPES) == {option for kind in KINDS.values() for option in kind.takes} | set(COMMON)


def test_members() -> None:
    """Headers and parameters are named behind a dot; a comma belongs to a value unless a key follows."""
    text = "status:headers.Retry-After=7,where.a=b=c,where.d.e=x, y"
    assert Fault("/api/*", "status", headers={"Retry-After": "7"}, where={"a": "b=c", "d.e": "x, y"}) == fault_of_text(
        text
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "There is no fault ''. There are status, reset"),
        ("htlm", "There is no fault 'htlm'"),
        ("html:seconds=3", "The fault html has no 'seconds'. It takes path, where"),
        ("html:path", "'path' of the fault html is no key=value."),
        ("html:kind=reset", "The fault html has no 'kind'"),
        ("html:where=x", "write where.NAME=… or headers.NAME=…."),
        ("html:path.x=/api", "write where.NAME=… or headers.NAME=…."),
        ("html:path=api/lists", "path begins with / or *"),
        ("slow:seconds=soon", "seconds of the fault slow is a number, not 'soon'."),
        ("slow:seconds=nan", "no number of it is below 0 or without end"),
        ("slow:seconds=inf", "no number of it is below 0 or without end"),
        ("bomb:bytes=1e9", "bytes of the fault bomb is a number, not '1e9'."),
        ("bomb:bytes=-1", "no number of it is below 0"),
        ("html:probability=2", "probability is between 0 and 1."),
        ("status:status=42", "status is between 200 and 599."),
        ("echo_key:place=cookie", "place is one of body"),
    ],
)
def test_wrong_text(text: str, message: str) -> None:
    """What is wrong with a fault is said in words: the name, the option or the value, and what there is instead."""
    with pytest.raises(WrongFault) as caught:
        fault_of_text(text)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("html", "'html' is no JSON object"),
        ({}, "There is no fault None"),
        ({"kind": 7}, "There is no fault 7"),
        ({"kind": "html", "colour": "red"}, "The fault html has no 'colour'"),
        ({"kind": "html", "times": "3"}, "times of the fault html cannot be '3'."),
        ({"kind": "html", "times": True}, "times of the fault html cannot be True."),
        ({"kind": "html", "where": ["x"]}, "where of the fault html cannot be ['x']."),
        ({"kind": "status", "headers": {"Retry-After": 7}}, "headers of the fault status cannot be"),
        ({"kind": "slow", "seconds": None}, "seconds of the fault slow cannot be None."),
        ({"kind": "slow", "skip": -1}, "no number of it is below 0"),
    ],
)
def test_wrong_rules(rule: object, message: str) -> None:
    """So is what is wrong with a rule of a file."""
    with pytest.raises(WrongFault) as caught:
        fault_of_rule(rule)
    assert message in str(caught.value)


def test_numbers_of_rules() -> None:
    """A whole number is a number of seconds, too, and no end of times may be said."""
    assert Fault("/api/*", "slow", seconds=2) == fault_of_rule({"kind": "slow", "seconds": 2, "times": None})
