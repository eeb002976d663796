"""One filter stands between text and the outside: no secret passes it, in whatever form a server repeats it."""

from __future__ import annotations

import base64
import json
import traceback
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import settings as how
from hypothesis import strategies as st

from reiterate.catalog import TABLES
from reiterate.errors import SourceError, TransientError, Unreachable
from reiterate.flow import Notice, Task, Waiting, Whole, Write
from reiterate.secret import HIDDEN, Secret, masked

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = "c0ffee5ecre7c0ffee5ecre7c0ffee55"
PASSWORD = "5e(ret/of the+gäte"

FORMS: dict[str, Callable[[str], str]] = {
    "plain": lambda text: text,
    "inside a word": lambda text: f"x{text}y",
    "in capitals": str.upper,
    "broken by blanks": " ".join,
    "broken by lines": lambda text: f"{text[:9]}\r\n{text[9:]}",
    "broken by escaped lines": lambda text: f"{text[:9]}\\r\\n{text[9:]}",
    "escaped for a URL": lambda text: quote(text, safe=""),
    "every letter escaped for a URL": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    "escaped for a URL, twice": lambda text: quote(quote(text, safe=""), safe=""),
    "escaped for JSON": json.dumps,
    "every letter escaped for JSON": lambda text: "".join(f"\\u{ord(letter):04x}" for letter in text),
    "escaped for HTML": lambda text: "".join(f"&#{ord(letter)};" for letter in text),
    "bytes in Python": lambda text: repr(text.encode()),
    "in hexadecimal digits": lambda text: text.encode().hex(),
    "in base64": lambda text: base64.b64encode(text.encode()).decode(),
    "in base64, after a letter": lambda text: base64.b64encode(f"K{text}".encode()).decode(),
    "in base64, after two letters": lambda text: base64.b64encode(f"K:{text};".encode()).decode(),
}


def letters(text: str) -> str:
    return "".join(filter(str.isalnum, text)).lower()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("value", [KEY, f"http://egress:{quote(PASSWORD, safe='')}@127.0.0.1:9"], ids=["key", "URL"])
def test_no_form_of_a_secret_passes(value: str, form: str) -> None:
    """A key, or the password of a URL, is masked however it is spelled; what stands around it stays."""
    secret = Secret(value)
    spelled = FORMS[form](KEY if value == KEY else PASSWORD)
    shown = masked(f"status 401: {spelled}, of 12 tables")
    assert shown.startswith("status 401: ")
    assert shown.endswith(", of 12 tables")
    assert HIDDEN in shown
    rest = letters(shown.replace(HIDDEN, "").removeprefix("status 401: ").removesuffix(", of 12 tables"))
    # what base64 makes of the neighbours of a secret stays beside it
    assert len(rest) <= 8
    del secret


@given(before=st.text(max_size=30), after=st.text(max_size=30), cut=st.integers(12, 32))
@how(derandomize=True, deadline=None, max_examples=200)
def test_whatever_stands_around_a_key(before: str, after: str, cut: int) -> None:
    """Neither the text around a key nor a cut lets a dozen of its letters through."""
    secret = Secret(KEY)
    shown = letters(masked(f"{before}{KEY[:cut]}{after}"))
    assert [] == [KEY[at : at + 12] for at in range(21) if KEY[at : at + 12] in shown]
    del secret


def test_credentials_as_a_proxy_gets_them() -> None:
    """The header that a proxy gets holds name and password in base64; the name alone is no secret."""
    secret = Secret("http://egress-of-the-house:opensesame@127.0.0.1:9")
    basic = base64.b64encode(b"egress-of-the-house:opensesame").decode()
    assert f"Basic {HIDDEN}" == masked(f"Basic {basic}").rstrip("=")
    assert "egress-of-the-house at 127.0.0.1:9" == masked("egress-of-the-house at 127.0.0.1:9")
    del secret


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:opensesame@db/shop",
        "ducklake:postgres:dbname=lake user=me password=opensesame",
        "ducklake:postgres:dbname=lake password='opensesame'",
        "md:shop?motherduck_token=opensesame",
        "snowflake://me@account/db?private_key=opensesame&role=loader",
    ],
)
def test_secrets_inside_addresses(url: str) -> None:
    """Of the address of a destination its credentials are masked, and nothing else of it."""
    secret = Secret(url)
    assert f"no such user: {HIDDEN}" == masked("no such user: opensesame")
    plain = "postgresql://db/shop, snowflake account, dbname lake, role loader, md:shop"
    assert plain == masked(plain)
    del secret


def test_short_secrets_do_not_mask_everything() -> None:
    """A password of a few letters is masked where it is a word, one of less than six nowhere."""
    secrets = [Secret("a"), Secret("http://u:no@h"), Secret("http://u:another@h")]
    assert "a note that another's table has no rows" == masked("a note that another's table has no rows").replace(
        HIDDEN, "another"
    )
    assert "anotherone" == masked("anotherone")
    del secrets


def test_a_password_of_signs() -> None:
    """A password without letters is masked as it stands, and as it is escaped."""
    secret = Secret("http://u:%21%21%2F%2F$$##x@h")
    assert f"wrong: {HIDDEN}" == masked("wrong: !!//$$##x")
    assert f"wrong: {HIDDEN}" == masked("wrong: %21%21%2F%2F%24%24%23%23x")
    del secret


def test_without_secrets_text_is_as_it_was() -> None:
    """A secret that nobody holds any more is no secret."""
    Secret(KEY)
    assert KEY == masked(KEY)


def test_errors_and_events_are_made_without_secrets() -> None:
    """Whatever an error or an event is made of, none of its texts has the secret; other facts stay what they are."""
    secret = Secret(KEY)
    error = TransientError(f"Odd: {KEY}", becomes=Unreachable, tries=3, hint=KEY, status=503, says=KEY.encode())
    final = error.final()
    task = Task(TABLES["lists"], Whole(), Write.REPLACE)
    for text in (str(error), repr(error), str(final), repr(final), str(final.facts), str(Notice(KEY).text)):
        assert KEY not in text
    assert KEY not in Waiting(task, 1.0, f"after {KEY}").reason
    assert 503 == final.facts["status"]
    del secret


def test_tracebacks_show_no_secret() -> None:
    """An error of another library that an error of ours came from, or was met beside, is masked with it."""
    secret = Secret(KEY)

    def fail(*, explicit: bool) -> None:
        try:
            try:
                int(KEY)
            except ValueError as error:
                raise OSError(f"no number: {KEY}".encode()) from error
        except OSError as error:
            if explicit:
                raise SourceError(reason=str(error)) from error
            raise SourceError(reason=str(error))  # noqa: B904 (as code may that forgets it)

    for explicit in (False, True):
        with pytest.raises(SourceError) as caught:
            fail(explicit=explicit)
        shown = "".join(traceback.format_exception(caught.value))
        assert "no number" in shown
        assert KEY not in shown
    del secret
