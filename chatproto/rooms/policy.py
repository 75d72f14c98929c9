"""Policy of a room: its settings, roles, mutes, invitations and bans, as one immutable value.

A change returns a new policy with the next version. A store can therefore reject it if the room has been
changed by another request meanwhile.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import field, replace
from enum import IntEnum
from ipaddress import ip_address, ip_network
from typing import Any, NamedTuple

from chatproto.wire.bcp2_common import plain_ip
from chatproto.wire.errors import NotAdmitted, RemoteError
from chatproto.wire.fields import fold
from chatproto.wire.values import distinct, value_class

FOREVER = float("inf")


class Role(IntEnum):
    """Role of a client in a room; OPERATOR is the server's operator, in every room."""

    OUTSIDER = 0
    MEMBER = 1
    OP = 2
    OWNER = 3
    OPERATOR = 4


_ALL_INSIDE = frozenset({Role.MEMBER, Role.OP, Role.OWNER, Role.OPERATOR})
_OPS = frozenset({Role.OP, Role.OWNER, Role.OPERATOR})
_OWNERS = frozenset({Role.OWNER, Role.OPERATOR})
TABLE: dict[str, frozenset[Role]] = {
    "SAY": _ALL_INSIDE,
    "HISTORY": _ALL_INSIDE,
    "NAMES": _ALL_INSIDE,
    "PART": _ALL_INSIDE,
    "TOPIC": _OPS,
    "KICK": _OPS,
    "BAN": _OPS,
    "UNBAN": _OPS,
    "MUTE": _OPS,
    "INVITE": _OPS,
    "OP": _OWNERS,
    "SETTINGS": _OWNERS,
}
"""Roles that may make each request, by its method."""
OVER: dict[Role, frozenset[Role]] = {
    Role.OUTSIDER: frozenset(),
    Role.MEMBER: frozenset(),
    Role.OP: frozenset({Role.OUTSIDER, Role.MEMBER}),
    Role.OWNER: frozenset({Role.OUTSIDER, Role.MEMBER, Role.OP}),
    Role.OPERATOR: frozenset({Role.OUTSIDER, Role.MEMBER, Role.OP, Role.OWNER}),
}
"""Roles of the targets that each role may act on (kick, ban, mute, op, invite)."""


@distinct
class BanRecord(NamedTuple):
    """Ban of an id, a key or an address from a room.

    `kind` is "id", "key" or "address". For an id, `value` is its folded form and `key` the key that
    registered it. `until` is in seconds since 1970.
    """

    kind: str
    value: str
    until: float = FOREVER
    key: str = ""

    def covers(self, client_id: str, key: str, host: str, now: float) -> bool:
        """Return True if the ban is in force for the id, the key or the address."""
        if self.until <= now:
            return False
        if self.kind == "id":
            return fold(client_id) == self.value or (bool(key) and key == self.key)
        if self.kind == "key":
            return self.value == key
        return bool(host) and self.value == network(host)


@value_class
class RoomPolicy:
    """Settings of a room, which are stored while it has no members.

    Args: owner: key of the owner, "" for the lobby. secret: hash of the room's key, or "". history:
    whether lines are stored. used: last time that the room had a member, in seconds. ops, mutes,
    invited: the end of each, in seconds, by key; for raw-text members of the lobby, by `subject`.
    bans: by kind and value. version: number of changes since it was created or read; not stored in files.
    """

    name: str
    owner: str = ""
    topic: str = ""
    secret: str = ""
    invited_only: bool = False
    history: bool = True
    used: float = 0.0
    ops: Mapping[str, float] = field(default_factory=dict)
    mutes: Mapping[str, float] = field(default_factory=dict)
    invited: Mapping[str, float] = field(default_factory=dict)
    bans: Mapping[tuple[str, str], BanRecord] = field(default_factory=dict)
    version: int = 0

    @property
    def is_open(self) -> bool:
        """True if every client may join; only such rooms are listed."""
        return not self.secret and not self.invited_only

    def outline(self, members: int) -> str:
        """Describe the room in one line, for the operator."""
        topic = f", topic: {self.topic}" if self.topic else ""
        closed = "" if self.is_open else ", not open to all"
        return f"{self.name}: {members} member{'' if members == 1 else 's'}{closed}{topic}"

    # Permissions.

    def role(self, key: str, now: float, inside: bool = True) -> Role:
        """Return the role of the owner of `key`; `inside`: whether it is a member now."""
        if key and key == self.owner:
            return Role.OWNER
        if self.ops.get(key, 0.0) > now:
            return Role.OP
        return Role.MEMBER if inside else Role.OUTSIDER

    def is_muted(self, who: str, now: float) -> bool:
        """Return True if `who` (see `subject`) is muted."""
        return bool(self.mutes) and self.mutes.get(who, 0.0) > now

    def is_invited(self, key: str, now: float) -> bool:
        """Return True if the owner of `key` has an invitation."""
        return self.invited.get(key, 0.0) > now

    def is_banned(self, client_id: str, key: str, host: str, now: float) -> bool:
        """Return True if a ban in force covers the id, the key or the address."""
        return any(ban.covers(client_id, key, host, now) for ban in self.bans.values())

    def holds_back(self, client_id: str, key: str, host: str, now: float) -> bool:
        """Return True if a ban applies to a client; to the owner and ops, only one of their own key."""
        if self.role(key, now, inside=False) >= Role.OP and not self._bans_key(key, now):
            return False
        return self.is_banned(client_id, key, host, now)

    def _bans_key(self, key: str, now: float) -> bool:
        """Return True if a ban in force names this key, not only an id or an address."""
        return any(ban.until > now and key in (ban.key, ban.value) for ban in self.bans.values())

    def is_guess(self, key: str, secret: str, now: float) -> bool:
        """Return True if the owner of `key` needs the room's key to join, and `secret` is not it."""
        if not self.secret or self.invited_only or self.role(key, now, False) >= Role.OP:
            return False
        return not self.is_invited(key, now) and not self._opens(secret)

    def check_entry(self, client_id: str, key: str, host: str, secret: str, now: float) -> None:
        """Check that a client may join. Raises NotAdmitted if not.

        The owner and ops pass, except an owner whose own key the server's operator has banned.
        """
        if self.holds_back(client_id, key, host, now):
            raise NotAdmitted("banned", "banned")
        if self.role(key, now, inside=False) >= Role.OP or self.is_invited(key, now):
            return
        if self.invited_only:
            raise NotAdmitted("invitation", "only who is invited")
        if self.secret and not self._opens(secret):
            raise NotAdmitted("key", "the room's key is another")

    def check_say(self, key: str, text: str, now: float) -> None:
        """Check that a member may say `text`. Raises RemoteError: 403 if muted, 400 for no text."""
        if self.is_muted(key, now):
            raise RemoteError(403, "muted")
        if not text:
            raise RemoteError(400, "nothing is said")

    def _opens(self, secret: str) -> bool:
        return hmac.compare_digest(self.secret, hashed(self.name, secret))

    # Changes. An end in the past removes the entry.

    def changed(self, **fields: Any) -> RoomPolicy:
        """Return the next version, with `fields`; this one if they are unchanged."""
        if all(getattr(self, name) == value for name, value in fields.items()):
            return self
        return replace(self, version=self.version + 1, **fields)

    def with_op(self, key: str, until: float, now: float, most: int) -> RoomPolicy:
        """Make the owner of `key` an op until `until`. Raises RemoteError 413 for over `most`."""
        return self.changed(ops=_put(self.ops, key, until, now, most))

    def with_mute(self, who: str, until: float, now: float, most: int) -> RoomPolicy:
        """Mute `who` (see `subject`) until `until`. Raises RemoteError 413 for over `most`."""
        return self.changed(mutes=_put(self.mutes, who, until, now, most))

    def with_invited(self, key: str, until: float, now: float, most: int) -> RoomPolicy:
        """Invite the owner of `key` until `until`. Raises RemoteError 413 for over `most`."""
        return self.changed(invited=_put(self.invited, key, until, now, most))

    def without_invited(self, key: str) -> RoomPolicy:
        """Withdraw the invitation of the owner of `key`, if there is one."""
        return self.changed(invited=_without(self.invited, {key}))

    def with_ban(self, ban: BanRecord, now: float, most: int) -> RoomPolicy:
        """Add or replace a ban; its target loses its op role and invitation.

        Raises: RemoteError: 413 for more than `most` bans.
        """
        place = ban.kind, ban.value
        bans = {at: one for at, one in self.bans.items() if one.until > now and at != place}
        if len(bans) >= most:
            raise RemoteError(413, "too many bans")
        bans[place] = ban
        keys = {ban.key, ban.value}
        ops, invited = _without(self.ops, keys), _without(self.invited, keys)
        return self.changed(bans=bans, ops=ops, invited=invited)

    def without_ban(self, kind: str, value: str) -> RoomPolicy:
        """Lift a ban. Raises RemoteError 404 if there is none."""
        place = kind, value
        if place not in self.bans:
            raise RemoteError(404, "no such ban")
        return self.changed(bans={at: ban for at, ban in self.bans.items() if at != place})


def hashed(room: str, secret: str) -> str:
    """Hash the key of a room for the store; "" stays ""."""
    return hashlib.sha256(f"{room}\n{secret}".encode()).hexdigest() if secret else ""


def network(host: str) -> str:
    """Return the address that a ban covers: an IPv4 address, or the /64 of an IPv6 address.

    Raises: RemoteError: 400 if `host` is not an address.
    """
    address = ip_address(plain_ip(host))
    return str(address) if address.version == 4 else str(ip_network((address, 64), strict=False))


def subject(client_id: str, key: str) -> str:
    """Return the key in the tables of roles and mutes: the client's key, or else `=` and its folded name."""
    return key or f"={fold(client_id)}"


def _put(
    some: Mapping[str, float], who: str, until: float, now: float, most: int
) -> dict[str, float]:
    """Return `some` with the end of `who`, and without expired entries."""
    left = {one: end for one, end in some.items() if end > now and one != who}
    if until > now:
        if len(left) >= most:
            raise RemoteError(413, "too many")
        left[who] = until
    return left


def _without(some: Mapping[str, float], keys: set[str]) -> Mapping[str, float]:
    if some.keys().isdisjoint(keys):
        return some
    return {one: end for one, end in some.items() if one not in keys}
