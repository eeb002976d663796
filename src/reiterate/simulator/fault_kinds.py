"""What can go wrong with a request, a row for each kind: the command line, its checks and the docs derive from them."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

EVERYWHERE = "/api/*"
JOBS = "/api/export/start"
STORAGE = "/storage/*"

PLACES = ("body", "reason", "status_line", "content_type", "total", "chunk_size")
"""Where ``echo_key`` repeats the key."""


@dataclass(frozen=True)
class FaultKind:
    """
    One kind: *takes* are its own options besides those that all have, *path* the glob it meets if none is given.

    Kinds that answer with something else leave refusals as they are: they meet what would have been answered with 200.
    """

    name: str
    about: str
    takes: tuple[str, ...] = ()
    path: str = EVERYWHERE

    @property
    def described(self) -> str:
        """The row of the table in docs/simulator.md."""
        own = ", ".join(f"`{name}`" for name in self.takes)
        return f"| `{self.name}` | {self.about} | {own} | `{self.path}` |"


_ROWS = (
    FaultKind(
        "status",
        "answers `status` with `body` and `headers`; 500 GenericError by default",
        ("status", "body", "headers"),
    ),
    # ── the transfer ──
    FaultKind("reset", "the connection is reset before an answer"),
    FaultKind("slow", "`seconds` pass before the answer", ("seconds",)),
    FaultKind("stall", "the answer stops for `seconds` after its first part", ("seconds",)),
    FaultKind("drip", "the body comes in ten pieces, spread over `seconds`", ("seconds",)),
    FaultKind("trickle", "the body comes one byte at a time, `seconds` apart", ("seconds",)),
    FaultKind("cut", "the transfer stops behind a row, without its end"),
    FaultKind("cut_row", "the transfer stops inside a row"),
    FaultKind("cut_letter", "the transfer stops inside a letter of several bytes"),
    FaultKind("no_length", "a whole body with neither length nor chunks; the connection closes at its end"),
    FaultKind("no_length_cut", "the same, half the body: it stops at the end of a line where it has several"),
    FaultKind("bad_gzip", "a compressed body that lacks its last bytes"),
    FaultKind("gzip_members", "the body, whole, in several gzip members"),
    FaultKind("gzip_cut_member", "the same; the last member lacks its second half"),
    FaultKind("bomb", "a small compressed body that unpacks to `bytes`", ("bytes",)),
    # ── 200s that are no answers ──
    FaultKind("error_object", "Iterable's error object with status 200"),
    FaultKind("error_after_rows", "the first half of the rows, then Iterable's error object, with status 200"),
    FaultKind("html", "a maintenance page with status 200"),
    FaultKind("deep_json", "a value nested `depth` levels deep in the first row", ("depth",)),
    # ── listings ──
    FaultKind("short_total", "the total of a listing is one too high"),
    FaultKind("item_vanishes", "each request for a page after the first deletes the listing's first row beforehand"),
    FaultKind("endless_pages", "each page of a listing has a next one; behind the last the first begins anew"),
    FaultKind("foreign_link", "links to other pages and to files lead to `host`", ("host",)),
    FaultKind(
        "user_merges",
        "before the answer, the user who got the newest email is merged into another",
        path="/api/export/*",
    ),
    # ── gateways ──
    FaultKind("retry_after", "429 with `Retry-After` of `seconds`", ("seconds",)),
    FaultKind("echo_key", f"the request's API key is repeated; `place` is one of {', '.join(PLACES)}", ("place",)),
    # ── export jobs ──
    FaultKind("job_fails", "an export job fails after half its files", path=JOBS),
    FaultKind("job_restarts", "an export job is enqueued again after half its files", path=JOBS),
    FaultKind("job_truncated", "an export job has half its rows, and says so", path=JOBS),
    FaultKind("job_hangs", "an export job runs `seconds` longer", ("seconds",), path=JOBS),
    FaultKind("link_expired", "the storage host answers that the link has expired", path=STORAGE),
    FaultKind(
        "link_refused",
        "the storage host refuses the link with `status` (400 ExpiredToken, 403 or 404)",
        ("status",),
        path=STORAGE,
    ),
)

KINDS: Mapping[str, FaultKind] = MappingProxyType({row.name: row for row in _ROWS})
"""All kinds by their names."""

COMMON = ("path", "where", "skip", "times", "probability")
"""What all kinds take."""
