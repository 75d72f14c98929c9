"""Room: its policy and its current members (PROTOCOL.md, Rooms). Pure; takes `now`."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from typing import Protocol

from chatproto.rooms.policy import BanRecord, Role, RoomPolicy, subject
from chatproto.wire.fields import fold
from chatproto.wire.room_fields import Occupant

LOBBY = "#lobby"
"""Room of the lobby's port. It always exists and has no owner."""
_SHOWN = {Role.OWNER: "owner", Role.OP: "op"}


class Member(Hashable, Protocol):
    """Connection that proved a key; `client_id` is its registered id, or None."""

    key: str
    host: str
    client_id: str | None


class Room:
    """Room with its policy, which is replaced as a whole, and its current members."""

    def __init__(self, policy: RoomPolicy) -> None:
        self.name = policy.name
        self.policy = policy
        self.members: dict[str, Member] = {}
        """Members with a key, by id."""
        self.here: Mapping[str, Member] = self.members
        """Members with a key that are connected to this server; all of them if it shares no rooms."""
        self.plain: set[str] = set()
        """Names of raw-text members."""
        self._sorted: list[str] = []
        self._members_alike: Counter[str] = Counter()  # by folded id
        self._plain_alike: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._sorted)

    # Members.

    def add(self, client_id: str, member: Member | None) -> None:
        """Add a member under its id; `member` is None for a raw-text client."""
        if client_id not in self.members and client_id not in self.plain:
            insort(self._sorted, client_id)
        if member is None and client_id not in self.plain:
            self.plain.add(client_id)
            self._plain_alike[fold(client_id)] += 1
        elif member is not None:
            if client_id not in self.members:
                self._members_alike[fold(client_id)] += 1
            self.members[client_id] = member

    def remove(self, client_id: str) -> None:
        """Remove a member, if it is there."""
        if client_id in self.members or client_id in self.plain:
            del self._sorted[bisect_left(self._sorted, client_id)]
        if self.members.pop(client_id, None) is not None:
            _less(self._members_alike, fold(client_id))
        if client_id in self.plain:
            self.plain.discard(client_id)
            _less(self._plain_alike, fold(client_id))

    def has_member_like(self, name: str) -> bool:
        """Return True if the id of a member with a key looks like `name`."""
        return fold(name) in self._members_alike

    def has_plain_like(self, name: str) -> bool:
        """Return True if the name of a raw-text member looks like `name`."""
        return fold(name) in self._plain_alike

    def occupants(self, after: str, most: int, now: float) -> Iterator[Occupant]:
        """List at most `most` members with ids after `after`, with their roles."""
        begin = bisect_right(self._sorted, after)
        for client_id in self._sorted[begin : begin + most]:
            yield Occupant(client_id, self.shown_role(client_id, now))

    def page(self, after: str, most: int, now: float) -> tuple[str, tuple[Occupant, ...]]:
        """Return at most `most` members with ids after `after`, and the last id if there are more."""
        found = tuple(self.occupants(after, most + 1, now))
        return (found[most - 1].id if len(found) > most else ""), found[:most]

    def shown_role(self, client_id: str, now: float) -> str:
        """Return a member's role in the protocol's words: owner, op, member, muted or open."""
        member = self.members.get(client_id)
        who = subject(client_id, member.key if member is not None else "")
        if self.policy.is_muted(who, now):
            return "muted"
        if member is None:
            return "open"
        return _SHOWN.get(self.policy.role(member.key, now), "member")

    def keepers(self, now: float) -> list[Member]:
        """Return the owner and the ops that are in the room now."""
        role = self.policy.role
        return [one for one in self.members.values() if role(one.key, now) >= Role.OP]

    def covered(self, ban: BanRecord, now: float) -> Iterator[str]:
        """Yield the ids of members that `ban` covers."""
        for client_id, member in self.members.items():
            if ban.covers(client_id, member.key, member.host, now):
                yield client_id
        if ban.kind == "id":
            yield from (name for name in self.plain if fold(name) == ban.value)


def _less(counts: Counter[str], name: str) -> None:
    counts[name] -= 1
    if not counts[name]:
        del counts[name]
