"""Who may use the server: by which name it was called, and who has the token of its controls."""

from __future__ import annotations

import hmac
import secrets
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

HEADER = "X-Control-Token"
NO_TOKEN = "none"  # noqa: S105 (it is none)
"""As a token: the controls want none."""


def new_token(asked: str) -> str:
    """Return the token that is *asked* for; a new one if that is empty."""
    return asked or secrets.token_urlsafe(18)


def has_token(headers: Mapping[str, str], token: str) -> bool:
    """Return whether a request shows *token*, or need not."""
    shown = headers.get(HEADER.lower(), "")
    return token == NO_TOKEN or hmac.compare_digest(shown.encode(), token.encode())


def is_own_name(host_header: str, bound: str) -> bool:
    """
    Return whether a Host header names this server: a name of the loopback interface, or the host it is *bound* to.

    A web page that has a name of its own resolved to this machine (DNS rebinding) sends that name. A server that is
    bound to all addresses takes each address, but no name.
    """
    try:
        name = (urlsplit(f"//{host_header}").hostname or "").rstrip(".")
    except ValueError:
        return False
    if name in {"localhost", bound.lower()} or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback or bound in {"0.0.0.0", "::"}  # noqa: S104 (compared, not bound)
    except ValueError:
        return False
