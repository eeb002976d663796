"""What Iterable's answers mean: which error a status is, whether another try helps, what a broken answer was."""

from __future__ import annotations

import contextlib
import json
import math
import re
import ssl
import time
import zlib
from email.utils import parsedate_to_datetime
from html.parser import HTMLParser
from http import HTTPStatus
from http.client import HTTPException, LineTooLong
from typing import TYPE_CHECKING, Any

import socks
from urllib3 import exceptions

from reiterate import exact_json
from reiterate.api.bodies import NotAnAnswer
from reiterate.api.lines import is_error
from reiterate.errors import (
    BrokenAnswer,
    ExportCut,
    Forbidden,
    GatewayError,
    NotOffered,
    ReiterateError,
    SourceError,
    TransientError,
    Unauthorized,
    Unreachable,
)
from reiterate.printable import printable
from reiterate.secret import masked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from reiterate.api.bodies import Body
    from reiterate.settings import Gateway

FIRST_CONTACT_TRIES = 3
"""Before Iterable ever answered, a wrong address is likelier than an outage."""
CONNECT_TRIES = 8
"""About two minutes and a half of backoff: a restart of a router or an ingress passes in that time."""
SERVER_ERROR_TRIES = 6
CUT_TRIES = 3
"""An answer that broke off so many times needs a smaller window, not another try."""
BROKEN_TRIES = 4
"""A page of maintenance that does not go within seconds stays for minutes; the next sync reads the table."""
RATE_LIMIT_TRIES = 30
LONGEST_MESSAGE = 300
LONGEST_EXCERPT = 80
ERROR_BODY_BYTES = 1 << 16
ERROR_BODY_S = 30.0
LEAST_RETRY_AFTER_S = 1.0
"""Who names less names nothing: the backoff counts."""
LONGEST_RETRY_AFTER_S = 3600.0
"""However long Iterable, or a gateway, wants one to wait, it is asked again then."""
LONG_WAIT_TRIES = 3

_RATE = re.compile(r"rate limit of ([0-9.]+) per (second|minute|hour)")
_PERIOD_S = {"second": 1.0, "minute": 60.0, "hour": 3600.0}
_TRANSIENT = {
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}


def refusal(
    status: int, headers: Mapping[str, str], body: bytes, *, path: str, gateway: Gateway | None
) -> ReiterateError:
    """
    Return the error that an answer other than 200 is (FACTS.md 4).

    The status decides, not ``code``; only the message tells a wrong key from a missing right. Some bodies echo the
    request's headers (FACTS.md 4.2).
    """
    says = printable(masked(message(body)))[:LONGEST_MESSAGE]
    facts: dict[str, Any] = {"status": status, "path": path, "iterable_says": says or None}
    match status:
        case HTTPStatus.TOO_MANY_REQUESTS:
            wait_s = retry_after_s(headers, says)
            too_long = wait_s is not None and wait_s > LONGEST_RETRY_AFTER_S
            return TransientError(
                "Iterable's rate limit was reached.",
                becomes=SourceError,
                tries=LONG_WAIT_TRIES if too_long else RATE_LIMIT_TRIES,
                retry_after_s=wait_s,
                **facts,
            )
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN if "privilege" in says or status == HTTPStatus.FORBIDDEN:
            return Forbidden(**facts)
        case HTTPStatus.UNAUTHORIZED:
            return Unauthorized(**facts)
        case HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            return GatewayError("The data gateway wants other credentials.", status=status, gateway=gateway)
        case HTTPStatus.BAD_REQUEST if "dataTypeName" in says:
            return NotOffered(**facts)
        case HTTPStatus.NOT_FOUND if "Action not found" in says:
            return NotOffered(**facts)
        case _ if status in _TRANSIENT:
            return TransientError("Iterable had an error.", becomes=SourceError, tries=SERVER_ERROR_TRIES, **facts)
        case _ if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            return SourceError(
                "The API address answered with a redirection, which is not followed.",
                hint="Check `region` and the API address.",
                **facts,
            )
        case _:
            return SourceError(**facts)


def message(body: bytes) -> str:
    """Return what an error body says to a person, whether it is JSON, HTML or text (FACTS.md 4.1)."""
    text = body.decode("utf-8", "replace").strip()
    with contextlib.suppress(ValueError, RecursionError):
        document = json.loads(text)
        if isinstance(document, dict):
            return " ".join(str(document.get("msg") or document.get("message") or text).split())
    if text.startswith("<"):
        parser = _Text()
        parser.feed(text)
        text = " ".join(parser.words)
    return " ".join(text.split())


class _Text(HTMLParser):
    """Collects the text of an HTML page."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []

    def handle_data(self, data: str) -> None:
        if self.cdata_elem is None:  # neither script nor style
            self.words.extend(data.split())


def error_body(body: Body) -> bytes:
    """
    Return the beginning of the body of an error; what breaks off, or is no body, as far as it goes.

    Nobody waits for more of it than ``ERROR_BODY_S`` and a silence.
    """
    parts: list[bytes] = []
    began = time.monotonic()
    with contextlib.suppress(exceptions.HTTPError, OSError, zlib.error, NotAnAnswer):
        for piece in body.pieces:
            parts.append(piece)
            if sum(map(len, parts)) >= ERROR_BODY_BYTES or time.monotonic() - began > ERROR_BODY_S:
                break
    return b"".join(parts)[:ERROR_BODY_BYTES]


def retry_after_s(headers: Mapping[str, str], says: str) -> float | None:
    """
    Return the seconds to wait after a 429: as ``Retry-After`` has it, else one call's share of the limit it names.

    Iterable sends no header, but names limit and period: "4.0 per minute" (FACTS.md 5). Nothing is returned where no
    time is named that makes sense.
    """
    named = _named_s(headers.get("Retry-After", ""), headers.get("Date", ""))
    if named is None and (rate := _RATE.search(says)):
        with contextlib.suppress(ValueError, ZeroDivisionError):
            named = _PERIOD_S[rate[2]] / float(rate[1])
    return None if named is None or not math.isfinite(named) or named < LEAST_RETRY_AFTER_S else named


def _named_s(retry_after: str, date: str) -> float | None:
    """Return the seconds of a ``Retry-After``, which may be an instant; then the answer's own clock counts."""
    with contextlib.suppress(ValueError):
        return float(retry_after)
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        return (parsedate_to_datetime(retry_after) - parsedate_to_datetime(date)).total_seconds()
    return None


def broken(error: NotAnAnswer, body: Body, *, path: str) -> TransientError:
    """Return the error that *body* is, which is no answer: it says what came, by content type and first words."""
    label = body.label or "no content type"
    says = "" if error.came is None else message(error.came or body.begins)
    excerpt = says if len(says) <= LONGEST_EXCERPT else f"{says[:LONGEST_EXCERPT].rstrip()}…"
    return TransientError(
        error.what,
        becomes=BrokenAnswer,
        tries=BROKEN_TRIES,
        hint=error.hint,
        path=path,
        came=f'{label}, "{excerpt}"' if says else label,
    )


def document(body: Body, most_bytes: int) -> Any:  # noqa: ANN401 (JSON is any)
    """
    Return the JSON document that all of *body* is; its syntax proves that it has come to its end.

    :raises NotAnAnswer: when it is none, is larger than *most_bytes*, or an error object
    """
    text = body.whole(most_bytes)
    if not text.strip():
        raise NotAnAnswer("An answer is empty, and should be JSON.")
    try:
        found = exact_json.document(text)
    except RecursionError:
        raise NotAnAnswer("An answer is JSON that is nested too deeply.") from None
    except ValueError:
        raise NotAnAnswer("An answer is not the JSON it should be.") from None
    if not isinstance(found, dict | list | str):
        body.check_framed()  # 12 may be the beginning of 123
    if is_error(found) and found["code"] != "Success":
        raise NotAnAnswer("An answer is an error object.")
    return found


@contextlib.contextmanager
def connecting(address: str, *, gateway: Gateway | None, reached: bool) -> Iterator[None]:
    """Name what the network did on the way to Iterable, and which hop it was."""
    try:
        yield
    except (exceptions.HTTPError, OSError) as error:
        tries = CONNECT_TRIES if reached else FIRST_CONTACT_TRIES
        raise _obstacle(error, address=address, gateway=gateway, tries=tries) from None


def _obstacle(error: Exception, *, address: str, gateway: Gateway | None, tries: int) -> ReiterateError:
    causes = list(_causes(error))
    route = gateway.url_without_credentials if gateway else None
    facts: dict[str, Any] = {"address": address, "gateway": route, "reason": _reason(error)}
    in_gateway = route is not None and (
        isinstance(error, exceptions.ProxyError)
        or any(isinstance(cause, socks.ProxyError) and not isinstance(cause, socks.SOCKS5Error) for cause in causes)
    )
    if any(type(cause) in {HTTPException, LineTooLong} for cause in causes):
        return TransientError(
            "An answer has more than 100 headers, or one of more than 64 kB.",
            becomes=BrokenAnswer,
            tries=BROKEN_TRIES,
            **facts,
        )
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        refused, whose = (GatewayError, "data gateway") if in_gateway else (Unreachable, "API address")
        return refused(
            f"The certificate of the {whose} was not accepted.",
            hint="If it was issued by a private authority, or a proxy inspects the traffic, name that authority's "
            "certificates with `ca_bundle`.",
            **facts,
        )
    if not in_gateway or "Tunnel connection failed: 5" in facts["reason"]:
        behind = " behind the data gateway" if gateway else ""
        return TransientError(f"Iterable could not be reached{behind}.", becomes=Unreachable, tries=tries, **facts)
    if "407" in facts["reason"] or any(isinstance(cause, socks.SOCKS5AuthError) for cause in causes):
        return GatewayError("The data gateway wants other credentials.", **facts)
    return TransientError("The data gateway could not be passed.", becomes=GatewayError, tries=tries, **facts)


@contextlib.contextmanager
def reading(path: str) -> Iterator[None]:
    """Name what became of an answer that had begun."""
    try:
        yield
    except (exceptions.HTTPError, OSError, zlib.error) as error:
        raise TransientError(
            "An answer broke off before its end.", becomes=ExportCut, tries=CUT_TRIES, path=path, reason=_reason(error)
        ) from None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield *error* and what caused it, outermost first."""
    cause: BaseException | None = error
    while isinstance(cause, Exception):
        yield cause
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)


def _reason(error: BaseException) -> str:
    """Return the innermost cause in a few words, without addresses of objects."""
    *_, innermost = _causes(error)
    said = re.sub(r"<[^>]*>:? ?", "", f"{type(innermost).__name__}: {innermost}")
    return printable(masked(said))[:LONGEST_MESSAGE]


def check_last_line(file: Path, path: str) -> None:
    """
    Accept a file without a final line break only if its last line is a whole JSON object.

    :raises TransientError: when the stream ended inside a line
    """
    with file.open("rb") as lines:
        lines.seek(max(file.stat().st_size - (1 << 24), 0))
        last = lines.read().rsplit(b"\n", 1)[-1]
    try:
        exact_json.members(last)
    except ValueError:
        raise inside_a_row(path) from None


def inside_a_row(path: str) -> TransientError:
    return TransientError("An answer ended inside a row.", becomes=ExportCut, tries=CUT_TRIES, path=path)
