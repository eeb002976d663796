"""
One HTTP client for Iterable: the key in a header, every egress through the data gateway, retries until they are futile.

The only module that imports the HTTP library. What leaves it is a value or a :class:`SourceError`; no message, log or
URL holds the key.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from importlib.metadata import version
from itertools import islice
from threading import Lock
from typing import IO, TYPE_CHECKING, Any, Literal, Protocol, TypeVar
from urllib.parse import unquote, urlencode, urlsplit

import tenacity
import urllib3
from urllib3.contrib.socks import SOCKSProxyManager

from reiterate.api import answers, bodies, origin
from reiterate.api.bodies import NotAnAnswer
from reiterate.api.headers import timed
from reiterate.api.limits import NO_LIMIT, Pacer, limit_of
from reiterate.api.lines import ROWS, Kind, Lines
from reiterate.errors import (
    HOPELESS,
    Forbidden,
    LinkExpired,
    MalformedRow,
    SourceError,
    SpoolError,
    Stopped,
    TransientError,
    Unauthorized,
)
from reiterate.settings import API_ADDRESSES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

    from reiterate.api.bodies import Body
    from reiterate.api.clock import Answered, Clock
    from reiterate.settings import Gateway, Secret

Answer = TypeVar("Answer")
Form = Callable[[Any], Answer]
"""Makes what a caller wants of a JSON document, or raises :class:`NotAnAnswer` where it is not what was asked for."""
Params = Mapping[str, str] | Sequence[tuple[str, str]]
"""The parameters of a request; in pairs where one is repeated."""
Rewrite = Callable[[bytes], bytes]
"""Makes another line, with its line break, of one without; a ValueError says that the line is not whole."""

CONNECT_TIMEOUT_S = 15.0
WRITE_BYTES = 1 << 16
"""
For more at a time Linux takes larger pages into its cache, and on a virtual machine such memory may be slow to get.
"""
MOST_CONNECTIONS = 32
"""Kept open; as many as there are threads that ask."""
LINK_REFUSED = {
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.GONE,
}
"""What storage hosts say of a link that is too old, or whose signature is: ``ExpiredToken`` is a 400."""

GLANCE_CHUNKS = 8

JSON_BYTES = 128 * 10**6
"""A document is held in memory as a whole; the hashes of 1.5 million forgotten users have 100 MB."""
TEXT_BYTES = 16 * 10**6
"""A CSV about a hundred campaigns has 100 kB."""
OF_ITERABLE = {HTTPStatus.OK, HTTPStatus.UNAUTHORIZED}
"""Whose dates are Iterable's; an error may be a gateway's, and so may its clock."""
FIRST_CONTACT = "/api/channels", "channels"
"""The cheapest resource that every server-side key may read, and what its answer has."""
OTHERWISE = "/api/lists", "lists"
"""Another one, for keys that may not read that (FACTS.md 2.2)."""


class Listener(Protocol):
    """Who wants to know how the requests of a task fare; called from the thread that makes them."""

    def waiting(self, seconds: float, reason: str) -> None: ...

    def progress(self, rows: int, size_bytes: int) -> None:
        """So much of the task lies on the spool; may wait for room, or raise a SourceError where there is none."""


@dataclass(frozen=True)
class Silence:
    """A listener that does not listen."""

    def waiting(self, seconds: float, reason: str) -> None:
        """Ignore it."""

    def progress(self, rows: int, size_bytes: int) -> None:
        """Ignore it."""


@dataclass(frozen=True)
class Downloaded:
    """What of a task has arrived."""

    rows: int
    size_bytes: int


NOTHING = Downloaded(0, 0)


class Client:
    """
    A connection to one Iterable project; shared by all threads.

    *address* is that of the API without a trailing slash, *other_address* that of the other region: a key that is
    refused here is tried there once, so that the message can say so.
    """

    def __init__(
        self,
        address: str,
        key: Secret,
        *,
        pacer: Pacer,
        clock: Clock,
        gateway: Gateway | None = None,
        ca_bundle: Path | None = None,
        other_address: str | None = None,
    ) -> None:
        self.address = address
        self.pacer = pacer
        self.clock = clock
        self._key = key
        self._gateway = gateway
        self._other_address = other_address
        self._headers = {"Accept-Encoding": "gzip", "User-Agent": f"reiterate/{version('reiterate')}"}
        self.reached = False
        """whether Iterable ever answered; until then nobody waits long for it"""
        self._contacted = False
        self._explaining = Lock()
        self._hopeless: SourceError | None = None
        self._pool = timed(_pool(gateway, ca_bundle))

    def caller(self, listener: Listener | None = None) -> Caller:
        """Return who makes the requests of one task, counts them and tells *listener* how they fare."""
        return Caller(self, listener or Silence())

    def warnings(self) -> list[str]:
        """Return what a person should know of clocks and limits, and was not told yet."""
        return [*self.clock.warnings(), *self.pacer.warnings()]

    def close(self) -> None:
        self._pool.clear()

    @contextlib.contextmanager
    def open(
        self,
        path: str,
        params: Params,
        *,
        address: str = "",
        method: Literal["GET", "POST", "DELETE"] = "GET",
        document: Any = None,  # noqa: ANN401 (JSON is any)
        answered: Callable[[Answered], None] = lambda _: None,
    ) -> Iterator[Body]:
        """
        Send one request, with *document* as its JSON body, and hand out the body of its answer.

        Nothing is retried. Whatever the answer is, what it says about time goes to *answered*.

        :raises SourceError: when Iterable refuses for good
        :raises TransientError: when another try may help: for a body that breaks off, or is no answer, too
        """
        query = f"?{urlencode(params)}" if params else ""
        headers = {"Api-Key": self._key.reveal()}
        body = None if document is None else json.dumps(document).encode()
        if body is not None:
            headers["Content-Type"] = "application/json"
        address = address or self.address
        url = f"{address}{path}{query}"
        origin.check(url, address)
        silence_s = limit_of(path).silence_s
        sent = self.clock.sending()
        with self._exchange(
            *(method, url, headers, body, silence_s),
            address=address,
            path=path,
            heard=lambda headers: answered(self.clock.answered(headers, sent)),
        ) as answer:
            self.reached = True
            yield answer

    @contextlib.contextmanager
    def follow(self, link: str) -> Iterator[Body]:
        """
        Hand out what the storage host has under a signed *link*; the key does not go there (FACTS.md 8.5).

        :raises LinkExpired: when the storage host refuses the link; a new one may help
        :raises SourceError, TransientError: as above
        """
        parts = urlsplit(link)
        address = f"{parts.scheme}://{parts.netloc}"
        try:
            with self._exchange("GET", link, {}, None, NO_LIMIT.silence_s, address=address, path=parts.path) as answer:
                yield answer
        except SourceError as error:
            if error.facts.get("status") in LINK_REFUSED:
                raise LinkExpired(**error.facts) from error
            raise

    @contextlib.contextmanager
    def _exchange(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        silence_s: float,
        *,
        address: str,
        path: str,
        heard: Callable[[Mapping[str, str]], None] = lambda _: None,
    ) -> Iterator[Body]:
        """
        Send one request; *address* and *path* name it in messages, for a link's query is a secret.

        The headers of an answer of Iterable's, and not of something that failed before it, go to *heard*.
        """
        with answers.connecting(address, gateway=self._gateway, reached=self.reached):
            response = self._pool.request(
                method,
                url,
                body=body,
                headers={**headers, **self._headers},
                timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=silence_s),
                preload_content=False,
                redirect=False,
            )
        arrived = bodies.body_of(response, silence_s=silence_s)
        try:
            with answers.reading(path):
                if response.status in OF_ITERABLE:
                    heard(response.headers)
                if response.status != HTTPStatus.OK:
                    raise answers.refusal(
                        response.status,
                        response.headers,
                        answers.error_body(arrived),
                        path=path,
                        gateway=self._gateway,
                    )
                yield arrived
        except NotAnAnswer as error:
            raise answers.broken(error, arrived, path=path) from error
        finally:
            response.close()

    def contact(self) -> SourceError | None:
        """
        Ask Iterable for next to nothing, so that its time is known; return why no request will fare better, if so.

        What another try may help with, or what one resource lacks, is for those to find out who read. Asks once,
        however often it is called.
        """
        if not self._contacted:
            self._contacted = True
            try:
                self.caller().once(FIRST_CONTACT[0])
            except Unauthorized as error:
                found = self.explain(error)
                self._hopeless = found if isinstance(found, HOPELESS) else None
            except HOPELESS as error:
                self._hopeless = error
            except (SourceError, TransientError, Stopped):
                return None
        return self._hopeless

    def explain(self, error: Unauthorized) -> SourceError:
        """
        Return what a refused key really means: no right to this resource, a key of the other region, or a wrong key.

        Iterable may refuse a key that lacks a right in the words for a wrong key (FACTS.md 2.2, 2.3). A key that is
        refused altogether is refused once: nobody asks any more.
        """
        with self._explaining:
            if self.pacer.hopeless is None:
                found = self._explained(error)
                if isinstance(found, Forbidden):
                    return found
                self.pacer.give_up(found)
            return self.pacer.hopeless or error

    def _explained(self, error: Unauthorized) -> SourceError:
        if self._accepts(self.address):
            return Forbidden(**error.facts)
        facts = {name: fact for name, fact in error.facts.items() if name != "path"}
        if self._other_address is not None and self._accepts(self._other_address):
            return Unauthorized(
                "The API key belongs to the other region.",
                hint="Change `region` of the connection.",
                **{**facts, "works_at": self._other_address},
            )
        return Unauthorized(**facts, address=self.address)

    def _accepts(self, address: str) -> bool:
        for path, rows in (FIRST_CONTACT, OTHERWISE):
            with contextlib.suppress(SourceError, TransientError), self.open(path, {}, address=address) as body:
                answer = answers.document(body, JSON_BYTES)
                return isinstance(answer, dict) and rows in answer
        return False

    def own_path(self, url: object) -> tuple[str, dict[str, str]]:
        """
        Return path and parameters of a link to a next page, to be asked at our own address.

        :raises SourceError: when it leads to another address
        """
        return origin.own_path(url, address=self.address, others=API_ADDRESSES.values())


def _pool(gateway: Gateway | None, ca_bundle: Path | None) -> urllib3.PoolManager:
    """Return the connections, all of which go through *gateway* if there is one."""
    options: dict[str, Any] = {
        "maxsize": MOST_CONNECTIONS,
        "retries": False,
        "ca_certs": str(ca_bundle) if ca_bundle else None,
    }
    if gateway is None:
        return urllib3.PoolManager(**options)
    if gateway.scheme.startswith("socks"):
        return SOCKSProxyManager(gateway.reveal(), **options)
    parts = urlsplit(gateway.reveal())
    if parts.username is not None:
        credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        # spelled as in the RFC, for proxies that look for it letter by letter
        (value,) = urllib3.make_headers(proxy_basic_auth=credentials).values()
        options["proxy_headers"] = {"Proxy-Authorization": value}
    return urllib3.ProxyManager(gateway.url_without_credentials, **options)


@dataclass
class Caller:
    """Makes the requests of one task, with retries and within the limits; used by several threads."""

    client: Client
    listener: Listener
    requests: int = 0
    heard: Answered | None = None
    """what all answers of Iterable say about time"""
    _lock: Lock = field(default_factory=Lock)

    def json(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        form: Form[Answer],
        method: Literal["GET", "POST", "DELETE"] = "GET",
        document: Any = None,  # noqa: ANN401 (JSON is any)
    ) -> Answer:
        """
        Return what *form* makes of the document that ``GET path``, or *method* with the body *document*, answers with.

        :raises BrokenAnswer: when no answer in any try is JSON of that form
        :raises SourceError: when Iterable refuses, or does not answer after all retries
        """

        def read() -> Answer:
            with self._open(path, params or {}, method=method, document=document) as body:
                return form(answers.document(body, JSON_BYTES))

        return self._retrying(read)

    def text(self, path: str, params: Params, *, form: Callable[[str], Answer]) -> Answer:
        """
        Return what *form* makes of the text of ``GET path``; a byte that is no UTF-8 becomes a lone surrogate.

        :raises BrokenAnswer: when no answer in any try is text of that form, with a proved end
        :raises SourceError: when Iterable refuses, or does not answer after all retries
        """

        def read() -> Answer:
            with self._open(path, params) as body:
                body.check_framed()
                return form(body.whole(TEXT_BYTES).decode("utf-8", "surrogateescape"))

        return self._retrying(read)

    @property
    def read_at(self) -> datetime:
        """What Iterable's clock had reached before the first answer, of all that there were."""
        return self.client.clock.now() if self.heard is None else self.heard.read_at

    @property
    def until(self) -> datetime:
        """What Iterable's clock had reached at each answer: no read reaches further."""
        return self.client.clock.now() if self.heard is None else self.heard.until

    def once(self, path: str) -> None:
        """
        Ask for the document at *path* in one try.

        :raises SourceError, TransientError: when it does not arrive
        """
        with self._open(path, {}) as body:
            answers.document(body, JSON_BYTES)

    def glance(self, path: str, params: Mapping[str, str], kind: Kind) -> None:
        """
        Ask for *path*, and look no further than at whether it begins with lines of *kind*.

        :raises BrokenAnswer: when it does not, in any try
        :raises SourceError: when Iterable refuses, or does not answer after all retries
        """

        def look() -> None:
            with self._open(path, params) as body:
                body.check_framed()
                for _ in islice(Lines(kind).passing(body.chunks), GLANCE_CHUNKS):
                    pass

        self._retrying(look)

    def download(
        self,
        path: str,
        params: Mapping[str, str],
        target: Path,
        *,
        kind: Kind,
        rewrite: Rewrite | None = None,
    ) -> Downloaded:
        """
        Write the lines of *kind* that ``GET path`` streams to *target*, whole or not at all.

        What *rewrite* makes of each line is written in its place.

        :raises BrokenAnswer: when what came is something else in each try
        :raises ExportCut: when the stream broke off, or ended inside a line, in every try
        """
        try:
            return self._retrying(
                lambda: self._lines(self._open(path, params), target, path, kind=kind, rewrite=rewrite)
            )
        except SourceError:
            target.unlink(missing_ok=True)
            raise

    def follow(self, link: str, target: Path, *, after: Downloaded, rewrite: Rewrite | None = None) -> Downloaded:
        """
        Write the JSON lines behind a signed *link* to *target*, whole or not at all.

        *after* is what the task had before; its progress goes on from there.

        :raises LinkExpired: when the storage host refuses the link
        :raises BrokenAnswer: when what came is something else in each try
        :raises ExportCut: when the stream broke off, or ended inside a line, in every try
        """
        try:
            return self._retrying(
                lambda: self._lines(self.client.follow(link), target, "a file", kind=ROWS, after=after, rewrite=rewrite)
            )
        except SourceError:
            target.unlink(missing_ok=True)
            raise

    def _lines(
        self,
        opened: AbstractContextManager[Body],
        target: Path,
        path: str,
        *,
        kind: Kind,
        after: Downloaded = NOTHING,
        rewrite: Rewrite | None = None,
    ) -> Downloaded:
        rows = size_bytes = 0
        lines = Lines(kind)
        with target.open("wb") as file, opened as body:
            body.check_framed()
            chunks = lines.passing(body.chunks)
            for chunk in chunks if rewrite is None else _rewritten(chunks, rewrite, path, kind):
                self.client.pacer.check()
                _write(file, chunk)
                rows = lines.count if rewrite is None else rows + chunk.count(b"\n")
                size_bytes += len(chunk)
                self.listener.progress(after.rows + rows, after.size_bytes + size_bytes)
        if rewrite is not None:
            return Downloaded(rows, size_bytes)
        if lines.open_end and kind.objects:
            answers.check_last_line(target, path)
        return Downloaded(lines.count, size_bytes)

    @contextlib.contextmanager
    def _open(
        self,
        path: str,
        params: Params,
        *,
        method: Literal["GET", "POST", "DELETE"] = "GET",
        document: Any = None,  # noqa: ANN401 (JSON is any)
    ) -> Iterator[Body]:
        answered = self.client.pacer.pass_through(limit_of(path), self.listener.waiting)
        with self._lock:
            self.requests += 1
        try:
            with self.client.open(path, params, method=method, document=document, answered=self._hear) as body:
                answered()
                yield body
        finally:
            answered()

    def _hear(self, answered: Answered) -> None:
        with self._lock:
            self.heard = answered.least(self.heard)

    def _retrying(self, call: Callable[[], Answer]) -> Answer:
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(TransientError),
            stop=lambda state: state.attempt_number >= _transient(state).tries,
            wait=tenacity.wait_none(),
            before_sleep=self._pause,
            reraise=True,
        )
        try:
            return retrying(call)
        except TransientError as error:
            raise error.final() from error
        except Unauthorized as error:
            raise self.client.explain(error) from error

    def _pause(self, state: tenacity.RetryCallState) -> None:
        error = _transient(state)
        reason = f"{error.what} (try {state.attempt_number} of {error.tries})"
        if error.retry_after_s is None:
            backoff = tenacity.wait_exponential_jitter(initial=1, max=60, jitter=1)
            self.client.pacer.pause(backoff(state), reason, self.listener.waiting, exact=False)
            return
        if error.retry_after_s > answers.LONGEST_RETRY_AFTER_S:
            reason += f"; {error.retry_after_s:,.0f} s were asked for, which is too long"
        wait_s = min(error.retry_after_s, answers.LONGEST_RETRY_AFTER_S)
        self.client.pacer.pause(wait_s, reason, self.listener.waiting, exact=True)


def _rewritten(chunks: Iterator[bytes], rewrite: Rewrite, path: str, kind: Kind) -> Iterator[bytes]:
    # blanks are no row, but may be a member
    blank = None if kind.objects else b"\r\n"
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        try:
            yield b"".join(map(rewrite, (line for line in lines if line.strip(blank))))
        except ValueError as error:
            raise MalformedRow(path=path) from error
    if rest.strip(blank):
        try:
            yield rewrite(rest)
        except ValueError:
            raise answers.inside_a_row(path) from None


def _write(file: IO[bytes], chunk: bytes) -> None:
    """Write *chunk*; what the disk refuses must not pass for trouble of the network."""
    try:
        view = memoryview(chunk)
        for at in range(0, len(chunk), WRITE_BYTES):
            file.write(view[at : at + WRITE_BYTES])
        file.flush()
    except OSError as error:
        raise SpoolError(reason=error.strerror) from error


def _transient(state: tenacity.RetryCallState) -> TransientError:
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, TransientError):
        raise Stopped
    return error
