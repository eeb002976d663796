"""Changing ``reiterate.toml``: comments and order stay, a wrong change leaves the file as it was."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from reiterate.errors import SettingsError
from reiterate.settings.load import Document

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tomlkit import TOMLDocument


def list_connections(file: Path) -> list[str]:
    """Return the names of the connections in *file*; none if there is no such file."""
    return list(Document.read(file, {}).sections("connections")) if file.exists() else []


def save_connection(file: Path, name: str, values: Mapping[str, object]) -> None:
    """Add a connection to *file*, which is created for its owner alone if it is not there."""
    document = _read(file)
    connections = document.setdefault("connections", tomlkit.table(is_super_table=True))
    if name in connections:
        raise SettingsError(f"There is a connection {name} already.", file=file)
    connections.append(name, _table(values))
    _write(file, document)


def update_connection(file: Path, name: str, values: Mapping[str, object]) -> None:
    """Change settings of a connection; nothing as a value removes a setting, sections are changed inside."""
    document = _read(file)
    _update(_section(document, file, name), values)
    _write(file, document)


def delete_connection(file: Path, name: str) -> None:
    """Remove a connection from *file*."""
    document = _read(file)
    _section(document, file, name)
    document["connections"].remove(name)
    _write(file, document)


def _section(document: TOMLDocument, file: Path, name: str) -> Any:  # noqa: ANN401 (tomlkit's containers)
    connections: Any = document.get("connections", {})
    if name not in connections:
        raise SettingsError(f"There is no connection {name}.", file=file, connections=", ".join(connections) or "none")
    return connections[name]


def _update(section: Any, values: Mapping[str, object]) -> None:  # noqa: ANN401
    for setting, value in values.items():
        if value is None:
            section.pop(setting, None)
        elif isinstance(value, dict):
            if setting not in section:
                section[setting] = tomlkit.table(is_super_table=True)
            _update(section[setting], value)
        else:
            section[setting] = value


def _table(values: Mapping[str, object]) -> Any:  # noqa: ANN401
    table = tomlkit.table()
    _update(table, values)
    return table


def _read(file: Path) -> TOMLDocument:
    if not file.exists():
        return tomlkit.document()
    Document.read(file, {})
    try:
        return tomlkit.parse(file.read_text(encoding="utf-8"))
    except TOMLKitError:
        raise SettingsError("The settings file is not valid TOML.", file=file) from None


def _write(file: Path, document: TOMLDocument) -> None:
    text = tomlkit.dumps(document)
    Document.parse(text, file)
    mode = file.stat().st_mode & 0o777 if file.exists() else 0o600
    try:
        descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    except OSError as error:
        raise SettingsError("The settings file cannot be written.", file=file, reason=error.strerror) from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as draft:
        draft.write(text)
    Path(name).chmod(mode)
    Path(name).replace(file)
