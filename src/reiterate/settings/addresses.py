"""
Gateway, API address, certificates and destination: from the text that a person gave to the value that is used.

One function for each setting; all raise Wrong with what is accepted. What may hold credentials is shown only as far
as it plainly holds none, for a wrong address may hold them anywhere.
"""

from __future__ import annotations

import ipaddress
import re
import ssl
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from reiterate.secret import HIDDEN
from reiterate.settings.given import Wrong, looked_at, text_of
from reiterate.settings.model import API_ADDRESSES, FORMATS, Gateway
from reiterate.settings.schemes import ALIASES, SCHEMES

GATEWAY_SCHEMES = ("http", "https", "socks5", "socks5h")
PLAIN_ADDRESS = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*://)?((?P<credentials>[^@]*@)(?=[^@:]+:[0-9]+/?$))?"
    r"(?P<host>[a-z0-9._-]*|\[[0-9a-f:.]*\])(?P<port>:[0-9]{1,6})?(?P<path>/[a-z0-9._~/-]*)?",
    re.IGNORECASE,
)
PLAIN_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_.])?|[0-9A-Fa-f:.]+")
PATH_PREFIX = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)*/?")
SERVER_HOST = re.compile(r"([A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9._=-]+)*/?")
BUCKET_QUERY = {"format": re.compile("|".join(FORMATS)), "region": re.compile("[a-z0-9-]+")}
UNPRINTABLE = re.compile(r"[\x00-\x20\x7f]")


def data_gateway(value: object) -> Gateway | None:
    accepted = f"none, or SCHEME://[USER:PASSWORD@]HOST:PORT with SCHEME one of {', '.join(GATEWAY_SCHEMES)}"
    text = text_of(value)
    if text is None:
        raise Wrong(accepted, shown="a value that is not text")
    if text.lower() in {"none", ""}:
        return None
    parts, reason = _split(text, GATEWAY_SCHEMES)
    if parts and (parts.path.strip("/") or "?" in text or "#" in text):
        reason = "it goes on behind the port"
    if reason or not parts:
        raise Wrong(accepted, reason=reason, shown=masked(text))
    return Gateway(f"{parts.scheme}://{parts.netloc}")


def api_address(value: object) -> str:
    accepted = f"http(s)://HOST[:PORT][/PREFIX], such as {API_ADDRESSES['US']}"
    text = text_of(value)
    if text is None:
        raise Wrong(accepted, shown="a value that is not text")
    parts, reason = _split(text, ("http", "https"))
    if parts and "@" in parts.netloc:
        reason = "it holds credentials; the key has a setting of its own, api_key"
    elif "?" in text or "#" in text:
        reason = "it goes on behind the path"
    elif parts and not PATH_PREFIX.fullmatch(parts.path):
        reason = "its path is not plain"
    elif parts and parts.path.strip("/") and f"https://{parts.hostname}" in API_ADDRESSES.values():
        reason = "Iterable's own address has no path; Reiterate adds /api itself"
    if reason or not parts:
        raise Wrong(accepted, reason=reason, shown=masked(text))
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


def _split(text: str, schemes: tuple[str, ...]) -> tuple[SplitResult | None, str]:
    """Return the parts of an address, or what is wrong with it; nothing of *text* is in the reason."""
    if UNPRINTABLE.search(text):
        return None, "it has a blank or control character in it"
    scheme, colon, _ = text.partition("://")
    if not colon:
        return None, "it has no SCHEME://"
    if scheme.lower() not in schemes:
        return None, "its scheme is not known"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None, "its host or port is wrong"
    if port == 0 or parts.netloc.endswith(":"):
        return None, "its port is wrong"
    if not parts.hostname or not PLAIN_HOST.fullmatch(parts.hostname):
        return None, "it has no host" if not parts.hostname else "its host is wrong"
    return parts, ""


def masked(text: str) -> str:
    """Return as much of an address as plainly holds no credentials."""
    found = PLAIN_ADDRESS.fullmatch(text)
    if found is None:
        scheme = re.match(r"[A-Za-z][A-Za-z0-9+.-]{0,15}://", text)
        return f"{scheme[0] if scheme else ''}{HIDDEN}"
    user = f"{HIDDEN}@" if found["credentials"] else ""
    return repr(f"{found['scheme'] or ''}{user}{found['host']}{found['port'] or ''}{found['path'] or ''}")


def is_loopback(address: str) -> bool:
    """Tell whether nobody but this machine hears what is sent to *address*."""
    host = urlsplit(address).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def ca_bundle(value: object, *, base: Path) -> Path | None:
    """Return the file, a relative one as seen from *base*, once its certificates could be read."""
    accepted = "a file with certificates in PEM form"
    text = text_of(value)
    if text is None:
        raise Wrong(accepted)
    if text.lower() in {"none", ""}:
        return None
    path = base / looked_at(Path(text))
    if looked_at(path).is_dir():
        raise Wrong(accepted, reason="it is a directory")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except ssl.SSLError:
        raise Wrong(accepted, reason="it holds no certificates in PEM form") from None
    except OSError as error:
        raise Wrong(accepted, reason=(error.strerror or "it cannot be read").lower()) from None
    except ValueError:
        raise Wrong(accepted) from None
    return path


def destination_url(value: object) -> str:
    """Return a URL, ``duckdb:///PATH`` for a path; its scheme is one of SCHEMES."""
    accepted = (
        f"{SCHEMES['duckdb'].form}, or the path of a DuckDB file such as shop.duckdb; or {SCHEMES['postgresql'].form}; "
        f"or one of {', '.join(list(SCHEMES)[2:])} as docs/destinations.md has it"
    )
    text = text_of(value) or ""
    scheme = re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", text)
    kind = "" if not scheme else scheme[0][:-1].lower()
    kind = ALIASES.get(kind, kind)
    if scheme and kind not in SCHEMES:
        raise Wrong(accepted, reason="its scheme is not known", shown=f"{scheme[0][:20]}{HIDDEN}")
    match kind:
        case "" | "duckdb":
            return _file_url(text if scheme else f"duckdb:///{text}", accepted)
        case "md" | "ducklake":
            return _attached_url(text, kind)
        case "file":
            return _directory_url(text, SCHEMES["file"].form)
        case "s3" | "gs" | "az":
            return _bucket_url(text, kind, SCHEMES[kind].form)
        case _:
            return _server_url(text, kind, SCHEMES[kind].form if SCHEMES[kind].warehouse else accepted)


def _file_url(url: str, accepted: str) -> str:
    path = url[len("duckdb:///") :]
    if not url.lower().startswith("duckdb:///") or not path or re.match(r"[A-Za-z][A-Za-z0-9+.-]*:[^\\/]|:", path):
        raise Wrong(accepted, reason="it names no file", shown=masked(url.removeprefix("duckdb:///")))
    if "?" in path or re.search(r"[\x00-\x1f\x7f]", path):
        raise Wrong(accepted, reason="it goes on behind the file", shown=masked(url.partition("?")[0]))
    if path.endswith(("/", "\\")) or looked_at(Path(path)).is_dir():
        raise Wrong(accepted, reason="it is a directory")
    return f"duckdb:///{path}"


def _attached_url(text: str, kind: str) -> str:
    """Return the URL of what DuckDB attaches by an extension."""
    rest = text.partition(":")[2]
    place = rest.partition("?")[0]
    if re.search(r"[\x00-\x1f\x7f]", rest) or (kind == "md" and not re.fullmatch(r"[A-Za-z0-9_.-]+", place)):
        raise Wrong(SCHEMES[kind].form, reason="its name is not plain", shown=f"{kind}:{HIDDEN}")
    if not place.strip("/"):
        raise Wrong(SCHEMES[kind].form, reason="it names nothing", shown=f"{kind}:{HIDDEN}")
    return f"{kind}:{rest}"


def _directory_url(text: str, accepted: str) -> str:
    """Return the URL of a directory of files; the format stands in it unless it is the default."""
    address, question, query = text.partition("?")
    # what is no plain path may hold anything
    shown = address if re.fullmatch("file:///[A-Za-z0-9._~/ -]*", address) else f"file:{HIDDEN}"
    path = unquote(address[len("file://") :])
    if not address.lower().startswith("file:///") or not path.strip("/"):
        raise Wrong(accepted, reason="it names no directory by its whole path", shown=shown)
    if "#" in address or re.search(r"[\x00-\x1f\x7f]", path):
        raise Wrong(accepted, reason="it has a # or a control character in it", shown=shown)
    if question and query not in {f"format={name}" for name in FORMATS}:
        raise Wrong(accepted, reason="what stands behind its ? is no format that is known", shown=shown)
    if looked_at(Path(path)).exists() and not Path(path).is_dir():
        raise Wrong(accepted, reason="it is a file", shown=shown)
    return f"file://{quote(path.rstrip('/'))}{'' if query == f'format={FORMATS[0]}' else question + query}"


def _bucket_url(text: str, kind: str, accepted: str) -> str:
    """Return the URL of a directory in an object store; who may write there is said by the environment."""
    place, question, query = text.partition("://")[2].partition("?")
    shown = f"{kind}://{place if BUCKET.fullmatch(place) else HIDDEN}"
    if not BUCKET.fullmatch(place) or "/./" in f"/{place}/" or "/../" in f"/{place}/":
        reason = "its bucket or prefix is not plain; credentials stand in the environment"
        raise Wrong(accepted, reason=reason, shown=shown)
    given = parse_qsl(query, keep_blank_values=True)
    for name, value in given:
        if name == "endpoint" and kind == "s3":
            parts, reason = _split(value, ("http", "https"))
            if not parts or "@" in parts.netloc or parts.query or parts.fragment:
                raise Wrong(
                    accepted, reason=f"its endpoint is wrong: {reason or 'it has more than a host'}", shown=shown
                )
        elif not (name == "format" or kind == "s3") or not (
            name in BUCKET_QUERY and BUCKET_QUERY[name].fullmatch(value)
        ):
            raise Wrong(accepted, reason="what stands behind its ? is not known", shown=shown)
    if question and not given:
        raise Wrong(accepted, reason="nothing stands behind its ?", shown=shown)
    return f"{kind}://{place.rstrip('/')}{question}{query}"


def _server_url(text: str, scheme: str, accepted: str) -> str:
    """Return the URL of a database server, under the name that its *scheme* has in the end."""
    shown = f"{scheme}://{HIDDEN}"
    _, colon, rest = text.partition("://")
    if not colon or UNPRINTABLE.search(text):
        reason = "it has a blank or control character in it" if colon else "no // stands behind its scheme"
        raise Wrong(accepted, reason=reason, shown=shown)
    try:
        parts = urlsplit(f"{scheme}://{rest}")
    except ValueError:
        raise Wrong(accepted, reason="its host is wrong", shown=shown) from None
    hosts = parts.netloc.rpartition("@")[2].split(",")
    if "#" in text or parts.netloc.count("@") > 1:
        raise Wrong(accepted, reason="an @ or # in a name or password stands as %40 or %23", shown=shown)
    if not all(SERVER_HOST.fullmatch(host) for host in hosts):
        raise Wrong(accepted, reason="its host or port is wrong", shown=shown)
    if not (parts.path.strip("/") or SCHEMES[scheme].warehouse):
        raise Wrong(accepted, reason="it names no database", shown=shown)
    return f"{scheme}://{rest}"
