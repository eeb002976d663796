"""
Faults as people write them: on the command line, and as JSON objects in a file.

    html                                        a maintenance page for every request
    cut_row:path=/api/export/*,times=2          two exports break off
    status:status=503,where.dataTypeName=emailOpen,headers.Retry-After=7
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from reiterate.simulator.fault_kinds import COMMON, KINDS
from reiterate.simulator.options import Fault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reiterate.simulator.fault_kinds import FaultKind

TYPES: Mapping[str, type] = MappingProxyType(
    {
        **dict.fromkeys(("path", "body", "host", "place"), str),
        **dict.fromkeys(("skip", "times", "status", "bytes", "depth"), int),
        **dict.fromkeys(("probability", "seconds"), float),
        **dict.fromkeys(("where", "headers"), dict),
    }
)
"""What the value of each option is."""


class WrongFault(ValueError):
    """A fault has a name, an option or a value that there is not; the text says which there are."""


def fault_of_text(text: str) -> Fault:
    """
    Return the fault that ``NAME[:key=value,…]`` means.

    A comma belongs to a value unless ``key=`` follows; ``where.NAME`` and ``headers.NAME`` are members of those.
    """
    name, _, rest = text.partition(":")
    kind = _kind(name.strip())
    rule: dict[str, Any] = {}
    for part in re.split(r",(?=[\w.-]+=)", rest) if rest else ():
        key, equals, value = part.partition("=")
        if not equals:
            raise WrongFault(f"{part!r} of the fault {name} is no key=value.")
        option, dot, member = key.strip().partition(".")
        _known(kind, option)
        if dot or TYPES[option] is dict:
            if not member or TYPES[option] is not dict:
                raise WrongFault(
                    f"{key!r} of the fault {name} is not understood; write where.NAME=… or headers.NAME=…."
                )
            rule.setdefault(option, {})[member] = value
        else:
            rule[option] = _number(kind, option, value)
    return _fault(kind, rule)


def fault_of_rule(rule: object) -> Fault:
    """Return the fault that a JSON object means; ``kind`` is its name, the other members its options."""
    if not isinstance(rule, dict):
        raise WrongFault(f"{rule!r} is no JSON object with a fault's kind and options.")
    options = dict(rule)
    kind = _kind(options.pop("kind", None))
    for option, value in options.items():
        _known(kind, option)
        wanted = TYPES[option]
        texts = wanted is not dict or (
            isinstance(value, dict) and all(isinstance(each, str) for each in value.values())
        )
        # a whole number is a number with a fraction, too; true is none
        good = isinstance(value, (wanted, int) if wanted is float else wanted) and not isinstance(value, bool)
        if not (good and texts) and not (option == "times" and value is None):
            raise WrongFault(f"{option} of the fault {kind.name} cannot be {value!r}.")
    return _fault(kind, options)


def _kind(name: object) -> FaultKind:
    if not isinstance(name, str) or name not in KINDS:
        raise WrongFault(f"There is no fault {name!r}. There are {', '.join(KINDS)}.")
    return KINDS[name]


def _known(kind: FaultKind, option: str) -> None:
    if option not in (*COMMON, *kind.takes):
        raise WrongFault(f"The fault {kind.name} has no {option!r}. It takes {', '.join((*kind.takes, *COMMON))}.")


def _number(kind: FaultKind, option: str, text: str) -> object:
    try:
        return TYPES[option](text)
    except ValueError:
        raise WrongFault(f"{option} of the fault {kind.name} is a number, not {text!r}.") from None


def _fault(kind: FaultKind, options: Mapping[str, Any]) -> Fault:
    try:
        return Fault(**{"path": kind.path, **options, "kind": kind.name})
    except ValueError as error:
        raise WrongFault(f"The fault {kind.name} is wrong: {error}") from error
