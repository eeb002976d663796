"""
Changing ``reiterate.toml``: comments and order stay, and a wrong change leaves the file as it was.

A change is made twice, to the text and to the plain values; the file is written only if the text then reads as the
values say. So a text that the editor cannot change without harm is refused, not garbled.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from reiterate.errors import SettingsError
from reiterate.secret import Secret
from reiterate.settings import addresses, key
from reiterate.settings import values as forms
from reiterate.settings.document import Document, parse, read_text
from reiterate.settings.given import Given, checked, named
from reiterate.settings.model import duration
from reiterate.shape import CustomFields, Policy, Spelling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DAY = timedelta(days=1)
NEW_FILE_MODE = 0o600  # a key may stand in it

FORMS: Mapping[str, Callable[[object], object]] = {
    "start_date": lambda value: forms.start_date(value, now=None),
    "window_in_days": forms.window_in_days,
    "data_gateway": addresses.data_gateway,
    "region": forms.region,
    "api_address": addresses.api_address,
    "tables": lambda value: forms.tables(value, known=None),
    "lookback": forms.lookback,
    "rate_limit_factor": forms.rate_limit_factor,
    "spool_in_gb": forms.spool_in_gb,
    "dataset": forms.dataset,
    "full_refresh": forms.switch,
    "history": forms.switch,
    "snapshots": forms.switch,
    "schema_policy": partial(forms.choice, among=Policy),
    "column_names": partial(forms.choice, among=Spelling),
    "custom_fields": partial(forms.choice, among=CustomFields),
    "columns": forms.columns,
    "omit_columns": forms.columns,
    "hash_columns": forms.columns,
}
"""What can be said about a value without the catalog, the clock and the keys that it refers to."""


def list_connections(file: Path) -> list[str]:
    """Return the names of the connections in *file*; none if there is no such file."""
    return list(Document.read(file, {}).connections) if file.exists() else []


def save_connection(
    file: Path,
    name: str,
    values: Mapping[str, object],
    table: Mapping[str, Mapping[str, object]] | None = None,
    *,
    replace: bool = False,
) -> None:
    """
    Add a connection to *file*, which is created for its owner alone if it is not there.

    *table* holds what tables have of their own. With *replace* a connection of this name is replaced as a whole.

    :raises SettingsError: when the name is taken or a value is wrong; the file is as it was
    """
    before = _read(file)
    section = _merged({}, {**values, **({"table": table} if table else {})})
    if name not in before.connections:
        draft = _appended(before.text, name, section)
    elif replace:
        draft = _changed(before, lambda connections: _become(connections[name], section))
    else:
        raise SettingsError(
            f"There is a connection {named(name)} already.", hint="Delete it first, or choose another name.", file=file
        )
    _write(before, {**before.connections, name: section}, draft, changed=name)


def update_connection(file: Path, name: str, values: Mapping[str, object]) -> None:
    """
    Change settings of a connection; nothing as a value removes a setting, sections such as ``table`` change inside.

    :raises SettingsError: when there is no such connection or a value is wrong; the file is as it was
    """
    before = _read(file, name)
    section = _merged(before.connections[name], values)
    draft = _changed(before, lambda connections: _become(connections[name], section))
    _write(before, {**before.connections, name: section}, draft, changed=name)


def delete_connection(file: Path, name: str) -> None:
    """
    Remove a connection from *file*; comments that stand before the next section stay with that.

    :raises SettingsError: when there is no such connection; the file is as it was
    """
    before = _read(file, name)
    left = {other: section for other, section in before.connections.items() if other != name}
    draft = _without(before.text, name)
    if not _reads_as(draft, before, left):
        draft = _changed(before, lambda connections: connections.pop(name))
    _write(before, left, draft)


class _Before:
    """A file as it stands, with its line ends told apart from its text; empty if it is not there."""

    def __init__(self, file: Path) -> None:
        raw = read_text(file) if file.exists() else ""
        self.file = file
        self.line_end = "\r\n" if "\r\n" in raw else "\n"
        self.text = raw.replace("\r\n", "\n")
        self.content = parse(self.text, file)
        self.connections: Mapping[str, dict[str, Any]] = self.content.get("connections", {})


def _read(file: Path, name: str | None = None) -> _Before:
    before = _Before(file)
    document = Document(file, before.content)
    document.check()
    if name is not None and name not in before.connections:
        document.choose(name)  # which says that it is not there
    return before


def _merged(section: Mapping[str, object], values: Mapping[str, object]) -> dict[str, object]:
    """Return *section* with *values* over it, all as TOML has them, and without the sections that are left empty."""
    merged = dict(section)
    for setting, value in values.items():
        if isinstance(value, Mapping):
            there = merged.get(setting)
            merged[setting] = _merged(there if isinstance(there, dict) else {}, value) or None
        else:
            merged[setting] = _plain(setting, value)
    return {setting: value for setting, value in merged.items() if value is not None}


def _plain(setting: str, value: object) -> object:
    match value:
        case timedelta():
            return value / DAY if setting == "window_in_days" else duration(value)
        case Path():
            return str(value)
        case Secret():
            return value.reveal()
        case tuple() | list():
            return list(value)
        case _:
            return value


def _become(section: Any, wanted: Mapping[str, object]) -> None:  # noqa: ANN401 (tomlkit's containers)
    """Change a section of the text, one value at a time, until it is as *wanted*."""
    for setting in [setting for setting in section if setting not in wanted]:
        del section[setting]
    for setting, value in wanted.items():
        if isinstance(value, dict):
            if setting not in section:
                section[setting] = tomlkit.table(is_super_table=all(isinstance(own, dict) for own in value.values()))
            _become(section[setting], value)
        elif setting not in section or section[setting] != value:
            section[setting] = value


def _changed(before: _Before, change: Callable[[Any], object]) -> str:
    try:
        document = tomlkit.parse(before.text)
        change(document["connections"])
        return tomlkit.dumps(document)
    except (TOMLKitError, TypeError, ValueError) as error:
        raise _refusal(before.file, type(error).__name__) from None


def _appended(text: str, name: str, section: Mapping[str, object]) -> str:
    try:
        added = tomlkit.dumps({"connections": {name: section}})
    except (TOMLKitError, TypeError, ValueError) as error:
        raise SettingsError("The settings hold a value that TOML has not.", reason=type(error).__name__) from None
    if text.strip():
        text = f"{text.rstrip()}\n\n"
    return f"{text}{added}"


def _without(text: str, name: str) -> str:
    """Return the text without the sections of a connection, but with what follows a blank line at their ends."""
    kept: list[str] = []
    between: list[str] = []
    inside = False
    for line in text.splitlines(keepends=True):
        if line.lstrip().startswith("["):
            inside = _is_header_of(line, name)
            kept.extend(between if not inside else ())
            between = [] if not inside else between
        if not inside:
            kept.append(line)
        elif not line.strip() or (between and line.lstrip().startswith("#")):
            between.append(line)
        else:
            between = []
    return "".join([*kept, *between]).lstrip("\n")


def _is_header_of(line: str, name: str) -> bool:
    try:
        return name in parse(line, Path()).get("connections", {})
    except (SettingsError, TypeError):
        return False


def _reads_as(draft: str, before: _Before, connections: Mapping[str, object]) -> bool:
    expected = {**before.content, "connections": connections}
    return {"connections": {}, **parse(draft, before.file)} == expected


def _check(document: Document, name: str) -> None:
    """Check the values of one connection as far as they can be without the catalog, the clock and the keys."""
    where = document.where(f"connections.{name}")
    section = document.connections[name]
    given = {setting: Given(value, where) for setting, value in section.items()}
    for setting, check in FORMS.items():
        if setting in given:
            checked(setting, given[setting], check)
    for setting, check in key.CHECKS.items():
        if setting in given and not key.reference(section[setting])[0]:
            checked(setting, given[setting], check)
    if "ca_bundle" in given:
        checked("ca_bundle", given["ca_bundle"], lambda value: addresses.ca_bundle(value, base=document.path.parent))
    wanted = section.get("destination")
    for one in wanted if isinstance(wanted, list) else [wanted]:
        document.destination(None if one is None else Given(one, where), given.get("dataset"))
    for table, own in document.tables(name).items():
        of_table: Mapping[str, Callable[[object], object]] = {**FORMS, "lists": partial(forms.lists, table=table)}
        for setting, value in own.items():
            checked(setting, Given(value, document.where(f"connections.{name}.table.{table}")), of_table[setting])


def _write(before: _Before, connections: Mapping[str, object], draft: str, *, changed: str | None = None) -> None:
    """Write the draft once it reads as *connections* and all else as before, and the changed one is right."""
    document = Document.parse(draft, before.file)
    if changed is not None:
        _check(document, changed)
    if not _reads_as(draft, before, connections):
        raise _refusal(before.file, "it would come out wrong")
    _replace(before.file.resolve(), draft.replace("\n", before.line_end).encode())


def _refusal(file: Path, reason: str) -> SettingsError:
    return SettingsError(
        "The settings file cannot be changed without harm.", hint="Change it by hand.", file=file, reason=reason
    )


def _replace(file: Path, content: bytes) -> None:
    """Put *content* in the place of the file, at once and whole; its mode stays."""
    try:
        mode = file.stat().st_mode & 0o777 if file.exists() else NEW_FILE_MODE
        with _draft(file) as (descriptor, draft):
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            draft.chmod(mode)
            draft.replace(file)
    except OSError as error:
        raise SettingsError("The settings file cannot be written.", file=file, reason=error.strerror) from None


@contextlib.contextmanager
def _draft(file: Path) -> Iterator[tuple[int, Path]]:
    """A new file beside *file*, readable by its owner alone, which is gone afterwards under its own name."""
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        yield descriptor, Path(name)
    finally:
        Path(name).unlink(missing_ok=True)
