"""MotherDuck and DuckLake: what can be told without their extensions, which DuckDB downloads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pytest

from reiterate.errors import DestinationBusy, SettingsError
from reiterate.secret import Secret
from reiterate.settings import Destination
from reiterate.sinks import look_at
from reiterate.sinks.attached import _place, _refused

if TYPE_CHECKING:
    from pathlib import Path


def test_a_missing_extension() -> None:
    """Who lacks the extension is told which version of DuckDB wants it, and where it comes from."""
    error = _refused(duckdb.IOException('IO Error: Failed to download extension "ducklake" at URL "http://x"'), "lake")
    assert isinstance(error, SettingsError)
    assert "DuckDB lacks the extension for this destination." == error.what
    assert {"destination": "lake", "version": duckdb.__version__} == {
        name: error.facts[name] for name in ("destination", "version")
    }
    assert "INSTALL" in error.advice


@pytest.mark.parametrize(
    "words",
    [
        "dbname=lake password=hunter2 host=h",
        r"dbname=lake password='it\'s hunter2' host=h",
        "motherduck_token=hunter2&x=1",
        "secret=hunter2",
    ],
)
def test_no_message_holds_a_secret(words: str) -> None:
    """What DuckDB says may repeat the address; what a person sees does not."""
    error = _refused(duckdb.IOException(f"IO Error: cannot connect: {words}"), "lake")
    assert "The destination cannot be opened." == error.what
    assert "hunter2" not in str(error)


def test_a_catalog_that_another_process_has_open() -> None:
    """A DuckLake whose catalog is a DuckDB file is held like one."""
    assert isinstance(_refused(duckdb.IOException("IO Error: Could not set lock on file"), "lake"), DestinationBusy)


def test_a_lake_that_is_not_there(tmp_path: Path) -> None:
    """Looking at a lake that nobody has made makes none."""
    with look_at(Destination.of("lake", f"ducklake:{tmp_path}/shop.ducklake", "iterable")) as sink:
        assert sink is None
    assert [] == list(tmp_path.iterdir())


def place(url: str) -> str:
    return _place(Secret(url))


def test_lakes_of_the_same_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two lakes whose catalogs are called alike, in two directories, have two places; in one, one."""
    places = set()
    for name in ("a", "b", "a"):
        (tmp_path / name).mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / name)
        places.add(place("ducklake:shop.ducklake"))
    assert 2 == len(places)
    assert place("ducklake:shop.ducklake") == place(f"ducklake:{tmp_path}/a/shop.ducklake?data_path=files")
    assert "md:shop" == place("md:shop?motherduck_token=hunter2")


def test_lakes_of_one_server() -> None:
    """Two lakes whose catalogs are in databases of one server have two places, which hold no password."""
    one, other = (place(f"ducklake:postgres:dbname={name} password='hunter2 x' host=h") for name in "ab")
    assert one != other
    assert "hunter2" not in one
