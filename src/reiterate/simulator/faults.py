"""What goes wrong with requests: which fault meets which, and what is left of the answer."""

from __future__ import annotations

import asyncio
import fnmatch
from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Any

from reiterate.simulator import vanishing
from reiterate.simulator.fault_text import fault_of_rule
from reiterate.simulator.options import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

DRIPS = 10

FIRST_OF_SEVERAL_BYTES = 0xC0
"""A byte from here on begins a letter of several bytes in UTF-8."""


class Cut(Exception):
    """The transfer stops here; the server closes the connection without ending the body."""


class Faults:
    """The faults in force; counting begins with the object."""

    def __init__(self, rules: Iterable[Fault | Mapping[str, Any]], seed: int) -> None:
        self._faults = [rule if isinstance(rule, Fault) else fault_of_rule(rule) for rule in rules]
        self._met: Counter[int] = Counter()
        self._random = Random(seed)

    def meet(self, path: str, params: Mapping[str, str]) -> Fault | None:
        """Return what goes wrong with a request, by the first fault that matches and is due."""
        for number, fault in enumerate(self._faults):
            matches = fnmatch.fnmatchcase(path, fault.path) and fault.where.items() <= params.items()
            if not matches or (fault.kind == "item_vanishes" and not vanishing.is_later_page(params)):
                continue
            self._met[number] += 1
            met = self._met[number] - fault.skip
            if met > 0 and (fault.times is None or met <= fault.times) and self._random.random() < fault.probability:
                return fault
        return None


def _after_a_row(piece: bytes) -> int:
    return piece.rfind(b"\n", 0, max(len(piece) // 2, 1)) + 1


def _in_a_letter(piece: bytes) -> int:
    """Return where the first letter of several bytes has begun; without one, inside a row."""
    wide = (at for at, byte in enumerate(piece) if byte >= FIRST_OF_SEVERAL_BYTES)
    return next(wide, _after_a_row(piece) + 6) + 1


CUTS: dict[str, Callable[[bytes], int]] = {
    "cut": _after_a_row,
    "cut_row": lambda piece: _after_a_row(piece) + 7,
    "cut_letter": _in_a_letter,
}
"""Where a transfer stops."""


async def spoilt(pieces: Iterator[bytes], fault: Fault | None) -> Any:  # noqa: ANN401 (an async generator of bytes)
    """Yield *pieces*, or what a fault leaves of them."""
    kind = fault.kind if fault else ""
    for number, piece in enumerate(pieces):
        if kind in CUTS:
            yield piece[: CUTS[kind](piece)]
            await asyncio.sleep(0.02)
            raise Cut
        if kind == "drip" and fault:
            for first in range(0, len(piece), len(piece) // DRIPS + 1):
                yield piece[first : first + len(piece) // DRIPS + 1]
                await asyncio.sleep(fault.seconds / DRIPS)
        elif kind == "trickle" and fault:
            for at in range(len(piece)):
                yield piece[at : at + 1]
                await asyncio.sleep(fault.seconds)
        elif kind == "stall" and fault and number == 0:
            yield piece[: len(piece) // 2]
            await asyncio.sleep(fault.seconds)
            yield piece[len(piece) // 2 :]
        else:
            yield piece
            await asyncio.sleep(0)
    if kind in CUTS:
        raise Cut
