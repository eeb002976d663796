"""Plots as SVG, drawn by hand: horizontal bars on a logarithmic scale, and lines from zero."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WIDTH, ROW, LEFT, TOP, RIGHT = 760, 26, 230, 44, 90
HEIGHT = 300
OURS, OTHERS, INK, GRID = "#1f77b4", "#b8bec6", "#333", "#ddd"


def bars(title: str, values: Sequence[tuple[str, float]]) -> str:
    """Return a bar for each name, ours in blue."""
    low = 10 ** math.floor(math.log10(min(value for _, value in values)))
    high = max(value for _, value in values)

    def length(value: float) -> float:
        return (WIDTH - LEFT - RIGHT) * math.log10(value / low) / math.log10(high / low)

    shapes = []
    for number, (name, value) in enumerate(values):
        y = TOP + number * ROW
        colour = OURS if name.startswith("Reiterate") else OTHERS
        shapes += [
            _text(LEFT - 8, y + 13, name, anchor="end"),
            f'<rect x="{LEFT}" y="{y}" width="{max(length(value), 1):.0f}" height="{ROW - 8}" fill="{colour}"/>',
            _text(LEFT + length(value) + 6, y + 13, f"{value:,.0f}"),
        ]
    return _drawing(title, shapes, TOP + len(values) * ROW + 10)


def lines(title: str, series: Mapping[str, Sequence[float]]) -> str:
    """Return a line for each name, the values in their order, the axis from zero."""
    high = max(max(values) for values in series.values()) * 1.05
    left, bottom = 80, HEIGHT - 40
    step = 10 ** math.floor(math.log10(high))
    step = step / 2 if high / step < 3 else step  # noqa: PLR2004
    shapes = []
    for number in range(int(high / step) + 1):
        y = bottom - (bottom - TOP) * number * step / high
        shapes += [
            f'<line x1="{left}" x2="{WIDTH - RIGHT}" y1="{y:.0f}" y2="{y:.0f}" stroke="{GRID}"/>',
            _text(left - 8, y + 4, f"{number * step:,.0f}", anchor="end"),
        ]
    for (name, values), colour in zip(series.items(), (OURS, "#e07b39", "#4c9f70"), strict=False):
        across = (WIDTH - RIGHT - left) / max(len(values) - 1, 1)
        points = [
            (left + number * across, bottom - (bottom - TOP) * value / high) for number, value in enumerate(values)
        ]
        path = " ".join(f"{x:.0f},{y:.0f}" for x, y in points)
        shapes += [
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
            _text(points[-1][0] + 6, points[-1][1] + 4, name, colour=colour),
        ]
    longest = max(map(len, series.values()))
    shapes += [
        _text(left, HEIGHT - 16, "window 1"),
        _text(WIDTH - RIGHT, HEIGHT - 16, f"window {longest}", anchor="end"),
    ]
    return _drawing(title, shapes, HEIGHT)


def _text(x: float, y: float, text: str, *, anchor: str = "start", colour: str = INK) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'


def _drawing(title: str, shapes: Sequence[str], height: int) -> str:
    body = "\n".join([_text(8, 22, title), *shapes])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'font-family="sans-serif" font-size="13" role="img">\n<title>{escape(title)}</title>\n'
        f'<rect width="100%" height="100%" fill="#fff"/>\n{body}\n</svg>\n'
    )
