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


DEEP = b"[" * 20_000 + b'{"a":NaN,"b":"]"},{},[]' + b"]" * 20_000


def test_any_depth() -> None:
    """What is nested more deeply than calls may be comes out as it went in; what is no JSON is refused at any depth."""
    assert DEEP == exact_json.dumps(exact_json.loads(DEEP)).encode()
    for bad in (b"[1 2]", b'{"a"}', b"[,]", b'{"a":1 "b":2}', b"{:1}", b"[1]]", b'{"a":1]', b"[1:2]", b"[tru]"):
        with pytest.raises(ValueError, match=r".*"):
            exact_json.loads(DEEP.replace(b"{}", bad))


def test_what_duckdb_takes() -> None:
    """Numbers that are none are read however they are spelled, commas before a bracket are left out, texts stay."""
    found = exact_json.members(b'{"a":nan,"b":[-inf,INFINITY,],"c":"nan,]",}')
    assert '{"a":NaN,"b":[-Infinity,Infinity],"c":"nan,]"}' == exact_json.dumps(found)


def test_a_name_that_repeats_in_a_listing() -> None:
    """An object of a document keeps both values, with fields that are added to it, too."""
    row = exact_json.document(b'{"a":1,"a":2,"b":{"c":1,"c":2}}')
    assert (2, '{"a":1,"a":2,"b":{"c":1,"c":2},"d":3}') == (row["a"], exact_json.dumps(row | {"d": 3}))
