"""A DuckDB file is there whole or not at all: kills, full disks, links, what older versions left, what others own."""

from __future__ import annotations

import resource
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import duckdb
import pytest

from reiterate.errors import DestinationBusy, LoadError, SettingsError
from reiterate.sinks import DuckDBSink
from reiterate.sinks.lake import LakeSink, Local, Parquet, ledger_at
from tests.cli.command import reiterate

OPEN = "import sys; from pathlib import Path; from reiterate.sinks import DuckDBSink; print(1, flush=True); "
OPEN += "held = DuckDBSink(Path('shop.duckdb'), 'iterable'); print(2, flush=True); sys.stdin.read()"
FILE = Path("shop.duckdb")


def opened(path: Path = FILE) -> None:
    """Open the file as a sync does, and close it."""
    DuckDBSink(path, "iterable").close()


def names(directory: str = ".") -> list[str]:
    return sorted(path.name for path in Path(directory).iterdir())


def a_database() -> bytes:
    """Return the bytes of an empty DuckDB file."""
    duckdb.connect("other.duckdb").close()
    content = Path("other.duckdb").read_bytes()
    Path("other.duckdb").unlink()
    return content


def start() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", OPEN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_killed_while_it_is_made() -> None:
    """Whenever a process is killed that makes a file, the next one opens it; nothing else is left."""
    for delay_ms in range(0, 60, 5):
        with start() as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(delay_ms / 1000)
            process.kill()
        opened()
        assert [FILE.name] == names()
        FILE.unlink()


@pytest.mark.parametrize("size_bytes", [0, 1, 4096, 8191, 8192, 12_287])
def test_a_full_disk_while_it_is_made(size_bytes: int) -> None:
    """A disk that is full at any byte of a new file is told, leaves nothing, and stops no later sync."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        with pytest.raises(LoadError), closing(DuckDBSink(FILE, "iterable")):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [] == [name for name in names() if name != FILE.name]
    opened()


@pytest.mark.parametrize("size_bytes", [0, 12, 4096, 5000, 8192, 12_287])
def test_half_a_file_is_replaced(size_bytes: int) -> None:
    """What a process of an older version left that was killed while it made a file is replaced."""
    FILE.write_bytes(a_database()[:size_bytes])
    ended = reiterate("status", "--destination", str(FILE), "--start-date", "11/01/2026", ITERABLE_API_KEY="x")
    assert (0, True) == (ended.status, "No sync yet." in ended.out)
    assert size_bytes == FILE.stat().st_size
    opened()
    assert [FILE.name] == names()


def others() -> dict[str, bytes]:
    """Return files that are no DuckDB databases, or cannot be told from one with rows."""
    with closing(sqlite3.connect("x.sqlite")) as database:
        database.execute("CREATE TABLE t (a)")
    content = Path("x.sqlite").read_bytes()
    Path("x.sqlite").unlink()
    whole = a_database()
    return {
        "CSV": b"id,name\n1,a\n",
        "SQLite": content,
        "text": b"notes",
        "long text": b"notes " * 9000,
        "zeros": bytes(4096),
        "many zeros": bytes(20_000),
        "one byte": b"\0",
        "shorter than its mark": whole[:11],
        "longer than headers": whole[:4096] + bytes(20_000),
    }


def test_what_is_no_half_a_file_is_not_touched() -> None:
    """A file that is something else, a directory, and half a file with a log beside are refused as they are."""
    for what, content in others().items():
        FILE.write_bytes(content)
        with pytest.raises(SettingsError, match="cannot be opened"):
            opened()
        assert content == FILE.read_bytes(), what
        assert [FILE.name] == names(), what
    FILE.write_bytes(half := a_database()[:5000])
    Path(f"{FILE}.wal").write_bytes(b"rows")
    with pytest.raises(SettingsError, match="cannot be opened"):
        opened()
    assert (half, b"rows") == (FILE.read_bytes(), Path(f"{FILE}.wal").read_bytes())
    FILE.unlink()
    FILE.mkdir()
    with pytest.raises(SettingsError, match="cannot be opened"):
        opened()


def test_links_are_followed() -> None:
    """A link to a file that is not there, or is half made, stays a link; one to itself is refused."""
    Path("data").mkdir()
    FILE.symlink_to(Path("data/real.duckdb"))
    opened()
    assert (True, ["real.duckdb"]) == (FILE.is_symlink(), names("data"))
    Path("data/real.duckdb").write_bytes(a_database()[:5000])
    opened()
    assert (True, ["real.duckdb"]) == (FILE.is_symlink(), names("data"))
    FILE.unlink()
    FILE.symlink_to(FILE)
    with pytest.raises(SettingsError, match="cannot be opened"):
        opened()


def test_where_no_file_can_be_made() -> None:
    """A directory that takes no file is a wrong setting."""
    for place in (Path("/proc/shop.duckdb"), Path("a" * 300), Path("shop.duckdb/inside.duckdb")):
        FILE.touch()
        with pytest.raises(SettingsError):
            opened(place)


def test_two_that_make_it_at_once() -> None:
    """Of processes that make one file at once, one has it and the others are told that it is held; no rows are lost."""
    for half in (None, a_database()[:5000]):
        with suppress(FileNotFoundError):
            FILE.unlink()
        if half is not None:
            FILE.write_bytes(half)
        processes = [start() for _ in range(3)]
        for process in processes:
            assert process.stdout is not None
            process.stdout.readline()
        has_it = [process.stdout.readline() for process in processes if process.stdout is not None]
        assert 1 == has_it.count("2\n")
        with pytest.raises(DestinationBusy):
            opened()
        for process, line in zip(processes, has_it, strict=True):
            _, said = process.communicate("")
            assert bool(line) != ("DestinationBusy" in said)
        opened()


def test_the_ledger_of_a_lake(tmp_path: Path) -> None:
    """The ledger of a directory of files is made, and made good, like any DuckDB file."""
    ledger = ledger_at(tmp_path / "lake")
    ledger.parent.mkdir(parents=True)
    ledger.write_bytes(a_database()[:8192])
    LakeSink(Parquet(Local(tmp_path / "lake"))).close()
    ledger.write_bytes(b"notes")
    with pytest.raises(SettingsError, match="cannot be opened"):
        LakeSink(Parquet(Local(tmp_path / "lake")))
    assert b"notes" == ledger.read_bytes()
