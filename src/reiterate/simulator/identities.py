"""
Who people are, and how that changes: merged, renamed, deleted, forgotten users (FACTS.md 14.4).

An identifier is an email address or, where no user has it as one, a userId.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from reiterate.simulator.entities import hashes
from reiterate.simulator.timeline import encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from reiterate.simulator.people import Person
    from reiterate.simulator.world import World

Row = dict[str, Any]

NAMES = ("itblUserId", "email", "userId")
"""By what events name users; the first that both an event and a user have tells whether it is his."""


class Identities:
    """The identities of the users of *world*, their events and memberships."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._forgotten: dict[str, dict[str, str]] = {}

    def person(self, identifier: str) -> Person | None:
        """Return the user with this email address or, if there is none, with this userId."""
        for name in ("email", "userId"):
            for person in self._world.people:
                if name in person.profile and str(person.profile[name]) == identifier:
                    return person
        return None

    def delete(self, identifier: str) -> None:
        """Remove a user, his memberships and events; events of an address without a profile go, too."""
        person = self.person(identifier)
        if person is not None:
            self._world.people.remove(person)
        who = person.who if person else {"email": identifier, "userId": identifier}
        for names in self._world.members.values():
            names.difference_update(str(value) for value in who.values())
        self._rewrite(who, lambda _: None)

    def forget(self, identifier: str) -> None:
        """Delete a user, and list the hashes of his identifiers, of the kinds that the project has."""
        person = self.person(identifier)
        who = person.who if person else {"email" if "@" in identifier else "userId": identifier}
        self.delete(identifier)
        hashed = self._world.entities.forgotten
        self._forgotten[identifier] = noted = {}
        for name, listed in (("email", "hashedEmails"), ("userId", "hashedUserIds")):
            if name in who and listed in hashed:
                (noted[listed],) = hashes(str(who[name]))
                if noted[listed] not in hashed[listed]:
                    hashed[listed].append(noted[listed])

    def unforget(self, identifier: str) -> None:
        """Remove the hashes that forgetting *identifier* listed; what was deleted does not come back."""
        (alone,) = hashes(identifier)
        noted = self._forgotten.pop(identifier, {"hashedEmails": alone, "hashedUserIds": alone})
        for listed, value in noted.items():
            found = self._world.entities.forgotten.get(listed, [])
            if value in found:
                found.remove(value)

    def change_email(self, old: str, new: str, *, at_s: int) -> None:
        """Rename a user; his events are listed under the new address, with their ids and times."""
        person = self._existing(old)
        (hashed,) = hashes(new)
        if self.person(new) or hashed in self._world.entities.forgotten.get("hashedEmails", ()):
            raise ValueError(f"{new} is the address of another user, or of one who was forgotten.")
        self._rename(person, person.who | {"email": new}, at_s=at_s)

    def merge(self, source: str, destination: str, *, at_s: int) -> None:
        """
        Merge *source* into *destination*, which keeps its own fields and gets those it lacks; its time of change moves.

        Events keep their ids and times. Without a destination the source is renamed.
        """
        leaving, staying = self._existing(source), self.person(destination)
        if staying is leaving:
            raise ValueError(f"{source} and {destination} are one user.")
        if staying is None:
            name = "email" if "email" in leaving.profile and "@" in destination else "userId"
            self._rename(leaving, leaving.who | {name: destination}, at_s=at_s)
            return
        self._move_events(leaving.who, staying.who)
        self._world.people.remove(leaving)
        for names in self._world.members.values():
            names.discard(leaving.list_name)
        known = {*staying.profile, *NAMES}
        staying.change(at_s, {name: value for name, value in leaving.profile.items() if name not in known})

    def merge_newest(self, *, at_s: int) -> None:
        """Merge the user who got the newest email into the first other one; nothing happens where there are no two."""
        lines = self._world.timelines["emailSend"].lines
        newest = json.loads(lines[-1]) if lines else {}
        leaving = next((person for person in self._world.people if is_his(newest, person.who)), None)
        staying = next((person for person in self._world.people if person is not leaving), None)
        if leaving and staying:
            self.merge(leaving.list_name, staying.list_name, at_s=at_s)

    def _existing(self, identifier: str) -> Person:
        if (person := self.person(identifier)) is None:
            raise ValueError(f"There is no user {identifier}.")
        return person

    def _rename(self, person: Person, who: Row, *, at_s: int) -> None:
        before, listed = person.who, person.list_name
        person.change(at_s, who)
        for names in self._world.members.values():
            if listed in names:
                names.remove(listed)
                names.add(person.list_name)
        self._move_events(before, who)

    def _move_events(self, before: Row, after: Row) -> None:
        self._rewrite(before, lambda row: {**after, **{name: row[name] for name in row if name not in NAMES}})

    def _rewrite(self, who: Row, change: Callable[[Row], Row | None]) -> None:
        """Let *change* make something else of each event of a user; without a result it goes."""
        needles = [json.dumps(value, ensure_ascii=False).encode() for value in who.values()]
        for timeline in self._world.timelines.values():
            kept = []
            for at, shows_at, line in zip(timeline.at, timeline.shows_at, timeline.lines, strict=True):
                if not any(needle in line for needle in needles) or not is_his(row := json.loads(line), who):
                    kept.append((at, shows_at, line))
                elif (changed := change(row)) is not None:
                    kept.append((at, shows_at, encode(changed)))
            timeline.fill(kept)


def is_his(event: Row, who: Row) -> bool:
    """Return whether an event is that of a user."""
    name = next((name for name in NAMES if name in event and name in who), None)
    return name is not None and bool(event[name] == who[name])
