"""Text of others, as it can be shown: one line, in which nothing moves the cursor, colours, or turns the writing."""

from __future__ import annotations

import re

UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")
"""Control characters, breaks of lines, marks that turn the direction of writing, halves of letters."""


def printable(text: str) -> str:
    r"""Return *text* with each control character spelled as Python does: ``\x1b``, ``\n``, ``\u202e``, ``\ud800``."""
    return UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)
