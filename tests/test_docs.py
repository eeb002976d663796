"""What is not documented does not exist: every name that a person meets stands in the docs, and every link leads on."""

from __future__ import annotations

import ast
import inspect
import re
import runpy
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click
import pytest

import reiterate
from reiterate import errors
from reiterate.api import LIMITS
from reiterate.catalog import DOCUMENTED, TABLES
from reiterate.catalog.model import ByEvent
from reiterate.cli.app import app
from reiterate.cli.options import SETTINGS as FLAGS
from reiterate.flow import Event
from reiterate.settings.document import DESTINATION_SETTINGS, SETTINGS, TABLE_SETTINGS
from reiterate.settings.load import ENVIRONMENT
from reiterate.simulator import Fault
from reiterate.simulator.fault_kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "benchmarks" / "RESULTS.md"]


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def undocumented(names: Iterator[str] | set[str] | tuple[str, ...], page: str) -> list[str]:
    """Return the names that do not stand in code letters on *page*, alone or at the beginning of an example."""
    prose = re.sub(r"```.*?```", "", text(page), flags=re.DOTALL)
    spelled = {word for code in re.findall(r"`([^`]+)`", prose) for word in (code, code.partition("(")[0])}
    return sorted({*names} - spelled)


def commands(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(group, click.Group):
        for name, command in group.commands.items():
            yield from commands(command, f"{path} {name}")
    else:
        yield path, group


COMMANDS = dict(commands(app, "reiterate"))


def test_tables_are_generated() -> None:
    """docs/tables.md is what the catalog says today; `make docs` renews it."""
    assert runpy.run_path(str(ROOT / "docs" / "generate.py"))["page"]() == text("docs/tables.md")


def test_every_table_stands_in_the_readme() -> None:
    """The README names every documented table."""
    assert [] == [name for name in DOCUMENTED if not re.search(rf"\b{name}\b", text("README.md"))]


def test_every_setting_is_documented() -> None:
    """docs/settings.md has every setting, and every variable that does not follow from a setting's name."""
    assert [] == undocumented({*SETTINGS, *TABLE_SETTINGS, *DESTINATION_SETTINGS}, "docs/settings.md")
    own = {name for setting, name in ENVIRONMENT.items() if name != f"REITERATE_{setting.upper()}"}
    assert [] == undocumented(own | {"REITERATE_CONFIG", "REITERATE_CONNECTION"}, "docs/settings.md")


def test_every_flag_of_the_settings_is_a_setting() -> None:
    """A flag has the name of its setting, so that the table of settings documents it, too."""
    assert FLAGS.keys() - {"connection", "config"} == {*SETTINGS} - {"api_key", "hash_salt"}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_documented(command: str) -> None:
    """docs/commands.md has every command, and every flag of its own beside those of the settings."""
    assert [] == undocumented({command}, "docs/commands.md")
    section = text("docs/commands.md")
    own = [
        option
        for parameter in COMMANDS[command].params
        if isinstance(parameter, click.Option) and parameter.name not in {*FLAGS, "help"}
        for option in parameter.opts
    ]
    assert [] == [option for option in own if option not in section]


def test_every_error_is_documented() -> None:
    """docs/errors.md has every class of error but their root."""
    classes = {name for name, each in inspect.getmembers(errors, inspect.isclass) if each.__module__ == errors.__name__}
    assert [] == undocumented(classes - {"ReiterateError"}, "docs/errors.md")


def test_every_event_is_documented() -> None:
    """docs/commands.md has every event by the name that the JSON logs give it."""
    names = {re.sub(r"(?<!^)(?=[A-Z])", "_", event.__name__).lower() for event in get_args(Event)}
    assert [] == undocumented(names, "docs/commands.md")


def test_every_fault_is_documented() -> None:
    """docs/simulator.md has every kind of fault and every field of one."""
    assert [] == undocumented({*Fault.__dataclass_fields__}, "docs/simulator.md")
    assert [] == [name for name, kind in KINDS.items() if kind.described not in text("docs/simulator.md").splitlines()]


def test_the_public_api_is_documented() -> None:
    """docs/python.md has every function and value of the public API."""
    page = text("docs/python.md")
    assert [] == [name for name in reiterate.__all__ if not re.search(rf"\b{name}\b", page)]


def test_identities_are_documented() -> None:
    """docs/tables.md names the fields that identify the events of each table."""
    sections = (section.partition("\n") for section in text("docs/tables.md").split("\n## "))
    found = {name: re.search(r"`_event_id`, made of ([\w., ]+) and \[", section) for name, _, section in sections}
    assert {name: tuple(fields[1].split(", ")) for name, fields in found.items() if fields} == {
        name: table.identity.fields for name, table in TABLES.items() if isinstance(table.identity, ByEvent)
    }


def test_limits_are_documented() -> None:
    """docs/exactness.md has the limits of the paths that tables are read from."""
    page = text("docs/exactness.md")
    slow = [limit for limit in LIMITS if limit.period_s == 60]
    assert slow
    for limit in slow:
        assert f"(`{limit.paths[0]}`) | {limit.calls} a minute" in page


@pytest.mark.parametrize("page", [*PAGES, *sorted(ROOT.glob("tests/*.md"))], ids=lambda page: page.name)
def test_every_test_that_is_named_is_there(page: Path) -> None:
    """A promise that names its test, alone or as `tests/FILE.py::test_name`, names one that there is."""
    content = page.read_text(encoding="utf-8")
    sources = {path: path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py")}
    files = {path.stem for path in sources}
    named = set(re.findall(r"\b(test_\w+[a-z0-9])\b", content)) - files
    assert [] == sorted(name for name in named if not any(f"def {name}(" in source for source in sources.values()))
    placed = re.findall(r"`(tests/[\w/]+\.py)(?:::(?:\w+::)?(test_\w+))?`", content)
    assert [] == [(file, test) for file, test in placed if test not in sources.get(ROOT / file, "")]


def test_every_kind_of_trouble_has_a_section() -> None:
    """tests/kinds.md has a section for each kind that is known."""
    kinds = {f"A{number}" for number in range(1, 10)} | {f"B{number}" for number in range(10, 20)} | {"0", "C"}
    assert kinds <= set(re.findall(r"^## (\w+)\. ", text("tests/kinds.md"), re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every link within the repository leads to a file, and to a heading of it where it names one."""
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text(encoding="utf-8")):
        name, _, heading = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.is_file(), target
        if heading:
            assert heading in anchors(file), target


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_in_the_docs_is_python(page: Path) -> None:
    """Every Python example compiles, and what it imports of Reiterate is there."""
    for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("reiterate"):
                exec(compile(ast.Module([node], []), page.name, "exec"), {})


def test_commands_in_the_docs_exist() -> None:
    """Every `reiterate …` in a console example is a command with flags that it has."""
    for page in PAGES:
        for block in re.findall(r"```(?:console|cron)\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            for line in re.findall(r"\breiterate( [^\n#>]+)", block):
                words = line.split()
                if words[0] not in {name.split()[1] for name in COMMANDS}:
                    continue
                found = (
                    f"reiterate {' '.join(words[:2])}"
                    if words[0] in {"connection", "destination"}
                    else f"reiterate {words[0]}"
                )
                known = {option for parameter in COMMANDS[found].params for option in parameter.opts}
                assert [] == [word for word in words if word.startswith("--") and word not in known], line
