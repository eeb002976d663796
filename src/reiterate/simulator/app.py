"""The application behind the server: keys, limits, faults around the routes, and the controls that tests use."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import time
import uuid
from dataclasses import dataclass, replace
from email.utils import formatdate
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from reiterate.simulator import (
    entity_routes,
    false_answers,
    faults,
    guard,
    message_routes,
    people_routes,
    routes,
    vanishing,
    wire,
)
from reiterate.simulator.faults import Faults
from reiterate.simulator.jobs import Jobs
from reiterate.simulator.limits import Limits
from reiterate.simulator.routes import Answer, Asked, Reply, Stream

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope

    from reiterate.simulator.options import Fault, ServerOptions
    from reiterate.simulator.world import World

LONGEST_URI = 2048
"""Enforced since March 2026 (FACTS.md 4.2)."""

NOT_FOUND = Answer(
    "<!DOCTYPE html><html><head><title>Action not found</title></head></html>", 404, "text/html; charset=utf-8"
)


TABLES = {
    # a wrong method is as unknown as a wrong path (FACTS.md 4.2)
    "GET": (*routes.ROUTES, *entity_routes.ROUTES, *message_routes.ROUTES, *people_routes.ROUTES),
    "POST": message_routes.POSTS,
}
"""Paths and who answers, by method."""


@dataclass(frozen=True)
class Seen:
    """A request as it came, without the key; *peer* is the address that it came from."""

    method: str
    path: str
    params: Mapping[str, str]
    status: int
    peer: str
    with_key: bool


async def _body_of(receive: ASGIReceiveCallable) -> bytes:
    body = b""
    while True:
        message: Any = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body"):
            return body


def _json_of(body: bytes) -> Any:  # noqa: ANN401 (JSON is any)
    try:
        return json.loads(body) if body else None
    except ValueError:
        return None


class App:
    """The ASGI application; single-threaded, as its event loop is."""

    def __init__(self, world: World, options: ServerOptions, host: str) -> None:
        self.world = world
        self.options = options
        self.control_token = guard.new_token(options.control_token)
        self._host = host
        self.limits = Limits(factor=options.rate_limit_factor, enforced=options.limits)
        self.jobs = Jobs(world, options)
        self.requests: list[Seen] = []
        self.set_faults(options.faults)

    def set_faults(self, rules: Iterable[Fault | Mapping[str, Any]]) -> None:
        self._faults = Faults(rules, self.options.seed)

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] != "http":
            return
        raw_path = scope["raw_path"].split(b"?")[0].decode("latin-1")
        query = scope["query_string"].decode("latin-1")
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        params = dict(parse_qsl(query, keep_blank_values=True))
        body = await _body_of(receive)
        if not guard.is_own_name(called := headers.get("host", ""), self._host):
            text = f"This server does not answer to the name {called!r}, but to localhost and {self._host}."
            await self._send(send, Answer(text, 403, "text/plain"), headers, None)
            return
        if raw_path.startswith("/_simulator/"):
            await self._send(send, self._control(raw_path, body, headers), headers, None)
            return
        document = _json_of(body)
        members = {name: str(value) for name, value in document.items()} if isinstance(document, dict) else {}
        fault = self._faults.meet(raw_path, {**params, **members})
        if fault and fault.kind == "reset":
            self._note(scope, raw_path, params, 0, headers)
            wire.reset(send)
            return
        if fault and fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
        address = f"{scope['scheme']}://{headers.get('host', '')}"
        asked = Asked(scope["method"], raw_path, query, headers, address, document)
        reply = self._reply(asked, fault)
        self._note(scope, raw_path, params, reply.status if isinstance(reply, Answer) else 200, headers)
        try:
            await self._send(send, reply, headers, fault)
        except faults.Cut:
            wire.close(send)

    def _note(
        self, scope: Scope, path: str, params: Mapping[str, str], status: int, headers: Mapping[str, str]
    ) -> None:
        with_key = bool({"api-key", "api_key"} & headers.keys())
        shown = {name: value for name, value in params.items() if name != "X-Signature"}
        where: Any = scope
        self.requests.append(Seen(where["method"], path, shown, status, where["client"][0], with_key))

    def _reply(self, asked: Asked, fault: Fault | None) -> Reply:
        path, query, headers = asked.path, asked.query, asked.headers
        if len(path) + 1 + len(query) > LONGEST_URI:
            text = f"URI length exceeds the configured limit of {LONGEST_URI} characters"
            return Answer(text, 414, "text/plain")
        if path.startswith("/storage/"):
            return self._stored(asked, fault)
        if refusal := self._refused(path, headers):
            return refusal
        if refused := self.limits.ask(path, asked.method):
            return routes.error(429, refused.message, "RateLimitExceeded", {})
        if fault and fault.kind == "status":
            return _status(fault, "application/json")
        if fault and fault.kind == "item_vanishes":
            vanishing.vanish(self.world, path, dict(parse_qsl(query)))
        if fault and fault.kind == "user_merges":
            self.world.merge_newest(now_s=self.last_second)
        reply = self._answered(asked, fault)
        return false_answers.falsified(reply, fault, asked, self._answered) if fault else reply

    def _answered(self, asked: Asked, fault: Fault | None = None) -> Reply:
        try:
            return self._job_reply(asked, fault) or self._route(asked)
        except routes.WrongParameter as wrong:
            return routes.error(400, str(wrong), "BadParams")

    def _route(self, asked: Asked) -> Reply:
        for pattern, answer in TABLES.get(asked.method, ()):
            if found := re.fullmatch(pattern, asked.path):
                values = tuple(map(unquote, found.groups()))
                pairs = tuple(parse_qsl(asked.query, keep_blank_values=True))
                request = routes.Request(asked.path, values, pairs, asked.address, self._now(), asked.document)
                return answer(self.world, request)
        return NOT_FOUND

    def _job_reply(self, asked: Asked, fault: Fault | None) -> Reply | None:
        params = dict(parse_qsl(asked.query))
        match asked.method, asked.path.removeprefix("/api/export/").split("/"):
            case "POST", ["start"]:
                return self.jobs.start(asked.document, fault, now=self._now())
            case "GET", ["jobs"]:
                return self.jobs.list(params.get("jobState", ""), now=self._now())
            case "GET", [job, "files"] if job.isdigit():
                return self.jobs.files(int(job), params.get("startAfter", ""), now=self._now())
            case "DELETE", [job] if job.isdigit():
                return self.jobs.cancel(int(job))
            case _:
                return None

    def _stored(self, asked: Asked, fault: Fault | None) -> Reply:
        if "api-key" in asked.headers:
            return Answer("The key has no business here.", 400, "text/plain")
        if fault and fault.kind == "status":
            return _status(replace(fault, body=fault.body or ""), "application/xml")
        if fault and fault.kind == "link_refused":
            return self.jobs.refused(fault.status or 400)
        expired = fault is not None and fault.kind == "link_expired"
        reply = self.jobs.stored(asked.path, dict(parse_qsl(asked.query)), expired=expired)
        return false_answers.falsified(reply, fault, asked, lambda _: reply) if fault else reply

    def _now(self) -> float:
        return time.time() + self.options.clock_skew_s

    @property
    def last_second(self) -> int:
        """The last second of the server's clock that has ended: one that has not could not be exported whole."""
        return int(self._now()) - 1

    def _refused(self, path: str, headers: Mapping[str, str]) -> Answer | None:
        """Return a 401 in the words that tell which it is (FACTS.md 2.3)."""
        key = headers.get("api-key", headers.get("api_key"))
        facts: dict[str, str] = {"ip": "203.0.113.5", "endpoint": path}
        if key is None:
            return routes.error(401, "No API key found on request", "BadApiKey", facts)
        if key != self.options.api_key:
            return routes.error(401, "Invalid API key", "BadApiKey", facts)
        if path.startswith(self.options.denied):
            facts |= {"apiKeyIdentifier": key[:8], "apiKeyType": "ServerSide"}
            return routes.error(401, "Disabled API key or insufficient privileges", "BadApiKey", facts)
        return None

    # ── what goes over the wire ──────────────────────────────────────────────────────────────────────────────────────

    async def _send(self, send: Any, reply: Reply, asked: Mapping[str, str], fault: Fault | None) -> None:  # noqa: ANN401
        status = reply.status if isinstance(reply, Answer) else 200
        headers = self._headers(reply)
        kind = fault.kind if fault and status == 200 else ""
        place = fault.place if fault and kind == "echo_key" else ""
        if kind in {"no_length", "no_length_cut"} or place in {"status_line", "reason", "chunk_size"}:
            self._send_alone(send, reply, headers, asked, place or kind)
            return
        pieces = self._packed(reply, headers, fault, wants_gzip="gzip" in asked.get("accept-encoding", ""))
        encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": encoded})
        async for piece in faults.spoilt(pieces, fault):
            if wire.is_gone(send):
                return
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _headers(self, reply: Reply) -> dict[str, str]:
        headers = {
            "Request-Time": "12",
            "Iterable-Request-Id": str(uuid.uuid4()),
            "Server": "iterable-ingress 5f2c9d4",
            "X-Content-Type-Options": "nosniff",
        }
        if not self.options.no_date:
            headers["Date"] = formatdate(self._now(), usegmt=True)
        if self.options.age is not None:
            headers["Age"] = str(self.options.age)
        if reply.content_type:
            headers["Content-Type"] = reply.content_type
        return headers | dict(reply.headers) if isinstance(reply, Answer) else headers

    @staticmethod
    def _packed(reply: Reply, headers: dict[str, str], fault: Fault | None, *, wants_gzip: bool) -> Iterator[bytes]:
        """Return the body as it travels; *headers* get what says so."""
        single = isinstance(reply, Answer)
        good = not isinstance(reply, Answer) or reply.status == 200
        kind = fault.kind if fault and (good or fault.kind == "bad_gzip") else ""
        if kind == "bomb" and fault:
            headers["Content-Encoding"] = "gzip"
            return wire.bomb(fault.bytes)
        if kind in {"bad_gzip", "gzip_members", "gzip_cut_member"}:
            headers["Content-Encoding"] = "gzip"
            body = false_answers.whole(reply)
            cut = kind == "gzip_cut_member"
            body = gzip.compress(body, 1)[:-12] if kind == "bad_gzip" else wire.members(body, cut=cut)
        elif isinstance(reply, Stream):
            return reply.pieces
        else:
            body = false_answers.whole(reply)
            if wants_gzip and good:
                headers["Content-Encoding"] = "gzip"
                body = gzip.compress(body, 1)
        if single:
            headers["Content-Length"] = str(len(body))
        return iter([body])

    @staticmethod
    def _send_alone(send: Any, reply: Reply, headers: dict[str, str], asked: Mapping[str, str], how: str) -> None:  # noqa: ANN401
        """Write what uvicorn would not: a body without length or chunks, a key in the frame of an answer."""
        body, line = false_answers.whole(reply), wire.status_line(200)
        key = asked.get("api-key", asked.get("api_key", ""))
        match how:
            case "no_length_cut":
                body = body[: faults.CUTS["cut"](body) or len(body) // 2]
            case "reason":
                line = wire.status_line(503, key)
            case "status_line":
                line = f"{key} HTTP/1.1 200 OK"
            case "chunk_size":
                headers |= {"Transfer-Encoding": "chunked"}
                # alone it could be a number: keys are hexadecimal
                body = wire.chunk_of_size(body[: max(len(body) // 2, 1)], f"Api-Key: {key}")
            case _:
                pass
        wire.write_alone(send, line, headers, body)

    # ── controls ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _control(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Answer a control; what the project refuses is a 400."""
        if not guard.has_token(headers, self.control_token):
            return routes.error(401, f"The header {guard.HEADER} does not have the token of this server", "BadApiKey")
        try:
            return self._controlled(path, json.loads(body) if body else {})
        except (KeyError, TypeError, ValueError) as error:
            return routes.error(400, str(error), "BadParams")

    def _controlled(self, path: str, given: Any) -> Reply:  # noqa: ANN401 (JSON is any)
        match path.removeprefix("/_simulator/").split("/"):
            case ["truth", table]:
                return Stream(iter([json.dumps(row).encode() + b"\n" for row in self.world.truth(table)]))
            case ["requests"]:
                return Answer([vars(seen) for seen in self.requests])
            case ["jobs"]:
                return Answer([{"id": job.job_id, "state": job.state, **job.params} for job in self.jobs.all.values()])
            case ["limits"]:
                return Answer({"requests": self.limits.requests, "exceeded": self.limits.exceeded})
            case ["mutate"]:
                self.world.mutate(
                    fraction=given.get("fraction", 0.01), seed=given.get("seed", 1), now_s=self.last_second
                )
            case ["faults"]:
                self.set_faults(given)
            case ["delete_user" | "forget_user" | "unforget_user" as change]:
                getattr(self.world, change)(given.get("email") or given["userId"])
            case ["change_email"]:
                self.world.change_email(given["old"], given["new"], now_s=self.last_second)
            case ["merge_users"]:
                self.world.merge_users(given["source"], given["destination"], now_s=self.last_second)
            case ["events"]:
                self.world.add_events(given["data_type"], given["rows"])
            case _:
                return NOT_FOUND
        return Answer({"msg": "", "code": "Success", "params": None})


def _status(fault: Fault, content_type: str) -> Answer:
    """Return what a fault of kind ``status`` answers; without a body, Iterable's 500 (FACTS.md 4.2)."""
    if fault.body is None:
        body: Any = {"msg": "An error occurred. Please try again later.", "code": "GenericError"}
    else:
        body = fault.body
    html = isinstance(body, str) and body.startswith("<") and content_type == "application/json"
    return Answer(body, fault.status or 500, "text/html" if html else content_type, headers=fault.headers)
