"""The commands around the built-in simulator: a demonstration, and the simulator alone."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

import reiterate
from reiterate.catalog import TABLES
from reiterate.cli import words
from reiterate.cli.exits import Exit
from reiterate.cli.options import Command
from reiterate.cli.stopping import stoppable
from reiterate.errors import ConnectionMismatch, SettingsError

if TYPE_CHECKING:
    from reiterate.simulator import Fault

END = datetime(2026, 11, 1, tzinfo=UTC)
"""The brand's last event: the same at every demonstration, so that a second one finds nothing new."""

KEY = "0123456789abcdef0123456789abcdef"

QUESTIONS = {
    "Which campaigns are opened most?": """
        SELECT c.name AS campaign, count(DISTINCT s.message_id) AS sent, count(DISTINCT o.message_id) AS opened,
            round(100 * opened / sent, 1) AS percent
        FROM email_send s JOIN campaigns c ON c.id = s.campaign_id
        LEFT JOIN email_open o ON o.message_id = s.message_id
        GROUP BY c.name ORDER BY percent DESC LIMIT 5""",
    "How did the last days go?": """
        SELECT created_at::DATE AS day, count(*) AS sends, count(DISTINCT email) AS people
        FROM email_send GROUP BY day ORDER BY day DESC LIMIT 5""",
}


days = click.option("--days", type=click.IntRange(1, 3650), default=60, help="How many days of events the brand has.")
events_per_day = click.option("--events-per-day", type=click.IntRange(1), default=2000, help="How many events a day.")
seed = click.option("--seed", default=7, help="Another seed, another brand.")


@click.command(cls=Command, epilog="Example: reiterate demo --days 30")
@days
@events_per_day
@seed
@click.option(
    "--file", type=click.Path(path_type=Path), default=Path("iterable.duckdb"), help="The DuckDB file to write."
)
def demo(*, days: int, events_per_day: int, seed: int, file: Path) -> None:
    """Replicate an invented brand from the built-in simulator, and show what arrived."""
    import duckdb

    from reiterate.cli import render
    from reiterate.simulator import ServerOptions, Simulator, WorldOptions

    console = words.out()
    console.print(f"Starting a local Iterable with {days} days of {words.number(events_per_day)} events each.")
    world = WorldOptions(days=days, events_per_day=events_per_day, seed=seed, end=END)
    with Simulator(world, ServerOptions(api_key=KEY)) as simulator, stoppable() as stop:
        events = reiterate.sync(
            stop=stop,
            # another brand is another project: it must not be mixed into the data of the last one
            name=f"demo-{days}-{events_per_day}-{seed}",
            api_key=KEY,
            api_address=simulator.url,
            start_date=(END - timedelta(days=days)).date(),
            rate_limit_factor=1_000_000.0,
            destination=f"duckdb:///{file}",
            dataset="iterable",
            tables="all",
        )
        try:
            status = render.follow(events, stop)
        except ConnectionMismatch as error:
            raise ConnectionMismatch(error.what, hint="Name another file with --file.", **error.facts) from error
        if status is not Exit.WELL:
            raise click.exceptions.Exit(status)
        # the list of export jobs is that of before the sync had started any
        expected = {name: len(simulator.truth(name)) for name in TABLES if name != "export_jobs"}
    with closing(duckdb.connect(str(file), read_only=True)) as database:
        ((catalog,),) = database.execute("SELECT current_database()").fetchall()
        database.execute(f'USE "{catalog}".iterable')
        arrived = {name: database.execute(f"SELECT count(*) FROM {name}").fetchall()[0][0] for name in expected}
        wrong = [name for name in expected if arrived[name] != expected[name]]
        console.print()
        console.print(f"{words.number(sum(arrived.values()))} rows in {len(arrived)} tables; the brand has as many.")
        for question, query in QUESTIONS.items():
            console.print()
            console.print(question, style="bold")
            for line in query.strip("\n").splitlines():
                console.print(line.removeprefix("        "), style="dim")
            answer = database.execute(query)
            found = words.grid(*(column[0] for column in answer.description or ()))
            for row in answer.fetchall():
                found.add_row(*map(str, row))
            console.print(found)
    console.print()
    console.print(f"The data is in {file.resolve()}: query it with any DuckDB client. Then connect your own project:")
    console.print("  reiterate connection create")
    if wrong:
        console.print(f"Error: these tables differ from the brand's truth: {', '.join(wrong)}")
        raise click.exceptions.Exit(Exit.LOOK)


@click.command(cls=Command, epilog="Example: reiterate simulate --port 8080 --api-key secret --days 60")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, help="Port to listen on; 0 takes a free one.")
@click.option("--api-key", default=KEY, help="The key that clients must show.")
@days
@events_per_day
@seed
@click.option("--limits", is_flag=True, help="Enforce Iterable's documented rate limits.")
@click.option(
    "--fault",
    "given",
    multiple=True,
    metavar="NAME[:KEY=VALUE,…]",
    help="A fault to inject, such as html:path=/api/lists,times=2; may be given more than once. docs/simulator.md "
    "lists them.",
)
@click.option(
    "--faults", type=click.Path(path_type=Path), help="JSON file with faults to inject, after those of --fault."
)
@click.option(
    "--control-token",
    default="",
    help="What requests to /_simulator/ show in the header X-Control-Token: a new one by default; none wants nothing.",
)
def simulate(  # noqa: PLR0913 (a flag each)
    *,
    port: int,
    api_key: str,
    days: int,
    events_per_day: int,
    seed: int,
    limits: bool,
    given: tuple[str, ...],
    faults: Path | None,
    control_token: str,
) -> None:
    """Run a local Iterable with an invented brand, until it is stopped."""
    from reiterate.simulator import ServerOptions, WorldOptions, serve
    from reiterate.simulator.guard import HEADER, NO_TOKEN

    console = words.out()
    world = WorldOptions(days=days, events_per_day=events_per_day, seed=seed)
    rules = (*map(_fault, given), *(_faults(faults) if faults else ()))
    options = ServerOptions(api_key=api_key, limits=limits, faults=rules, control_token=control_token)

    def ready(url: str, token: str) -> None:
        console.print(f"Iterable is simulated at {url}. In another terminal:")
        console.print(f"  ITERABLE_BASE_URL={url} ITERABLE_API_KEY={api_key} reiterate sync --start-date …")
        wanted = "want no token." if token == NO_TOKEN else f"want the header {HEADER}: {token}"
        console.print(f"Its controls at {url}/_simulator/ {wanted}")

    try:
        serve(world, options, "127.0.0.1", port, on_ready=ready)
    except OSError as error:
        raise SettingsError(
            f"The simulator cannot listen on port {port}.",
            hint="Name another with --port, or 0 for a free one.",
            reason=error.strerror,
        ) from error


def _fault(text: str) -> Fault:
    from reiterate.simulator import WrongFault, fault_of_text

    try:
        return fault_of_text(text)
    except WrongFault as error:
        raise SettingsError(
            "A fault cannot be used.", hint="docs/simulator.md lists them.", fault=text, reason=error
        ) from error


def _faults(file: Path) -> tuple[Fault, ...]:
    from reiterate.simulator import fault_of_rule

    try:
        rules = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(rules, list):
            raise TypeError("it is no JSON list")  # noqa: TRY301 (one message for all that may be wrong)
        return tuple(fault_of_rule(rule) for rule in rules)
    except (OSError, ValueError, TypeError) as error:
        raise SettingsError(
            "The file of faults cannot be used.",
            hint="It holds a JSON list of faults, such as "
            '[{"path": "/api/export/data.json", "kind": "status", "status": 503, "times": 3}].',
            file=file,
            reason=error,
        ) from error
