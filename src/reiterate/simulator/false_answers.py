"""Answers that are none, and listings that mislead: what a fault makes of a reply that would have been a 200."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from reiterate.simulator.routes import Answer, Stream, error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reiterate.simulator.options import Fault
    from reiterate.simulator.routes import Asked, Reply

MAINTENANCE = (
    "<!DOCTYPE html>\n<html>\n<head><title>Scheduled maintenance</title></head>\n"
    "<body>\n<h1>Scheduled maintenance</h1>\n<p>We are back soon.</p>\n</body>\n</html>\n"
)
SOMETIME = "2025-01-01 00:00:00 +00:00"
HOLE = "\N{SYMBOL FOR SUBSTITUTE}deep"
"""Stands for a value that is too deep for the encoder until the text is made."""


def falsified(reply: Reply, fault: Fault, asked: Asked, again: Callable[[Asked], Reply]) -> Reply:
    """Return what *fault* makes of *reply*; *again* answers another request as if there were no fault."""
    if isinstance(reply, Answer) and reply.status != 200:
        return reply
    match fault.kind:
        case "error_object":
            return error(200, "An error occurred. Please try again later.", "GenericError")
        case "error_after_rows":
            return _half_then_error(reply)
        case "html":
            return Answer(MAINTENANCE, content_type="text/html; charset=utf-8")
        case "retry_after":
            said = error(429, "Too many requests", "RateLimitExceeded", {})
            return Answer(said.body, 429, headers={"Retry-After": f"{fault.seconds:.15g}"})
        case "deep_json":
            return _deep(reply, fault.depth)
        case "echo_key":
            return _with_key(reply, fault.place, _key_of(asked))
        case _ if isinstance(reply, Answer) and isinstance(reply.body, dict):
            return Answer(_listing(reply.body, fault, asked, again), 200, reply.content_type)
        case _:
            return reply


def whole(reply: Reply) -> bytes:
    """Return the body of a reply."""
    if isinstance(reply, Stream):
        return b"".join(reply.pieces)
    if isinstance(reply.body, str):
        return reply.body.encode()
    return json.dumps(reply.body, ensure_ascii=False).encode()


def _half_then_error(reply: Reply) -> Reply:
    """Keep the first half of the lines; a document of one line stays whole before the error."""
    lines = whole(reply).splitlines(keepends=True)
    kept = b"".join(lines[: max(len(lines) // 2, 1)])
    said = error(200, "An error occurred. Please try again later.", "GenericError").body
    return Stream(iter([kept + json.dumps(said).encode() + b"\n"]), reply.content_type)


def _deep(reply: Reply, depth: int) -> Reply:
    """Put a value *depth* levels deep into the first object, or before the lines where there is none."""
    deep = "[" * depth + "]" * depth
    if isinstance(reply, Answer) and isinstance(reply.body, dict):
        text = json.dumps(
            {"deep": HOLE, **reply.body} if not (rows := _rows(reply.body)) else _marked(reply.body, rows)
        )
        return Answer(text.replace(json.dumps(HOLE), deep), 200, reply.content_type)
    line, _, rest = whole(reply).partition(b"\n")
    row = line.decode() if line.startswith(b"{") else json.dumps({"createdAt": SOMETIME})
    if not line.startswith(b"{"):
        rest = line + b"\n" + rest
    return Stream(iter([f'{{"deep":{deep},{row[1:]}\n'.encode() + rest]), reply.content_type)


def _rows(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of a listing, wrapped or not (FACTS.md 13)."""
    if isinstance(document.get("params"), dict):
        return _rows(document["params"])
    lists = (value for value in document.values() if isinstance(value, list))
    return next((rows for rows in lists if rows and isinstance(rows[0], dict)), [])


def _marked(document: Any, rows: list[dict[str, Any]]) -> Any:  # noqa: ANN401 (JSON is any)
    """Return *document* with a hole in the first of *rows*, which are its own."""
    if document is rows:
        return [{**rows[0], "deep": HOLE}, *rows[1:]]
    return {name: _marked(value, rows) for name, value in document.items()} if isinstance(document, dict) else document


def _key_of(asked: Asked) -> str:
    return asked.headers.get("api-key", asked.headers.get("api_key", ""))


def _with_key(reply: Reply, place: str, key: str) -> Reply:
    """Repeat *key* where text may stand; the status line and sizes of chunks are written elsewhere."""
    match place:
        case "body":
            message = f"[/api] Invalid JSON body, headers: Api-Key: {key}"  # as recorded (FACTS.md 4.2, BadJsonBody)
            return error(400, message, "BadJsonBody", {"Api-Key": key})
        case "content_type":
            return Answer(MAINTENANCE, content_type=f"text/{key}")
        case "total" if isinstance(reply, Answer) and isinstance(reply.body, dict):
            return Answer(_totals(reply.body, lambda _: key), 200, reply.content_type)
        case _:
            return reply


def _totals(document: Mapping[str, Any], change: Callable[[Any], Any]) -> dict[str, Any]:
    """Return a listing with its total changed, wrapped or not (FACTS.md 13)."""
    if isinstance(document.get("params"), dict):
        return {**document, "params": _totals(document["params"], change)}
    return {name: change(value) if name.startswith("total") else value for name, value in document.items()}


# ── listings ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _listing(document: dict[str, Any], fault: Fault, asked: Asked, again: Callable[[Asked], Reply]) -> dict[str, Any]:
    if isinstance(document.get("params"), dict):

        def inner(other: Asked) -> Reply:
            reply = again(other)
            return Answer(reply.body["params"]) if isinstance(reply, Answer) else reply

        return {**document, "params": _listing(document["params"], fault, asked, inner)}
    match fault.kind:
        case "short_total":
            return _totals(document, lambda total: total + 1)
        case "foreign_link":
            return _elsewhere(document, fault.host, asked)
        case "endless_pages":
            return _endless(document, asked, again)
        case _:
            return document


def _elsewhere(document: dict[str, Any], host: str, asked: Asked) -> dict[str, Any]:
    """Let links lead to *host*; a listing that is paged has a next page."""
    begins = host if "//" in host or host.startswith("@") else f"http://{host}"
    changed = dict(document)
    if any(name.startswith("total") for name in document):
        changed.setdefault("nextPageUrl", _page_url(asked, 2))
    for name in ("nextPageUrl", "previousPageUrl"):
        if name in changed:
            changed[name] = _moved(changed[name], begins)
    if isinstance(files := document.get("files"), list):
        changed["files"] = [{**file, "url": _moved(file["url"], begins)} for file in files]
    return changed


def _moved(url: str, begins: str) -> str:
    return begins + urlsplit(url)._replace(scheme="", netloc="").geturl()


def _page_url(asked: Asked, number: int) -> str:
    kept = {**dict(parse_qsl(asked.query)), "page": str(number)}
    return f"{asked.address}{asked.path}?{urlencode(kept)}"


def _endless(document: dict[str, Any], asked: Asked, again: Callable[[Asked], Reply]) -> dict[str, Any]:
    """Let a chain of pages, markers or file names go on for ever; pages of offsets begin anew behind their end."""
    params = dict(parse_qsl(asked.query))
    if not _rows(document):
        first = {
            name: value for name, value in params.items() if name not in {"page", "nextMarker", "offset", "startAfter"}
        }
        reply = again(asked.with_query(urlencode(first)))
        document = reply.body if isinstance(reply, Answer) and isinstance(reply.body, dict) else document
    if asked.path.startswith("/api/metadata/") and "results" in document:
        return {**document, "nextMarker": str(int(params.get("nextMarker", "0")) + 100)}
    if "files" in document:
        after = params.get("startAfter", "")
        return {**document, "files": [{**file, "file": max(file["file"], f"{after}0")} for file in document["files"]]}
    if any(name.startswith("total") for name in document) and "offset" not in params:
        return {**document, "nextPageUrl": _page_url(asked, int(params.get("page", "1")) + 1)}
    return document
