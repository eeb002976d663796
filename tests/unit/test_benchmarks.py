"""The harness of the benchmarks: a figure that is wrong without a noise is worse than none."""

from __future__ import annotations

import sys
from itertools import count, repeat
from typing import TYPE_CHECKING
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from benchmarks import limits, processes, report, ways, workloads
from benchmarks.figures import Figure, Results
from benchmarks.wire import serving

if TYPE_CHECKING:
    from pathlib import Path


def test_every_window_gets_its_rows(tmp_path: Path) -> None:
    """Windows that follow each other have all rows of the file, each once; other data types have none."""
    small = workloads.windows(tmp_path, 500, 50)
    with serving(small.path, "emailOpen") as server:
        got = b""
        for number in range(50):
            start = small.start + number * small.window
            times = {"startDateTime": f"{start:%F %T} +00:00", "endDateTime": f"{start + small.window:%F %T} +00:00"}
            with urlopen(f"{server.url}/api/export/data.json?dataTypeName=emailOpen&{urlencode(times)}") as answer:
                got += answer.read()
        assert small.path.read_bytes() == got
        with urlopen(f"{server.url}/api/export/data.json?dataTypeName=emailSend") as answer:
            assert answer.read() == b""
        assert 51 == server.calls()


@pytest.mark.parametrize("make", [workloads.opens, workloads.sends, workloads.users])
def test_rows_arrive(make: type, tmp_path: Path) -> None:
    """Reiterate's way replicates each workload; rows that are missing are an error."""
    workload: workloads.Workload = make(tmp_path, 200)
    with serving(workload.path, workload.data_type) as server:
        (found,) = ways.measure(workload, [ways.reiterate_to_duckdb(workload, server.url)], 1)
        assert 200 == found.rows
        assert found.memory_mb > 1
        missing = workloads.Workload(**{**vars(workload), "rows": 201})
        with pytest.raises(ways.RowsMissingError, match="200 of 201"):
            ways.measure(missing, [ways.reiterate_to_duckdb(missing, server.url)], 1)


def test_memory_and_failures_of_a_pipeline(tmp_path: Path) -> None:
    """Memory is that of all processes at a time; whichever fails, the job fails; what takes too long is stopped."""
    python = [sys.executable, "-c", "import time; held = b'x' * 100_000_000; time.sleep(1)"]
    assert 200 < processes.spend([[python, python]], tmp_path).peak_mb < 300
    with pytest.raises(processes.JobError, match="ended with 1"):
        processes.spend([[["false"], ["cat"]]], tmp_path)
    assert processes.spend([[["sleep", "60"]]], tmp_path, limit_s=0.1).stopped


def test_reckoned_times() -> None:
    """Four calls a minute: the fifth waits for a minute, by waits of 30 s, or of 20 s and 40 s."""
    assert [0, 60, 60, 120] == [limits.reckoned_s(calls, lambda: repeat(30.0)) for calls in (4, 5, 8, 9)]
    assert 60 == limits.reckoned_s(5, lambda: (20.0 * 2**tried for tried in count()))


def test_tables_are_made_from_figures() -> None:
    """The tables tell ratios by rows per second, whatever the number of rows, and whether what was aimed at was met."""
    ours = Figure(report.OPENS, report.REITERATE, 1000, 10_000, [1.0, 2.0, 9.0], [100.0, 110.0, 120.0])
    floor = Figure(report.OPENS, report.FLOOR, 1000, 10_000, [1.0], [50.0])
    peer = Figure(report.OPENS, report.TAP, 100, 1000, [20.0], [30.0], {"lost_rows": 1})
    results = Results(
        0.5, {"throughput": [ours, floor], "peers": [peer, Figure(report.OPENS, "x", failure="not there")]}
    )
    assert "| Reiterate → DuckDB | 2.0 | 500 | 0 | 0.50 | 110 MB |" in report.throughput(results)
    assert "| tap-iterable → target-duckdb, 1 rows lost | 100 | 20.0 | 5 | 100 times | 30 MB |" in report.peers(results)
    assert "x: not there" in report.peers(results)
    assert "| emailOpen: of the floor's rows/s | at least 0.6 | 0.50 | no |" in report.bars(results)
    assert "| times as fast as tap-iterable → target-duckdb | at least 70 | 100 | yes |" in report.bars(results)
