"""
A new DuckDB file is made under another name and put in place whole: no kill and no full disk leaves half of one.

    .reiterate-5f0c2a91.new ─► made by DuckDB ─► on disk ─► shop.duckdb

What an older version left half made is replaced, and nothing else is.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from typing import TYPE_CHECKING

import duckdb

from reiterate.errors import DestinationBusy, LoadError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEADERS_BYTES = 12_288
"""A DuckDB file begins with three headers; rows lie behind them."""

MAGIC, MAGIC_AT = b"DUCK", 8

UNFINISHED = ".reiterate-*.new*"

NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP}
"""What a person has set wrong; anything else, such as a full disk, is no setting."""


def is_busy(error: duckdb.Error) -> bool:
    """Return whether a file cannot be opened for another process, or another connection of this one, has it open."""
    return "Could not set lock" in str(error) or isinstance(error, duckdb.ConnectionException)


def make(path: Path) -> None:
    """
    Make an empty DuckDB file at *path* if there is none, or half of one; one that is there is not touched.

    A link is followed. Of two processes that do so at once, one makes it.

    :raises SettingsError: when it cannot be made there
    :raises LoadError: when there is no room
    :raises DestinationBusy: when another process has it open
    """
    with _told(path):
        file = path.resolve()
        if _lacks(path, file):
            with _alone_in(file.parent):
                for left in file.parent.glob(UNFINISHED):
                    left.unlink(missing_ok=True)
                # another process may have made it meanwhile
                if _lacks(path, file):
                    _put(file)


def is_there(path: Path) -> bool:
    """
    Return whether there is anything at *path*, and more than half a file.

    :raises SettingsError: when that cannot be seen
    :raises DestinationBusy: when another process has it open
    """
    with _told(path):
        return not _lacks(path, path.resolve())


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """Tell people what cannot be done at *path*."""
    try:
        yield
    except (OSError, RuntimeError) as error:  # a circle of links is the latter
        reason = getattr(error, "strerror", None) or str(error)
        if isinstance(error, OSError) and error.errno not in NOT_ALLOWED:
            raise LoadError("The destination cannot be made.", destination=path, reason=reason) from error
        raise SettingsError(
            "The destination cannot be opened.",
            hint="Name a DuckDB file that you may read and write, or a new one.",
            destination=path,
            reason=reason,
        ) from error
    except duckdb.Error as error:
        raise LoadError(
            "The destination cannot be made.", hint="Make room on the disk.", destination=path, reason=str(error)
        ) from error


def _lacks(path: Path, file: Path) -> bool:
    """Return whether *file*, to which *path* leads, is not there, or is half made."""
    try:
        size = file.stat().st_size
    except FileNotFoundError:
        return True
    if size > HEADERS_BYTES or not file.is_file() or _has_log(path) or _has_log(file):
        return False
    try:
        begins = file.read_bytes()[: MAGIC_AT + len(MAGIC)]
    except PermissionError:
        return False
    return not size or (begins[MAGIC_AT:] == MAGIC and not _opens(file))


def _has_log(file: Path) -> bool:
    """Return whether rows that are committed stand beside *file* and not in it yet."""
    return any(each.name.startswith(f"{file.name}.") and each.name.endswith(".wal") for each in file.parent.iterdir())


def _opens(file: Path) -> bool:
    try:
        duckdb.connect(str(file), read_only=True).close()
    except duckdb.Error as error:
        if is_busy(error):
            raise DestinationBusy(destination=file, reason=str(error).partition("\n")[0]) from error
        return False
    return True


def _put(file: Path) -> None:
    new = file.with_name(f".reiterate-{secrets.token_hex(4)}.new")
    try:
        # what must not be is told in the words of the system
        os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        new.unlink()
        duckdb.connect(str(new)).close()
        sync(new)
        new.replace(file)
    finally:
        for left in file.parent.glob(f"{new.name}*"):
            left.unlink(missing_ok=True)
    sync(file.parent)


def sync(path: Path) -> None:
    """Let a file, or the names in a directory, outlive the power; a directory where the system can."""
    if path.is_dir():
        with contextlib.suppress(OSError):
            _sync(path, os.O_RDONLY)
    else:
        _sync(path, os.O_RDWR)


def _sync(path: Path, how: int) -> None:
    descriptor = os.open(path, how)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """Keep other processes of this machine from making files in *directory*, where the system can."""
    try:
        import fcntl  # noqa: PLC0415 (not on Windows)
    except ImportError:
        yield
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # of some networks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
