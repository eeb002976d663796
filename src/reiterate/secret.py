"""
What nobody may see by accident, and the one filter between text and the outside.

Servers and gateways repeat what they were sent: in bodies, status lines, totals, chunk sizes. So every text that an
error or an event is made of passes :func:`masked` when it is made, before anybody can log, store or show it.
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import quote, unquote
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from collections.abc import Iterator

HIDDEN = "********"
SHOWN_OF_KEY = 4
LONG_KEY = 16

SHORTEST_MASKED = 6
"""Characters. A shorter password may be part of any word; to mask it would make messages unreadable."""
FRAGMENT = 12
"""
A secret of so many letters and digits is masked wherever it stands, and so are as many of a longer one, for texts are
cut; a shorter one is masked where it is a word.
"""

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|(md|motherduck|ducklake):")
_OF_GATEWAYS = {"http", "https", "socks5", "socks5h"}
_ASSIGNED = re.compile(r"(?i)(?:password|passwd|pwd|token|secret|key)\s*=\s*('[^']*'|[^&;\s]+)")
_LETTER = re.compile(
    r"%(?:25)*([0-9A-Fa-f]{2})|\\+u([0-9A-Fa-f]{4})|\\+x([0-9A-Fa-f]{2})|&#[xX]([0-9A-Fa-f]{1,6});|&#([0-9]{1,7});"
    r"|\\+[nrtbfv]|.",
    re.DOTALL,
)
"""One letter, as URLs, JSON, Python and HTML spell it, escapes of escapes included."""


class Secret:
    """
    A text that nobody sees by accident: not in a repr, not in a message, not in a pickle.

    As long as it is alive, :func:`masked` keeps it out of every text. Of a URL, what is masked are its credentials.
    """

    __slots__ = ("__weakref__", "_spellings", "_value")

    def __init__(self, value: str) -> None:
        self._value = value
        self._spellings = tuple(map(_Spelling, dict.fromkeys(_spelled(value))))
        _ALIVE[id(self)] = self

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


_ALIVE: WeakValueDictionary[int, Secret] = WeakValueDictionary()
"""
Every secret of this process, by its identity; it leaves when nobody holds it any more.

The one module-level register of the house. An error is made anywhere, by code that knows no secret and must not: a
filter that had to be handed to each place that makes one would be missing in the next.
"""


def masked(text: str) -> str:
    """Return *text* with HIDDEN in the place of every secret, also of one that is escaped, encoded, broken or cut."""
    spellings = [spelling for secret in list(_ALIVE.values()) for spelling in secret._spellings]  # noqa: SLF001
    if not spellings or not text:
        return text
    for spelling in spellings:
        text = spelling.literally_masked(text)
    letters = [(_decoded(found), found.start(), found.end()) for found in _LETTER.finditer(text)]
    letters = [letter for letter in letters if letter[0].isalnum()]
    plain = "".join(letter for letter, _, _ in letters)
    covered: list[tuple[int, int]] = []
    for spelling in spellings:
        for first, last in spelling.found_in(plain):
            start, end = letters[first][1], letters[last][2]
            if spelling.within_words or _is_word(text, start, end):
                covered.append((start, end))
    for start, end in reversed(_merged(covered)):
        text = f"{text[:start]}{HIDDEN}{text[end:]}"
    return text


class _Spelling:
    """One form in which a secret may stand in a text; compared by its letters and digits alone, whatever the case."""

    __slots__ = ("_fragments", "_literal", "_plain", "within_words")

    def __init__(self, text: str) -> None:
        self._plain = _plain_of(text)
        self.within_words = len(self._plain) >= FRAGMENT
        mostly_signs = len(_plain_of(unquote(text))) < SHORTEST_MASKED <= len(text)
        self._literal = text if mostly_signs else ""
        last = len(self._plain) - FRAGMENT
        self._fragments = {self._plain[at : at + FRAGMENT] for at in range(last + 1)} if self.within_words else set()

    def literally_masked(self, text: str) -> str:
        """Mask a secret that is nearly all punctuation, where it stands as it is."""
        return text.replace(self._literal, HIDDEN) if self._literal else text

    def found_in(self, plain: str) -> Iterator[tuple[int, int]]:
        """Yield where it, or a fragment of it, begins and ends in a text of letters and digits."""
        if self._fragments:
            for at in range(len(plain) - FRAGMENT + 1):
                if plain[at : at + FRAGMENT] in self._fragments:
                    yield at, at + FRAGMENT - 1
        elif len(self._plain) >= SHORTEST_MASKED:
            at = plain.find(self._plain)
            while at >= 0:
                yield at, at + len(self._plain) - 1
                at = plain.find(self._plain, at + 1)


def _plain_of(text: str) -> str:
    return "".join(letter.lower() for letter in text if letter.isalnum() and len(letter.lower()) == 1)


def _spelled(value: str) -> Iterator[str]:
    """Yield the texts that must not show: a value, or the credentials of a URL, plain and encoded."""
    if not _URL.match(value):
        yield from _plainly_and_encoded(value)
        return
    credentials = value.partition("://")[2].partition("/")[0].rpartition("@")[0]
    name, _, password = credentials.partition(":")
    assigned = (found.strip("'") for found in _ASSIGNED.findall(value))
    # gateways take a token for a name; who a person is in a database is no secret, and errors name it
    alone = name if value.partition("://")[0].lower() in _OF_GATEWAYS else ""
    for text in (password or alone, *assigned):
        yield from _plainly_and_encoded(text)
        yield from _plainly_and_encoded(unquote(text))
    # as a proxy is told them; a name by itself is no secret
    yield from _encoded(unquote(credentials))


def _plainly_and_encoded(text: str) -> Iterator[str]:
    yield from (text, quote(text, safe=""), json.dumps(text)[1:-1])
    yield text.encode("utf-8", "surrogatepass").decode("latin-1")
    yield from _encoded(text)


def _encoded(text: str) -> Iterator[str]:
    """Yield *text* in hexadecimal digits and in base64, there as a part of a longer text, too."""
    if len(text) < SHORTEST_MASKED:
        return
    raw = text.encode("utf-8", "surrogatepass")
    yield raw.hex()
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + raw).decode().rstrip("=")
        # without the letters that its neighbours change
        yield encoded[(0, 2, 3)[before] : len(encoded) - ((before + len(raw)) % 3 > 0)]


def _decoded(letter: re.Match[str]) -> str:
    """Return the letter that is meant, in lower case; a blank for one that is none."""
    *hexadecimal, decimal = letter.groups()
    code = next((int(digits, 16) for digits in hexadecimal if digits), None)
    if decimal:
        code = int(decimal)
    if code is not None:
        return chr(code).lower()[:1] if code <= 0x10FFFF else " "  # noqa: PLR2004 (the last letter of Unicode)
    return letter[0].lower() if len(letter[0]) == 1 else " "


def _is_word(text: str, start: int, end: int) -> bool:
    return not (text[:start][-1:].isalnum() or text[end:][:1].isalnum())


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return *spans* in order, those that touch as one."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
