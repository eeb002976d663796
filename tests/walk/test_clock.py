"""Iterable's `Date` is the clock of facts: a machine whose clock is wrong loses nothing, now or later."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest

import reiterate
from reiterate import planner, run
from reiterate.api import Client, Clock, Pacer
from reiterate.catalog import TABLES
from reiterate.flow import Loaded, Notice, RunFinished, Status
from reiterate.library.opening import now_utc
from reiterate.settings import Secret
from reiterate.settings.model import Destination
from reiterate.simulator import Fault, ServerOptions, Simulator, WorldOptions
from reiterate.sinks import Run, sink_at
from tests import replica
from tests.cli.command import reiterate as command
from tests.conftest import KEY, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from reiterate.ledger import Ledger

HOURS = timedelta(hours=3)
SERVER = ServerOptions(api_key=KEY)
CHOSEN = ["email_open", "email_send", "users", "campaigns", "list_users"]
READS = "FROM _reiterate_reads WHERE window_end IS NOT NULL"


def world(**options: Any) -> WorldOptions:
    end = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=2)
    return WorldOptions(days=1, events_per_day=400, seed=11, end=end, **options)


def finished(events: Iterable[Any]) -> RunFinished:
    *_, last = events
    assert isinstance(last, RunFinished)
    return last


def reached(file: Path) -> datetime:
    """Return the latest time that any fact reaches to."""
    ((latest,),) = replica.execute(
        file, "SELECT max(greatest(read_at, coalesce(window_end, read_at))) FROM _reiterate_reads"
    )
    assert isinstance(latest, datetime)
    return latest.astimezone(UTC)


def test_a_machine_that_is_hours_ahead_loses_nothing(tmp_path: Path) -> None:
    """A sync with a clock 3 hours ahead claims nothing of these hours, and says so once; later syncs read them."""
    file, options = tmp_path / "replica.duckdb", world()
    with Simulator(options, replace(SERVER, clock_skew_s=-HOURS.total_seconds())) as behind:
        events = [*reiterate.sync(**settings(behind, file, tables=CHOSEN))]
        assert Status.SUCCEEDED is finished(events).status
        (notice,) = (event.text for event in events if isinstance(event, Notice))
        assert "The clock of this machine is 3 h 00 min ahead of Iterable's." in notice
        assert reached(file) <= datetime.now(UTC) - HOURS
        rows = len(replica.rows(file, "email_send"))
        assert rows < len(behind.truth("email_send"))
    with Simulator(options, SERVER) as right:
        events = [*reiterate.sync(**settings(right, file, tables=CHOSEN))]
        assert [] == [event for event in events if isinstance(event, Notice)]
        assert {} == replica.differences(file, right, CHOSEN)
        assert not [one for one in reiterate.verify(**settings(right, file, tables=CHOSEN)) if one.problems]


def test_a_machine_that_is_hours_behind_is_not_late(tmp_path: Path) -> None:
    """With a clock 3 hours behind, all is read up to Iterable's time, in each sync; the difference is a warning."""
    file = tmp_path / "replica.duckdb"
    with Simulator(world(), replace(SERVER, clock_skew_s=HOURS.total_seconds())) as ahead:
        for _ in range(2):
            events = [*reiterate.sync(**settings(ahead, file, tables=CHOSEN))]
            (notice,) = (event.text for event in events if isinstance(event, Notice))
            assert "behind Iterable's" in notice
            assert {} == replica.differences(file, ahead, CHOSEN)
        ((latest,),) = replica.execute(file, f"SELECT max(window_end) {READS}")
        assert datetime.now(UTC) + HOURS - timedelta(minutes=1) < latest <= datetime.now(UTC) + HOURS


@pytest.mark.parametrize("destination", ["replica.duckdb", "parquet"])
def test_facts_that_an_older_version_left_in_the_future(tmp_path: Path, destination: str) -> None:
    """What a clock that was ahead had noted counts as not read, for good: `verify` says so, the next sync reads it."""
    options = world()
    file = tmp_path / "replica.duckdb"
    url = str(file) if destination == file.name else f"file://{tmp_path / destination}"
    place: Any = file if destination == file.name else replica.Lake(tmp_path / destination, "parquet")
    with Simulator(options, SERVER) as simulator:
        chosen = settings(simulator, url, tables=CHOSEN)
        assert Status.SUCCEEDED is finished(reiterate.sync(**chosen)).status
        _advance_facts(tmp_path, url)
        # all of them happened in a time that the facts claim, and would be settled when it has come
        simulator.world.add_events("emailOpen", _late(simulator))
        differing = {"email_open", "email_send", "users", "campaigns", "list_users"}
        assert differing == {one.table.name for one in reiterate.verify(**chosen) if one.problems}
        assert all(one.read_at is None for one in reiterate.status(**chosen).tables)
        events = [*reiterate.sync(**chosen)]
        assert any("noted at a time that has not come" in event.text for event in events if isinstance(event, Notice))
        loaded = [event for event in events if isinstance(event, Loaded)]
        assert 0 == sum(event.added for event in loaded if event.task.table.name == "email_send")
        assert {} == replica.differences(place, simulator, CHOSEN)
        assert [] == [one.problems for one in reiterate.verify(**chosen) if one.problems]
        # the time that they claim has come: they do not count then either
        with _opened(url) as sink:
            assert datetime.now(UTC) > max(fact.read_at for name in CHOSEN for fact in sink.ledger().of(name))


def _late(simulator: Simulator) -> list[dict[str, Any]]:
    """Return opens of the last three hours, hours before the lookback among them, that Iterable lists only now."""
    now = datetime.now(UTC)
    first = simulator.truth("email_open")[0]
    return [
        {
            **first,
            "messageId": f"late-{minutes}",
            "createdAt": f"{now - timedelta(minutes=minutes):%Y-%m-%d %H:%M:%S} +00:00",
        }
        for minutes in (1, 30, 170)
    ]


def _opened(url: str) -> Any:
    return closing(sink_at(Destination.of("default", url if "://" in url else f"duckdb:///{url}", "iterable")))


def _advance_facts(directory: Path, url: str) -> None:
    """Let the facts look as a clock had noted them that was three hours ahead."""
    statement = (
        "UPDATE {} SET read_at = read_at + INTERVAL 3 HOUR, "
        "window_end = window_end + INTERVAL 1 HOUR * CASE WHEN window_end > now() - INTERVAL 1 HOUR THEN 3 ELSE 0 END"
    )
    with _opened(url) as sink:
        sink._do(statement.format(sink._name("_reiterate_reads")))


@pytest.mark.parametrize(
    ("options", "said"),
    [({"no_date": True}, "without a date"), ({"age": 0}, "from a cache"), ({"age": 7200}, "from a cache")],
    ids=["no date", "a fresh cache", "an old cache"],
)
def test_without_iterables_time_the_machines_counts_less_a_minute(
    tmp_path: Path, options: dict[str, Any], said: str
) -> None:
    """Without `Date`, or with `Age`, no fact reaches beyond a minute ago; one warning in the logs says so."""
    file = tmp_path / "replica.duckdb"
    with Simulator(world(), replace(SERVER, **options)) as simulator:
        flags = ("--start-date", f"{datetime.now(UTC) - timedelta(days=2):%Y-%m-%d}", "--destination", str(file))
        ended = command("sync", "--json-logs", "--tables", ",".join(CHOSEN), *flags, simulator=simulator)
    assert 0 == ended.status, ended.said
    (notice,) = (event["text"] for event in map(json.loads, ended.out.splitlines()) if event["event"] == "notice")
    assert said in notice
    assert reached(file) <= datetime.now(UTC) - timedelta(minutes=1)
    ((opens,),) = replica.execute(file, "SELECT count(*) FROM email_open")
    assert opens > 0


@pytest.mark.parametrize("date", ["Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "soon", ""])
def test_absurd_dates_break_nothing(tmp_path: Path, date: str) -> None:
    """A Date that cannot be counts like none, on any request."""
    file = tmp_path / "replica.duckdb"
    with Simulator(world(), SERVER) as simulator:
        rows = "\n".join(json.dumps(row) for row in simulator.truth("email_open")[:50])
        simulator.set_faults(
            [
                Fault("/api/channels", "status", status=200, body='{"channels": []}', headers={"Date": date}),
                Fault("/api/export/data.json", "status", status=200, body=rows, headers={"Date": date}),
            ]
        )
        last = finished(reiterate.sync(**settings(simulator, file, tables="email_open", window_in_days=0.5)))
    assert Status.SUCCEEDED is last.status
    assert 0 == last.rows % 50 < last.rows
    assert reached(file) <= datetime.now(UTC) - timedelta(minutes=1)


def test_a_window_beyond_iterables_time_is_read_up_to_it(tmp_path: Path) -> None:
    """Where Iterable's time shows only with the export itself, what is claimed is what that answer can hold."""
    file, options = tmp_path / "replica.duckdb", world()
    skew = replace(SERVER, clock_skew_s=-HOURS.total_seconds())
    with Simulator(options, skew) as behind:
        behind.set_faults([Fault("/api/channels", "status", status=503)])
        chosen = settings(behind, file, tables=["email_open", "email_send"], window_in_days=0.01)
        assert Status.SUCCEEDED is finished(reiterate.sync(**chosen)).status
        assert reached(file) <= datetime.now(UTC) - HOURS
    with Simulator(options, SERVER) as right:
        assert (
            Status.SUCCEEDED
            is finished(reiterate.sync(**settings(right, file, tables=["email_open", "email_send"]))).status
        )
        assert {} == replica.differences(file, right, ["email_open", "email_send"])


class Jumping:
    """A machine's clock that jumps after it was asked so many times."""

    def __init__(self, by: timedelta, *, after: int) -> None:
        self._by, self._left = by, after

    def __call__(self) -> datetime:
        self._left -= 1
        return now_utc() + (self._by if self._left < 0 else timedelta())


def walked(simulator: Simulator, file: Path, clock: Callable[[], datetime]) -> list[Any]:
    """Return the events of a run on a machine with that *clock*."""
    stop = Event()
    client = Client(simulator.url, Secret(KEY), pacer=Pacer(factor=1e6, stop=stop), clock=Clock(clock))
    reading = reiterate.settings(**settings(simulator, file)).connection.settings_of
    with closing(client), _opened(str(file)) as sink:
        walk = run.Walk(sink, client, stop, 4 * 10**9)

        def plan() -> Any:
            ledger: Ledger = walk.ledger()
            return planner.plan([TABLES[name] for name in CHOSEN], reading, ledger, now=walk.now()), ()

        return [
            *run.run(walk, plan, Run(run_id=f"{id(clock)}", connection="default", started_at=now_utc(), asked="{}"))
        ]


@pytest.mark.parametrize("by", [HOURS, -HOURS, timedelta(days=-20_000)], ids=["forward", "back", "to 1972"])
@pytest.mark.parametrize("dated", [True, False], ids=["dated", "undated"])
def test_the_clock_jumps_in_the_middle_of_a_run(tmp_path: Path, by: timedelta, *, dated: bool) -> None:
    """Wherever a clock jumps to while a run goes on, no fact reaches beyond Iterable's time, and nothing is lost."""
    options = world()
    for after in (3, 12):
        file = tmp_path / f"after_{after}.duckdb"
        with Simulator(options, replace(SERVER, no_date=not dated)) as simulator:
            events = walked(simulator, file, Jumping(by, after=after))
            assert Status.SUCCEEDED is events[-1].status
            assert reached(file) <= datetime.now(UTC) - timedelta(minutes=not dated)
            if dated:
                assert 1 == len([event for event in events if isinstance(event, Notice)])
        with Simulator(options, SERVER) as right:
            assert Status.SUCCEEDED is walked(right, file, now_utc)[-1].status
            assert {} == replica.differences(file, right, CHOSEN)


def test_a_job_of_a_time_that_has_not_come_is_not_gone_on_with(tmp_path: Path) -> None:
    """A job that was noted by a clock ahead of Iterable's is cancelled, and its window read anew."""
    file, options = tmp_path / "replica.duckdb", world()
    with Simulator(options, replace(SERVER, job_seconds=3600.0)) as simulator:
        chosen = settings(simulator, file, tables="email_open", window_in_days=1)
        stop = Event()
        for event in reiterate.sync(**chosen, stop=stop):
            if "is started" in getattr(event, "reason", ""):
                stop.set()
        with _opened(str(file)) as sink:
            (job, *_) = sink.ledger().jobs()
            sink._do(f"UPDATE {sink._name('_reiterate_jobs')} SET started_at = started_at + INTERVAL 3 HOUR")
    with Simulator(options, SERVER) as simulator:
        assert Status.SUCCEEDED is finished(reiterate.sync(**settings(simulator, file, tables="email_open"))).status
        assert f"/api/export/{job.job_id}" in {seen.path for seen in simulator.requests if seen.method == "DELETE"}
        assert {} == replica.differences(file, simulator, ["email_open"])


def test_no_time_of_a_run_goes_back(tmp_path: Path) -> None:
    """A run ends after it began, by its own record."""
    file = tmp_path / "replica.duckdb"
    with Simulator(world(), replace(SERVER, clock_skew_s=-HOURS.total_seconds())) as simulator:
        finished(reiterate.sync(**settings(simulator, file, tables="lists")))
    assert [(True,)] == replica.execute(file, "SELECT finished_at > started_at FROM _reiterate_runs")
