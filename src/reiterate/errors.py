"""
Every error that Reiterate raises for a reason that a person can understand.

The groups say what the runner does next::

    ReiterateError
    ├── SettingsError            a person acts; nothing was requested, nothing changed
    │   └── ConnectionMismatch   the dataset belongs to another connection
    ├── SourceError              Iterable said no, for good; this table stops, the others go on
    │   ├── Unauthorized         the key was refused: wrong key or other region
    │   ├── Forbidden            the key is right, but lacks the right to this resource
    │   ├── NotOffered           Iterable does not know this resource in this project
    │   ├── IncompleteRead       a total disagrees with what arrived
    │   ├── BrokenAnswer         what arrived with status 200 is not what was asked for
    │   ├── MalformedRow         what arrived is not the JSON that was promised
    │   ├── ExportCut            an export broke off; a smaller window may pass
    │   ├── LinkExpired          a link to a file of an export job is too old; a new one helps
    │   ├── JobsRefused          export jobs cannot be used; the direct lane can
    │   ├── SpoolError           raw files cannot be written, or do not fit
    │   ├── GatewayError         the egress route failed before Iterable was reached
    │   └── Unreachable          Iterable did not answer, retries included
    ├── TransientError           never leaves ``api/``; after the last try it becomes a SourceError
    ├── LoadError                the destination refused a load; nothing of it was kept
    │   ├── RowsRefused          some rows, for their data; they are looked for, and the others loaded
    │   ├── SchemaFrozen         rows would change the columns of a table that is to stay as it is
    │   ├── MostRowsGone         a read would take most rows of a table; a person decides
    │   ├── DestinationBusy      another process holds the destination
    │   │   └── LockLost         another process took the destination over during a sync, which gives up
    │   └── HeldUp               the same load may pass in a while
    │       ├── TableLocked      somebody holds a lock on a table
    │       └── ConnectionLost   the connection to the destination broke
    ├── NotEnoughMemory          the system gives no more memory, or threads
    └── Stopped                  a person or a signal asked to stop; what is committed stays
"""

from __future__ import annotations

import sys
from typing import Any, ClassVar

from reiterate.printable import printable
from reiterate.secret import masked


class ReiterateError(Exception):
    """
    Something went wrong.

    The first line of a subclass's docstring is its message unless *what* is given. *facts* travel as keyword
    arguments and are shown behind the message; ``hint`` says what to do. Secrets that stand in any of them are masked,
    and in the error of others that is dealt with meanwhile: a traceback shows it, too.
    """

    hint: ClassVar[str] = ""

    def __init__(self, what: str = "", /, *, hint: str = "", **facts: object) -> None:
        self.what = masked(what or (type(self).__doc__ or "").strip().splitlines()[0])
        self.facts: dict[str, Any] = {name: _masked(fact) for name, fact in facts.items() if fact is not None}
        self.advice = masked(hint or type(self).hint)
        super().__init__(self.what)
        _mask(sys.exception())

    def __str__(self) -> str:
        facts = ", ".join(f"{name}={fact}" for name, fact in self.facts.items())
        return printable(" ".join(part for part in (self.what, f"({facts})" if facts else "", self.advice) if part))


def _masked(fact: object) -> object:
    """Return *fact* as it is unless a secret shows in its text, which is returned without it then."""
    text = str(fact)
    shown = masked(text)
    return fact if shown == text else shown


def _mask(error: BaseException | None) -> None:
    """Mask what *error*, and what it came from, would say."""
    while error is not None:
        if not isinstance(error, ReiterateError):
            error.args = tuple(map(_masked, error.args))
        error = error.__cause__ or error.__context__


class SettingsError(ReiterateError):
    """A setting is wrong."""


class ConnectionMismatch(SettingsError):
    """This dataset holds the data of another connection."""

    hint = (
        "Give this connection a dataset of its own with `dataset`; or, if both are the same project, name it as the "
        "dataset's connection is named."
    )


class SourceError(ReiterateError):
    """Iterable refused the request."""


class Unauthorized(SourceError):
    """The API key was refused."""

    hint = "Check the region of the connection, and that the key is a server-side key of this project."


class Forbidden(SourceError):
    """The API key is valid, but has no right to this resource."""

    hint = "Use a server-side key with this right, or leave the table out with `tables`."


class NotOffered(SourceError):
    """Iterable does not offer this resource to this project."""

    hint = "Leave the table out with `tables`."


class IncompleteRead(SourceError):
    """What arrived disagrees with the total that Iterable reports."""

    hint = "Nothing was loaded; the next sync reads the table again."


class BrokenAnswer(SourceError):
    """An answer is not what was asked for."""

    hint = (
        "The table keeps what it had; the next sync reads it again. If this stays, look for a proxy or a portal that "
        "answers in Iterable's place."
    )


class MalformedRow(SourceError):
    """A response holds something that is not valid JSON."""

    hint = "Nothing of this response was loaded; the next sync reads it again."


class ExportCut(SourceError):
    """An export broke off before its end."""

    hint = "Nothing of this window was loaded; the next sync reads it again."


class LinkExpired(SourceError):
    """A link to a file of an export job is no longer valid."""

    hint = "Nothing of this window was loaded; the next sync reads it again."


class JobsRefused(SourceError):
    """Export jobs cannot be used with this API key; everything goes by direct exports."""

    hint = "Read-only keys may be refused; a key that may start export jobs makes a first sync faster."


class SpoolError(SourceError):
    """Raw files cannot be written beside the destination."""

    hint = "Make room on the disk, and look at the rights of the directory; the next sync reads what is missing."


class GatewayError(SourceError):
    """The data gateway could not be passed."""

    hint = "Check `data_gateway`, its credentials, and that it may reach Iterable."


class Unreachable(SourceError):
    """Iterable did not answer."""

    hint = "Check the network, `region` and the API address; then run the sync again."


HOPELESS = (Unauthorized, GatewayError, Unreachable)
"""After such an error no other request would fare better."""


class TransientError(ReiterateError):
    """
    A request failed in a way that a later try may survive.

    It is tried up to *tries* times in all, after *retry_after_s* seconds if Iterable named a time; then it becomes a
    SourceError of the class *becomes*.
    """

    def __init__(
        self,
        what: str = "",
        /,
        *,
        becomes: type[SourceError],
        tries: int,
        retry_after_s: float | None = None,
        **facts: Any,  # noqa: ANN401 (passed on as they are)
    ) -> None:
        super().__init__(what, **facts)
        self.becomes = becomes
        self.tries = tries
        self.retry_after_s = retry_after_s

    def final(self) -> SourceError:
        """Return the error that this one is once no further try is made."""
        return self.becomes(self.what, hint=self.advice, **(self.facts | {"tries": self.tries}))


class LoadError(ReiterateError):
    """The destination refused a load."""

    hint = "Nothing of this load was kept; the next sync loads it again."


class RowsRefused(LoadError):
    """The destination refused rows for their data."""


class SchemaFrozen(LoadError):
    """These rows would change the columns of a table whose schema is frozen."""

    hint = "Set schema_policy to evolve or discard for the table, or leave the fields out with omit_columns."


class MostRowsGone(LoadError):
    """Most rows of a table would go: what Iterable listed now lacks them."""


class DestinationBusy(LoadError):
    """Another process holds the destination."""

    hint = "Wait until it has finished, or close the program that has the database open, and try again."


class LockLost(DestinationBusy):
    """Another process has taken over the destination."""

    hint = "What was committed stays, and this sync writes nothing more. Run one at a time; the next one goes on."


class HeldUp(LoadError):
    """
    The destination could not do a load now.

    It is tried again after each of *pauses_s* (seconds).
    """

    pauses_s: ClassVar[tuple[float, ...]] = ()


class TableLocked(HeldUp):
    """Somebody holds a lock on a table."""

    hint = "Let them end their transaction, or end it for them; the next sync loads what is missing."
    pauses_s = (2.0, 2.0, 2.0, 2.0, 2.0)


class ConnectionLost(HeldUp):
    """The connection to the destination broke."""

    hint = "Check the network and the server; the next sync loads what is missing."
    pauses_s = (0.1, 1.0, 2.0, 4.0, 8.0)


class NotEnoughMemory(ReiterateError):
    """The system does not give enough memory, or threads."""

    hint = "Raise the limit (ulimit -v, ulimit -u, or that of the container); what is committed stays."


class Stopped(ReiterateError):
    """The sync was asked to stop."""
