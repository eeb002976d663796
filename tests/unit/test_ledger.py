"""What several ledgers have in common."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from reiterate.flow import Job
from reiterate.ledger import Fact, Ledger, Refusal, common
from reiterate.windows import Window

START = datetime(2026, 1, 1, tzinfo=UTC)
SECONDS = 12


def at(second: int) -> datetime:
    return START + timedelta(seconds=second)


def fact(first: int, last: int, read: int) -> Fact:
    return Fact("r", "email_open", Window(at(first), at(last)), None, at(read), 0, 0, 0, 0.0, "direct")


def part(name: str, read: int) -> Fact:
    return Fact("r", "list_users", None, name, at(read), 0, 0, 0, 0.0, "direct")


FACTS = st.lists(
    st.tuples(st.integers(0, SECONDS - 1), st.integers(1, 6), st.integers(0, 50)).map(
        lambda drawn: fact(drawn[0], min(drawn[0] + drawn[1], SECONDS), drawn[2])
    ),
    max_size=6,
)


def latest(ledger: Ledger, second: int) -> datetime | None:
    """Return when a second was read last."""
    found = [
        one.read_at for one in ledger.of("email_open") if one.window and one.window.start <= at(second) < one.window.end
    ]
    return max(found, default=None)


@given(ledgers=st.lists(FACTS.map(Ledger), min_size=2, max_size=3))
def test_what_all_have_read(ledgers: list[Ledger]) -> None:
    """Each second counts as read when all have read it, as of the earliest of their latest reads."""
    found = common(ledgers)
    for second in range(SECONDS):
        reads = [latest(ledger, second) for ledger in ledgers]
        known = [read for read in reads if read is not None]
        assert (min(known) if len(known) == len(reads) else None) == latest(found, second)


def test_parts_jobs_and_refusals() -> None:
    """A part counts where all have it, a job where all know it; a refusal that one knows counts."""
    job = Job(1, "email_open", Window(at(0), at(5)), at(9))
    refusal = Refusal("r", "list_users", "2", at(3), "no")
    one = Ledger([part("1", 5), part("1", 8), part("2", 5)], [job, Job(2, "users", job.window, at(9))])
    other = Ledger([part("1", 6), part("3", 6)], [job], [refusal])
    found = common([one, other])
    assert [("1", at(6))] == [(each.part, each.read_at) for each in found.of("list_users")]
    assert [job] == [*found.jobs()]
    assert [refusal] == [*found.refusals("list_users")]


def test_one_ledger_is_itself() -> None:
    """There is nothing to compare with."""
    only = Ledger([part("1", 5)])
    assert only is common([only])
