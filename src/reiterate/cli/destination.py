"""The commands about destinations: test."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 (typer reads it)
from typing import Annotated

import typer

import reiterate
from reiterate.cli import words
from reiterate.cli.exits import NOTHING_DONE

app = typer.Typer(help="Try destinations out.", no_args_is_help=True)


@app.command("test", epilog="Example: reiterate destination test postgresql://loader@db.corp/warehouse")
def test(
    *,
    url: Annotated[str, typer.Argument(help="Its URL, or its name in the file; else the default.")] = "",
    dataset: Annotated[str, typer.Option(help="Schema in the destination (iterable).", show_default=False)] = "",
    config: Annotated[Path | None, typer.Option(help="The file with destinations.", show_default=False)] = None,
) -> None:
    """Write, merge, read and drop a small table there, and say what cannot be done."""
    found, steps = reiterate.try_out(url or None, dataset or None, config=config)
    console = words.out()
    console.print(f"{found.url}, dataset {found.dataset}", markup=False)
    for step in steps:
        console.print(f"{step.name}: {step.error or 'ok'}", markup=False)
        if step.error:
            raise typer.Exit(NOTHING_DONE)
    console.print("A sync can use this destination.")
