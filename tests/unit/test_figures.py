"""Figures in CSV, with all that was seen in them (FACTS 10)."""

from __future__ import annotations

from typing import Any

import pytest

from reiterate import exact_json
from reiterate.api import NotAnAnswer
from reiterate.catalog import TABLES
from reiterate.catalog.model import Figures
from reiterate.extract.figures import parsed

CASES = [
    ("id,\n", []),
    ("id,A,B\n1,2,\n", [{"id": 1, "A": 2}]),
    ("id,A\n1,16.0\n", [{"id": 1, "A": 16.0}]),
    ("id,A\n1,-3\n2,1e5\n", [{"id": 1, "A": -3}, {"id": 2, "A": 1e5}]),
    (
        "id,A\n1,N/A\n2,NaN\n3,007\n4,1_000\n",
        [{"id": 1, "A": "N/A"}, {"id": 2, "A": "NaN"}, {"id": 3, "A": "007"}, {"id": 4, "A": "1_000"}],
    ),
    # a name for each campaign: 2017
    (
        "id,A,A\n1,5,\n2,,6\n3,7,7\n4,7,8\n",
        [{"id": 1, "A": 5}, {"id": 2, "A": 6}, {"id": 3, "A": 7}, {"id": 4, "A": 7, "A 2": 8}],
    ),
    ("id,A\n1,2,left,over\n", [{"id": 1, "A": 2, "surplus": ["left", "over"]}]),
    ('id,"A, ""B"""\r\n1,"2"\r\n', [{"id": 1, 'A, "B"': 2}]),
    ("id,A\n\n1,2\n", [{"id": 1, "A": 2}]),
]


def rows(text: str, table: str = "campaign_metrics") -> list[dict[str, Any]]:
    read = TABLES[table].read
    assert isinstance(read, Figures)
    return [exact_json.document(exact_json.dumps(row).encode()) for row in parsed(text, TABLES[table], read)]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_cells(text: str, expected: list[dict[str, Any]]) -> None:
    """Numbers are numbers, empty cells are left out, and no cell is lost."""
    assert expected == [
        {field: float(value) if isinstance(value, exact_json.Number) else value for field, value in row.items()}
        for row in rows(text)
    ]


def test_texts_stay_texts() -> None:
    """A name of digits is a text where the column is one of texts."""
    assert [{"Name": "2026", "Experiment ID": 7}] == rows("Experiment ID,Name\n7,2026\n", "experiment_metrics")


def test_no_header() -> None:
    """An empty answer is none."""
    with pytest.raises(NotAnAnswer, match="no header"):
        rows("")
