"""The commands about destinations: test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

import reiterate
from reiterate.cli import exits, words
from reiterate.cli.options import Group, config

if TYPE_CHECKING:
    from pathlib import Path


@click.group("destination", cls=Group)
def app() -> None:
    """Try destinations out."""


@app.command("test", epilog="Example: reiterate destination test postgresql://loader@db.corp/warehouse")
@click.argument("url", required=False, help="Its URL, or its name in the file; else the default.")
@click.option("--dataset", help="Schema in the destination (iterable).")
@config
def test(*, url: str | None, dataset: str | None, config: Path | None) -> None:
    """Write, merge, read and drop a small table there, and say what cannot be done."""
    found, steps = reiterate.try_out(url or None, dataset or None, config=config)
    console = words.out()
    console.print(f"{found.url}, dataset {found.dataset}")
    for step in steps:
        console.print(f"{step.name}: {step.error or 'ok'}")
        if step.error:
            raise click.exceptions.Exit(exits.of_error(step.error))
    console.print("A sync can use this destination.")
