"""
The peers from the package index, against the same server: tap-iterable, and Airbyte's connector.

- ``tap-iterable`` to ``/dev/null``, into target-duckdb, and into target-postgres (a PostgreSQL that runs);
- ``airbyte-source-iterable`` to ``/dev/null``, and through PyAirbyte into its DuckDB cache.

Each lives in an environment of its own (``environments``). Rows per second are what counts: they read the first 100,000
opens, 20,000 of the others, for it would take them minutes to read all. How much faster Reiterate is, is told by its
rows per second of the whole workload, measured in the same run.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from benchmarks import ways, workloads
from benchmarks.environments import NotThere, environment, redirect
from benchmarks.figures import Figure
from benchmarks.processes import JobError
from benchmarks.ways import Way
from benchmarks.wire import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from benchmarks.workloads import Workload

OPENS, OTHERS = 100_000, 20_000

PYAIRBYTE = """
import sys, airbyte
from airbyte.caches import DuckDBCache
executable, start, stream, file = sys.argv[1:]
source = airbyte.get_source("source-iterable", local_executable=executable, install_if_missing=False,
    config={"api_key": "none", "start_date": start}, streams=[stream])
source.read(cache=DuckDBCache(db_path=file), force_full_refresh=True)
"""

QUIET = {"DO_NOT_TRACK": "1", "AIRBYTE_OFFLINE_MODE": "1", "PYTHONWARNINGS": "ignore"}


@dataclass(frozen=True)
class Place:
    """What a peer is to read, from where, and where its files may lie while it does."""

    workload: Workload
    address: str
    directory: Path
    database: str

    def write(self, name: str, document: object) -> str:
        file = self.directory / name
        file.write_text(json.dumps(document), encoding="utf-8")
        return str(file)

    @property
    def config(self) -> str:
        return self.write("config.json", {"api_key": "none", "start_date": self.start})

    @property
    def start(self) -> str:
        return f"{self.workload.start:%Y-%m-%dT%H:%M:%SZ}"


def tap(place: Place) -> Way:
    """Return tap-iterable, to /dev/null."""
    return Way("tap-iterable → /dev/null", [[_tap(place)]], {})


def _tap(place: Place) -> list[str]:
    program = str(environment("tap-iterable") / "tap-iterable")
    redirect("tap-iterable", "tap_iterable", place.address)
    catalog = json.loads(_said(program, "--config", place.config, "--discover"))
    chosen = [stream for stream in catalog["streams"] if stream["tap_stream_id"] == place.workload.table]
    for about in chosen[0]["metadata"]:
        if not about["breadcrumb"]:
            about["metadata"]["selected"] = True
    return [program, "--config", place.config, "--catalog", place.write("catalog.json", {"streams": chosen})]


def tap_to_duckdb(place: Place) -> Way:
    """Return tap-iterable, piped into target-duckdb."""
    target = str(environment("target-duckdb") / "target-duckdb")
    config = {"path": ways.TARGET, "default_target_schema": "main", "primary_key_required": False}
    into = [target, "--config", place.write("target-duckdb.json", config)]
    return Way(
        "tap-iterable → target-duckdb", [[_tap(place), into]], {}, ways.rows_in(place.workload.table), exact=False
    )


def tap_to_postgres(place: Place) -> Way:
    """Return tap-iterable, piped into target-postgres."""
    target = str(environment("target-postgres") / "target-postgres")
    url = urlsplit(place.database)
    (host,) = parse_qs(url.query)["host"]
    schema = f"tap_{place.workload.name}"
    config = {
        "sqlalchemy_url": f"postgresql+psycopg://postgres@{url.path}?host={host}",
        "default_target_schema": schema,
    }
    into = [target, "--config", place.write("target-postgres.json", config)]
    arrived = ways.rows_in_postgres(place.database, f"{schema}.{place.workload.table}")
    before = ways.dropping(place.database, schema)
    return Way("tap-iterable → target-postgres", [[_tap(place), into]], {}, arrived, before, exact=False)


def airbyte(place: Place) -> Way:
    """Return Airbyte's connector, to /dev/null."""
    program = _connector(place)
    lines = map(json.loads, _said(program, "discover", "--config", place.config).splitlines())
    streams = next(line["catalog"]["streams"] for line in lines if line["type"] == "CATALOG")
    chosen = {
        "stream": next(stream for stream in streams if stream["name"] == place.workload.table),
        "sync_mode": "incremental",
        "destination_sync_mode": "append",
    }
    catalog = place.write("airbyte.json", {"streams": [chosen]})
    command = [program, "read", "--config", place.config, "--catalog", catalog]
    return Way("Airbyte's connector → /dev/null", [[command]], {})


def pyairbyte(place: Place) -> Way:
    """Return Airbyte's connector through PyAirbyte, into its DuckDB cache."""
    python = str(environment("airbyte") / "python")
    command = [python, "-c", PYAIRBYTE, _connector(place), place.start, place.workload.table, ways.TARGET]
    arrived = ways.rows_in(f"main.{place.workload.table}")
    logs = {"AIRBYTE_LOGGING_ROOT": str(place.directory / "logs")}
    return Way("PyAirbyte → DuckDB cache", [[command]], {**QUIET, **logs}, arrived, exact=False)


def _connector(place: Place) -> str:
    program = environment("airbyte-source-iterable") / "source-iterable"
    redirect("airbyte-source-iterable", "source_iterable", place.address)
    return str(program)


def _said(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise JobError(f"{command[0]} ended with {done.returncode}: {done.stderr[-500:]}")
    return done.stdout


EVERYWHERE: tuple[Callable[[Place], Way], ...] = (tap, airbyte)
INTO_DATABASES: tuple[Callable[[Place], Way], ...] = (tap_to_duckdb, tap_to_postgres, pyairbyte)


def measure(scale: float, runs: int) -> Iterator[Figure]:
    """Yield the figures of each peer; one that cannot be installed, or fails, has its reason in place of figures."""
    opens, others = (max(int(number * scale), 100) for number in (OPENS, OTHERS))
    with ways.scratch() as directory, ways.postgres() as database:
        for workload, peers in (
            (workloads.opens(directory, opens), EVERYWHERE + INTO_DATABASES),
            (workloads.sends(directory, others), EVERYWHERE),
            (workloads.users(directory, others), EVERYWHERE),
        ):
            with serving(workload.path, workload.data_type) as server:
                place = Place(workload, server.url, directory, database)
                for peer in peers:
                    yield from _measured(peer, place, runs)
            workload.remove()


def _measured(peer: Callable[[Place], Way], place: Place, runs: int) -> Iterator[Figure]:
    try:
        yield from ways.measure(place.workload, [peer(place)], runs)
    except (NotThere, JobError, ways.RowsMissingError) as error:
        print(f"  {error}", file=sys.stderr)
        yield Figure(place.workload.about, peer.__name__, failure=str(error).splitlines()[0])
