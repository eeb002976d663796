"""A plain client of the API: it follows pages and nothing else, and knows nothing of Reiterate."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import urllib3

from tests.conftest import KEY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from urllib3 import BaseHTTPResponse

Row = dict[str, Any]

LISTINGS = {"campaigns": "campaigns", "channels": "channels", "lists": "lists", "message_types": "messageTypes"}
DATA_TYPES = {
    # a table of the replica, and its dataTypeName in the swagger (enum of GET /api/export/data.json)
    "custom_event": "customEvent",
    "email_bounce": "emailBounce",
    "email_click": "emailClick",
    "email_complaint": "emailComplaint",
    "email_open": "emailOpen",
    "email_send": "emailSend",
    "email_send_skip": "emailSendSkip",
    "email_subscribe": "emailSubscribe",
    "email_unsubscribe": "emailUnSubscribe",
    "embedded_click": "embeddedClick",
    "embedded_impression": "embeddedImpression",
    "embedded_received": "embeddedReceived",
    "embedded_send": "embeddedSend",
    "embedded_send_skip": "embeddedSendSkip",
    "embedded_session": "embeddedSession",
    "hosted_unsubscribe_click": "hostedUnsubscribeClick",
    "in_app_click": "inAppClick",
    "in_app_close": "inAppClose",
    "in_app_delete": "inAppDelete",
    "in_app_delivery": "inAppDelivery",
    "in_app_open": "inAppOpen",
    "in_app_recall": "inAppRecall",
    "in_app_send": "inAppSend",
    "in_app_send_skip": "inAppSendSkip",
    "inbox_message_impression": "inboxMessageImpression",
    "inbox_session": "inboxSession",
    "journey_exit": "journeyExit",
    "purchase": "purchase",
    "push_bounce": "pushBounce",
    "push_open": "pushOpen",
    "push_send": "pushSend",
    "push_send_skip": "pushSendSkip",
    "push_uninstall": "pushUninstall",
    "rcs_send": "rcsSend",
    "rcs_send_skip": "rcsSendSkip",
    "sms_bounce": "smsBounce",
    "sms_click": "smsClick",
    "sms_received": "smsReceived",
    "sms_send": "smsSend",
    "sms_send_skip": "smsSendSkip",
    "sms_usage_info": "smsUsageInfo",
    "unknown_session": "unknownSession",
    "users": "user",
    "web_push_click": "webPushClick",
    "web_push_send": "webPushSend",
    "web_push_send_skip": "webPushSendSkip",
    "whatsapp_bounce": "whatsAppBounce",
    "whatsapp_click": "whatsAppClick",
    "whatsapp_received": "whatsAppReceived",
    "whatsapp_seen": "whatsAppSeen",
    "whatsapp_send": "whatsAppSend",
    "whatsapp_send_skip": "whatsAppSendSkip",
    "whatsapp_usage_info": "whatsAppUsageInfo",
}
TABLES = (*LISTINGS, *DATA_TYPES, "list_users", "metadata", "templates")
TEMPLATE_TYPES = ("Base", "Blast", "Triggered", "Workflow")
TEMPLATE_MEDIA = ("Email", "Push", "InApp", "SMS")
EXPORT = "/api/export/data.json"
EVER = {"startDateTime": "2000-01-01", "endDateTime": "2100-01-01"}


@dataclass(frozen=True)
class Client:
    """Requests to *url*, without retries; *key* is the value of Api-Key, if any, *token* that of the controls."""

    url: str
    key: str | None = KEY
    token: str = ""

    def get(self, path: str, **params: str | int) -> BaseHTTPResponse:
        return self.request("GET", path, params)

    def request(
        self,
        method: str,
        path: str,
        params: Mapping[str, str | int] = {},
        *,
        headers: Mapping[str, str] = {},
        timeout_s: float = 10,
    ) -> BaseHTTPResponse:
        """Return the answer with its body read, still compressed if it came so."""
        sent = dict(headers) if self.key is None else {"Api-Key": self.key, **headers}
        url = path if path.startswith("http") else self.url + path
        with urllib3.PoolManager(retries=False) as pool:
            return pool.request(
                method, url, fields=texts(params), headers=sent, timeout=timeout_s, decode_content=False
            )

    def json(self, path: str, **params: str | int) -> Any:
        answer = self.get(path, **params)
        assert 200 == answer.status, answer.data
        return json.loads(answer.data)

    def start(self, **document: str) -> BaseHTTPResponse:
        """Start an export job."""
        with urllib3.PoolManager(retries=False, headers={"Api-Key": KEY}) as pool:
            return pool.request("POST", f"{self.url}/api/export/start", json=document)

    def control(self, name: str, body: object = None) -> bytes:
        """Use a control of the simulator; they want no key, but the token."""
        with urllib3.PoolManager(retries=False, headers={"X-Control-Token": self.token}) as pool:
            return pool.request("POST", f"{self.url}/_simulator/{name}", json={} if body is None else body).data

    def broken(self, path: str, **params: str | int) -> tuple[bytes, Exception]:
        """Return what arrives of an answer that breaks off, and how that shows."""
        arrived = b""
        with urllib3.PoolManager(retries=False, headers={"Api-Key": KEY}) as pool:
            answer = pool.request("GET", self.url + path, fields=texts(params), preload_content=False)
            try:
                for piece in answer.stream(100):
                    arrived += piece
            except urllib3.exceptions.HTTPError as error:
                return arrived, error
            finally:
                answer.close()
        message = "the answer did not break off"
        raise AssertionError(message)

    def export(self, data_type: str, **params: str) -> list[Row]:
        return rows(self.get(EXPORT, dataTypeName=data_type, **(params or EVER)).data)

    def pages(self, path: str, **params: str | int) -> Iterator[Row]:
        """Yield the page and those that its links lead to."""
        page = self.json(path, **params)
        yield page
        while link := page.get("params", page).get("nextPageUrl"):
            page = self.json(link)
            yield page

    def table(self, name: str) -> Iterable[Row]:
        """Read one table of the replica whole, as the API has it."""
        match name:
            case "campaigns":
                return [row for page in self.pages("/api/campaigns", pageSize=7) for row in page["campaigns"]]
            case "templates":
                return self._templates()
            case "list_users":
                return self._members()
            case "metadata":
                return self._metadata()
            case name if name in LISTINGS:
                return list(self.json(f"/api/{LISTINGS[name]}")[LISTINGS[name]])
            case _:
                return self.export(DATA_TYPES[name])

    def _templates(self) -> Iterator[Row]:
        for kind, medium in product(TEMPLATE_TYPES, TEMPLATE_MEDIA):
            call = {"templateType": kind, "messageMedium": medium}
            for page in self.pages("/api/templates", pageSize=10, **call):
                yield from (row | call for row in page["templates"])

    def _members(self) -> Iterator[Row]:
        for row in self.table("lists"):
            for name in self.get("/api/lists/getUsers", listId=row["id"]).data.decode().splitlines():
                yield {"listId": row["id"], "email" if "@" in name else "userId": name}

    def _metadata(self) -> Iterator[Row]:
        for table in self.json("/api/metadata")["results"]:
            path = f"/api/metadata/{quote(table['name'], safe='')}"
            yield from (self.json(f"{path}/{quote(row['key'], safe='')}") for row in self.keys(path))

    def keys(self, path: str) -> Iterator[Row]:
        """Yield the keys of a metadata table, marker by marker."""
        page = self.json(path)
        yield from page["results"]
        while marker := page.get("nextMarker"):
            page = self.json(path, nextMarker=marker)
            yield from page["results"]


def texts(params: Mapping[str, str | int]) -> dict[str, str] | None:
    return {name: str(value) for name, value in params.items()} or None


def rows(lines: bytes) -> list[Row]:
    return [json.loads(line) for line in lines.splitlines()]


def counted(found: Iterable[Row]) -> Counter[str]:
    """Count equal rows, whatever their order and that of their keys."""
    return Counter(json.dumps(row, sort_keys=True) for row in found)
