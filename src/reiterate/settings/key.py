"""The API key: itself, or where a reference finds it. No message holds a key, not even one given as a reference."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from reiterate.errors import SettingsError
from reiterate.secret import HIDDEN
from reiterate.settings import values
from reiterate.settings.given import Given, Wrong, checked, looked_at

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reiterate.secret import Secret

KEYRING_SERVICE = "reiterate"
KINDS = ("env", "file", "keyring")
LIKE_A_KEY = re.compile(r"[0-9A-Za-z]{24,}|[0-9a-f]{16,}")
"""A name that may be a key, which a person put behind ``env:`` by mistake. Iterable's keys are 32 hex digits."""
LONGEST_KEY = 4096


CHECKS = {"api_key": values.api_key, "hash_salt": values.salt}


def resolve(given: Given, *, environ: Mapping[str, str], base: Path, setting: str = "api_key") -> Secret:
    """
    Return the key, or another secret *setting*, that *given* is or refers to.

    A relative ``file:PATH`` counts from *base*.

    :raises SettingsError: when the reference leads nowhere or what it leads to is no key
    """
    return checked(setting, follow(given, environ=environ, base=base, setting=setting), CHECKS[setting])


def follow(given: Given, *, environ: Mapping[str, str], base: Path, setting: str) -> Given:
    """
    Return what *given* refers to; itself, if it is no reference.

    :raises SettingsError: when the reference leads nowhere
    """
    kind, name = reference(given.value)
    if not kind:
        return given
    shown = f"{kind}:{HIDDEN if LIKE_A_KEY.fullmatch(name) else name}"
    try:
        found = _look_up(kind, name, environ=environ, base=base)
    except Wrong as wrong:
        raise SettingsError(
            f"The setting {setting} refers to {shown!r}, but {wrong.reason}.",
            hint=f"Accepted: {wrong}.",
            source=given.source,
        ) from None
    return Given(found, f"{shown} in {given.source}")


def reference(value: object) -> tuple[str, str]:
    """Return kind and name of a reference; two empty texts for anything else."""
    kind, colon, name = value.strip().partition(":") if isinstance(value, str) else ("", "", "")
    return (kind.lower(), name.strip()) if colon and kind.lower() in KINDS else ("", "")


def _look_up(kind: str, name: str, *, environ: Mapping[str, str], base: Path) -> str:
    if not name:
        raise Wrong("env:NAME, file:PATH or keyring:NAME", reason="nothing stands behind the colon")
    match kind:
        case "env":
            return _from_environment(name, environ)
        case "file":
            return _from_file(base / looked_at(Path(name)))
        case _:
            return _from_keyring(name)


def _from_environment(name: str, environ: Mapping[str, str]) -> str:
    if name not in environ:
        raise Wrong("the name of an environment variable that holds the key", reason="this variable is not set")
    return environ[name]


def _from_file(path: Path) -> str:
    accepted = "a text file whose first line is the key"
    try:
        with path.open("rb") as file:
            first = file.readline(LONGEST_KEY).decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise Wrong(accepted, reason="this file is not UTF-8 text") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no such path"
        raise Wrong(accepted, reason=f"this file cannot be read ({reason.lower()})") from None
    if not first:
        raise Wrong(accepted, reason="the first line of this file is empty")
    return first


def _from_keyring(name: str) -> str:
    import keyring.errors  # noqa: PLC0415 (few keys stand there, and it takes long to come)

    accepted = f"the name of an entry in the keyring of this machine; add one: keyring set {KEYRING_SERVICE} NAME"
    try:
        found = keyring.get_password(KEYRING_SERVICE, name)
    except keyring.errors.NoKeyringError:
        raise Wrong("env:NAME or file:PATH", reason="this machine has no keyring") from None
    except keyring.errors.KeyringError as error:
        raise Wrong(accepted, reason=f"the keyring cannot be read ({type(error).__name__})") from None
    if found is None:
        raise Wrong(accepted, reason="the keyring has no such entry")
    return found


def others_can_read(path: Path) -> bool:
    """Tell whether group or world may read *path*; on Windows, where modes say nothing, that they may not."""
    return os.name == "posix" and path.exists() and bool(path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))
