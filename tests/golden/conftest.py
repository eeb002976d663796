"""One parser for all tests of this package, as one run has one for all its files."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from reiterate.parse import Parser, relation, scan

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="package")
def spool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("spool")


class Forgetful(set[Any]):
    """Holds nothing: what was once in vain is hoped for again."""

    def add(self, _: object) -> None:
        """Forget."""

    def update(self, *_: object) -> None:
        """Forget."""


@pytest.fixture(scope="package", params=["careful", "hoping"])
def parser(request: pytest.FixtureRequest, spool: Path) -> Iterator[Parser]:
    """A parser that takes every file for small, or one that hopes its first row is typical."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "hoping":
            patch.setattr(relation, "LARGE_BYTES", 0)
            patch.setattr(scan, "SAMPLE_ROWS", 1)
        with closing(Parser(spool)) as parser:
            if request.param == "hoping":
                patch.setattr(parser, "_unforeseen", Forgetful())
                patch.setattr(parser._looks, "_unusual", Forgetful())
            yield parser
