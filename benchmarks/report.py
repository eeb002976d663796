"""
From ``results.json`` to the tables and plots of ``RESULTS.md``: what stands between its marks is made here.

    <!-- made from results.json: throughput -->
    | … |
    <!-- until here -->
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby
from statistics import median
from typing import TYPE_CHECKING

from benchmarks import plots

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from benchmarks.figures import Figure, Results

REITERATE, POSTGRES, FLOOR = "Reiterate → DuckDB", "Reiterate → PostgreSQL", "floor: curl, read_json"
SERVER, TAP, PYAIRBYTE = "server: curl to /dev/null", "tap-iterable → target-duckdb", "PyAirbyte → DuckDB cache"
OPENS, SENDS = "emailOpen", "emailSend with transactionalData"
SPOOL_MB = 4000
LAST = 3
"""So many of the first and of the last windows are compared, by their medians."""


def write(results: Results) -> str:
    """Write the plots, and the tables into ``RESULTS.md`` if the figures are of the full size; return the tables."""
    for name, drawing in _plots(results):
        (results.directory / name).write_text(drawing, encoding="utf-8")
    tables = {name: make(results).strip() for name, make in MADE.items()}
    if results.full:
        file = results.directory / "RESULTS.md"
        file.write_text(_filled(file.read_text(encoding="utf-8"), tables), encoding="utf-8")
    return "\n\n".join(f"## {name}\n\n{table}" for name, table in tables.items() if table) + "\n"


def _filled(text: str, tables: Mapping[str, str]) -> str:
    def fill(found: re.Match[str]) -> str:
        made = tables[found[2]]
        return f"{found[1]}\n{made}\n\n{found[4]}" if made else found[0]

    return re.sub(
        r"(<!-- made from results.json: ([\w-]+) -->\n)(.*?)(<!-- until here -->)", fill, text, flags=re.DOTALL
    )


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(cells)} |".replace("|  |", "| |") for cells in lines)


def _seconds(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"  # noqa: PLR2004


def _groups(figures: Sequence[Figure]) -> Iterator[tuple[str, list[Figure]]]:
    for group, each in groupby(figures, key=lambda one: one.group):
        yield group, list(each)


def machine(results: Results) -> str:
    return table(("", ""), results.machine.items()) if results.machine else ""


def taken(results: Results) -> str:
    return table(("part", "measured"), results.taken.items()) if results.taken else ""


def throughput(results: Results) -> str:
    parts = []
    for group, figures in _groups(results.parts.get("throughput", ())):
        floor = next(one for one in figures if one.name == FLOOR)
        whole = max(figures, key=lambda one: one.rows)
        runs = len(floor.seconds)
        head = f"{group}: {whole.rows:,} rows, {whole.size_bytes / 1e6:,.0f} MB; medians of {runs}"
        rows = (
            (
                one.name
                + ("" if "stopped" not in one.facts else f", stopped with {one.facts['stopped']:,.0f} rows left"),
                _seconds(one.median_s),
                f"{one.rows_per_s:,.0f}",
                f"{one.rows_per_s * whole.size_bytes / whole.rows / 1e6:,.0f}",
                f"{one.rows_per_s / floor.rows_per_s:.2f}",
                f"{one.memory_mb:,.0f} MB",
            )
            for one in figures
        )
        parts.append(f"{head}\n\n{table(('', 'seconds', 'rows/s', 'MB/s', 'of the floor', 'peak memory'), rows)}")
    return "\n\n".join(parts)


def peers(results: Results) -> str:
    parts = []
    for group, figures in _groups(results.parts.get("peers", ())):
        ours = results.find("throughput", group, REITERATE)
        rows = []
        for one in figures:
            if not one.seconds:
                rows.append((f"{one.name}: {one.failure}", "", "", "", "", ""))
                continue
            lost = f", {one.facts['lost_rows']:,.0f} rows lost" if "lost_rows" in one.facts else ""
            faster = f"{ours.rows_per_s / one.rows_per_s:,.0f} times" if ours else ""
            figure = (f"{one.rows:,}", _seconds(one.median_s), f"{one.rows_per_s:,.0f}", faster)
            rows.append((one.name + lost, *figure, f"{one.memory_mb:,.0f} MB"))
        headings = ("", "rows", "seconds", "rows/s", "Reiterate into DuckDB is faster", "peak memory")
        parts.append(f"{group}; medians of {max(len(one.seconds) for one in figures)}\n\n{table(headings, rows)}")
    if parts:
        parts.append("![Rows a second of emailOpen](opens.svg)")
    return "\n\n".join(parts)


def flame(results: Results) -> str:
    drawn = any(one.seconds for one in results.parts.get("flame", ()))
    return "Where the time of the opens goes: [flame graph](flame.svg)." if drawn else ""


def memory(results: Results) -> str:
    rows = [
        (
            one.group,
            _seconds(one.median_s),
            f"{one.rows_per_s:,.0f}",
            f"{one.memory_mb:,.0f} MB",
            f"{one.facts['spool_mb'] / 1000:,.1f} of {one.size_bytes / 1e9:,.1f} GB",
            f"{one.facts['requests']:,.0f}",
        )
        if one.seconds
        else (f"{one.group}: {one.failure}", "", "", "", "", "")
        for one in results.parts.get("memory", ())
    ]
    return table(("", "seconds", "rows/s", "peak memory", "most on the spool", "requests"), rows) if rows else ""


def growth(results: Results) -> str:
    parts = []
    for group, figures in _groups(results.parts.get("growth", ())):
        windows, again = figures
        number = len(windows.seconds)
        rows = [
            (f"{at * windows.rows:,}", _seconds(windows.seconds[at]), f"{windows.rows / windows.seconds[at]:,.0f}")
            for at in sorted({0, 1, number // 4, number // 2, number - 1})
        ]
        rows.append((f"{number * windows.rows:,}; {again.name}", _seconds(again.median_s), f"{again.rows_per_s:,.0f}"))
        parts.append(
            f"{table((f'rows in {group} before', 'seconds a window', 'rows/s'), rows)}\n\n"
            f"The last {LAST} windows go at {_kept(windows):.2f} of the speed of the first {LAST} (medians)."
        )
    if parts:
        parts.append("![Rows a second, window after window](growth.svg)")
    return "\n\n".join(parts)


def _kept(windows: Figure) -> float:
    """Return how fast the last windows go, as a part of the first ones' speed."""
    return median(windows.seconds[:LAST]) / median(windows.seconds[-LAST:])


def startup(results: Results) -> str:
    rows = [
        (
            one.name if one.group == "start" else f"{one.group}: {one.name}",
            _seconds(one.median_s),
            f"{one.facts['calls']:,.0f} of {one.facts['needed']:,.0f}" if one.facts else "",
            f"{one.memory_mb:,.0f} MB",
        )
        for one in results.parts.get("startup", ())
    ]
    return table(("", "seconds", "calls, of those needed", "peak memory"), rows) if rows else ""


def limits(results: Results) -> str:
    rows = [
        (
            f"{one.group}: {one.name}",
            _duration(one.facts["least_s"]) if "least_s" in one.facts else "",
            _duration(one.median_s),
            f"{one.facts['tasks']:,.0f}",
            _remarks(one),
        )
        for one in results.parts.get("limits", ())
    ]
    return table(("", "at least, by the limits", "took", "parts read", ""), rows) if rows else ""


def _remarks(one: Figure) -> str:
    said = [f"{one.facts['jobs']:,.0f} by export jobs"] if one.facts.get("jobs") else []
    if "exceeded" in one.facts:
        said.append(f"limits exceeded {one.facts['exceeded']:,.0f} times")
    if "refused" in one.facts:
        said.append(f"{one.facts['refused']:,.0f} reported")
    return ", ".join([*said, *(["not all tables arrived"] if one.facts.get("failed") else [])])


def _duration(seconds: float) -> str:
    return f"{seconds / 60:,.1f} min" if seconds >= 60 else f"{_seconds(seconds)} s"  # noqa: PLR2004


# ── what was aimed at ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Bar:
    """A figure that is aimed at; *low* where less is better."""

    about: str
    wanted: float
    found: float | None
    low: bool = False

    @property
    def met(self) -> str:
        if self.found is None:
            return "not measured"
        return "yes" if (self.found <= self.wanted if self.low else self.found >= self.wanted) else "no"


def bars(results: Results) -> str:
    rows = [
        (
            bar.about,
            f"{'at most' if bar.low else 'at least'} {bar.wanted:,.4g}",
            "" if bar.found is None else f"{bar.found:,.2f}" if bar.found < 10 else f"{bar.found:,.0f}",  # noqa: PLR2004
            bar.met,
        )
        for bar in _bars(results)
    ]
    return table(("", "wanted", "measured", "met"), rows) if results.parts else ""


def _bars(results: Results) -> Iterator[Bar]:
    for group in (OPENS, SENDS):
        yield Bar(f"{group}: of the floor's rows/s", 0.6, _ratio(results, (group, REITERATE), (group, FLOOR)))
    for peer, wanted in ((TAP, 70), (PYAIRBYTE, 60)):
        yield Bar(f"times as fast as {peer}", wanted, _ratio(results, (OPENS, REITERATE), (OPENS, peer), "peers"))
    yield Bar("the server's speed, of the fastest client's", 3, _server(results))
    for one in results.parts.get("memory", ()):
        yield Bar(f"{one.group}: MB of memory", 500, one.memory_mb if one.seconds else None, low=True)
        yield Bar(f"{one.group}: MB on the spool", SPOOL_MB, one.facts.get("spool_mb"), low=True)
    for one in results.parts.get("growth", ()):
        if one.name == "new windows":
            yield Bar(f"{one.group}: the last million's speed, of the first's", 0.8, _kept(one))
    for one in results.parts.get("startup", ()):
        yield Bar(f"{one.name}: seconds", 5 if one.facts else 0.3, one.median_s, low=True)
        if one.facts:
            yield Bar(f"{one.name}: calls", one.facts["needed"], one.facts["calls"], low=True)


def _ratio(results: Results, one: tuple[str, str], other: tuple[str, str], part: str = "throughput") -> float | None:
    ours, theirs = results.find("throughput", *one), results.find(part, *other)
    return ours.rows_per_s / theirs.rows_per_s if ours and theirs else None


def _server(results: Results) -> float | None:
    """Return the server's speed as a multiple of that of the fastest client, where that is least."""
    found = (
        server.rows_per_s / max(one.rows_per_s for one in figures if one is not server)
        for _, figures in _groups(results.parts.get("throughput", ()))
        for server in figures
        if server.name == SERVER
    )
    return min(found, default=None)


# ── plots ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _plots(results: Results) -> Iterator[tuple[str, str]]:
    opens = [
        (one.name, one.rows_per_s)
        for part in ("throughput", "peers")
        for one in results.parts.get(part, ())
        if one.group == OPENS and one.seconds and one.name != SERVER
    ]
    if opens:
        yield "opens.svg", plots.bars("emailOpen, rows a second (logarithmic)", sorted(opens, key=lambda one: -one[1]))
    lines = {
        one.group: [one.rows / seconds for seconds in one.seconds]
        for one in results.parts.get("growth", ())
        if one.name == "new windows"
    }
    if lines:
        yield "growth.svg", plots.lines("Rows a second, window after window into one table", lines)


MADE: Mapping[str, Callable[[Results], str]] = {
    "machine": machine,
    "taken": taken,
    "bars": bars,
    "throughput": throughput,
    "flame": flame,
    "peers": peers,
    "memory": memory,
    "growth": growth,
    "startup": startup,
    "limits": limits,
}
"""What makes the table of each mark."""
