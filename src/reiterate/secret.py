"""What nobody may see by accident."""

from __future__ import annotations

from typing import NoReturn

HIDDEN = "********"
SHOWN_OF_KEY = 4
LONG_KEY = 16


class Secret:
    """A text that nobody sees by accident: not in a repr, not in a message, not in a pickle."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def hint(self) -> str:
        """Return enough to tell two keys apart, as Iterable shows the last characters of a key itself."""
        return f"…{self._value[-SHOWN_OF_KEY:]}" if len(self._value) >= LONG_KEY else "set"

    def __repr__(self) -> str:
        return HIDDEN

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, _memo: object) -> Secret:
        return self

    def __reduce__(self) -> NoReturn:
        message = "a secret cannot be pickled"
        raise TypeError(message)
