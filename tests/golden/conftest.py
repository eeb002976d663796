"""One parser for all tests of this package, as one run has one for all its files."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from reiterate.parse import Parser, relation, scan

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from reiterate.flow import Batch, Column, RawFile


@pytest.fixture(scope="package")
def spool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("spool")


class Forgetful(set[Any]):
    """Holds nothing: what was once in vain is hoped for again."""

    def add(self, _: object) -> None:
        """Forget."""

    def update(self, *_: object) -> None:
        """Forget."""


class Supposing(Parser):
    """Does as a run does: what can be supposed is not looked at; unless the rows are not as supposed."""

    def parse(self, raw: RawFile, known: tuple[Column, ...], *, most_columns: int | None = None) -> Batch:
        if (batch := self.suppose(raw, known)) and self._holds(batch):
            return batch
        return super().parse(raw, known, most_columns=most_columns)

    def _holds(self, batch: Batch) -> bool:
        try:
            with closing(duckdb.connect()) as database:
                counts = "count(*), count(DISTINCT _event_id), count(COLUMNS(*))"
                rows, different, *_ = database.execute(f"SELECT {counts} FROM ({batch.query})").fetchall()[0]
        except (duckdb.Error, UnicodeDecodeError):
            return False
        return bool(rows == different == batch.source_rows)


@pytest.fixture(scope="package", params=["careful", "hoping", "supposing"])
def parser(request: pytest.FixtureRequest, spool: Path) -> Iterator[Parser]:
    """A parser that takes every file for small, one that hopes its first row is typical, or one that does not look."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param != "careful":
            patch.setattr(relation, "LARGE_BYTES", 0)
        if request.param == "hoping":
            patch.setattr(scan, "SAMPLE_ROWS", 1)
        with closing((Supposing if request.param == "supposing" else Parser)(spool)) as parser:
            if request.param != "careful":
                patch.setattr(parser, "_unforeseen", Forgetful())
                patch.setattr(parser._looks, "_unusual", Forgetful())
            yield parser
