"""One parser for all tests of this package, as one run has one for all its files."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from reiterate.parse import Parser

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="package")
def spool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("spool")


@pytest.fixture(scope="package")
def parser(spool: Path) -> Iterator[Parser]:
    with closing(Parser(spool)) as parser:
        yield parser
