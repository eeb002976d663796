"""JSON that comes out as it went in."""

from __future__ import annotations

import pytest

from reiterate import exact_json

EXACT = [
    rb'{"a":1.50,"b":1e400,"c":[0.12345678901234567890,-0,NaN],"d":{"e":123456789012345678901234567890}}',
    rb'{"":null,"x":true,"y":"\ud83d \u0000"}',
    b"[]",
    b'[[],{},[{"a":[1,{}]},2]]',
    b"[" * 900 + b"]" * 900,
]


@pytest.mark.parametrize("text", EXACT)
def test_json_comes_out_as_it_went_in(text: bytes) -> None:
    """Numbers keep their spelling, in objects of either kind."""
    assert text == exact_json.dumps(exact_json.loads(text)).encode()
    assert text.replace(b"-0,", b"0,") == exact_json.dumps(exact_json.document(text)).encode()


def test_bytes_that_are_no_utf8() -> None:
    """A byte that is no UTF-8 becomes a lone surrogate, spelled out."""
    assert r'{"a":"caf\udce9"}' == exact_json.dumps(exact_json.document(b'{"a":"caf\xe9"}'))


def test_a_name_that_repeats_stays_twice() -> None:
    """Members keep what dictionaries cannot."""
    assert '{"a":1,"a":2}' == exact_json.dumps(exact_json.members(b'{"a":1,"a":2}'))
    with pytest.raises(ValueError, match="1"):
        exact_json.members(b"1")
