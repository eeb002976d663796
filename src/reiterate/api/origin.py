"""Where a request goes: the key travels to the scheme, host and port of the API address, and nowhere else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urljoin, urlsplit

from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

from reiterate.errors import MalformedRow, SourceError

if TYPE_CHECKING:
    from collections.abc import Collection

API = "/api/"
"""What every path of Iterable's API begins with."""

_PORTS = {"http": 80, "https": 443}
_SUSPECT = re.compile(r"[\x00-\x20\x7f\\]")
"""What parsers of URLs disagree about."""

Origin = tuple[str, str, int]


def origin(url: str) -> Origin | None:
    """
    Return scheme, host and port of *url*, read as the HTTP library reads it; nothing if it has none, or credentials.
    """
    if _SUSPECT.search(url):
        return None
    try:
        parts: Url = parse_url(url)
    except LocationParseError:
        return None
    scheme = (parts.scheme or "").lower()
    if scheme not in _PORTS or not parts.host or parts.auth is not None:
        return None
    host = parts.host.lower().rstrip(".")
    return scheme, host, _PORTS[scheme] if parts.port is None else parts.port


def check(url: str, address: str) -> None:
    """
    Make sure that *url* leads to where *address* does.

    :raises SourceError: when its scheme, host or port is another; nothing was sent then
    """
    if origin(url) is None or origin(url) != origin(address):
        raise SourceError("A request would have taken the API key to another address.", hint=REPORT, address=address)


REPORT = "Nothing was sent there. If no proxy in between makes up links, please report this."


def own_path(link: object, *, address: str, others: Collection[str]) -> tuple[str, dict[str, str]]:
    """
    Return path and parameters of a *link* to a next page, to be asked at *address*, whose path is left out.

    Links carry the host of the API (FACTS.md 6, 19), which is one of *others* where *address* is a proxy's. A path
    alone is meant to be of the same host.

    :raises SourceError: when the link leads to another scheme, host or port
    :raises MalformedRow: when it is no link to the API
    """
    whole = str(link)
    if whole.startswith("/") and not _SUSPECT.search(whole):
        whole = urljoin(f"{address}/", whole)
    found = origin(whole)
    if found is None or found not in {origin(each) for each in (address, *others)}:
        raise SourceError(
            "A link to a next page leads to another address.", hint=REPORT, address=address, link=_shown(found)
        )
    parts = urlsplit(whole)
    for path in (parts.path.removeprefix(urlsplit(address).path), parts.path):
        if path.startswith(API) and "/../" not in f"{path}/":
            return path, dict(parse_qsl(parts.query, keep_blank_values=True))
    raise MalformedRow("A link to a next page does not lead to the API.", address=address)


def _shown(found: Origin | None) -> str:
    if found is None:
        return "not understood"
    scheme, host, port = found
    return f"{scheme}://{host}:{port}"
