"""What templates are made of: a call for each template, and one for each of its languages (FACTS.md 12)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reiterate.api import NotAnAnswer
from reiterate.extract import listings
from reiterate.extract.children import still_there

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from reiterate.api import Caller, Downloaded, Form
    from reiterate.catalog.model import Contents
    from reiterate.extract.listings import Row
    from reiterate.extract.metadata import Mapper
    from reiterate.flow import Task

ID, OWN_ID = "templateId", "clientTemplateId"


def templates(read: Contents, caller: Caller) -> list[Row]:
    """Return the templates that are listed, and those that something else names because their medium is not."""
    found = {row[ID]: row for row in listings.all_rows(read.listed, caller)}
    listed = {dict(call).get(read.medium) for call in read.listed.calls}
    others = {medium for medium, _ in read.media} - listed
    for row in listings.all_rows(read.others, caller):
        if row.get(read.medium) in others and row.get(ID) is not None:
            found.setdefault(row[ID], {ID: row[ID], read.medium: row[read.medium]})
    return [found[key] for key in sorted(found)]


def fetch(task: Task, read: Contents, caller: Caller, target: Path, *, pool: Mapper) -> Downloaded:
    """
    Write a row for each template and language to *target*; return how much that is.

    :raises SourceError: when a template that is still there is refused
    """
    found = still_there(
        lambda template: list(_languages(read, caller, template)),
        templates(read, caller),
        again=lambda: templates(read, caller),
        key=ID,
        pool=pool,
    )
    return listings.write(task, (row for rows in found for row in rows), caller, target)


def _languages(read: Contents, caller: Caller, template: Row) -> Iterator[Row]:
    path = read.path.replace("{}", dict(read.media)[template[read.medium]])
    params = {ID: str(template[ID])}
    content = _content(path, params, caller)
    yield {**template, **content}
    own_id = template.get(OWN_ID) or content.get(OWN_ID)
    for locale in _locales(read, caller, template, str(own_id)) if own_id else ():
        if locale == content.get("locale"):
            continue
        yield {**template, **_content(path, {**params, "locale": locale}, caller), "locale": locale}


def _content(path: str, params: Mapping[str, str], caller: Caller) -> Row:
    return caller.json(path, params, form=content_of(params[ID]))


def content_of(template_id: str) -> Form[Row]:
    """Return the form of the content of a template."""

    def form(content: Any) -> Row:  # noqa: ANN401 (JSON is any)
        if not isinstance(content, dict) or str(content.get(ID)) != template_id:
            raise NotAnAnswer(f"An answer is not the template with the `{ID}` {template_id}.")
        return content

    return form


def _locales(read: Contents, caller: Caller, template: Row, own_id: str) -> list[str]:
    def form(answer: Any) -> list[str]:  # noqa: ANN401 (JSON is any)
        entries = answer.get("templates") if isinstance(answer, dict) else None
        if not isinstance(entries, list) or not all(_names_locales(entry) for entry in entries):
            raise NotAnAnswer(f"An answer has no list `templates` of objects with a `{ID}` and `locales`.")
        return [locale for entry in entries if entry[ID] == template[ID] for locale in entry.get("locales") or ()]

    return caller.json(read.locales, {OWN_ID: own_id}, form=form)


def _names_locales(entry: Any) -> bool:  # noqa: ANN401 (JSON is any)
    if not isinstance(entry, dict) or ID not in entry:
        return False
    locales = entry.get("locales") or []
    return isinstance(locales, list) and all(isinstance(locale, str) for locale in locales)
