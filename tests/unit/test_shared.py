"""All processes of a machine keep Iterable's limits together, and a file that cannot be kept is no failure."""

from __future__ import annotations

import multiprocessing
import os
import stat
import sys
import time
from hashlib import sha256
from pathlib import Path
from threading import Event, Thread

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as how
from hypothesis import strategies as st

from reiterate.api import JOBS_AT_A_TIME, LIMITS, Limit, Pacer, Shared, limit_of, state_directory
from reiterate.api.limits import LATENCY_S
from reiterate.api.shared import Held
from tests.conftest import KEY

EXPORTS = limit_of("/api/export/data.json")
START = limit_of("/api/export/start")


class Clock(Event):
    """A flag whose waits take no time but its own."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def wait(self, timeout: float | None = None) -> bool:
        self.now += timeout or 0.0
        return self.is_set()


def silent(*_: object) -> None:
    """Hear nothing."""


def process(directory: Path, clock: Clock, *, factor: float = 1.0, key: str = KEY) -> Pacer:
    """Return the pacer of a process of its own on this machine."""
    return Pacer(factor=factor, stop=clock, clock=clock, shared=Shared(directory, key))


@pytest.mark.parametrize("limit", [limit for limit in LIMITS if limit.calls < 10], ids=lambda limit: limit.name)
@given(
    calls=st.lists(
        st.tuples(st.integers(0, 3), st.floats(0, 20), st.sampled_from([0.0, 0.01, 5.0])), min_size=1, max_size=40
    )
)
@how(derandomize=True, deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_processes_keep_a_limit_together(tmp_path: Path, limit: Limit, calls: list[tuple[int, float, float]]) -> None:
    """Whichever of several processes asks, one new in between, no period has more requests than the limit allows."""
    clock, key = Clock(), str(hash(str(calls)))
    processes = [process(tmp_path, clock, key=key) for _ in range(3)]
    sent: list[tuple[float, float]] = []
    for number, idle_s, answer_s in calls:
        pacer = processes[number] if number < len(processes) else process(tmp_path, clock, key=key)
        answered = pacer.pass_through(limit, silent)
        at = clock.now
        clock.now += answer_s
        answered()
        answered()  # as when a body breaks off later
        sent.append((at, clock.now))
        clock.now += idle_s
    for position, (_, first) in enumerate(sent):
        # Iterable may have counted a request as late as it answered, and the next ones as early as they were sent
        within = [at for at, _ in sent[position + 1 :] if at + 1e-6 < min(first, sent[position][1]) + limit.period_s]
        assert len(within) < limit.calls


@pytest.mark.parametrize(
    ("runs", "requests"), [(3, 4), (3, 3), (2, 4)], ids=["failed syncs", "dry runs", "two verifications"]
)
def test_one_run_after_the_other(tmp_path: Path, runs: int, requests: int) -> None:
    """Runs that loaded nothing count: of exports, none makes a fifth request in a minute."""
    clock = Clock()
    sent: list[float] = []
    for _ in range(runs):
        pacer = process(tmp_path, clock)
        for _ in range(requests):
            pacer.pass_through(EXPORTS, silent)()
            sent.append(clock.now)
    assert max(sum(first <= at < first + 60 for at in sent) for first in sent) == 4


def test_one_start_of_a_job_in_a_second(tmp_path: Path) -> None:
    """Two tests of a connection start no two jobs in a second."""
    clock = Clock()
    process(tmp_path, clock).pass_through(START, silent)()
    began = clock.now
    process(tmp_path, clock).pass_through(START, silent)
    assert clock.now - began >= 1.0


def test_a_request_that_was_never_answered_counts(tmp_path: Path) -> None:
    """A process that is killed between request and answer leaves the request behind."""
    clock = Clock()
    process(tmp_path, clock).pass_through(START, silent)
    began = clock.now
    process(tmp_path, clock).pass_through(START, silent)
    assert clock.now - began >= 1.0 + LATENCY_S


def test_keys_and_large_factors_have_nothing_to_do_with_each_other(tmp_path: Path) -> None:
    """Another key has limits of its own; where limits are not worth counting, no file is touched."""
    clock = Clock()
    for key in ("one key", "another key"):
        for _ in range(EXPORTS.calls):
            process(tmp_path / "state", clock, key=key).pass_through(EXPORTS, silent)()
    assert clock.now == 1000.0
    process(tmp_path / "none", clock, factor=1e6).pass_through(EXPORTS, silent)()
    assert [tmp_path / "state"] == [*tmp_path.iterdir()]


def test_the_file_is_named_after_the_key_and_private(tmp_path: Path) -> None:
    """What is kept is kept for its owner alone, and holds no key."""
    pacer = process(tmp_path / "state", Clock())
    pacer.begin("r1")
    pacer.pass_through(EXPORTS, silent)()
    (file,) = (tmp_path / "state").iterdir()
    assert f"{sha256(KEY.encode()).hexdigest()}.json" == file.name
    assert KEY not in file.read_text()
    if sys.platform != "win32":
        assert (0o600, 0o700) == (stat.S_IMODE(file.stat().st_mode), stat.S_IMODE(file.parent.stat().st_mode))
        file.chmod(0o644)
        assert process(tmp_path / "state", Clock()).knows("r1")
        assert 0o600 == stat.S_IMODE(file.stat().st_mode)


DAMAGED = {
    "no JSON": b"\x00\xff garbage",
    "half of it": b'{"requests": {"exports": {"a": 99',
    "another JSON": b"[1, 2]",
    "other stamps": b'{"requests": {"exports": {"a": "soon"}}, "runs": []}',
    "no numbers": b'{"requests": {"exports": {"a": NaN}}, "runs": []}',
    "an endless number": b'{"requests": {"exports": {"a": 1e999}}, "runs": []}',
    "deep JSON": b"[" * 100_000,
    "no runs": b'{"requests": {}, "runs": 5}',
    "much": b"x" * 3_000_000,
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_file_is_begun_anew(tmp_path: Path, damage: str) -> None:
    """What is no note of ours is a notice, and the next requests are noted again."""
    clock = Clock()
    (tmp_path / f"{sha256(KEY.encode()).hexdigest()}.json").write_bytes(DAMAGED[damage])
    pacer = process(tmp_path, clock)
    for _ in range(EXPORTS.calls):
        pacer.pass_through(EXPORTS, silent)()
    (notice,) = pacer.warnings()
    assert "damaged" in notice
    began = clock.now
    other = process(tmp_path, clock)
    other.pass_through(EXPORTS, silent)
    assert clock.now - began >= 60
    assert [] == other.warnings()


def _no_directory(place: Path) -> None:
    place.write_text("a file is there")


def _a_directory_as_file(place: Path) -> None:
    (place / f"{sha256(KEY.encode()).hexdigest()}.json").mkdir(parents=True)


def _a_pipe(place: Path) -> None:
    place.mkdir()
    os.mkfifo(place / f"{sha256(KEY.encode()).hexdigest()}.json")


def _a_link(place: Path) -> None:
    place.mkdir()
    (place / "elsewhere").write_text("untouched")
    (place / f"{sha256(KEY.encode()).hexdigest()}.json").symlink_to(place / "elsewhere")


@pytest.mark.skipif(sys.platform == "win32", reason="it has no pipes among files")
@pytest.mark.parametrize(
    "spoil", [_no_directory, _a_directory_as_file, _a_pipe, _a_link], ids=lambda each: each.__name__
)
def test_a_file_that_cannot_be_kept_is_no_failure(tmp_path: Path, spoil: object) -> None:
    """Whatever stands in its place, the process keeps the limits by itself, with one notice."""
    assert callable(spoil)
    spoil(tmp_path / "state")
    clock = Clock()
    pacer = process(tmp_path / "state", clock)
    for _ in range(EXPORTS.calls + 1):
        pacer.pass_through(EXPORTS, silent)()
    assert clock.now >= 1060
    (notice,) = pacer.warnings()
    assert "cannot note their requests" in notice
    with pacer.job_place(silent):
        assert not pacer.knows("r1")


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such limit")
def test_a_full_disk_is_no_failure(tmp_path: Path) -> None:
    """Where nothing can be written, the process keeps the limits by itself."""
    import resource  # noqa: PLC0415 (only POSIX has it)

    clock = Clock()
    pacer = process(tmp_path, clock)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        for _ in range(EXPORTS.calls + 1):
            pacer.pass_through(EXPORTS, silent)()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert clock.now >= 1060
    (notice,) = pacer.warnings()
    assert "cannot note their requests" in notice


def test_after_a_restart_of_the_machine(tmp_path: Path) -> None:
    """Where the clock begins anew, what was noted counts as just now, once, and nobody waits longer than that."""
    before, after = Clock(), Clock()
    before.now, after.now = 1e6, 5.0
    for _ in range(EXPORTS.calls):
        process(tmp_path, before).pass_through(EXPORTS, silent)()
    process(tmp_path, after).pass_through(EXPORTS, silent)
    assert 5.0 < after.now <= 5.0 + 60 + 2 * LATENCY_S


def test_factors_of_their_own(tmp_path: Path) -> None:
    """A process with a larger factor forgets nothing that one with a smaller one counts."""
    clock = Clock()
    for _ in range(EXPORTS.calls):
        process(tmp_path, clock).pass_through(EXPORTS, silent)()
    clock.now += 20
    process(tmp_path, clock, factor=10.0).pass_through(EXPORTS, silent)()
    clock.now += 20
    process(tmp_path, clock).pass_through(EXPORTS, silent)
    assert clock.now >= 1060


def test_runs_of_this_machine_are_known(tmp_path: Path) -> None:
    """A run that asked for something is known to later processes of the machine, and no other is."""
    clock = Clock()
    pacer = process(tmp_path, clock)
    pacer.begin("r1")
    pacer.pass_through(START, silent)()
    later = process(tmp_path, clock)
    assert (True, False) == (later.knows("r1"), later.knows("r2"))


def _ask(directory: Path, requests: int, done: multiprocessing.SimpleQueue[float]) -> None:
    pacer = Pacer(factor=60.0, stop=Event(), shared=Shared(directory, KEY))
    for _ in range(requests):
        answered = pacer.pass_through(EXPORTS, silent)
        done.put(time.monotonic())
        answered()


def test_real_processes(tmp_path: Path) -> None:
    """Three processes at once make no more than four requests in a second, where that is the limit."""
    context = multiprocessing.get_context("spawn")
    done = context.SimpleQueue()
    processes = [context.Process(target=_ask, args=(tmp_path, 4, done)) for _ in range(3)]
    for one in processes:
        one.start()
    for one in processes:
        one.join()
    sent = sorted(done.get() for _ in range(12))
    # a second is the period of the limit times the factor
    assert all(later - earlier >= 0.99 for earlier, later in zip(sent, sent[4:], strict=False))


def test_four_jobs_at_a_time(tmp_path: Path) -> None:
    """Of all processes of the machine, four read by jobs; a fifth waits until one has ended, and says so."""
    directory, stop = tmp_path, Event()
    pacers = [Pacer(factor=1.0, stop=stop, shared=Shared(directory, KEY)) for _ in range(JOBS_AT_A_TIME)]
    places = [pacer.job_place(silent) for pacer in pacers]
    for place in places:
        place.__enter__()
    with pytest.raises(Held), Shared(directory, KEY).place(JOBS_AT_A_TIME):
        pass
    heard: list[str] = []
    waited = Event()

    def hear(_seconds: float, reason: str) -> None:
        heard.append(reason)
        waited.set()

    def fifth() -> None:
        with Pacer(factor=1.0, stop=stop, shared=Shared(directory, KEY)).job_place(hear):
            heard.append("begun")

    thread = Thread(target=fifth)
    thread.start()
    assert waited.wait(10)
    places[2].__exit__(None, None, None)
    thread.join(10)
    assert ["4 export jobs at a time", "begun"] == [*dict.fromkeys(heard)]
    for place in (*places[:2], places[3]):
        place.__exit__(None, None, None)


def test_where_the_state_lies(tmp_path: Path) -> None:
    """`XDG_STATE_HOME` counts if it is absolute, else the place that the system has for it."""
    assert tmp_path / "reiterate" == state_directory({"XDG_STATE_HOME": str(tmp_path)}, Path("/home/me"))
    for environ in ({}, {"XDG_STATE_HOME": ""}, {"XDG_STATE_HOME": "relative"}):
        found = state_directory(environ, Path("/home/me"))
        assert Path("/home/me") in found.parents
        assert "reiterate" == found.name
